"""Sentences from votes: what volunteers agree on is said plainly, what divides them is hedged or left out.

Nothing here knows a survey: a sentence is put together from what the answers of any decision tree say of the
Morphology, and from the words that the tree gives them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from galaxalign.attributes import IN_DISC_PLANE
from galaxalign.captions import field_words
from galaxalign.grammar import PARTICIPLES, listed, sentence
from galaxalign.morphology import Morphology
from galaxalign.tree import Answer, DecisionTree

__all__ = [
    "ASSUMED_VOTERS",
    "ENOUGH_REACH",
    "ENOUGH_VOTERS",
    "LIKELY",
    "PLAIN",
    "PLAIN_REACH",
    "PRIOR_VOTES",
    "RIVAL",
    "posterior",
    "vote_caption",
    "vote_morphology",
]

ENOUGH_VOTERS = 4
"""Of a question that fewer volunteers answered, nothing is said."""
ENOUGH_REACH = 0.25
"""Of a question that a smaller share of the volunteers came to, nothing is said."""
PLAIN_REACH = 0.5
"""Of a question that a smaller share came to, nothing is said without a hedge."""
PLAIN = 0.65
"""An answer as probable as this (`posterior`) is said plainly."""
LIKELY = 0.5
"""A less probable answer is left out of the sentence for people."""
PRIOR_VOTES = 3.0
"""Votes that the prior is worth, spread evenly over the answers of a question."""
RIVAL = 0.3
"""Where it is open what is seen, another answer as probable as this is named, too."""
ASSUMED_VOTERS = 20
"""Volunteers who saw a galaxy where the table does not say."""

_HEDGES = ("possibly", "perhaps")
_NUMBERS = ("no", "one", "two", "three", "four", "more than four")
_SHAPES = (
    (0.85, ("completely round", "round", "perfectly round")),
    (0.45, ("oval", "moderately elliptical", "slightly elongated")),
    (0.0, ("cigar-shaped", "very elongated")),
)
_WINDINGS = (
    (0.7, ("tightly wound", "tight")),
    (0.35, ("moderately wound",)),
    (0.0, ("loosely wound", "loose", "open")),
)
# How sure it is what is seen: 2 plainly, 1 to most, 0 to some. Smooth is how a galaxy looks, the others are what it is.
_STRENGTH = (("possible ",), ("probable ", "likely "), ("",))
_LOOKS = (("may be {}", "might be {}"), ("looks {} to most", "seems {}"))
# Where it is divided how much of it there is, but not whether.
_PRESENT = {"bar": "a bar", "disturbance": "a disturbed shape"}
_DEFAULT_WORDS = {"merger": "merging with another galaxy", "bar": "a bar", "irregularity": "an irregular shape"}
_ARM_FIELDS = frozenset({"arms", "arm_strength", "winding", "handedness"})
_NOT_IN_SMOOTH = _ARM_FIELDS | {"bar", "flocculence"}
_OUTLINE = frozenset({"edge_on", "axis_ratio"})
_IN_SUBJECT = _OUTLINE | {"form"}

# Shares of what could be said that a varied sentence mentions; absences are many and tell little.
_MENTIONED = {"detail": 0.8, "absence": 0.4}
# Share of varied sentences that are one phrase of one answer, the words of a zero-shot prompt.
_PHRASE = 0.12


@dataclass(frozen=True, slots=True)
class _Told:
    """One answer of a galaxy, and how plainly it may be said: 2 plainly, 1 with a hedge, 0 not at all.

    The levels `own` take the question for itself. The others are at most those of the answers that led to it, and 1
    where the answer was drawn: then something is said of it however rare it is.
    """

    column: int
    needs: frozenset[int]
    answer: Answer
    level: int
    exact: int  # of the answer without its kin
    present: int  # of "there is one", where the answer says how much of it there is
    levels: dict[str, int]  # of each field that the answer fixes
    own: dict[str, int]
    rival: Answer | None  # another answer that is RIVAL


@dataclass(frozen=True, slots=True)
class _Seen:
    """The Morphology fields of all answers that may be said, with their levels."""

    values: dict[str, Any]
    levels: dict[str, int]
    own: dict[str, int]

    @property
    def has_arms(self) -> bool:
        return self.values.get("arms") != 0 and bool(_ARM_FIELDS & self.values.keys())

    @property
    def arm_level(self) -> int:
        return max(self.levels.get(field, 0) for field in _ARM_FIELDS)


def posterior(fraction: float, voters: float, answers: int) -> float:
    """Return how probable an answer is, given that `fraction` of `voters` gave it: fewer voters, closer to chance.

    The mean of a Dirichlet posterior whose prior is worth `PRIOR_VOTES`, the same for each of the `answers`.
    """
    return (fraction * voters + PRIOR_VOTES / answers) / (voters + PRIOR_VOTES)


def vote_caption(
    tree: DecisionTree, fractions: ArrayLike, voters: ArrayLike, rng: np.random.Generator | None = None
) -> str:
    """Return one sentence on one galaxy from its votes.

    Without `rng` it is the sentence for people: along the answers that most gave, an answer is said plainly where
    its `posterior` reaches `PLAIN`, hedged where it reaches `LIKELY`, and left out below. A question that fewer than
    `ENOUGH_VOTERS` or a smaller share than `ENOUGH_REACH` were asked is passed over, and one that fewer than
    `PLAIN_REACH` were asked is hedged. What depends on an answer that was left out is left out, too, but for the
    outline: a galaxy can be cigar-shaped though it is open what it is.

    With `rng` answers are drawn from their fractions on a way through the tree, as one more volunteer would give
    them, so that over many sentences the words are as frequent as the votes; what is mentioned, its order and its
    wording vary.

    Parameters
    ----------
    tree : DecisionTree
        With A answers to Q questions.
    fractions : array_like, shape (A,)
        Fraction of those asked who gave each answer; NaN where nobody was asked.
    voters : array_like, shape (Q,)
        How many volunteers answered each question; NaN where that is not known (`ASSUMED_VOTERS`).
    rng : numpy.random.Generator, optional

    Returns
    -------
    str
        "An unidentified object." where too few were asked what it is.
    """
    told = _walk(tree, fractions, voters, rng)
    if not told:
        return "An unidentified object."
    if rng is not None and rng.random() < _PHRASE:
        plain = [one for one in _visible(told) if one.exact == 2 and (one.answer.fixes or one.answer.words)]
        if plain:
            phrase = _one_of(_one_of(plain, rng).answer.phrases, rng)
            return sentence(phrase, [], rng)
    return _sentence(_visible(told), rng)


def vote_morphology(
    tree: DecisionTree,
    fractions: ArrayLike,
    voters: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> Morphology:
    """Return what the answers on the most voted way through the tree say of a galaxy, or on a drawn one.

    Parameters
    ----------
    tree : DecisionTree
    fractions : array_like, shape (A,)
    voters : array_like, shape (Q,), optional
        As for `vote_caption`, and a question is passed over by the same rule.
    rng : numpy.random.Generator, optional
        Draws the answers from their fractions.

    Returns
    -------
    Morphology
        Without contradiction: nothing but the form of an artefact, no arms, bar or ring of a disc seen edge-on.
    """
    unknown = np.full(len(tree.questions), np.nan) if voters is None else voters
    told = _visible(_walk(tree, fractions, unknown, rng, every=True))
    fields: dict[str, Any] = {}
    for one in told:
        fields |= one.answer.fixes
    hidden = _hidden(fields)
    return Morphology(**{name: value for name, value in fields.items() if name not in hidden})


# --- which answers count ---------------------------------------------------------------------------------


def _walk(
    tree: DecisionTree,
    fractions: ArrayLike,
    voters: ArrayLike,
    rng: np.random.Generator | None,
    *,
    every: bool = False,
) -> list[_Told]:
    """Return the answers on the way through the tree that may be said; with `every` also those too divided to say."""
    given: list[float] = np.nan_to_num(np.asarray(fractions, dtype=np.float64)).tolist()
    counted: list[float] = np.asarray(voters, dtype=np.float64).tolist()
    asked = _asked(tree, given)
    told: dict[int, _Told] = {}
    name = tree.questions[0].name
    while name:
        index = tree.places[name]
        part = tree.slices[index]
        if not any(given[part]):
            break
        column = tree.favourite(given, part) if rng is None else _drawn(given, part, rng)
        name = tree.answers[column].leads_to
        count = ASSUMED_VOTERS * asked[index] if math.isnan(counted[index]) else counted[index]
        if asked[index] < ENOUGH_REACH or count < ENOUGH_VOTERS:
            continue
        if not tree.needs[index] <= told.keys():
            continue
        most = 2 if asked[index] >= PLAIN_REACH else 1
        needed = min((told[need].level for need in tree.needs[index]), default=2)
        one = _told(tree, index, column, given, count, needed, most, least=0 if rng is None else 1)
        # What the galaxy is, is said however divided the votes are, and its outline is seen by either party.
        outlined = any(one.own.get(field) == 2 for field in _OUTLINE)
        if every or one.level or one.present or outlined or not index:
            told[column] = one
    return list(told.values())


def _told(
    tree: DecisionTree, index: int, column: int, given: list[float], count: float, needed: int, most: int, least: int
) -> _Told:
    """Return an answer with its levels, at least `least` and at most `needed` and `most`; `own` are left alone."""
    answer, part = tree.answers[column], tree.slices[index]
    others = range(part.start, part.stop)

    def level(columns: Iterable[int]) -> int:
        chance = posterior(sum(given[other] for other in columns), count, len(others))
        return 2 if chance >= PLAIN else 1 if chance >= LIKELY else 0

    def capped(value: int) -> int:
        return min(needed, most, max(least, value))

    own = {
        field: level(other for other in others if tree.answers[other].fixes.get(field) == value)
        for field, value in answer.fixes.items()
    }
    graded = next((field for field in _PRESENT if (answer.fixes.get(field) or 0.0) >= 0.05), "")
    second = max((other for other in others if other not in tree.kin[column]), key=given.__getitem__, default=column)
    present = [other for other in others if (tree.answers[other].fixes.get(graded) or 0.0) >= 0.05]
    return _Told(
        column,
        tree.needs[index],
        answer,
        level=capped(level(tree.kin[column])),
        exact=capped(level([column])),
        present=capped(level(present)) if graded else 0,
        levels={field: capped(value) for field, value in own.items()},
        own=own,
        rival=tree.answers[second] if posterior(given[second], count, len(others)) >= RIVAL else None,
    )


def _asked(tree: DecisionTree, given: list[float]) -> list[float]:
    """Return `DecisionTree.asked` of one galaxy; in plain Python, which is ten times faster for one."""
    asked = [0.0] * len(tree.questions)
    shares = [0.0] * len(given)
    for index in tree.order:
        parents, part = tree.parents[index], tree.slices[index]
        asked[index] = min(1.0, sum(shares[parent] for parent in parents)) if parents else 1.0
        for column in range(part.start, part.stop):
            shares[column] = given[column] * asked[index]
    return asked


def _drawn(given: list[float], part: slice, rng: np.random.Generator) -> int:
    """Return an answer drawn from the fractions."""
    left = rng.random() * sum(given[part])
    possible = [column for column in range(part.start, part.stop) if given[column] > 0]
    for column in possible:
        left -= given[column]
        if left < 0:
            return column
    return possible[-1]


def _visible(told: list[_Told]) -> list[_Told]:
    """Return the answers that do not contradict what was answered before them."""
    fields: dict[str, Any] = {}
    found = []
    for one in told:
        if one.answer.fixes and one.answer.fixes.keys() <= _hidden(fields):
            continue
        found.append(one)
        fields |= one.answer.fixes
    return found


def _hidden(fields: dict[str, Any]) -> frozenset[str]:
    """Return the Morphology fields that cannot be seen in a galaxy with the given ones."""
    if fields.get("form") == "artifact":
        return frozenset(Morphology.field_names()) - {"form"}
    if fields.get("edge_on"):
        return frozenset(IN_DISC_PLANE)
    return _NOT_IN_SMOOTH if fields.get("form") == "smooth" else frozenset()


# --- words -----------------------------------------------------------------------------------------------


def _sentence(told: list[_Told], rng: np.random.Generator | None) -> str:
    """Return the sentence of answers that may be said and do not contradict each other."""
    levels = {field: level for one in told for field, level in one.levels.items()}
    seen = _Seen(
        {f: value for one in told for f, value in one.answer.fixes.items() if levels[f] or f in _IN_SUBJECT},
        levels,
        {field: level for one in told for field, level in one.own.items()},
    )
    subject, spoken = _subject(told, seen, rng)
    if seen.values.get("form") == "artifact":
        return sentence(subject, [], rng)

    plain: list[str] = []
    hedged: list[str] = []
    if seen.values.get("edge_on") and seen.own["edge_on"] < 2 and seen.levels["edge_on"]:
        hedged.append("seen edge-on")
    arms, sure = _arms(seen, "spiral" in subject, rng)
    if arms:
        (plain if sure else hedged).append(arms)
    clauses = {one.column: _clause(one, rng) for one in told if not spoken & one.answer.fixes.keys()}
    for one in told:
        words, level = clauses.get(one.column, ("", 0))
        # Where a ring is told, it is told that something is odd.
        followed = [clauses[o.column] for o in told if one.column in o.needs and o.column in clauses]
        if not words or not level or any(more and level <= level_of for more, level_of in followed):
            continue
        absent = words.startswith("no ")
        if rng is not None and rng.random() >= _MENTIONED["absence" if absent else "detail"]:
            continue
        if absent:
            plain.append(words if level == 2 else words.replace("no ", "no clear ", 1))
        else:
            (plain if level == 2 else hedged).append(words)
    if rng is not None:
        rng.shuffle(plain)
        rng.shuffle(hedged)
    text = sentence(subject, plain, rng)
    return text if not hedged else f"{text[:-1]}, {_hedged(hedged, _one_of(_HEDGES, rng))}."


def _subject(told: list[_Told], seen: _Seen, rng: np.random.Generator | None) -> tuple[str, frozenset[str]]:
    """Return the noun phrase for what is seen, without article, and the fields that need no more words."""
    first, form = told[0], seen.values.get("form")
    strength = first.own.get("form", first.level)
    spoken = _IN_SUBJECT | _ARM_FIELDS
    if first.answer.subjects:
        noun = _one_of(first.answer.subjects, rng)
        spoken |= first.answer.fixes.keys()
    elif form == "artifact":
        noun = "image artefact"
    elif form == "featured":
        noun, more = _disc(told, seen, rng)
        spoken |= more
    else:
        noun = "smooth galaxy" if form == "smooth" else "galaxy"
    rival = first.rival.fixes.get("form") if first.rival and not strength and rng is None else None
    if form == "featured" and rival == "smooth":
        disc = "an edge-on disc" if seen.values.get("edge_on") else "a disc"
        return f"galaxy that looks like {disc} to some and smooth to others", spoken
    if form != "smooth" or not noun.endswith(" galaxy"):
        return _one_of(_STRENGTH[strength], rng) + noun, spoken
    kind = noun.removesuffix(" galaxy")
    shape = _shape(seen, strength, rng)
    if strength == 2:
        return f"{kind}, {shape} galaxy" if shape else noun, spoken
    looks = _one_of(_LOOKS[strength], rng).format(kind)
    if rival == "featured":
        looks = f"looks {kind} to some and like a disc to others"
    return f"{shape} galaxy that {looks}".strip(), spoken


def _disc(told: list[_Told], seen: _Seen, rng: np.random.Generator | None) -> tuple[str, frozenset[str]]:
    """Return the noun phrase for a galaxy with features."""
    if seen.values.get("edge_on"):
        return ("edge-on disc galaxy" if seen.own["edge_on"] == 2 else "disc galaxy"), frozenset()
    if not (seen.has_arms and seen.arm_level == 2):
        return "disc galaxy", frozenset()
    bar = seen.values.get("bar")
    worded = any("bar" in one.answer.fixes and one.answer.words for one in told)
    if bar is None or worded or seen.levels["bar"] < 2:
        return "spiral galaxy", frozenset()
    mentioned = rng is None or rng.random() < _MENTIONED["detail" if bar >= 0.05 else "absence"]
    barred = "barred " if bar >= 0.05 else "unbarred "
    return (barred if mentioned else "") + "spiral galaxy", frozenset({"bar"})


def _shape(seen: _Seen, strength: int, rng: np.random.Generator | None) -> str:
    """Return the adjective for the outline of a smooth galaxy, "" where it is not known."""
    ratio, level = seen.values.get("axis_ratio"), max(seen.own.get("axis_ratio", 0), 0 if rng is None else 1)
    # One hedge in a noun phrase is enough.
    if ratio is None or not level or (level < 2 and strength < 2):
        return ""
    if rng is not None and rng.random() >= _MENTIONED["detail"]:
        return ""
    shape = _one_of(_words_for(ratio, _SHAPES), rng)
    return shape if level == 2 else f"{_one_of(_HEDGES, rng)} {shape}"


def _arms(seen: _Seen, in_subject: bool, rng: np.random.Generator | None) -> tuple[str, bool]:
    """Return the words on spiral arms and whether they are sure; "" where there is nothing to add."""
    if seen.values.get("arms") == 0:
        mentioned = rng is None or rng.random() < _MENTIONED["absence"]
        return ("", "no clear spiral arms", "no spiral arms")[seen.levels["arms"] if mentioned else 0], True
    if not seen.has_arms or not seen.arm_level:
        return "", True
    known = {
        field: seen.levels[field]
        for field in ("arms", "winding", "handedness")
        if seen.levels.get(field) and (rng is None or rng.random() < _MENTIONED["detail"])
    }
    noun = "arms" if in_subject else "spiral arms"
    number = _NUMBERS[seen.values["arms"]] if "arms" in known else ""
    if number == "one":
        noun = noun.removesuffix("s")
    adjectives = [_one_of(_words_for(seen.values["winding"], _WINDINGS), rng)] if "winding" in known else []
    adjectives += [seen.values["handedness"]] if "handedness" in known else []
    if not known:
        return ("", True) if in_subject else (noun, seen.arm_level == 2)
    sure = seen.arm_level == 2 and not (in_subject and max(known.values()) < 2)
    parts = [(known.get("arms", 0), number)]
    parts.append((min((known[field] for field in known if field != "arms"), default=0), ", ".join(adjectives)))
    words = []
    for level, part in parts:
        if part:
            words += [_one_of(_HEDGES[::-1], rng), part] if sure and level == 1 else [part]
    return " ".join([*words, noun]), sure


def _clause(one: _Told, rng: np.random.Generator | None) -> tuple[str, int]:
    """Return what an answer adds to the sentence and the level at which it may be said."""
    for field, words in _PRESENT.items():
        if one.present > one.level and field in one.answer.fixes:
            return words, one.present
    if one.answer.words:
        return _one_of(one.answer.words, rng), one.level
    for field, value in one.answer.fixes.items():
        if field in _DEFAULT_WORDS and value and value >= 0.05:
            return _DEFAULT_WORDS[field], one.levels[field]
        if words := field_words(field, value):
            return words, one.levels[field]
    return "", 0


def _hedged(clauses: list[str], hedge: str) -> str:
    """Return "possibly seen edge-on and with a bulge" or "possibly with a bar and merging with another galaxy"."""
    verbs = [words for words in clauses if words.startswith(PARTICIPLES)]
    nouns = [words for words in clauses if words not in verbs]
    views = [words for words in verbs if words.startswith("seen ")]
    have = [f"with {listed(nouns, 'and')}"] if nouns else []
    return f"{hedge} " + listed([*views, *have, *(words for words in verbs if words not in views)], "and")


def _words_for(value: float, grades: Sequence[tuple[float, tuple[str, ...]]]) -> tuple[str, ...]:
    return next(words for limit, words in grades if value >= limit)


def _one_of(choices: Sequence[Any], rng: np.random.Generator | None) -> Any:
    """Return the first, or a random one."""
    return choices[0] if rng is None or len(choices) == 1 else choices[int(rng.random() * len(choices))]

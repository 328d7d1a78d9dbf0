"""Sentences from votes: plain where volunteers agree, hedged or silent where they are divided.

The words come from the answers of any decision tree and from the Morphology that they fix; no survey is named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from galaxalign.morphology.captions import field_words
from galaxalign.morphology.decision_tree import DecisionTree
from galaxalign.morphology.grammar import PARTICIPLES, listed, sentence
from galaxalign.morphology.voted_answers import (
    ARM_FIELDS,
    OUTLINE,
    PRESENT,
    VotedAnswer,
    voted_answers,
    without_contradictions,
)

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
# By the certainty of the first question. Smooth is how a galaxy looks, the others are what it is.
_STRENGTH = (("possible ",), ("probable ", "likely "), ("",))
_LOOKS = (("may be {}", "might be {}"), ("looks {} to most", "seems {}"))
_DEFAULT_WORDS = {"merger": "merging with another galaxy", "bar": "a bar", "irregularity": "an irregular shape"}
_IN_SUBJECT = OUTLINE | {"form"}

# Shares of details and absences that a varied sentence mentions; absences are many and carry little information.
_MENTIONED = {"detail": 0.8, "absence": 0.4}
# Share of varied sentences that are one phrase of one answer, as in a zero-shot prompt.
_PHRASE = 0.12


@dataclass(frozen=True, slots=True)
class _Fields:
    """The Morphology fields that the answers fix, with their certainties."""

    values: dict[str, Any]
    levels: dict[str, int]
    own: dict[str, int]

    @property
    def has_arms(self) -> bool:
        return self.values.get("arms") != 0 and bool(ARM_FIELDS & self.values.keys())

    @property
    def arm_level(self) -> int:
        return max(self.levels.get(field, 0) for field in ARM_FIELDS)


def vote_caption(
    tree: DecisionTree, fractions: ArrayLike, voters: ArrayLike, rng: np.random.Generator | None = None
) -> str:
    """Return one sentence on one galaxy from its votes.

    Without `rng`: the sentence for people, along the answers of the majority. An answer is plain where its `posterior`
    reaches `PLAIN`, hedged where it reaches `LIKELY`, and left out below, with all that depends on it but the outline.
    Questions answered by fewer than `ENOUGH_VOTERS`, or reached by a smaller share than `ENOUGH_REACH`, are skipped;
    those reached by less than `PLAIN_REACH` are hedged.

    With `rng`: answers drawn from their fractions, like one more volunteer, so that over many sentences words are as
    frequent as votes; what is mentioned, its order and its wording vary.

    Parameters
    ----------
    tree : DecisionTree
        With A answers to Q questions.
    fractions : array_like, shape (A,)
        Fraction of those asked who gave each answer; NaN where nobody was asked.
    voters : array_like, shape (Q,)
        Volunteers who answered each question; NaN where unknown (`ASSUMED_VOTERS`).
    rng : numpy.random.Generator, optional

    Returns
    -------
    str
        "An unidentified object." if too few volunteers answered the first question.
    """
    answers = voted_answers(tree, fractions, voters, rng)
    if not answers:
        return "An unidentified object."
    if rng is not None and rng.random() < _PHRASE:
        plain = [
            voted
            for voted in without_contradictions(answers)
            if voted.exact == 2 and (voted.answer.fixes or voted.answer.words)
        ]
        if plain:
            return sentence(_one_of(_one_of(plain, rng).answer.phrases, rng), [], rng)
    return _sentence(without_contradictions(answers), rng)


def _sentence(answers: list[VotedAnswer], rng: np.random.Generator | None) -> str:
    levels = {field: level for voted in answers for field, level in voted.levels.items()}
    fields = _Fields(
        {f: value for voted in answers for f, value in voted.answer.fixes.items() if levels[f] or f in _IN_SUBJECT},
        levels,
        {field: level for voted in answers for field, level in voted.own.items()},
    )
    subject, covered = _subject(answers, fields, rng)
    if fields.values.get("form") == "artifact":
        return sentence(subject, [], rng)

    plain: list[str] = []
    hedged: list[str] = []
    if fields.values.get("edge_on") and fields.own["edge_on"] < 2 and fields.levels["edge_on"]:
        hedged.append("seen edge-on")
    arms, sure = _arms(fields, "spiral" in subject, rng)
    if arms:
        (plain if sure else hedged).append(arms)
    clauses = {voted.column: _clause(voted, rng) for voted in answers if not covered & voted.answer.fixes.keys()}
    for voted in answers:
        words, level = clauses.get(voted.column, ("", 0))
        # A ring already implies something odd.
        followed = [clauses[o.column] for o in answers if voted.column in o.needs and o.column in clauses]
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


def _subject(
    answers: list[VotedAnswer], fields: _Fields, rng: np.random.Generator | None
) -> tuple[str, frozenset[str]]:
    """Return the noun phrase for what is seen, without article, and the fields that need no more words."""
    first, form = answers[0], fields.values.get("form")
    strength = first.own.get("form", first.level)
    covered = _IN_SUBJECT | ARM_FIELDS
    if first.answer.subjects:
        noun = _one_of(first.answer.subjects, rng)
        covered |= first.answer.fixes.keys()
    elif form == "artifact":
        noun = "image artefact"
    elif form == "featured":
        noun, more = _disc(answers, fields, rng)
        covered |= more
    else:
        noun = "smooth galaxy" if form == "smooth" else "galaxy"
    rival = first.rival.fixes.get("form") if first.rival and not strength and rng is None else None
    if form == "featured" and rival == "smooth":
        disc = "an edge-on disc" if fields.values.get("edge_on") else "a disc"
        return f"galaxy that looks like {disc} to some and smooth to others", covered
    if form != "smooth" or not noun.endswith(" galaxy"):
        return _one_of(_STRENGTH[strength], rng) + noun, covered
    kind = noun.removesuffix(" galaxy")
    shape = _shape(fields, strength, rng)
    if strength == 2:
        return f"{kind}, {shape} galaxy" if shape else noun, covered
    looks = _one_of(_LOOKS[strength], rng).format(kind)
    if rival == "featured":
        looks = f"looks {kind} to some and like a disc to others"
    return f"{shape} galaxy that {looks}".strip(), covered


def _disc(answers: list[VotedAnswer], fields: _Fields, rng: np.random.Generator | None) -> tuple[str, frozenset[str]]:
    """Return the noun phrase for a galaxy with features."""
    if fields.values.get("edge_on"):
        return ("edge-on disc galaxy" if fields.own["edge_on"] == 2 else "disc galaxy"), frozenset()
    if not (fields.has_arms and fields.arm_level == 2):
        return "disc galaxy", frozenset()
    bar = fields.values.get("bar")
    worded = any("bar" in voted.answer.fixes and voted.answer.words for voted in answers)
    if bar is None or worded or fields.levels["bar"] < 2:
        return "spiral galaxy", frozenset()
    mentioned = rng is None or rng.random() < _MENTIONED["detail" if bar >= 0.05 else "absence"]
    barred = "barred " if bar >= 0.05 else "unbarred "
    return (barred if mentioned else "") + "spiral galaxy", frozenset({"bar"})


def _shape(fields: _Fields, strength: int, rng: np.random.Generator | None) -> str:
    """Return the adjective for the outline of a smooth galaxy, "" if unknown."""
    ratio, level = fields.values.get("axis_ratio"), max(fields.own.get("axis_ratio", 0), 0 if rng is None else 1)
    # One hedge in a noun phrase is enough.
    if ratio is None or not level or (level < 2 and strength < 2):
        return ""
    if rng is not None and rng.random() >= _MENTIONED["detail"]:
        return ""
    shape = _one_of(_words_for(ratio, _SHAPES), rng)
    return shape if level == 2 else f"{_one_of(_HEDGES, rng)} {shape}"


def _arms(fields: _Fields, in_subject: bool, rng: np.random.Generator | None) -> tuple[str, bool]:
    """Return the words on spiral arms, "" for none, and whether they are certain."""
    if fields.values.get("arms") == 0:
        mentioned = rng is None or rng.random() < _MENTIONED["absence"]
        return ("", "no clear spiral arms", "no spiral arms")[fields.levels["arms"] if mentioned else 0], True
    if not fields.has_arms or not fields.arm_level:
        return "", True
    known = {
        field: fields.levels[field]
        for field in ("arms", "winding", "handedness")
        if fields.levels.get(field) and (rng is None or rng.random() < _MENTIONED["detail"])
    }
    noun = "arms" if in_subject else "spiral arms"
    number = _NUMBERS[fields.values["arms"]] if "arms" in known else ""
    if number == "one":
        noun = noun.removesuffix("s")
    adjectives = [_one_of(_words_for(fields.values["winding"], _WINDINGS), rng)] if "winding" in known else []
    adjectives += [fields.values["handedness"]] if "handedness" in known else []
    if not known:
        return ("", True) if in_subject else (noun, fields.arm_level == 2)
    sure = fields.arm_level == 2 and not (in_subject and max(known.values()) < 2)
    parts = [(known.get("arms", 0), number)]
    parts.append((min((known[field] for field in known if field != "arms"), default=0), ", ".join(adjectives)))
    words = []
    for level, part in parts:
        if part:
            words += [_one_of(_HEDGES[::-1], rng), part] if sure and level == 1 else [part]
    return " ".join([*words, noun]), sure


def _clause(voted: VotedAnswer, rng: np.random.Generator | None) -> tuple[str, int]:
    """Return the words of an answer and their certainty."""
    for field, words in PRESENT.items():
        if voted.present > voted.level and field in voted.answer.fixes:
            return words, voted.present
    if voted.answer.words:
        return _one_of(voted.answer.words, rng), voted.level
    for field, value in voted.answer.fixes.items():
        if field in _DEFAULT_WORDS and value and value >= 0.05:
            return _DEFAULT_WORDS[field], voted.levels[field]
        if words := field_words(field, value):
            return words, voted.levels[field]
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

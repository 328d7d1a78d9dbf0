"""The answers of volunteers for one galaxy: which count, how certain they are, and the Morphology they make."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from galaxalign.morphology.attribute_values import IN_DISC_PLANE
from galaxalign.morphology.decision_tree import Answer, DecisionTree
from galaxalign.morphology.morphology import Morphology

ENOUGH_VOTERS = 4
"""A question with fewer answers does not count."""
ENOUGH_REACH = 0.25
"""A question that a smaller share of the volunteers reached does not count."""
PLAIN_REACH = 0.5
"""The answers to a question that a smaller share reached are hedged."""
PLAIN = 0.65
"""`posterior` from which an answer is stated plainly."""
LIKELY = 0.5
"""`posterior` from which an answer is stated with a hedge."""
PRIOR_VOTES = 3.0
"""Weight of the prior in votes, spread evenly over the answers of a question."""
RIVAL = 0.3
"""`posterior` from which the second most likely answer is a rival."""
ASSUMED_VOTERS = 20
"""Volunteers per galaxy where the table does not give their number."""

PRESENT = {"bar": "a bar", "disturbance": "a disturbed shape"}
"""Words for fields whose presence is certain and whose degree is not."""
ARM_FIELDS = frozenset({"arms", "arm_strength", "winding", "handedness"})
OUTLINE = frozenset({"edge_on", "axis_ratio"})
_NOT_IN_SMOOTH = ARM_FIELDS | {"bar", "flocculence"}


@dataclass(frozen=True, slots=True)
class VotedAnswer:
    """One answer of a galaxy and its certainty: 2 plain, 1 hedged, 0 left out.

    `own` holds the certainties within the question. All others are capped by the answers that lead to the question, and
    at least 1 for a drawn answer, however rare it is.
    """

    column: int
    needs: frozenset[int]
    answer: Answer
    level: int
    exact: int  # of the answer without its kin
    present: int  # of "there is one", where the answer gives a degree
    levels: dict[str, int]  # of each field that the answer fixes
    own: dict[str, int]
    rival: Answer | None


def posterior(fraction: float, voters: float, answers: int) -> float:
    """Return how probable an answer is, given that `fraction` of `voters` gave it: fewer voters, closer to chance.

    The mean of a Dirichlet posterior whose prior is worth `PRIOR_VOTES`, the same for each of the `answers`.
    """
    return (fraction * voters + PRIOR_VOTES / answers) / (voters + PRIOR_VOTES)


def vote_morphology(
    tree: DecisionTree,
    fractions: ArrayLike,
    voters: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> Morphology:
    """Return the Morphology of the answers on the most voted way through the tree, or on a random one.

    Parameters
    ----------
    tree : DecisionTree
    fractions : array_like, shape (A,)
    voters : array_like, shape (Q,), optional
        As for `vote_caption`, which skips the same questions.
    rng : numpy.random.Generator, optional
        Draws the answers from their fractions.

    Returns
    -------
    Morphology
        Without contradiction: an artefact has nothing but its form, an edge-on disc no arms, bar or ring.
    """
    unknown = np.full(len(tree.questions), np.nan) if voters is None else voters
    fields: dict[str, Any] = {}
    for voted in without_contradictions(voted_answers(tree, fractions, unknown, rng, every=True)):
        fields |= voted.answer.fixes
    hidden = _hidden(fields)
    return Morphology(**{name: value for name, value in fields.items() if name not in hidden})


def voted_answers(
    tree: DecisionTree,
    fractions: ArrayLike,
    voters: ArrayLike,
    rng: np.random.Generator | None,
    *,
    every: bool = False,
) -> list[VotedAnswer]:
    """Return the answers on the way through the tree that count; with `every` also those that are left out."""
    given: list[float] = np.nan_to_num(np.asarray(fractions, dtype=np.float64)).tolist()
    counted: list[float] = np.asarray(voters, dtype=np.float64).tolist()
    reach = _reach(tree, given)
    answers: dict[int, VotedAnswer] = {}
    name = tree.questions[0].name
    while name:
        index = tree.places[name]
        part = tree.slices[index]
        if not any(given[part]):
            break
        column = tree.favourite(given, part) if rng is None else _drawn(given, part, rng)
        name = tree.answers[column].leads_to
        count = ASSUMED_VOTERS * reach[index] if math.isnan(counted[index]) else counted[index]
        if reach[index] < ENOUGH_REACH or count < ENOUGH_VOTERS or not tree.needs[index] <= answers.keys():
            continue
        highest = min((answers[need].level for need in tree.needs[index]), default=2)
        highest = min(highest, 2 if reach[index] >= PLAIN_REACH else 1)
        voted = _voted_answer(tree, index, column, given, count, (0 if rng is None else 1, highest))
        # The first question names the galaxy however divided the votes are; both sides of a split see its outline.
        outlined = any(voted.own.get(field) == 2 for field in OUTLINE)
        if every or voted.level or voted.present or outlined or not index:
            answers[column] = voted
    return list(answers.values())


def without_contradictions(answers: list[VotedAnswer]) -> list[VotedAnswer]:
    """Return the answers that agree with those before them."""
    fields: dict[str, Any] = {}
    kept = []
    for voted in answers:
        if voted.answer.fixes and voted.answer.fixes.keys() <= _hidden(fields):
            continue
        kept.append(voted)
        fields |= voted.answer.fixes
    return kept


def _voted_answer(
    tree: DecisionTree, index: int, column: int, given: list[float], count: float, limits: tuple[int, int]
) -> VotedAnswer:
    """Return an answer with its certainties within `limits`, all but `own`."""
    answer, part = tree.answers[column], tree.slices[index]
    others = range(part.start, part.stop)
    lowest, highest = limits

    def level(columns: Iterable[int]) -> int:
        chance = posterior(sum(given[other] for other in columns), count, len(others))
        return 2 if chance >= PLAIN else 1 if chance >= LIKELY else 0

    def limited(value: int) -> int:
        return min(highest, max(lowest, value))

    own = {
        field: level(other for other in others if tree.answers[other].fixes.get(field) == value)
        for field, value in answer.fixes.items()
    }
    graded = next((field for field in PRESENT if (answer.fixes.get(field) or 0.0) >= 0.05), "")
    second = max((other for other in others if other not in tree.kin[column]), key=given.__getitem__, default=column)
    present = [other for other in others if (tree.answers[other].fixes.get(graded) or 0.0) >= 0.05]
    return VotedAnswer(
        column,
        tree.needs[index],
        answer,
        level=limited(level(tree.kin[column])),
        exact=limited(level([column])),
        present=limited(level(present)) if graded else 0,
        levels={field: limited(value) for field, value in own.items()},
        own=own,
        rival=tree.answers[second] if posterior(given[second], count, len(others)) >= RIVAL else None,
    )


def _reach(tree: DecisionTree, given: list[float]) -> list[float]:
    """Return `DecisionTree.asked` of one galaxy; in plain Python, which is ten times faster for one."""
    reach = [0.0] * len(tree.questions)
    shares = [0.0] * len(given)
    for index in tree.order:
        parents, part = tree.parents[index], tree.slices[index]
        reach[index] = min(1.0, sum(shares[parent] for parent in parents)) if parents else 1.0
        for column in range(part.start, part.stop):
            shares[column] = given[column] * reach[index]
    return reach


def _drawn(given: list[float], part: slice, rng: np.random.Generator) -> int:
    """Return an answer drawn from the fractions."""
    left = rng.random() * sum(given[part])
    possible = [column for column in range(part.start, part.stop) if given[column] > 0]
    for column in possible:
        left -= given[column]
        if left < 0:
            return column
    return possible[-1]


def _hidden(fields: dict[str, Any]) -> frozenset[str]:
    """Return the Morphology fields that cannot be visible beside the given ones."""
    if fields.get("form") == "artifact":
        return frozenset(Morphology.field_names()) - {"form"}
    if fields.get("edge_on"):
        return frozenset(IN_DISC_PLANE)
    return _NOT_IN_SMOOTH if fields.get("form") == "smooth" else frozenset()

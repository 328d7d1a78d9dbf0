"""A decision tree of questions put to volunteers: which answer leads to which question, and who reaches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxalign.errors import InputError
from galaxalign.morphology.morphology import Morphology, as_table, morphology_from_table
from galaxalign.strict_toml import TomlTable

QUESTION_KEYS = ("name", "text", "answers")
_ANSWER_KEYS = ("name", "title", "phrases", "morphology", "leads_to", "share_column", "words", "subjects")


@dataclass(frozen=True)
class Answer:
    """One answer of a question.

    Parameters
    ----------
    name : str
        As the columns of votes have it after the question: ``"a01_smooth"``.
    title : str
        For display: ``"smooth"``.
    phrases : tuple of str
        Noun phrases without article for a galaxy of this answer: ``"galaxy with a bar"``.
    morphology : Morphology
        What the answer determines.
    leads_to : str
        Name of the next question; "" where the tree ends.
    share_column : str
        Published column with the share of *all* volunteers who gave this answer (Kaggle's ``"Class1.1"``), or "".
    words : tuple of str
        Noun phrases that can follow "with" ("a small bulge", "no bar") or participles ("merging with another galaxy")
        for captions, the first for people, the others for variety; by default those of the morphology.
    subjects : tuple of str
        Noun phrases without article that name the object if the morphology does not: ``"elliptical galaxy"``.
    """

    name: str
    title: str
    phrases: tuple[str, ...]
    morphology: Morphology = Morphology()  # noqa: RUF009 (frozen, therefore safe to share)
    leads_to: str = ""
    share_column: str = ""
    words: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    @cached_property
    def fixes(self) -> dict[str, Any]:
        """The Morphology fields that this answer fixes, by name."""
        return self.morphology.known()

    @classmethod
    def from_table(cls, table: TomlTable) -> Answer:
        """Return the answer of a table ``[[questions.answers]]`` of a taxonomy file."""
        phrases = table.texts("phrases")
        if not phrases:
            raise InputError(f"{table.where}: the answer {table.text('name')} has no phrases; give it at least one")
        return cls(
            name=table.text("name"),
            title=table.text("title"),
            phrases=phrases,
            morphology=morphology_from_table(table),
            leads_to=table.text("leads_to", ""),
            share_column=table.text("share_column", ""),
            words=table.texts("words", ()),
            subjects=table.texts("subjects", ()),
        )


@dataclass(frozen=True)
class Question:
    """A question and its answers.

    Parameters
    ----------
    name : str
        As the columns of votes begin: ``"t01_smooth_or_features"``.
    text : str
        As the volunteers read it.
    answers : tuple of Answer
    """

    name: str
    text: str
    answers: tuple[Answer, ...]

    @classmethod
    def from_table(cls, table: TomlTable) -> Question:
        """Return the question of a table ``[[questions]]`` of a taxonomy file."""
        answers = table.tables("answers", _ANSWER_KEYS)
        return cls(table.text("name"), table.text("text"), tuple(map(Answer.from_table, answers)))


@dataclass(frozen=True)
class DecisionTree:
    """The questions of a volunteer project; all volunteers answer the first.

    Arrays of votes have one column per answer, the answers of all questions in order (`stems`).

    Parameters
    ----------
    questions : tuple of Question

    Raises
    ------
    InputError
        If a name occurs twice, an answer leads nowhere or back, or no answer leads to a question.
    """

    questions: tuple[Question, ...]

    def __post_init__(self) -> None:
        names = [question.name for question in self.questions]
        for what, each in (("question", names), ("answer", list(self.stems))):
            twice = sorted({name for name in each if each.count(name) > 1})
            if twice:
                raise InputError(f"the decision tree has the {what} {twice[0]!r} twice; keep one")
        for question in self.questions:
            if len(question.answers) < 2:
                raise InputError(f"the question {question.name} has {len(question.answers)} answers; give it two")
            for answer in question.answers:
                if answer.leads_to and answer.leads_to not in names:
                    raise InputError(
                        f"the answer {answer.name} of {question.name} leads to {answer.leads_to!r}, which is "
                        f"no question; known are {', '.join(names)}"
                    )
        _ = self.order

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """Names of all answers as columns begin: question, underscore, answer."""
        return tuple(f"{question.name}_{answer.name}" for question in self.questions for answer in question.answers)

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """All answers, in the order of `stems`."""
        return tuple(answer for question in self.questions for answer in question.answers)

    @property
    def handed(self) -> bool:
        """Whether an answer depends on the handedness, so that a mirrored image has other votes."""
        return any(answer.morphology.handedness for answer in self.answers)

    def flip_permutation(self) -> NDArray[np.int64]:
        """Return, for each answer (column), the same answer for the mirrored image.

        Raises
        ------
        InputError
            If an answer with a handedness has no mirror image in its question, or several.
        """
        permutation = np.arange(len(self.answers))
        for question, part in zip(self.questions, self.slices, strict=True):
            for column in range(part.start, part.stop):
                answer = self.answers[column]
                if answer.morphology.handedness is None:
                    continue
                mirrored = answer.morphology.flipped()
                twins = [
                    other
                    for other in range(part.start, part.stop)
                    if self.answers[other].morphology == mirrored and self.answers[other].leads_to == answer.leads_to
                ]
                if len(twins) != 1:
                    raise InputError(
                        f"the answer {answer.name} of {question.name} has {len(twins)} mirror images; give it exactly "
                        "one, with the same morphology, the opposite handedness and the same next question"
                    )
                permutation[column] = twins[0]
        return permutation

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Which columns belong to each question."""
        ends = np.cumsum([len(question.answers) for question in self.questions])
        return tuple(
            slice(int(end) - len(question.answers), int(end))
            for question, end in zip(self.questions, ends, strict=True)
        )

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """For each question, the columns of the answers that lead to it; () for the first."""
        return tuple(
            tuple(column for column, answer in enumerate(self.answers) if answer.leads_to == question.name)
            for question in self.questions
        )

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Questions in an order in which each comes after those that lead to it."""
        owner = [index for index, part in enumerate(self.slices) for _ in range(part.stop - part.start)]
        order: list[int] = []
        while len(order) < len(self.questions):
            ready = [
                index
                for index, parents in enumerate(self.parents)
                if index not in order and all(owner[parent] in order for parent in parents)
            ]
            if not ready:
                stuck = [question.name for index, question in enumerate(self.questions) if index not in order]
                raise InputError(f"the decision tree goes in a circle through {', '.join(stuck)}")
            order += ready
        unreached = [q.name for q, parents in zip(self.questions[1:], self.parents[1:], strict=True) if not parents]
        if unreached or self.parents[0]:
            raise InputError(
                f"no answer leads to the question {unreached[0]!r}"
                if unreached
                else f"an answer leads back to the first question, {self.questions[0].name}"
            )
        return tuple(order)

    @cached_property
    def places(self) -> dict[str, int]:
        """Which question has a name."""
        return {question.name: index for index, question in enumerate(self.questions)}

    @cached_property
    def needs(self) -> tuple[frozenset[int], ...]:
        """For each question, the answers (columns) that every way to it contains."""
        owner = [index for index, part in enumerate(self.slices) for _ in range(part.stop - part.start)]
        needs = [frozenset[int]()] * len(self.questions)
        for index in self.order[1:]:
            ways = [needs[owner[column]] | {column} for column in self.parents[index]]
            needs[index] = frozenset.intersection(*ways)
        return tuple(needs)

    @cached_property
    def kin(self) -> tuple[tuple[int, ...], ...]:
        """For each answer, those of its question that agree up to the handedness: clockwise and anticlockwise arms."""
        looks = [replace(answer.morphology, handedness=None) for answer in self.answers]
        return tuple(
            tuple(
                other
                for other in range(part.start, part.stop)
                if other == column
                or (
                    looks[other] == looks[column] != Morphology()
                    and self.answers[other].leads_to == self.answers[column].leads_to
                )
            )
            for part in self.slices
            for column in range(part.start, part.stop)
        )

    def asked(self, fractions: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that a volunteer reaches each question: the product of the fractions on the way.

        Parameters
        ----------
        fractions : array_like, shape (N, A)
            Fraction of those asked who gave each answer; NaN, where nobody was asked, counts as 0.

        Returns
        -------
        ndarray, shape (N, Q), in 0..1
        """
        given = np.nan_to_num(np.asarray(fractions, dtype=np.float64))
        asked = np.zeros((len(given), len(self.questions)))
        shares = np.zeros_like(given)
        for index in self.order:
            parents, own = self.parents[index], self.slices[index]
            asked[:, index] = shares[:, list(parents)].sum(1) if parents else 1.0
            shares[:, own] = given[:, own] * asked[:, [index]]
        return np.clip(asked, 0.0, 1.0)

    def shares(self, fractions: ArrayLike) -> NDArray[np.float64]:
        """Return the share of all volunteers who gave each answer, shape (N, A): asked times fraction."""
        given = np.nan_to_num(np.asarray(fractions, dtype=np.float64))
        return np.asarray(given * self.spread(self.asked(given)))

    def spread(self, values: ArrayLike) -> NDArray[Any]:
        """Return values of questions, shape (N, Q), repeated for each of their answers, shape (N, A)."""
        return np.repeat(np.asarray(values), [len(question.answers) for question in self.questions], axis=1)

    def path(self, fractions: ArrayLike) -> list[int]:
        """Return the answers (columns) of one galaxy that most volunteers gave, from the first question to an end.

        Parameters
        ----------
        fractions : array_like, shape (A,)
            A question without votes (all NaN or 0) ends the path. Answers that differ only in the handedness (`kin`)
            count together.
        """
        given = np.nan_to_num(np.asarray(fractions, dtype=np.float64)).tolist()
        path: list[int] = []
        name = self.questions[0].name
        while name and any(given[part := self.slices[self.places[name]]]):
            path.append(self.favourite(given, part))
            name = self.answers[path[-1]].leads_to
        return path

    def favourite(self, given: Sequence[float], part: slice) -> int:
        """Return the answer (column) of a question that most gave, of `kin` the most frequent; no NaN allowed."""
        return max(range(part.start, part.stop), key=lambda c: (sum(given[k] for k in self.kin[c]), given[c], -c))

    def to_list(self) -> list[dict[str, Any]]:
        """Return the questions as JSON-able values with the keys of the TOML files."""
        return [as_table(question) for question in self.questions]

    @classmethod
    def from_tables(cls, tables: list[TomlTable]) -> DecisionTree:
        """Return the tree of the tables ``[[questions]]`` of a taxonomy file."""
        return cls(tuple(map(Question.from_table, tables)))

"""The votes of volunteers in a table: fractions, numbers of voters, and classes by majority."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxalign.errors import InputError
from galaxalign.morphology.decision_tree import DecisionTree
from galaxalign.morphology.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pandas as pd

VOTE_KINDS = ("weighted_fraction", "fraction", "count", "share", "debiased")
"""What published columns hold, in order of preference: raw fractions come before debiased ones, which correct for
distance."""

_SUFFIXES: dict[str, tuple[str, ...]] = {
    "weighted_fraction": ("_weighted_fraction", "_weight_fraction"),
    "fraction": ("_fraction",),
    "count": ("_count", ""),
    "debiased": ("_debiased", "_debiased_fraction"),
}
_TOTALS = ("_total-votes", "_total")
_VOTERS = ("total_classifications", "total_count", "nvote", "total_voters")


@dataclass(frozen=True)
class Votes:
    """The votes on N galaxies.

    Parameters
    ----------
    tree : DecisionTree
        With A answers to Q questions.
    fractions : ndarray, shape (N, A)
        Fraction of those asked who gave each answer, summing to 1 over a question; NaN where nobody was asked.
    voters : ndarray, shape (N, Q)
        How many volunteers answered each question; NaN where the table does not say.
    kind : str
        Which of `VOTE_KINDS` they were read from.
    """

    tree: DecisionTree
    fractions: NDArray[np.float32]
    voters: NDArray[np.float32]
    kind: str

    def __len__(self) -> int:
        return len(self.fractions)

    def take(self, rows: ArrayLike) -> Votes:
        """Return the votes on some of the galaxies."""
        index = np.asarray(rows)
        return replace(self, fractions=self.fractions[index], voters=self.voters[index])

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Yield fractions (A,) and voters (Q,) of each galaxy."""
        yield from zip(self.fractions, self.voters, strict=True)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which galaxies have votes on the first question, shape (N,)."""
        return np.asarray(np.isfinite(self.fractions[:, self.tree.slices[0]]).all(1))

    def counts(self, *, unknown: float = np.nan) -> NDArray[np.float32]:
        """Return votes per answer, shape (N, A): fraction times voters, 0 where nobody was asked.

        Parameters
        ----------
        unknown : float
            Number of volunteers per galaxy where the table has none.
        """
        shown = self.tree.asked(self.fractions) * unknown
        voters = np.where(np.isfinite(self.voters), self.voters, shown)
        counts = np.nan_to_num(self.fractions) * self.tree.spread(voters)
        return np.where(np.isfinite(self.fractions), counts, 0.0).astype(np.float32)

    def counted(self, voters: float | None = None, *, source: str = "") -> NDArray[np.float64]:
        """Return votes per answer, shape (N, A), for a likelihood.

        Parameters
        ----------
        voters : float, optional
            Number of volunteers per galaxy where the table has none.
        source : str
            The catalogue, named in the error.

        Raises
        ------
        InputError
            If the votes are fractions and the number of voters is unknown.
        """
        counts = self.counts(unknown=np.nan if voters is None else voters).astype(np.float64)
        if not np.isfinite(counts).all():
            raise InputError(
                f"the votes{f' of {source}' if source else ''} are fractions and do not say of how many volunteers; "
                "add a column total_classifications with how many saw each galaxy (fit-votes takes one number for all, "
                "--voters)"
            )
        return counts

    def roots(self) -> NDArray[np.float32]:
        """Return unit vectors, shape (N, A), whose products say how well votes agree (0 to 1); zero without votes.

        They are the square roots of the shares, so a product is the Bhattacharyya coefficient of the answers, summed
        over the questions and weighted by how often each was asked.
        """
        roots = np.sqrt(self.tree.shares(self.fractions)).astype(np.float32)
        length = np.linalg.norm(roots, axis=1, keepdims=True)
        return np.asarray(np.divide(roots, length, out=np.zeros_like(roots), where=length > 0))


def has_votes(table: pd.DataFrame, tree: DecisionTree) -> bool:
    """Return whether a table has votes on the first question of a tree, in any of the `VOTE_KINDS`."""
    columns = [str(name).lower() for name in table.columns]
    lookup = dict.fromkeys(columns, "")
    return any(_columns_of(names, lookup) is not None for names in _candidates(tree, tree.slices[0]).values())


def read_votes(table: pd.DataFrame, tree: DecisionTree, *, kind: str | None = None, source: str = "the table") -> Votes:
    """Return the votes in a table.

    Parameters
    ----------
    table : DataFrame
        Columns ``<question>_<answer><suffix>`` in any case, the suffix ``_weighted_fraction``, ``_fraction``,
        ``_count`` (or none) or ``_debiased``; or the tree's own columns of shares (Kaggle's ``Class1.1``). Voters come
        from the counts, ``<question>_total-votes`` (or ``_total``), or ``total_classifications`` times the probability
        of reaching the question.
    tree : DecisionTree
    kind : str, optional
        One of `VOTE_KINDS`; by default the first that the table has for every question.
    source : str
        Named in errors.

    Raises
    ------
    InputError
        If the table has no votes of this tree, lacks columns, or has values that are not votes.
    """
    import pandas as pd

    columns = {str(name).lower(): name for name in table.columns}
    if kind is not None and kind not in VOTE_KINDS:
        raise InputError(f"unknown kind of votes {kind!r}; known are {', '.join(VOTE_KINDS)}")
    whole = _candidates(tree, slice(0, len(tree.stems)))
    kinds = [kind] if kind else list(VOTE_KINDS)
    complete = [name for name in kinds if name in whole and _columns_of(whole[name], columns)]
    if not complete:
        raise InputError(_missing(tree, whole, kinds, columns, source))
    chosen = complete[0]
    names = [columns[name] for name in _columns_of(whole[chosen], columns) or ()]
    try:
        values = table[names].apply(pd.to_numeric).to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: a vote column holds something that is no number ({error})") from error
    if (values < 0).any() or np.isinf(values).any():
        row, column = np.argwhere((values < 0) | np.isinf(values))[0]
        raise InputError(f"{source}: row {row + 1} has {values[row, column]} in {names[column]}, which is no vote")
    voters = _voters(table, tree, columns, values if chosen == "count" else None)
    sums = np.stack([np.nansum(values[:, part], axis=1) for part in tree.slices], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Published fractions are rounded, and shares refer to all volunteers: divide both by their sum.
        fractions = np.where(tree.spread(sums) > 0, np.nan_to_num(values) / tree.spread(sums), np.nan)
    if voters is None:
        voters = np.full((len(table), len(tree.questions)), np.nan)
        shown = next((columns[name] for name in _VOTERS if name in columns), None)
        if shown is not None:
            voters = pd.to_numeric(table[shown]).to_numpy(np.float64)[:, None] * tree.asked(fractions)
    voters = np.where(sums > 0, voters, 0.0)
    return Votes(tree, fractions.astype(np.float32), voters.astype(np.float32), chosen)


def vote_labels(taxonomy: Taxonomy, votes: Votes) -> NDArray[np.int64]:
    """Return the class of each galaxy by the answers of the majority; -1 where no class fits.

    Raises
    ------
    InputError
        If no class of the taxonomy has a rule (`when`).
    """
    rules = [frozenset(galaxy_class.when) for galaxy_class in taxonomy.classes]
    if not any(rules):
        raise InputError(f"taxonomy {taxonomy.name} does not say which votes make a class")
    # Either rotation makes the class if the survey asks for it and the taxonomy does not.
    looks = [answer.morphology for answer in votes.tree.answers]
    alike = [[k for k in kin if k == c or looks[k] == looks[c]] for c, kin in enumerate(votes.tree.kin)]
    labels = np.full(len(votes), -1, np.int64)
    for row, (fractions, _) in enumerate(votes):
        taken = {votes.tree.stems[same] for column in votes.tree.path(fractions) for same in alike[column]}
        labels[row] = next((index for index, rule in enumerate(rules) if rule and rule <= taken), -1)
    return labels


def _candidates(tree: DecisionTree, part: slice) -> dict[str, list[tuple[str, ...]]]:
    """Return, for each kind, the names that the columns of some answers may have, in lower case."""
    found = {
        kind: [tuple(f"{stem}{suffix}".lower() for suffix in suffixes) for stem in tree.stems[part]]
        for kind, suffixes in _SUFFIXES.items()
    }
    shares = [answer.share_column.lower() for answer in tree.answers[part]]
    if all(shares):
        found["share"] = [(name,) for name in shares]
    return found


def _columns_of(names: list[tuple[str, ...]], columns: Mapping[str, str]) -> list[str] | None:
    """Return the first of the names of each answer that the table has; None where one has none."""
    found = [next((name for name in options if name in columns), None) for options in names]
    return None if any(name is None for name in found) else [name for name in found if name is not None]


def _missing(
    tree: DecisionTree,
    whole: dict[str, list[tuple[str, ...]]],
    kinds: list[str],
    columns: Mapping[str, str],
    source: str,
) -> str:
    """Return a sentence on the missing columns of the kind that is most complete."""
    lacking = {
        kind: [options[0] for options in whole[kind] if not any(name in columns for name in options)]
        for kind in kinds
        if kind in whole
    }
    closest = min(lacking, key=lambda kind: len(lacking[kind]), default=None)
    if closest is None or len(lacking[closest]) == len(tree.stems):
        return f"{source} has no votes: it lacks columns such as {tree.stems[0]}_fraction"
    missing = lacking[closest]
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"{source} lacks the vote columns {', '.join(missing[:3])}{more}; give all {len(tree.stems)} of {closest}"


def _voters(
    table: pd.DataFrame, tree: DecisionTree, columns: Mapping[str, str], counts: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    """Return the number of voters on each question, None if the table has none."""
    import pandas as pd

    if counts is None and (names := _columns_of(_candidates(tree, slice(0, len(tree.stems)))["count"], columns)):
        counts = table[[columns[name] for name in names]].apply(pd.to_numeric).to_numpy(np.float64)
    if counts is not None:
        return np.stack([np.nansum(counts[:, part], axis=1) for part in tree.slices], axis=1)
    for suffix in _TOTALS:
        totals = [f"{question.name}{suffix}".lower() for question in tree.questions]
        if all(name in columns for name in totals):
            return np.asarray(table[[columns[name] for name in totals]].apply(pd.to_numeric).to_numpy(np.float64))
    return None

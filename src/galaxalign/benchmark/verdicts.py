"""Whether the cells of a method pass the gates: leaks, sealed test pictures, selection, and the shuffled control."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from galaxalign.benchmark.compare import Method

__all__ = ["GATES", "Control", "Verdict", "chance_test", "judge", "tested"]

GATES = {
    "leaks": "split leak audit",
    "sealed": "test images without symbol or label-dependent text",
    "selection": "selection on validation only",
    "shuffle": "label-shuffle control at chance",
}
"""The gates and what they are called."""

_PERMUTATIONS = 999
_ABOVE_CHANCE = 0.001


@dataclass(frozen=True)
class Control:
    """How well a method that learnt from shuffled labels does on the true ones of the test part.

    Attributes
    ----------
    observed : float
        Balanced accuracy.
    chance : float
        Its mean over permutations of the test galaxies.
    p : float
        Share of the permutations, and the control itself, that do as well.
    share : float
        Percent of the labels that it learnt from.
    """

    observed: float
    chance: float
    p: float
    share: float = 100.0

    @property
    def passed(self) -> bool:
        """Whether chance allows it."""
        return self.p > _ABOVE_CHANCE


@dataclass(frozen=True)
class Verdict:
    """What a gate says of all cells of a method.

    Attributes
    ----------
    gate : str
    passed : bool, optional
        None: not known, because it was not run.
    words : str
        Why.
    control : Control, optional
    """

    gate: str
    passed: bool | None
    words: str
    control: Control | None = None

    @property
    def note(self) -> str:
        """The footnote of a row that does not pass; "" where it does."""
        if self.passed:
            return ""
        return f"{GATES[self.gate]}: {'not run' if self.passed is None else 'not passed'} ({self.words})"


Trained = tuple[str, str, str]
"""Data set, encoder and training, which share a control."""


def tested(controls: Iterable[Method]) -> dict[Trained, Control]:
    """Return how each shuffled control compares with chance."""
    found = {}
    for method in controls:
        table, key = method.tables[0], method.key
        given = table[[f"probability_{name}" for name in method.classes]].to_numpy().argmax(1)
        truth, groups = table["label"].to_numpy(np.int64), table["group"].to_numpy()
        result = chance_test(truth, given, groups, len(method.classes))
        found[key.dataset, key.encoder, key.training] = replace(result, share=key.share)
    return found


def judge(method: Method, controls: Mapping[Trained, Control]) -> list[Verdict]:
    """Return the verdict of every gate on a method.

    Parameters
    ----------
    method : Method
    controls : mapping
        From `tested`.
    """
    return [*(_of_cells(method, gate) for gate in GATES if gate != "shuffle"), _of_control(method, controls)]


def _of_cells(method: Method, gate: str) -> Verdict:
    told = [(cell.cell.seed, cell.about["gates"].get(gate) or {"passed": None, "detail": ""}) for cell in method.cells]
    for passed, missing in ((False, ""), (None, "nothing was written of it")):
        words: dict[str, list[int]] = {}
        for seed, verdict in told:
            if verdict["passed"] is passed:
                words.setdefault(verdict["detail"] or missing, []).append(seed)
        if words:
            return Verdict(gate, passed, "; ".join(_with_seeds(text, seeds, method) for text, seeds in words.items()))
    return Verdict(gate, True, "; ".join(dict.fromkeys(str(verdict["detail"]) for _, verdict in told)))


def _with_seeds(text: str, seeds: Sequence[int], method: Method) -> str:
    if len(seeds) == len(method.cells):
        return text
    return f"{text} [seed {', '.join(map(str, seeds))}]"


def _of_control(method: Method, controls: Mapping[Trained, Control]) -> Verdict:
    key = method.key
    if key.training == "zero-shot":
        return Verdict("shuffle", True, "it learns from no labels")
    if key.protocol != "clean":
        return Verdict("shuffle", None, "controls are run under the clean protocol alone")
    control = controls.get((key.dataset, key.encoder, key.training))
    if control is None:
        return Verdict("shuffle", None, "no finished cell with shuffled labels")
    words = (
        f"balanced accuracy {control.observed:.3f}, chance {control.chance:.3f}, p = {control.p:.3f}, "
        f"learnt from {control.share:g} % of the labels, shuffled"
    )
    return Verdict("shuffle", control.passed, words, control)


def chance_test(
    truth: NDArray[np.int64], given: NDArray[np.int64], groups: NDArray[np.object_], classes: int
) -> Control:
    """Compare predictions with what chance makes of them: predictions dealt anew among the galaxies.

    Groups of rows that belong together keep their predictions together: those of a group go to a group of as many rows.

    Parameters
    ----------
    truth, given : ndarray of int, shape (N,)
        True and predicted classes.
    groups : ndarray, shape (N,)
    classes : int
        Number of classes.
    """
    rng = np.random.default_rng(0)
    _, member = np.unique(groups.astype(str), return_inverse=True)
    order = np.argsort(member, kind="stable")
    sizes = np.bincount(member)[member[order]]
    blocks = [order[sizes == size].reshape(-1, size) for size in np.unique(sizes)]
    observed = _balanced(truth, given, classes)
    by_chance = np.empty(_PERMUTATIONS)
    for draw in range(_PERMUTATIONS):
        dealt = np.empty_like(given)
        for rows in blocks:
            dealt[rows] = given[rows[rng.permutation(len(rows))]]
        by_chance[draw] = _balanced(truth, dealt, classes)
    # equal shares may differ in the last digit
    as_good = int((by_chance >= observed - 1e-12).sum())
    return Control(observed, float(by_chance.mean()), (1 + as_good) / (1 + _PERMUTATIONS))


def _balanced(truth: NDArray[np.int64], given: NDArray[np.int64], classes: int) -> float:
    support = np.bincount(truth, minlength=classes)
    hits = np.bincount(truth[truth == given], minlength=classes)
    return float((hits[support > 0] / support[support > 0]).mean())

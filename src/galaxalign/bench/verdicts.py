"""Whether the cells of a method pass the gates: leaks, sealed test pictures, selection, and the shuffled control."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, t as student

from galaxalign.bench.compare import Method
from galaxalign.bench.results import NO_LEAK

GATES = {
    "leaks": "split leak audit",
    "sealed": "test images without symbol or label-dependent text",
    "selection": "selection on validation only",
    "shuffle": "label-shuffle control at chance",
}
"""The gates and their titles."""

Trained = tuple[str, str, str]  # data set, encoder and training, which share a control

_ABOVE_CHANCE = 0.001


@dataclass(frozen=True)
class Control:
    """How well a method trained on shuffled labels separates the true classes of the test part."""

    observed: float  # mean over the classes of the ROC area of a class's own probability for its galaxies
    limit: float  # the smallest area that fails
    p: float  # how often chance reaches this area
    share: float = 100.0  # percent of the labels that it was trained on

    @property
    def passed(self) -> bool:
        """Whether chance explains it."""
        return self.p > _ABOVE_CHANCE


@dataclass(frozen=True)
class Verdict:
    """A gate for all cells of a method."""

    gate: str
    passed: bool | None  # None: not run
    reason: str
    control: Control | None = None
    complete: bool = True  # False: nothing was found, but not everything could be checked; the reason says what

    @property
    def note(self) -> str:
        """The footnote of a row that does not pass; "" for one that does."""
        if self.passed:
            return ""
        return f"{GATES[self.gate]}: {'not run' if self.passed is None else 'not passed'} ({self.reason})"


def judge_controls(controls: Iterable[Method]) -> dict[Trained, Control]:
    """Return how each shuffled control compares with chance."""
    judged = {}
    for method in controls:
        table, key = method.tables[0], method.key
        scores = table[[f"probability_{name}" for name in method.classes]].to_numpy(np.float64)
        result = chance_test(table["label"].to_numpy(np.int64), scores)
        if result is not None:
            judged[key.dataset, key.encoder, key.training] = replace(result, share=key.share)
    return judged


def judge(method: Method, controls: Mapping[Trained, Control]) -> list[Verdict]:
    """Return the verdict of every gate on a method, given the `judge_controls` of its benchmark."""
    return [*(_of_cells(method, gate) for gate in GATES if gate != "shuffle"), _of_control(method, controls)]


def _of_cells(method: Method, gate: str) -> Verdict:
    reasons: dict[bool | None, dict[str, list[int]]] = defaultdict(dict)
    for cell in method.cells:
        entry = cell.about["gates"].get(gate) or {"passed": None, "detail": "not recorded"}
        reasons[entry["passed"]].setdefault(entry["detail"], []).append(cell.cell.seed)
    for passed in (False, None):
        if passed in reasons:
            parts = [
                text if len(seeds) == len(method.cells) else f"{text} [seed {', '.join(map(str, seeds))}]"
                for text, seeds in reasons[passed].items()
            ]
            return Verdict(gate, passed, "; ".join(parts))
    complete = gate != "leaks" or set(reasons[True]) == {NO_LEAK}
    return Verdict(gate, True, "; ".join(reasons[True]), complete=complete)


def _of_control(method: Method, controls: Mapping[Trained, Control]) -> Verdict:
    key = method.key
    if key.training == "zero-shot":
        return Verdict("shuffle", True, "zero-shot learns from no labels")
    if key.protocol != "clean":
        return Verdict("shuffle", None, "controls run under the clean protocol only")
    control = controls.get((key.dataset, key.encoder, key.training))
    if control is None:
        return Verdict("shuffle", None, "no finished control with three or more classes")
    reason = (
        f"area under the ROC curve {control.observed:.3f}, p = {control.p:.3f}, trained on {control.share:g} % of the "
        f"labels, shuffled; leaks below an area of {control.limit:.3f} are not detected"
    )
    # with a limit of 1 the areas scatter so widely that even a perfect one would pass
    return Verdict("shuffle", control.passed, reason, control, complete=control.limit < 1)


def chance_test(truth: NDArray[np.int64], scores: NDArray[np.float64]) -> Control | None:
    """Test whether a model trained on shuffled labels knows which of its classes is which.

    A model of random labels still separates galaxies that look different, one way or the other: areas under the ROC
    curve of .3 or .7 are common, and permutations of the test galaxies would call them a leak. Which class goes with
    which look is chance, however, so the area of a class's own probability for its galaxies is like that of every other
    class's probability for them. The mean of the own areas is compared with the scatter of the others, by Student's t
    with one degree of freedom less than there are others. Areas of neighbouring classes are correlated, so p is rough.

    Parameters
    ----------
    truth : ndarray of int, shape (N,)
        True classes.
    scores : ndarray, shape (N, K)
        Probabilities of the classes.

    Returns
    -------
    Control or None
        None with fewer than three classes, whose areas have no scatter.
    """
    there, support = np.unique(truth, return_counts=True)
    if len(there) < 3:
        return None
    ranks = rankdata(scores[:, there], axis=0)
    sums = np.stack([ranks[truth == label].sum(0) for label in there], axis=1)  # by probability, by true class
    areas = (sums - support * (support + 1) / 2) / (support * (len(truth) - support))
    own, others = np.diag(areas), areas[~np.eye(len(areas), dtype=bool)]
    error = max(float(others.std(ddof=1)), 1e-9) * np.sqrt(1 / len(own) + 1 / len(others))
    freedom, middle = len(others) - 1, float(others.mean())
    limit = middle + float(student.isf(_ABOVE_CHANCE, freedom)) * error
    p = float(student.sf((own.mean() - middle) / error, freedom))
    return Control(float(own.mean()), min(limit, 1.0), p)

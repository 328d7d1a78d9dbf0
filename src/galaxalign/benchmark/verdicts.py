"""Whether the cells of a method pass the gates: leaks, sealed test pictures, selection, and the shuffled control."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from scipy.stats import t as student

from galaxalign.benchmark.compare import Method
from galaxalign.benchmark.results import NO_LEAK

__all__ = ["GATES", "Control", "Verdict", "chance_test", "judge", "tested"]

GATES = {
    "leaks": "split leak audit",
    "sealed": "test images without symbol or label-dependent text",
    "selection": "selection on validation only",
    "shuffle": "label-shuffle control at chance",
}
"""The gates and what they are called."""

_ABOVE_CHANCE = 0.001


@dataclass(frozen=True)
class Control:
    """How well a method that learnt from shuffled labels tells the true classes of the test part apart.

    Attributes
    ----------
    observed : float
        Mean over the classes of the area under the ROC curve of a class's own probability for its galaxies.
    limit : float
        The least that would not pass.
    p : float
        How often chance does as well.
    share : float
        Percent of the labels that it learnt from.
    """

    observed: float
    limit: float
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
    whole : bool
        False: it passes as far as it was possible to look, and the words say what was not looked at.
    """

    gate: str
    passed: bool | None
    words: str
    control: Control | None = None
    whole: bool = True

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
        scores = table[[f"probability_{name}" for name in method.classes]].to_numpy(np.float64)
        result = chance_test(table["label"].to_numpy(np.int64), scores)
        if result is not None:
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
    said = dict.fromkeys(str(verdict["detail"]) for _, verdict in told)
    return Verdict(gate, True, "; ".join(said), whole=gate != "leaks" or set(said) == {NO_LEAK})


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
        return Verdict("shuffle", None, "no finished cell with shuffled labels that can be judged")
    words = (
        f"area under the ROC curve {control.observed:.3f}, p = {control.p:.3f}, learnt from {control.share:g} % of the "
        f"labels, shuffled; what leaves it below {control.limit:.3f} is not seen"
    )
    # areas that scatter so widely that even a perfect one would pass
    return Verdict("shuffle", control.passed, words, control, whole=control.limit < 1)


def chance_test(truth: NDArray[np.int64], scores: NDArray[np.float64]) -> Control | None:
    """Ask whether a model knows which of its classes is which, having learnt from shuffled labels.

    Whoever learns from random labels still tells galaxies apart that look different, one way or the other: areas under
    the ROC curve of .3 or .7 are common, and permutations of the test galaxies would call them a leak. But which class
    goes with which look is then chance, so the area of a class's own probability for its galaxies is one of many like
    it: those of every other class's probability. Their scatter is what the mean of the own ones is held against, by
    Student's t with as many degrees of freedom as there are others, less one. Areas of neighbouring classes are not
    independent, so p is rough.

    Parameters
    ----------
    truth : ndarray of int, shape (N,)
        True classes.
    scores : ndarray, shape (N, K)
        Probabilities of the classes.

    Returns
    -------
    Control or None
        None with fewer than three classes, whose areas have no scatter of their own.
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

"""Ways to classify galaxies compared on validation data: words, symbols, both, or a linear head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import log_softmax

from galaxalign.errors import InputError
from galaxalign.models.calibration import fit_temperature
from galaxalign.models.classifiers import CLASSIFIERS, ClassifierChoice

Criterion = Literal["log_loss", "macro_f1", "accuracy", "mean"]
Labelled = tuple[np.ndarray, np.ndarray]

_ROUNDING = 1e-7
_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SHARES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)
_PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
# Logit of a class the linear head has never seen, below the lowest intercept: it is as good as never given.
_UNSEEN = 20.0


@dataclass(frozen=True, eq=False)
class ClassVectors:
    """What is known of classes in the space of an encoder; a candidate without its own vectors is skipped.

    Attributes
    ----------
    class_names : sequence of str
        The K classes.
    prompts, symbols : array_like, shape (K, D), optional
        Unit class embeddings, see `prototypes`.
    logit_scale : float
        What cosines are multiplied by.
    head : (array_like (K, D), array_like (K,)), optional
        Weights and bias of a linear head that was trained together with the tower, for unit embeddings.
    """

    class_names: Sequence[str]
    prompts: np.ndarray | None = None
    symbols: np.ndarray | None = None
    logit_scale: float = 100.0
    head: Labelled | None = None


def compare_classifiers(
    train: Labelled | None,
    validation: Labelled,
    classes: ClassVectors,
    *,
    candidates: Sequence[str] = CLASSIFIERS,
    criterion: Criterion = "log_loss",
    log_prior: np.ndarray | None = None,
    prior_strengths: Sequence[float] = _STRENGTHS,
    penalties: Sequence[float] = _PENALTIES,
) -> tuple[str, dict[str, ClassifierChoice]]:
    """Compare on validation data how galaxies can be classified, choose, and calibrate there.

    Candidates are compared by ``criterion``; of those within one standard error of the best the simplest
    wins, and within a candidate the setting nearest to the plain one. The test part plays no role.

    Training with many positives per batch divides the class frequencies out, so a multiple of the log prior
    may be added to the logits of prompts and symbols; a linear head learned the frequencies, so a multiple
    may be taken away there (logit adjustment, Menon et al. 2021). What is chosen suits surveys with the
    class shares of the validation data: ``prior_strengths=(0,)`` switches it off.

    Parameters
    ----------
    train, validation : (ndarray (N, D), ndarray of int (N,))
        Unit image embeddings and class indices; rows with label -1 are left out. Without ``train`` there is
        neither a linear head nor a prior counted from it.
    classes : ClassVectors
    candidates : sequence of str
        Which of `CLASSIFIERS` to compare.
    criterion : {"log_loss", "macro_f1", "accuracy", "mean"}
        Log loss of the calibrated probabilities, macro F1 over the classes present, accuracy, or the mean of
        the last two. On a few hundred galaxies macro F1 hangs on a handful of a rare class and picks by chance; the
        log loss weighs every galaxy by how sure it was, and tells settings apart that have equal accuracy.
    log_prior : array_like, shape (K,), optional
        Log class shares; counted from ``train`` by default (one virtual galaxy per class added).
    prior_strengths : sequence of float
        Multiples of the log prior to try, the plainest first.
    penalties : sequence of float
        Inverse regularisation strengths C of the linear head to try (scikit-learn's).

    Returns
    -------
    name : str
        Of the choice.
    found : dict of ClassifierChoice
        The best of each candidate, each calibrated, by name.

    Raises
    ------
    InputError
        There is no labelled validation galaxy, or no candidate can be made.
    """
    names = tuple(classes.class_names)
    unknown = [name for name in candidates if name not in CLASSIFIERS]
    if unknown:
        raise InputError(f"unknown classifier {unknown[0]!r}; known are {', '.join(CLASSIFIERS)}")
    if criterion not in get_args(Criterion):
        raise InputError(f"unknown criterion {criterion!r}; known are {', '.join(get_args(Criterion))}")
    vectors, truth = _labelled(validation, len(names))
    if not truth.size:
        raise InputError("no validation galaxy has a label, so no classifier can be chosen; enlarge the split")
    learned = None if train is None else _labelled(train, len(names))
    prior = _log_prior(learned, len(names), log_prior)
    compared: dict[str, Any] = {}
    trials: dict[str, list[_Trial]] = {}
    for name in (name for name in CLASSIFIERS if name in candidates):
        heads = _heads(name, classes, learned, penalties)
        sign = -1 if name in ("head", "linear") else 1
        try:
            trials[name] = [
                _Trial(name, variant, *_scores(vectors @ variant.weights.T + variant.bias, truth))
                for head in heads
                for variant in _with_prior(head, prior, prior_strengths, sign=sign)
            ]
        except _CannotBuildError as reason:
            compared[name] = {"skipped": str(reason)}
            continue
        if not trials[name]:
            raise ValueError(f"no setting to try for {name}: prior_strengths and penalties must not be empty")
    if not trials:
        reasons = "; ".join(f"{name}: {entry['skipped']}" for name, entry in compared.items())
        raise InputError(f"no classifier can be made ({reasons}); give prompts, symbols or training galaxies")
    leaders = {name: _simplest(tried, criterion) for name, tried in trials.items()}
    winner = _simplest([trial for tried in trials.values() for trial in tried], criterion)
    leaders[winner.name] = winner
    compared |= {name: leader.report() for name, leader in leaders.items()}
    compared = {name: compared[name] for name in CLASSIFIERS if name in compared}
    choices = {}
    for name, leader in leaders.items():
        weights, bias = leader.head.weights.astype(np.float32), leader.head.bias.astype(np.float32)
        temperature = fit_temperature(vectors @ weights.T + bias, truth)
        settings = leader.head.settings
        choices[name] = ClassifierChoice(
            name, names, weights, bias, temperature, settings, criterion, compared, len(truth)
        )
    return winner.name, choices


def _heads(name: str, classes: ClassVectors, learned: Labelled | None, penalties: Sequence[float]) -> Iterator[_Head]:
    """Return the settings of a candidate, the plainest first."""
    makers: dict[str, Callable[[], Iterator[_Head]]] = {
        "prompts": lambda: _prototype_heads(classes.prompts, None, (1.0,), classes.logit_scale),
        "symbols": lambda: _prototype_heads(None, classes.symbols, (0.0,), classes.logit_scale),
        "both": lambda: _prototype_heads(classes.prompts, classes.symbols, _SHARES, classes.logit_scale),
        "head": lambda: _trained_head(classes.head),
        "linear": lambda: _linear_heads(learned, len(classes.class_names), penalties),
    }
    return makers[name]()


@dataclass(frozen=True)
class _Head:
    """One way to fill W and b."""

    weights: np.ndarray
    bias: np.ndarray
    settings: dict[str, Any]


@dataclass(frozen=True)
class _Trial:
    """A head and how it did on validation data."""

    name: str
    head: _Head
    scores: dict[str, float]
    correct: np.ndarray
    surprise: np.ndarray

    def report(self) -> dict[str, Any]:
        kept = {key: self.scores[key] for key in ("accuracy", "macro_f1")}
        return kept | {"log_loss": float(self.surprise.mean()), "settings": self.head.settings}


def _simplest(trials: list[_Trial], criterion: str) -> _Trial:
    """Return the first, hence simplest, trial that is within one standard error of the best.

    The error is that of the difference on the same galaxies, in log loss or else in accuracy. Of some eighty trials the
    best on a few hundred galaxies owes part of its lead to chance (one-standard-error rule, Breiman et al. 1984).
    """
    best = max(trials, key=lambda trial: trial.scores[criterion])
    for trial in trials:
        if criterion == "log_loss":
            difference = trial.surprise - best.surprise
        else:
            difference = best.correct.astype(float) - trial.correct
        # Rounding alone makes differences, where the standard error is as good as nothing.
        error = max(float(difference.std()) / len(difference) ** 0.5, _ROUNDING)
        if trial.scores[criterion] >= best.scores[criterion] - error:
            return trial
    return best


class _CannotBuildError(Exception):
    """What a candidate needs is not there; its message becomes the reason in the report."""


def _prototype_heads(
    prompts: np.ndarray | None, symbols: np.ndarray | None, shares: Sequence[float], logit_scale: float
) -> Iterator[_Head]:
    """Yield heads that compare with class embeddings, by share of the prompts in the logits."""
    for share in shares:
        if share > 0 and prompts is None:
            raise _CannotBuildError("no prompt embeddings")
        if share < 1 and symbols is None:
            raise _CannotBuildError("no symbol embeddings")
        words = 0.0 if prompts is None else share * np.asarray(prompts, dtype=np.float32)
        pictures = 0.0 if symbols is None else (1 - share) * np.asarray(symbols, dtype=np.float32)
        weights = logit_scale * np.asarray(words + pictures)
        settings = {"logit_scale": float(logit_scale), "prompt_share": float(share)}
        yield _Head(weights, np.zeros(len(weights)), settings)


def _trained_head(head: tuple[np.ndarray, np.ndarray] | None) -> Iterator[_Head]:
    """Yield the head that was trained together with the tower."""
    if head is None:
        raise _CannotBuildError("no head was trained")
    yield _Head(np.asarray(head[0], dtype=np.float32), np.asarray(head[1], dtype=np.float32), {})


def _linear_heads(
    train: tuple[np.ndarray, np.ndarray] | None, classes: int, penalties: Sequence[float]
) -> Iterator[_Head]:
    """Yield multinomial logistic regressions on the training embeddings."""
    if train is None:
        raise _CannotBuildError("no training galaxies")
    vectors, labels = train
    present = np.unique(labels)
    if present.size < 2:
        raise _CannotBuildError("the training galaxies have fewer than two classes")
    from sklearn.linear_model import LogisticRegression

    # Warm starts from the strongest penalty up make the whole grid cost little more than its last member.
    model = LogisticRegression(max_iter=2000, warm_start=True)
    for penalty in sorted(penalties):
        model.set_params(C=penalty).fit(vectors, labels)
        slopes, intercepts = model.coef_, model.intercept_
        if present.size == 2:
            # scikit-learn keeps only the difference of two classes.
            slopes, intercepts = np.concatenate([-slopes, slopes]) / 2, np.r_[-intercepts, intercepts] / 2
        weights = np.zeros((classes, vectors.shape[1]))
        bias = np.full(classes, float(intercepts.min()) - _UNSEEN)
        weights[present], bias[present] = slopes, intercepts
        yield _Head(weights, bias, {"C": float(penalty)})


def _with_prior(head: _Head, prior: np.ndarray | None, strengths: Sequence[float], *, sign: int) -> Iterator[_Head]:
    """Yield the head with multiples of the log prior added (sign 1) or taken away (sign -1)."""
    if prior is None:
        yield head
        return
    for strength in strengths:
        settings = {**head.settings, "prior_strength": sign * float(strength)}
        yield _Head(head.weights, head.bias + sign * strength * prior, settings)


def _log_prior(
    train: tuple[np.ndarray, np.ndarray] | None, classes: int, given: np.ndarray | None
) -> np.ndarray | None:
    if given is not None:
        prior = np.asarray(given, dtype=np.float64)
        if prior.shape != (classes,) or not np.isfinite(prior).all():
            raise ValueError(f"log_prior must hold {classes} finite numbers, one per class")
        return prior
    if train is None:
        return None
    counts = np.bincount(train[1], minlength=classes) + 1.0
    return np.asarray(np.log(counts / counts.sum()))


def _scores(logits: np.ndarray, truth: np.ndarray) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Return each criterion, more is better; which galaxies are right; and how surprising each truth was, in nats."""
    guess = logits.argmax(axis=1)
    surprise = -log_softmax(logits / fit_temperature(logits, truth), axis=1)[np.arange(len(truth)), truth]
    size = int(max(truth.max(), guess.max())) + 1
    support, given = np.bincount(truth, minlength=size), np.bincount(guess, minlength=size)
    hits = np.bincount(truth[truth == guess], minlength=size)
    f1 = (2 * hits / np.maximum(support + given, 1))[support > 0].mean()
    accuracy = hits.sum() / len(truth)
    scores = {"macro_f1": float(f1), "accuracy": float(accuracy), "mean": float((f1 + accuracy) / 2)}
    return scores | {"log_loss": -float(surprise.mean())}, guess == truth, surprise


def _labelled(data: tuple[np.ndarray, np.ndarray], classes: int) -> tuple[np.ndarray, np.ndarray]:
    vectors, labels = np.asarray(data[0], dtype=np.float32), np.asarray(data[1], dtype=np.int64)
    if vectors.ndim != 2 or labels.shape != vectors.shape[:1]:
        raise ValueError(f"embeddings of shape {vectors.shape} and labels of shape {labels.shape} do not fit")
    if labels.size and labels.max() >= classes:
        raise ValueError(f"label {labels.max()} for {classes} classes")
    kept = labels >= 0
    return vectors[kept], labels[kept]

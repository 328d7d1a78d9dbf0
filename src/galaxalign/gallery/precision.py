"""How many of the first answers are right, estimated from the galaxies of the gallery that have a label.

A score alone does not tell. Fitted on some classes, the chance of being right at a standardised score said nothing of
classes that were left out (EFIGI and Galaxy Zoo 1: no better than the mean, see docs/howto/search.md). So the curve is
fitted for each query anew, on what it scores labelled galaxies that are called what is looked for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_LABELLED, LEAST_RIGHT = 100, 5
"""Labelled galaxies, and those of them with the label looked for, below which nothing is estimated."""

_VIRTUAL = 2.0  # galaxies as mixed as the whole, above the highest and below the lowest score


def chance_of_being_right(
    scores: NDArray[np.float64], labelled: NDArray[np.float64], right: NDArray[np.bool_]
) -> NDArray[np.float64] | str:
    """Return the estimated chance of being right at some scores, or why there is no estimate.

    The chance only rises with the score (or only falls, where the query finds the opposite): isotonic regression of
    `right` on the score (Zadrozny & Elkan 2002), with two virtual galaxies as mixed as all labelled ones beyond either
    end. Without them the first answers, which score higher than all but a few labelled galaxies, would be called
    certain.

    Parameters
    ----------
    scores : ndarray, shape (N,)
    labelled : ndarray, shape (M,)
        The scores of labelled galaxies to the same query.
    right : ndarray of bool, shape (M,)
        Whether they are called what is looked for.
    """
    from sklearn.isotonic import IsotonicRegression

    if len(labelled) < LEAST_LABELLED:
        return f"only {len(labelled)} galaxies of the sample have a label; {LEAST_LABELLED} are needed"
    if right.sum() < LEAST_RIGHT:
        return f"only {right.sum()} labelled galaxies of the sample are called that; {LEAST_RIGHT} are needed"
    step = max(float(np.ptp(labelled)), 1e-9) * 1e-6
    points = np.concatenate([labelled, [labelled.max() + step, labelled.min() - step]])
    truth = np.concatenate([right, [right.mean()] * 2])
    weights = np.concatenate([np.ones(len(labelled)), [_VIRTUAL] * 2])
    rises = bool(labelled[right].mean() >= labelled.mean())
    curve = IsotonicRegression(increasing=rises, out_of_bounds="clip").fit(points, truth, sample_weight=weights)
    return np.asarray(curve.predict(scores), dtype=np.float64)

"""Labels that a trained model finds improbable, by confident learning (Northcutt+ 2021, JAIR 70, 1373)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from galaxalign.errors import InputError


def improbable_labels(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the rows whose label is probably wrong, the least probable first.

    The threshold of each class is the mean probability that the model gives to it where it is the label, so a
    model that is unsure of a class does not call all of it wrong.

    Parameters
    ----------
    labels : numpy.ndarray
        int64 (N,), none of them missing.
    probabilities : numpy.ndarray
        (N, K); best of a model that was not trained on these rows.

    Raises
    ------
    InputError
        If cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise InputError(
            "to look for improbable labels cleanlab is needed; install it with pip install 'galaxalign[audit]'"
        ) from None
    # Only classes that occur: confident learning has no threshold for a class without labels.
    present, codes = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return np.empty(0, np.int64)
    shares = np.asarray(probabilities, np.float64)[:, present] + 1e-12
    shares /= shares.sum(axis=1, keepdims=True)
    found = find_label_issues(codes, shares, return_indices_ranked_by="self_confidence", n_jobs=1)
    return np.asarray(found, np.int64)

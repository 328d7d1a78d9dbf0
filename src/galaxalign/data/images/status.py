"""The status of an image: read, or the sentence that says why not."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

OK = "ok"
"""The status of an image that was read; any other status is the reason why it was not."""


def is_read(statuses: Iterable[str]) -> NDArray[np.bool_]:
    """Return which images were read, bool (N,)."""
    return np.array([status == OK for status in statuses], dtype=bool)

"""The verb data list: the known data sets."""

from __future__ import annotations

from galaxalign.data import surveys


def data_sets() -> tuple[surveys.Survey, ...]:
    """Return the known data sets: what they are, their terms, and where their files lie."""
    return surveys.surveys()

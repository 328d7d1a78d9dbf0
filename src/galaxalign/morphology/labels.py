"""Class labels as real files spell them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from numbers import Real

from galaxalign.errors import InputError

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


class LabelLookup:
    """The class index of each spelling of a label.

    Parameters
    ----------
    scheme : str
        Name of the taxonomy, for errors.
    class_names : tuple of str
    codes : tuple of int
        Integers that stand for classes.
    spellings : iterable of (str, int or None)
        Labels with their class index, None for those that the taxonomy ignores.

    Raises
    ------
    InputError
        If two classes share a spelling.
    """

    def __init__(
        self,
        scheme: str,
        class_names: tuple[str, ...],
        codes: tuple[int, ...],
        spellings: Iterable[tuple[str, int | None]],
    ) -> None:
        self._scheme, self._class_names, self._codes = scheme, class_names, codes
        self._indices: dict[str, int | None] = {}
        for label, index in spellings:
            if self._indices.setdefault(_normalise(label), index) != index:
                raise InputError(f"taxonomy {scheme} gives the label {label!r} to two classes; keep one")

    def find(self, label: object, where: str = "") -> int | None:
        """Return the class index of a label, None if it is ignored; `where` follows the label in errors."""
        known = ", ".join(self._class_names)
        if is_missing(label):
            raise InputError(f"the label{where} is missing; give one of {known}")
        text = str(label).strip()
        if re.fullmatch(r"[+-]?\d+\.0*", text):  # CSV readers turn codes into floats
            text = text.split(".")[0]
        # A minus separates words, but -1 is not the code 1.
        key = text if _NUMBER.fullmatch(text) else _normalise(text)
        if key in self._indices:
            return self._indices[key]
        if _NUMBER.fullmatch(text):
            codes = ", ".join(map(str, self._codes))
            hint = f"its integer codes are {codes}" if codes else f"it has no integer codes, but the names {known}"
            raise InputError(f"label {label!r}{where} is not in the taxonomy {self._scheme}; {hint}")
        words = [spelling for spelling in self._indices if not _NUMBER.fullmatch(spelling)]
        closest = difflib.get_close_matches(key, words, n=1, cutoff=0.0)[0]
        index = self._indices[closest]
        meant = closest if index is None else self._class_names[index]
        raise InputError(
            f"label {label!r}{where} is not in the taxonomy {self._scheme}; the closest known is {meant!r} "
            f"(known: {known})"
        )


def is_missing(label: object) -> bool:
    """Return whether a label is None, NaN, pandas.NA, NaT or blank, without importing pandas."""
    if label is None or type(label).__name__ in {"NAType", "NaTType"}:
        return True
    if isinstance(label, Real):
        return math.isnan(label)
    return isinstance(label, str) and not label.strip()


def _normalise(label: str) -> str:
    """Fold case and separators, and drop a final "galaxy"."""
    words = [word for word in re.split(r"[\s_,-]+", label.lower()) if word]
    if len(words) > 1 and words[-1] in {"galaxy", "galaxies"}:
        words.pop()
    return "_".join(words)

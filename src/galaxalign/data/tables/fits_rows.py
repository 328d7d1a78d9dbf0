"""FITS tables read by slices of the file; columns with one value in each row."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 2880


def fits_rows(path: Path) -> tuple[list[str], dict[str, str], int, Callable[..., Iterator[pd.DataFrame]]]:
    """Return names, units and number of rows of the first table of a file, and the function that reads it."""
    from astropy.io import fits

    with quiet_astropy(), fits.open(path, memmap=True) as file:
        tables = [hdu for hdu in file if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise InputError(f"{path} cannot be read as .fits (it holds no table); give a FITS file with a table")
        hdu = tables[0]
        header, start, kind = hdu.header.copy(), hdu.fileinfo()["datLoc"], type(hdu)
        width, rows = int(header["NAXIS1"]), int(header["NAXIS2"])
        single = [column for column in hdu.columns if _one_value(column)]
        names = [column.name for column in single]
        units = {column.name: str(column.unit) for column in single if column.unit}
        if path.stat().st_size < start + width * rows:
            there = max(0, path.stat().st_size - start) // width
            raise InputError(
                f"{path} cannot be read as .fits (it is cut short: {there} of {rows} rows are there); fetch it again"
            )
    # The heap of variable-length columns, which are left out, follows the rows and is never read.
    for keyword in ("THEAP", "CHECKSUM", "DATASUM"):
        header.remove(keyword, ignore_missing=True)
    header["PCOUNT"] = 0

    def read(wanted: Sequence[str], text: Collection[str], size: int) -> Iterator[pd.DataFrame]:
        import pandas as pd

        with path.open("rb") as stream:
            stream.seek(start)
            for first in range(0, rows, size):
                count = min(size, rows - first)
                header["NAXIS2"] = count
                block = stream.read(width * count)
                block += b"\0" * (-len(block) % _BLOCK)
                with quiet_astropy():
                    piece = kind.fromstring(header.tostring().encode() + block, character_as_bytes=True)
                    columns = {name: _fits_values(piece, name) for name in wanted}
                yield pd.DataFrame(columns) if columns else pd.DataFrame(index=range(count))

    return names, units, rows, read


def _one_value(column: Any) -> bool:
    """Tell whether a FITS column holds one value in each row."""
    form = str(column.format)
    if re.match(r"\d*[PQX]", form):
        return False
    count = re.match(r"(\d+)[LBIJKEDCM]", form)
    return not column.dim and (count is None or count[1] == "1")


def _fits_values(piece: Any, name: str) -> Any:
    import pandas as pd

    values = np.asarray(piece.data.field(name))
    if values.dtype.kind in "SU":
        return np.array([_fits_text(value) for value in values.tolist()], dtype=object)
    if values.dtype.kind == "b":
        # A zero byte is a missing value; astropy makes it False.
        missing = np.recarray.field(piece.data, name) == 0
        return pd.arrays.BooleanArray(values, missing) if missing.any() else values
    values = values.astype(values.dtype.newbyteorder("="))
    null = piece.columns[name].null
    if null not in (None, "") and values.dtype.kind in "iu":
        missing = values == int(null)
        if missing.any():
            return pd.arrays.IntegerArray(values, missing)
    return values


def _fits_text(value: bytes) -> str:
    """Return a cell of text: the standard has ASCII, astropy writes UTF-8 and TOPCAT ISO 8859-1."""
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.decode("iso-8859-1").strip()


@contextmanager
def quiet_astropy() -> Iterator[None]:
    """Ignore warnings of astropy about units and conventions."""
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        yield

"""The verb symbols: the sheet of a taxonomy's symbols."""

from __future__ import annotations

from pathlib import Path

from galaxalign import morphology, options as opt
from galaxalign.data import tables
from galaxalign.signature import verb


@verb
def symbols(*, taxonomy: opt.TaxonomyArgument, out: opt.SheetOut) -> Path:
    """Draw the schematic symbol of each class on one labelled sheet.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        The taxonomy is unknown, or the sheet cannot be written.
    """
    scheme = morphology.load_taxonomy(taxonomy)
    tables.check_output(out, suffixes=(".png", ".svg", ".pdf"))
    return morphology.symbol_sheet(scheme, out)

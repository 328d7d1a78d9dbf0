"""The verb convert: published files into a catalogue."""

from __future__ import annotations

from pathlib import Path

from galaxalign import options as opt
from galaxalign.data import surveys, tables
from galaxalign.errors import InputError
from galaxalign.signature import verb


@verb
def convert(*, name: opt.DataSet, from_: opt.PublishedFiles, out: opt.ConvertOut, quiet: opt.Quiet = False) -> Path:
    """Make a catalogue of the published files of a data set.

    With "huggingface" `from_` is a name on the hub or a folder, for whatever the library `datasets` can load.

    Returns
    -------
    Path
        The catalogue.

    Raises
    ------
    InputError
        The name is unknown, or a file is missing or not as published.
    """
    given = [from_] if isinstance(from_, str | Path) else list(from_)
    if name == "huggingface":
        from galaxalign.data.surveys import convert_hugging_face

        if len(given) != 1:
            raise InputError(f"--from names {len(given)} data sets of Hugging Face; convert one at a time")
        return convert_hugging_face(str(given[0]), Path(out), quiet=quiet)
    for source in given:
        tables.refuse_address(source, f"galaxalign data fetch {name} downloads the published files")
    return surveys.convert_survey(surveys.find_survey(name), [Path(path) for path in given], Path(out), quiet=quiet)

"""The verb fetch: the published files of a known data set."""

from __future__ import annotations

from pathlib import Path

from galaxalign import options as opt
from galaxalign.data import surveys
from galaxalign.signature import verb


@verb
def fetch(
    *,
    name: opt.DataSet,
    out: opt.DownloadOut = None,
    everything: opt.Everything = False,
    yes: opt.Yes = False,
    mirror: opt.Mirror = None,
    quiet: opt.Quiet = False,
) -> list[Path]:
    """Download a data set; rerun to resume.

    Prints its licence and what to cite. Published checksums are compared; where none is published, that of the
    downloaded file is recorded in OUT/checksums.json.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        The name is unknown, more than a gigabyte needs `yes`, or a file cannot be downloaded.
    """
    survey = surveys.find_survey(name)
    folder = Path(out) if out is not None else Path(name)
    return surveys.fetch_survey(survey, folder, everything=everything, yes=yes, mirror=mirror, quiet=quiet)

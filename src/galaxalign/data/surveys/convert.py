"""Published files of known data sets into a catalogue: id_str, file_loc, label, ra, dec and votes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxalign.data.catalogs import Catalog, as_catalog
from galaxalign.data.images import hdf5_columns
from galaxalign.data.splits import PARTS, make_split
from galaxalign.data.surveys.archives import gunzip
from galaxalign.data.surveys.published_files import PublishedFiles, relative, unpacked
from galaxalign.data.surveys.surveys import Survey
from galaxalign.data.tables import cell_text, check_output, write_table
from galaxalign.errors import InputError
from galaxalign.morphology import load_taxonomy
from galaxalign.progress import note

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("id_str", "file_loc", "label", "ra", "dec")

_HUBBLE_TYPES = dict(enumerate("cE E cD S0- S0 S0+ S0/a Sa Sab Sb Sbc Sc Scd Sd Sdm Sm Im dE".split(), -6))  # noqa: SIM905
_EFIGI_ATTRIBUTES = """T Bulge_to_Total Arm_Strength Arm_Curvature Arm_Rotation Bar_Length Inner_Ring Outer_Ring
    Pseudo_Ring Perturbation Visible_Dust Dust_Dispersion Flocculence Hot_Spots Inclination Contamination
    Multiplicity""".split()  # noqa: SIM905

_GZ1_ANSWERS = {
    "P_EL": "elliptical",
    "P_CW": "spiral_clockwise",
    "P_ACW": "spiral_anticlockwise",
    "P_EDGE": "edge_on",
    "P_DK": "dont_know",
    "P_MG": "merger",
}


def convert_survey(survey: Survey, sources: Sequence[Path], out: Path, *, quiet: bool = False) -> Path:
    """Write the catalogue of a known data set, made of its published files.

    The catalogue names rows of HDF5 files (`file.h5::images[17]`) and loose images where they are; images in archives
    are unpacked into OUT/images. The column `part` and OUT/split.parquet keep GalaxyMNIST's own split.

    Parameters
    ----------
    survey : Survey
    sources : sequence of Path
        The files, or folders that hold them.
    out : Path
        Folder for catalog.parquet.
    quiet : bool

    Returns
    -------
    Path
        The catalogue.

    Raises
    ------
    InputError
        If a file is missing, damaged, or not of the published structure.
    """
    check_output(out, folder=True)
    files = PublishedFiles(survey, tuple(sources), out, quiet)
    table = _READERS[survey.name](files)
    columns = [name for name in _FIRST if name in table] + [name for name in table if name not in _FIRST]
    catalog = as_catalog(
        table[columns], root=out, source=out.resolve().name, require=("id_str",), where=f"{survey.name}"
    )
    return write_catalog(catalog, out)


def write_catalog(catalog: Catalog, out: Path) -> Path:
    """Write a catalogue, and split.parquet if its column `part` has a test part.

    Without a validation part, about a tenth of the training galaxies becomes one, which training needs.
    """
    path = write_table(catalog.table, out / "catalog.parquet")
    own = dict(zip(catalog.ids, catalog.texts("part"), strict=True)) if "part" in catalog.table else {}
    if "test" in own.values() and set(own.values()) <= set(PARTS):
        split = make_split(catalog, fractions=(0.9, 0.1, 0.0))
        fixed = PARTS if "validation" in own.values() else ("test",)
        held = split.table.copy()
        held["part"] = [
            own[identity] if own[identity] in fixed else part
            for identity, part in zip(held["id_str"], held["part"], strict=True)
        ]
        train, validation, test = (round(float((held["part"] == part).mean()), 6) for part in PARTS)
        replace(split, table=held, fractions=(train, validation, test)).write(out / "split.parquet")
    return path


def _labels(taxonomy: str, codes: np.ndarray, path: Path) -> list[str]:
    """Return the names of the classes of integer codes."""
    names = load_taxonomy(taxonomy).class_names
    if len(codes) and not (codes.min() >= 0 and codes.max() < len(names)):
        raise InputError(f"{path} has labels from {codes.min()} to {codes.max()}; {taxonomy} has {len(names)} classes")
    return [names[code] for code in codes]


def _hdf5(files: PublishedFiles, path: Path, prefix: str, label: str, others: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of one HDF5 file."""
    import pandas as pd

    n, values = hdf5_columns(path, images="images", columns=[label, *others])
    place = relative(path, files.out)
    table = pd.DataFrame({"id_str": [f"{prefix}{row}" for row in range(n)]})
    table["file_loc"] = [f"{place}::images[{row}]" for row in range(n)]
    table["label"] = _labels(files.survey.taxonomy, values[label].astype(np.int64), path)
    for name in others:
        table[name] = values[name]
    return table


def _galaxy10_decals(files: PublishedFiles) -> pd.DataFrame:
    path = files.need("Galaxy10_DECals.h5")
    table = _hdf5(files, path, "", "ans", ["ra", "dec", "redshift", "pxscale"])
    if np.array_equal(table["redshift"], table["dec"]):
        note(f"the redshift column of {path} repeats dec and is left out", quiet=files.quiet)
        return table.drop(columns="redshift")
    return table


def _galaxy10_sdss(files: PublishedFiles) -> pd.DataFrame:
    return _hdf5(files, files.need("Galaxy10.h5"), "", "ans")


def _galaxy_mnist(files: PublishedFiles) -> pd.DataFrame:
    import pandas as pd

    tables = []
    for part in ("train", "test"):
        path = files.need(f"{part}_dataset.hdf5", f"{part}_dataset.hdf5.gz")
        if path.suffix == ".gz":
            path = gunzip(path, files.out / path.stem)
        tables.append(_hdf5(files, path, f"{part}_", "labels").assign(part=part))
    return pd.concat(tables, ignore_index=True)


def _galaxy_zoo_2(files: PublishedFiles) -> pd.DataFrame:
    votes = files.votes(files.need("gz2_hart16.csv.gz", "gz2_hart16.csv"), "dr7objid")
    mapping = files.table(files.need("gz2_filename_mapping.csv"), "objid")
    if "asset_id" not in mapping:
        raise InputError(f"gz2_filename_mapping.csv has no column asset_id; it has {', '.join(map(str, mapping))}")
    assets = dict(zip(mapping["id_str"], (cell_text(asset) for asset in mapping["asset_id"]), strict=True))
    return files.with_pictures(votes, [assets.get(identity, "") for identity in votes["id_str"]])


def _kaggle(files: PublishedFiles) -> pd.DataFrame:
    path = files.need("training_solutions_rev1.csv", "training_solutions_rev1.zip")
    if path.suffix == ".zip":
        path = unpacked(path, files.out / "training_solutions_rev1.csv")
    table = files.votes(path, "GalaxyID")
    return files.with_pictures(table, table["id_str"])


def _by_column(id_column: str, *names: str) -> Callable[[PublishedFiles], pd.DataFrame]:
    """Return a reader of one table of votes whose pictures have the ids as names."""

    def read(files: PublishedFiles) -> pd.DataFrame:
        table = files.votes(files.need(*names), id_column)
        return files.with_pictures(table, [cell_text(identity) for identity in table["id_str"]])

    return read


def _gz_desi(files: PublishedFiles) -> pd.DataFrame:
    import pandas as pd

    core = files.votes(files.need("gz_desi_gzd8_volunteer_core_catalog.parquet"), "dr8_id")
    tables = [core.assign(campaign="core")]
    more = files.find("gz_desi_gzd8_volunteer_extended_catalog.parquet")
    if more is not None:
        extended = files.votes(more, "dr8_id")
        tables.append(extended[~extended["id_str"].isin(core["id_str"])].assign(campaign="extended"))
    table = pd.concat(tables, ignore_index=True)
    return files.with_pictures(table, table["id_str"])


def _galaxy_zoo_1(files: PublishedFiles) -> pd.DataFrame:
    table = files.table(files.need("GalaxyZoo1_DR_table2.csv.gz", "GalaxyZoo1_DR_table2.csv"), "OBJID")
    missing = [name for name in ("RA", "DEC", *_GZ1_ANSWERS) if name not in table]
    if missing:
        raise InputError(f"GalaxyZoo1_DR_table2 lacks {', '.join(missing)}; its columns are {', '.join(table.columns)}")
    names = np.array(list(_GZ1_ANSWERS.values()))
    table["label"] = names[table[list(_GZ1_ANSWERS)].to_numpy(float).argmax(1)]
    table["RA"] = [15 * _degrees(value) for value in table["RA"]]
    table["DEC"] = [_degrees(value) for value in table["DEC"]]
    return files.with_pictures(table.rename(columns={"RA": "ra", "DEC": "dec"}), table["id_str"])


def _degrees(text: object) -> float:
    """Return sexagesimal text ("-10:22:25.7") as a number of its first unit."""
    try:
        whole, minutes, seconds = str(text).split(":")
        sign = -1.0 if whole.strip().startswith("-") else 1.0
        return sign * (abs(float(whole)) + float(minutes) / 60 + float(seconds) / 3600)
    except ValueError:
        raise InputError(
            f"GalaxyZoo1_DR_table2 has the position {text!r}; hh:mm:ss and dd:mm:ss are published"
        ) from None


def _efigi(files: PublishedFiles) -> pd.DataFrame:
    import pandas as pd

    path = files.find("EFIGI_attributes.txt")
    if path is None:
        path = unpacked(files.need("efigi_tables-1.6.2.tgz"), files.out / "EFIGI_attributes.txt")
    expected = [f"{name}{end}" for name in _EFIGI_ATTRIBUTES for end in ("", "_inf", "_sup")]
    rows = []
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        cells = line.split()
        if not cells or line.startswith("#") or not (cells[0].startswith("PGC") and cells[0][3:].isdigit()):
            continue
        if len(cells) != 1 + len(expected):
            raise InputError(f"{path} has {len(cells)} columns in line {number}, {1 + len(expected)} are published")
        rows.append([cells[0], *map(float, cells[1:])])
    if not rows:
        raise InputError(f"{path} has no line that begins with a PGC number; it is not the published table")
    table = pd.DataFrame(rows, columns=["id_str", *expected])
    table["hubble_type"] = [_HUBBLE_TYPES.get(int(stage), "") for stage in table["T"]]
    scheme = load_taxonomy("efigi")
    codes = scheme.encode(table["hubble_type"])
    table["label"] = [scheme.class_names[code] if code >= 0 else "" for code in codes]
    return files.with_pictures(table, table["id_str"])


_READERS: dict[str, Callable[[PublishedFiles], pd.DataFrame]] = {
    "galaxy10_decals": _galaxy10_decals,
    "galaxy10_sdss": _galaxy10_sdss,
    "galaxy_mnist": _galaxy_mnist,
    "galaxy_mnist_224": _galaxy_mnist,
    "galaxy_zoo_2": _galaxy_zoo_2,
    "kaggle_galaxy_zoo": _kaggle,
    "gz_decals": _by_column("iauname", "gz_decals_volunteers_5.parquet", "gz_decals_volunteers_5.csv"),
    "gz_decals_1_2": _by_column("iauname", "gz_decals_volunteers_1_and_2.parquet", "gz_decals_volunteers_1_and_2.csv"),
    "gz_desi": _gz_desi,
    "gz_hubble": _by_column("zooniverse_id", "gz_hubble_main.csv.gz", "gz_hubble_main.csv"),
    "gz_candels": _by_column("ID", "gz_candels_table_2_main_release.csv"),
    "galaxy_zoo_1": _galaxy_zoo_1,
    "efigi": _efigi,
}

"""`galaxalign data list`: the known data sets."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from galaxalign import verbs


def list_(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="All there is to say about one.")] = None,
) -> None:
    """List the known data sets."""
    from galaxalign.data.surveys import find_survey, size_text

    if name is None:
        sets = verbs.data_sets()
        width = max(len(survey.name) for survey in sets)
        for survey in sets:
            size = size_text(sum(file.size for file in survey.wanted()))
            print(f"{survey.name:{width}s}  {survey.galaxies:>7,}  {size:>7s}  {survey.title}: {survey.labels}")
        print("\ngalaxalign data list NAME says more: pictures, licence, what to cite, files.")
        return
    survey = find_survey(name)
    facts = {
        "galaxies": f"{survey.galaxies:,}",
        "pictures": survey.pictures,
        "labels": survey.labels,
        "taxonomy": survey.taxonomy or "none: the catalogue has votes, no classes",
        "licence": survey.licence,
        "cite": survey.citation,
        "see": survey.homepage,
        "note": survey.note,
    }
    print(survey.title)
    for key, value in facts.items():
        if value:
            print(textwrap.fill(value, 100, initial_indent=f"  {key:9s} ", subsequent_indent=" " * 12))
    for file in survey.files:
        how = "" if file.url else ", by hand from there"
        only = ", with --all" if file.optional else ""
        check = file.checksum or "no checksum published"
        print(f"  file      {file.name}  about {size_text(file.size)}{only}{how}, {check}")

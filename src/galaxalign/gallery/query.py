"""What is asked of a gallery: the one query language of Python, the command line, the REST API and the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from galaxalign.errors import InputError

Kind = Literal["text", "image", "id", "symbol", "sketch", "vector"]

MAX_ANSWERS = 10_000
"""Answers that one query may ask for, and places that it may skip."""

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Strict):
    """One thing that galaxies should look like, or should not.

    Parameters
    ----------
    kind : {"text", "image", "id", "symbol", "sketch", "vector"}
    value : str or list of float
        Words; the path of an image or a base64 data URL of one; an ``id_str``; the name of a class; an SVG
        document or the data URL of a drawing (PNG, JPEG, SVG); the numbers of a vector.
    weight : float
        How much it counts; negative for what is not wanted.
    """

    kind: Kind
    value: str | list[_Finite]
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0

    @field_validator("weight")
    @classmethod
    def _counts(cls, weight: float) -> float:
        if weight == 0:
            raise ValueError("a part with weight 0 says nothing; leave it out")
        return weight

    @model_validator(mode="after")
    def _fits(self) -> Part:
        if (self.kind == "vector") != isinstance(self.value, list):
            raise ValueError(f"a part of kind {self.kind} needs {'numbers' if self.kind == 'vector' else 'text'}")
        if isinstance(self.value, str) and not self.value.strip():
            raise ValueError(f"a part of kind {self.kind} is empty; leave it out or write what to look for")
        return self


class Cone(_Strict):
    """A circle on the sky.

    Parameters
    ----------
    ra, dec : float
        Its centre, degrees.
    radius : float
        Degrees; the boundary belongs to it.
    """

    ra: Annotated[float, Field(ge=0, le=360, allow_inf_nan=False)]
    dec: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    radius: Annotated[float, Field(gt=0, le=180, allow_inf_nan=False)]


class Query(_Strict):
    """Galaxies that look like some things and not like others, among those that a filter lets through.

    Parameters
    ----------
    parts : list of Part
        At least one with a positive weight.
    where : str, optional
        Condition in SQL over the columns of the catalogue: ``redshift < 0.1 AND label = 'spiral'``.
    cone : Cone, optional
    moc : str, optional
        Part of the sky: the path of a MOC file, or a MOC written as text ("6/1-5 99") or JSON.
    k : int
        Number of answers.
    offset : int
        How many of the best to skip: for the next page.
    floor : float, optional
        Leave out what scores less.
    collapse : bool
        Show several entries of one galaxy (by position, or a nearly identical vector) as one.
    exclude_self : bool
        Leave out the galaxies that are parts of the query.
    label : str, optional
        What right answers are called in the column ``label``, to estimate how many are right. By default the label of
        the one galaxy, or the class of the one symbol, that is looked for. It changes nothing in the answers.
    """

    parts: list[Part] = []
    where: str | None = None
    cone: Cone | None = None
    moc: str | None = None
    k: Annotated[int, Field(ge=1, le=MAX_ANSWERS)] = 20
    offset: Annotated[int, Field(ge=0, le=MAX_ANSWERS)] = 0
    floor: _Finite | None = None
    collapse: bool = True
    exclude_self: bool = True
    label: str | None = None


def read_query(source: str | Path | dict[str, Any]) -> Query:
    """Return a query from a JSON file or from what one holds.

    Raises
    ------
    InputError
        The file is missing or no JSON, or it is no query: the field and what is wrong are named.
    """
    where = "the query" if isinstance(source, dict) else str(source)
    if not isinstance(source, dict):
        try:
            found = json.loads(Path(source).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{source} cannot be read ({error.strerror}); give a JSON file with a query") from None
        except ValueError as error:
            raise InputError(f"{source} is no JSON ({error}); docs/howto/search.md shows a query") from None
        source = found
    try:
        return Query.model_validate(source)
    except ValidationError as error:
        raise InputError(f"{where} is no query: {complaint(error)}") from None


def complaint(error: ValidationError) -> str:
    """Return the place and the words of what is wrong with a query."""
    # Of a value that may be text or numbers, the deepest complaint is the one about what was meant.
    first = max(error.errors(), key=lambda found: len(found["loc"]))
    place = ".".join(map(str, first["loc"]))
    words = first["msg"].removeprefix("Value error, ")
    return f"{place}: {words}" if place else words

"""What the REST API takes and gives, as types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from galaxalign.gallery import Cone, Query

Id = Annotated[str, Field(min_length=1, max_length=256)]
Row = Annotated[int, Field(ge=0, lt=2**31)]


class _Strict(BaseModel):
    """What comes from outside: an unknown field is an error, not a silence."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """Why a request was not answered: one sentence."""

    detail: str


class Health(BaseModel):
    """That the server is there, and what it serves."""

    status: Literal["ok"] = "ok"
    version: str
    galaxies: int
    dimension: int
    model: str
    fingerprint: str


class Column(BaseModel):
    """A column of the catalogue."""

    name: str
    kind: Literal["number", "text", "truth", "other"]


class ClassScore(BaseModel):
    """A class and how probable it is."""

    name: str
    title: str
    probability: float


class VoteAnswer(BaseModel):
    """An answer, and the fraction of those asked who are expected to give it."""

    name: str
    fraction: float


class VoteQuestion(BaseModel):
    """A question of a decision tree, and how probable it is that a volunteer comes to it."""

    name: str
    asked: float
    answers: list[VoteAnswer]


class SymbolScore(BaseModel):
    """How like the symbol of a class a galaxy is."""

    name: str
    title: str
    taxonomy: str
    cosine: float


class Reading(BaseModel):
    """What the model says of one galaxy."""

    classes: list[ClassScore]
    votes: list[VoteQuestion]
    caption: str
    symbols: list[SymbolScore]


class Neighbour(BaseModel):
    """A galaxy that looks alike."""

    id_str: str
    row: int | None
    score: float


class Galaxy(BaseModel):
    """All that is known of one galaxy."""

    id_str: str
    row: int | None
    label: str | None = Field(description="given in the page")
    columns: dict[str, Any]
    reading: Reading | None = Field(description="null where the model is not at hand or the image could not be read")
    reading_problem: str = ""
    neighbours: list[Neighbour]
    ra: float | None = Field(description="degrees, ICRS")
    dec: float | None
    links: dict[str, str] = Field(description="the same place in other viewers, by their names")


class Symbol(BaseModel):
    """A class of the palette."""

    name: str
    title: str
    svg: str
    searchable: bool = Field(description="whether the model has learnt this symbol")


class About(BaseModel):
    """What the page needs to know before it draws anything."""

    title: str
    version: str
    galaxies: int
    model: str
    taxonomy: str
    columns: list[Column]
    can: dict[str, bool] = Field(description="text, image, sketch, pictures, labels, sky")
    label_names: list[str]
    labels_file: str
    map_state: Literal["ready", "making", "failed"]
    map_method: str
    map_problem: str
    map_points: int
    problem: str = Field(description="why the model is not at hand, where it is not")


class Hit(BaseModel):
    """One galaxy that was found."""

    rank: int
    id_str: str
    row: int | None
    score: float
    why: list[float] = Field(description="what each part of the query contributed to the score")
    ra: float | None = None
    dec: float | None = None
    duplicates: list[str] = []


class SearchAnswer(BaseModel):
    """What was found, best first."""

    hits: list[Hit]
    precision: list[float] | None = Field(description="estimated share of right ones among the first r, for each r")
    precision_reason: str = Field("", description="why there is no estimate, where there is none")
    seconds: float


class Refinement(_Strict):
    """A query, and which galaxies of its results are right and wrong."""

    query: Query
    good: list[Id] = Field(max_length=2000)
    bad: list[Id] = Field(max_length=2000)


class RowRequest(_Strict):
    """Some galaxies, by their rows."""

    rows: list[Row] = Field(max_length=2_000_000)


class TableRequest(_Strict):
    """A page of the table, of all galaxies or of some rows."""

    rows: list[Row] | None = Field(None, max_length=2_000_000)
    columns: list[str] | None = Field(None, max_length=500)
    where: str | None = Field(None, max_length=4000)
    cone: Cone | None = None
    moc: str | None = Field(None, description="a part of the sky as text (6/1-5 99) or JSON")
    order: str | None = Field(
        None, max_length=256, description="a column, with a minus before it for the largest first"
    )
    offset: int = Field(0, ge=0, lt=2**31)
    limit: int = Field(100, ge=1, le=1000)


class Page(BaseModel):
    """A page of the table."""

    total: int
    rows: list[int | None]
    columns: list[str]
    cells: list[list[Any]] = Field(description="by row; null where unknown")


class LabelRequest(_Strict):
    """A label for some galaxies; empty to take it back."""

    ids: list[Id] = Field(min_length=1, max_length=100_000)
    label: Annotated[str, Field(max_length=100)]


class MarksRequest(_Strict):
    """Marked galaxies to write down as labels, or as subjects for volunteers."""

    good: list[Id] = Field(max_length=100_000)
    bad: list[Id] = Field(max_length=100_000)
    label: Annotated[str, Field(max_length=100, description="what the good ones are")]
    other: Annotated[str, Field(max_length=100)] = ""
    manifest: bool = Field(False, description="as a manifest for Zooniverse's Panoptes")


class SkyPart(BaseModel):
    """A part of the sky that was read from a MOC file."""

    moc: str = Field(description="the same as JSON, for a query")
    share: float = Field(description="of the sky")


class HighlightRequest(_Strict):
    """A galaxy to point at in other programs."""

    id_str: Id


class Labels(BaseModel):
    """How many galaxies are labelled, and as what."""

    labelled: int
    labels: dict[str, str]
    file: str


class SampState(BaseModel):
    """Whether we are connected to a SAMP hub, and what other programs say."""

    connected: bool
    hub: str = ""
    clients: list[str] = []
    highlighted: str | None = Field(None, description="the galaxy whose row was last highlighted elsewhere")
    row: int | None = None
    serial: int = Field(0, description="grows with each highlight")

"""The REST API: the explorer's page uses it, and so can any other program."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, File, Request, Response, UploadFile
from fastapi import Query as Asked
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

import galaxalign
from galaxalign.errors import InputError
from galaxalign.gallery.gallery import Gallery
from galaxalign.gallery.query import Query
from galaxalign.web.explorer import Explorer
from galaxalign.web.exports import MEDIA_TYPES, SUFFIXES, ExportFormat
from galaxalign.web.guard import Guard
from galaxalign.web.schemas import (
    About,
    Galaxy,
    Health,
    HighlightRequest,
    LabelRequest,
    Labels,
    MarksRequest,
    Page,
    Problem,
    Reading,
    Refinement,
    RowRequest,
    SampState,
    SearchAnswer,
    SkyPart,
    Symbol,
    TableRequest,
)
from galaxalign.web.settings import Settings
from galaxalign.web.uploads import sky_part

__all__ = ["create_app"]

_PAGES = Path(__file__).parent / "pages"
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "the request is at fault"},
    404: {"model": Problem, "description": "there is no such galaxy, or not what was asked of it"},
    413: {"model": Problem, "description": "too large"},
    422: {"model": Problem, "description": "not of the described form"},
    429: {"model": Problem, "description": "too often"},
}
_BINARY: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


def create_app(
    gallery: Gallery,
    settings: Settings | None = None,
    *,
    chart: str | Path | None = None,
    start: bool = True,
) -> FastAPI:
    """Return the explorer of a gallery as an ASGI application.

    Parameters
    ----------
    gallery : Gallery
        From `galaxalign.gallery.gallery.open_gallery`.
    settings : Settings, optional
    chart : str or path, optional
        Places on the map; see `galaxalign.web.layout.Layout`.
    start : bool
        Calculate the map beside the server where none is given; without it, at once and before anything else.
    """
    settings = settings or Settings()
    explorer = Explorer(gallery, settings, chart=chart)
    if start:
        explorer.layout.start()
    elif explorer.layout.state == "making":
        explorer.layout.make()

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        explorer.close()

    app = FastAPI(
        title="GalaxAlign",
        version=galaxalign.__version__,
        description="Search and explore galaxies by words, pictures, drawings and columns.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.explorer = explorer
    app.include_router(_routes(explorer), prefix="/api/v1")
    app.add_exception_handler(InputError, _at_fault)
    app.add_exception_handler(RequestValidationError, _not_valid)
    _add_page(app)
    app.add_middleware(Guard, settings=settings)
    return app


def _routes(explorer: Explorer) -> APIRouter:
    """Return what is under /api/v1."""
    api = APIRouter(responses=_REFUSED)

    @api.get("/health", tags=["about"])
    def health() -> Health:
        """Tell that the server is there, and what it serves."""
        return explorer.health()

    @api.get("/about", tags=["about"])
    def about() -> About:
        """Return what the page needs to know first."""
        return explorer.about()

    @api.post("/search", tags=["search"])
    def search(query: Query) -> SearchAnswer:
        """Find galaxies by words, pictures, drawings, symbols and known galaxies.

        Pictures and drawings are data URLs (data:image/png;base64,...), drawings also SVG text; a path is refused.
        """
        return explorer.search(query)

    @api.post("/refine", tags=["search"])
    def refine(refinement: Refinement) -> SearchAnswer:
        """Search again, nearer to the galaxies marked right and farther from those marked wrong."""
        return explorer.refine(refinement)

    @api.post("/classify", tags=["search"])
    def classify(file: Annotated[UploadFile, File(description="PNG, JPEG, WebP or TIFF")]) -> Reading:
        """Classify an uploaded picture."""
        return explorer.classify(file.file.read())

    @api.get("/symbols", tags=["search"])
    def symbols() -> list[Symbol]:
        """Return the symbols of the model's classes."""
        return explorer.symbols()

    @api.get("/galaxies/{id_str:path}", tags=["galaxies"])
    def galaxy(id_str: str, neighbours: Annotated[int, Asked(ge=0, le=100)] = 12) -> Galaxy:
        """Return all that is known of one galaxy."""
        return explorer.galaxy(id_str, neighbours)

    @api.get(
        "/cutout/{id_str:path}",
        tags=["galaxies"],
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    def cutout(
        id_str: str,
        size: Annotated[int, Asked(ge=16, le=1024)] = 160,
        view: Literal["model", "whole"] = "model",
    ) -> Response:
        """Return the image of one galaxy as JPEG; as the model sees it, or whole."""
        explorer.require(id_str)
        try:
            jpeg = explorer.cutouts.get(id_str, size, view)
        except InputError as error:
            return JSONResponse({"detail": str(error)}, 404)
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    @api.get("/map", tags=["map"], response_class=Response, responses=_BINARY)
    def points() -> Response:
        """Return x of all galaxies and then y of all: float32, little-endian, NaN where there is none."""
        if explorer.layout.state != "ready":
            return JSONResponse({"detail": explorer.layout.problem or "the map is still being calculated"}, 404)
        return Response(explorer.layout.points(), media_type="application/octet-stream")

    @api.get("/map/columns/{name}", tags=["map"], response_class=Response, responses=_BINARY)
    def column(name: str) -> Response:
        """Return a column for colours: the length of a JSON header (uint32), the header, one value per galaxy."""
        return Response(explorer.column(name), media_type="application/octet-stream")

    @api.post("/table", tags=["table"])
    def table(request: TableRequest) -> Page:
        """Return a page of the table."""
        return explorer.page(request)

    @api.post("/ids", tags=["table"])
    def ids(request: RowRequest) -> list[str]:
        """Return the ids of some rows."""
        found: list[str] = explorer.layout.at(request.rows).to_pylist()
        return found

    @api.post("/export", tags=["table"], response_class=Response)
    def export(request: RowRequest, form: Annotated[ExportFormat, Asked(alias="format")] = "csv") -> Response:
        """Return some galaxies as a table file."""
        name = f"galaxies-{len(request.rows)}{SUFFIXES[form]}"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(explorer.export(request.rows, form), media_type=MEDIA_TYPES[form], headers=headers)

    @api.post("/export/marks", tags=["table"], response_class=Response)
    def export_marks(request: MarksRequest) -> Response:
        """Return marked galaxies as a catalogue of labels (CSV), or as a manifest for Zooniverse's Panoptes."""
        name = "manifest.csv" if request.manifest else "marks.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(explorer.export_marks(request), media_type=MEDIA_TYPES["csv"], headers=headers)

    @api.post("/moc", tags=["search"])
    def moc(file: Annotated[UploadFile, File(description="FITS, JSON or text")]) -> SkyPart:
        """Read a MOC file, for the `moc` of a query."""
        return sky_part(file.file.read())

    @api.get("/labels", tags=["labels"])
    def labels() -> Labels:
        """Return the labels given so far."""
        return explorer.labels()

    @api.post("/labels", tags=["labels"])
    def label(request: LabelRequest) -> Labels:
        """Label galaxies; it is in the file when this answers."""
        return explorer.label(request)

    @api.get("/samp", tags=["samp"])
    def samp() -> SampState:
        """Tell whether we are in a SAMP hub, and which row was highlighted elsewhere."""
        return explorer.samp_state()

    @api.post("/connect/samp", tags=["samp"])
    def connect() -> SampState:
        """Join the SAMP hub of this machine."""
        return explorer.samp_connect()

    @api.post("/send/samp", tags=["samp"])
    def send(request: RowRequest) -> SampState:
        """Send some galaxies as a table to TOPCAT, Aladin and whatever else takes one."""
        return explorer.samp_send(request.rows)

    @api.post("/highlight/samp", tags=["samp"])
    def highlight(request: HighlightRequest) -> SampState:
        """Highlight a galaxy in the table that was sent, and point at it on the sky."""
        return explorer.samp_highlight(request.id_str)

    return api


def _add_page(app: FastAPI) -> None:
    """Serve the page, and the scatter plot out of the package jupyter-scatter."""
    plot = _plot_file()

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(_PAGES / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/parts/scatter.js", include_in_schema=False)
    def scatter() -> FileResponse:
        return FileResponse(plot, media_type="text/javascript", headers={"cache-control": "private, max-age=3600"})

    @app.get("/api/v1/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(_PAGES / "api.html")

    app.mount("/", StaticFiles(directory=_PAGES), name="pages")


def _plot_file() -> Path:
    found = find_spec("jscatter")
    if found is None or found.origin is None:
        raise InputError("the map needs jupyter-scatter; install it with: pip install 'galaxalign[explore]'")
    return Path(found.origin).parent / "bundle.js"


async def _at_fault(_request: Request, error: Exception) -> JSONResponse:
    missing = isinstance(error, LookupError)
    return JSONResponse({"detail": " ".join(str(error).split())}, 404 if missing else 400)


async def _not_valid(_request: Request, error: Exception) -> JSONResponse:
    """Say the first thing that is wrong with a request in one sentence."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first.get("type") == "json_invalid":
        reason = (first.get("ctx") or {}).get("error", "it breaks off")
        return JSONResponse({"detail": f"the request is no JSON ({reason}); send what /api/v1/docs describes"}, 422)
    where = ".".join(str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path"))
    what = str(first.get("msg", "is not valid")).removeprefix("Value error, ")
    return JSONResponse({"detail": f"{where or 'the request'}: {what}"}, 422)

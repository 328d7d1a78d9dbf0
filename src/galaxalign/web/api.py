"""The REST API: the explorer's page uses it, and so can any other program."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

import galaxalign
from galaxalign.errors import InputError
from galaxalign.gallery import Gallery
from galaxalign.web.explorer import Explorer
from galaxalign.web.guard import Guard
from galaxalign.web.resources import about, galaxies, labels, map, samp, search, table
from galaxalign.web.schemas import Problem
from galaxalign.web.settings import Settings

_PAGES = Path(__file__).parent / "pages"
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "the request is at fault"},
    404: {"model": Problem, "description": "there is no such galaxy, or not what was asked of it"},
    413: {"model": Problem, "description": "too large"},
    422: {"model": Problem, "description": "not of the described form"},
    429: {"model": Problem, "description": "too often"},
}
_RESOURCES = (about, search, galaxies, map, table, labels, samp)


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
        explorer.samp.close()

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
    app.include_router(_resources(), prefix="/api/v1")
    app.add_exception_handler(InputError, _at_fault)
    app.add_exception_handler(RequestValidationError, _not_valid)
    _add_page(app)
    app.add_middleware(Guard, settings=settings)
    return app


def _resources() -> APIRouter:
    """Return what is under /api/v1."""
    api = APIRouter(responses=_REFUSED)
    for resource in _RESOURCES:
        api.include_router(resource.router)
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

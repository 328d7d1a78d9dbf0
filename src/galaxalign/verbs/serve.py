"""serve and explore: the explorer in a browser, and in a notebook."""

from __future__ import annotations

import secrets
import socket
import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from galaxalign import options as opt
from galaxalign.errors import InputError
from galaxalign.progress import note
from galaxalign.signature import verb

if TYPE_CHECKING:
    from fastapi import FastAPI

_NOTEBOOKS = ("http://localhost:*", "http://127.0.0.1:*", "vscode-webview:")
_MISSING = "the explorer needs {}; install it with: pip install 'galaxalign[explore]'"


@verb
def serve(
    *,
    embeddings: opt.EmbeddingsOrIndex,
    model: opt.QueryModel = None,
    map: opt.MapOrMethod = None,
    labels: opt.LabelsFile = None,
    label_names: opt.LabelNames = (),
    host: opt.Host = "127.0.0.1",
    port: opt.Port = 8765,
    token: opt.Token = None,
    names: opt.ServerNames = (),
    open_browser: opt.OpenBrowser = False,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> None:
    """Explore galaxies in a browser: map, pictures, table, search, labels; and a REST API.

    It runs until Ctrl-C.

    Raises
    ------
    InputError
        A file cannot be read, the port is taken, or the extra ``explore`` is not installed.
    """
    _require_extra()
    import uvicorn

    from galaxalign.web import is_loopback

    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    with _listening(host, port) as listener:
        port = listener.getsockname()[1]
        app = _application(
            embeddings, model=model, chart=map, device=device, host=host, port=port, token=token, labels=labels,
            label_names=tuple(label_names), names=tuple(names),
        )  # fmt: skip
        address = _address(host, port, token)
        note(f"The explorer is at {address} (Ctrl-C ends it).", quiet=False)
        if not is_loopback(host):
            note("Whoever has this address sees the galaxies; it is not encrypted.", quiet=quiet)
        if open_browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
        server.run(sockets=[listener])


class RunningExplorer:
    """An explorer that runs beside a notebook; shown inline as the last value of a cell.

    Attributes
    ----------
    address : str
        Where it is, for a browser of its own.
    """

    def __init__(self, app: FastAPI, listener: socket.socket, height: int) -> None:
        import uvicorn

        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
        self._height = height
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="galaxalign-explore", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise InputError(f"the explorer could not be started at {self.address}; try again")
            time.sleep(0.02)

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{self.address}" width="100%" height="{self._height}" style="border:0" '
            'title="GalaxAlign explorer" allow="clipboard-read"></iframe>'
        )

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(timeout=10)


@verb
def explore(
    embeddings: opt.EmbeddingsOrIndex,
    *,
    model: opt.QueryModel = None,
    map: opt.MapOrMethod = None,
    labels: opt.LabelsFile = None,
    label_names: opt.LabelNames = (),
    height: opt.Height = 760,
    device: opt.Device = None,
) -> RunningExplorer:
    """Show the explorer inline in a notebook, served on this machine alone.

    Returns
    -------
    RunningExplorer
        With its ``address`` and ``close()``.

    Raises
    ------
    InputError
        As for `serve`.
    """
    _require_extra()
    listener = _listening("127.0.0.1", 0)
    try:
        app = _application(
            embeddings, model=model, chart=map, device=device, port=listener.getsockname()[1], labels=labels,
            label_names=tuple(label_names), frames=_NOTEBOOKS,
        )  # fmt: skip
        return RunningExplorer(app, listener, height)
    except BaseException:
        listener.close()
        raise


def _application(
    embeddings: str | Path,
    *,
    model: str | Path | None,
    chart: str | Path | None,
    device: str | None,
    **settings: object,
) -> FastAPI:
    from pydantic import ValidationError

    from galaxalign.gallery import open_gallery
    from galaxalign.web import Settings, create_app

    try:
        checked = Settings(title=Path(embeddings).stem, **settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"--{first['loc'][0]} cannot be {first['input']!r}: {first['msg']}") from None
    return create_app(open_gallery(embeddings, model=model, device=device), checked, chart=chart)


def _require_extra() -> None:
    from importlib.util import find_spec

    for module, package in (
        ("fastapi", "fastapi"),
        ("uvicorn", "uvicorn"),
        ("python_multipart", "python-multipart"),
        ("jscatter", "jupyter-scatter"),
        ("pyvo", "pyvo"),
    ):
        if find_spec(module) is None:
            raise InputError(_MISSING.format(package))


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound already: a port that is taken is told before the model is loaded."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"the explorer cannot listen on {host}, port {port} ({reason}); choose another --port or --host"
        ) from error
    return listener


def _address(host: str, port: int, token: str | None) -> str:
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")

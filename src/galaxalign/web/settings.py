"""What a server may do, and how much of it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Settings(BaseModel):
    """How the explorer is served.

    Parameters
    ----------
    host : str
        Address to listen on. Anything but this machine itself wants a token.
    port : int
    token : str, optional
        Letters, digits and ``._~-`` that a visitor must show: in the address (``?token=``), a cookie or
        ``Authorization: Bearer``.
    names : tuple of str
        Further names by which a browser may call the server (the ``Host`` header).
    frames : tuple of str
        Origins whose pages may show the explorer in a frame, such as ``http://localhost:*`` for a notebook.
    upload_bytes, upload_pixels : int
        Largest body of a request, and largest picture in one.
    costly_per_minute : int
        Searches, classifications and exports that one address may ask for in a minute.
    title : str
        What stands at the top of the page.
    labels : path, optional
        File that keeps the labels given in the page; none can be given without it.
    map_points : int
        How many galaxies the map draws at once; 0: as many as the browser's graphics card, or its absence, allows.
    label_names : tuple of str
        What galaxies can be labelled as; the model's classes where it is empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    token: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._~-]+$")
    names: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    upload_bytes: int = Field(default=20 * 2**20, gt=0)
    upload_pixels: int = Field(default=25_000_000, gt=0)
    costly_per_minute: int = Field(default=240, gt=0)
    map_points: int = Field(default=0, ge=0)
    title: str = "galaxies"
    labels: Path | None = None
    label_names: tuple[str, ...] = ()

    @property
    def host_names(self) -> tuple[str, ...]:
        """Names that the ``Host`` header may have; any where none are listed, which takes a token."""
        if not is_loopback(self.host):
            return self.names
        return (*_LOOPBACK_NAMES, self.host, *self.names)

    @property
    def alone(self) -> bool:
        """Whether only this machine is meant to reach the server: the one case in which it tells where files lie."""
        return is_loopback(self.host) and not self.names and self.token is None


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

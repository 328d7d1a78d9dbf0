"""Tables and places to TOPCAT and Aladin, and row highlights to and from them, by the SAMP protocol.

SAMP is the IVOA's Simple Application Messaging Protocol: programs on one machine talk through a hub, which TOPCAT and
Aladin bring with them.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyvo.samp import SAMPClientError, SAMPHubError, SAMPIntegratedClient, SAMPProxyError

import galaxalign
from galaxalign.errors import InputError
from galaxalign.web.exports import table_bytes

_TABLE = "table.load.votable"
_HIGHLIGHT = "table.highlight.row"
_POINT = "coord.pointAt.sky"
_NO_HUB = "no SAMP hub is running; start TOPCAT or Aladin on this machine, and connect again"


class SampLink:
    """A connection to the SAMP hub of this machine, made when it is asked for.

    Parameters
    ----------
    title : str
        What other programs call our tables.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._client: SAMPIntegratedClient | None = None
        self._folder: Path | None = None
        self._sent: dict[str, list[str]] = {}
        self._told: str | None = None
        self._lock = threading.RLock()
        self.highlighted: str | None = None
        self.serial = 0

    @property
    def connected(self) -> bool:
        """Whether a hub answers."""
        with self._lock:
            if self._client is None:
                return False
            try:
                self._client.ping()
            except (SAMPProxyError, SAMPHubError, SAMPClientError, OSError):
                # The hub has gone, with TOPCAT for instance.
                self._client = None
                return False
            return True

    def connect(self) -> None:
        """Join the hub."""
        with self._lock:
            if self.connected:
                return
            client = SAMPIntegratedClient(
                name="GalaxAlign",
                description="Galaxies found by words, pictures and drawings",
                metadata={"galaxalign.version": galaxalign.__version__},
                addr="127.0.0.1",
            )
            try:
                client.connect()
            except (SAMPHubError, SAMPProxyError, OSError):
                raise InputError(_NO_HUB) from None
            client.bind_receive_call(_HIGHLIGHT, self._on_highlight_call)
            client.bind_receive_notification(_HIGHLIGHT, self._on_highlight)
            self._client = client

    def clients(self) -> list[str]:
        """Return the names of the programs that take tables."""
        client = self._ready()
        with self._lock:
            try:
                subscribed = client.get_subscribed_clients(_TABLE)
                return sorted(str(client.get_metadata(one).get("samp.name", one)) for one in subscribed)
            except (SAMPProxyError, OSError):
                raise InputError(_NO_HUB) from None

    def send(self, table: pa.Table) -> int:
        """Send a table to every program that takes one."""
        client = self._ready()
        with self._lock:
            if not self.clients():
                raise InputError("no program in the SAMP hub takes tables; start TOPCAT or Aladin")
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="galaxalign-samp-"))
            name = f"galaxalign-{len(self._sent) + 1}"
            path = self._folder / f"{name}.vot"
            path.write_bytes(table_bytes(table, "votable"))
            self._sent[name] = table.column("id_str").to_pylist()
            message = {
                "samp.mtype": _TABLE,
                "samp.params": {
                    "url": path.as_uri(),
                    "table-id": name,
                    "name": f"{self._title} ({len(table)} galaxies)",
                },
            }
            try:
                return len(client.notify_all(message))
            except (SAMPProxyError, OSError):
                raise InputError(_NO_HUB) from None

    def highlight(self, id_str: str, ra: float | None, dec: float | None) -> None:
        """Highlight a galaxy in the last table that was sent with it, and point at its place.

        What was last highlighted, by us or by another program, is not said again, and an echo of ours is not taken for
        news: or two programs would go on telling each other.
        """
        client = self._ready()
        with self._lock:
            if id_str in (self._told, self.highlighted):
                return
            self._told, self.highlighted = id_str, None
            messages: list[dict[str, Any]] = []
            name = next((name for name in reversed(self._sent) if id_str in self._sent[name]), None)
            if name is not None and self._folder is not None:
                url = (self._folder / f"{name}.vot").as_uri()
                row = str(self._sent[name].index(id_str))
                messages.append({"samp.mtype": _HIGHLIGHT, "samp.params": {"table-id": name, "url": url, "row": row}})
            if ra is not None and dec is not None:
                messages.append({"samp.mtype": _POINT, "samp.params": {"ra": repr(ra), "dec": repr(dec)}})
            try:
                for message in messages:
                    client.notify_all(message)
            except (SAMPProxyError, OSError):
                raise InputError(_NO_HUB) from None

    def close(self) -> None:
        """Leave the hub and remove the tables that were sent."""
        with self._lock:
            if self._client is not None:
                try:
                    self._client.disconnect()
                except (SAMPProxyError, SAMPHubError, SAMPClientError, OSError):
                    self._client = None  # gone already
                self._client = None
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _ready(self) -> SAMPIntegratedClient:
        if not self.connected or self._client is None:
            raise InputError("not connected to a SAMP hub; connect first")
        return self._client

    def _on_highlight(self, _key: str, _sender: str, _mtype: str, params: dict[str, Any], _extra: object) -> None:
        ids = self._sent.get(str(params.get("table-id", "")))
        row = str(params.get("row", ""))
        if ids is None or not row.isdigit() or int(row) >= len(ids):
            return  # another program's table
        if ids[int(row)] == self._told:
            return  # our own, come back
        self.highlighted, self._told = ids[int(row)], None
        self.serial += 1

    def _on_highlight_call(
        self, key: str, sender: str, message_id: str, mtype: str, params: dict[str, Any], extra: object
    ) -> None:
        self._on_highlight(key, sender, mtype, params, extra)
        if self._client is not None:
            self._client.reply(message_id, {"samp.status": "samp.ok", "samp.result": {}})

"""Who may ask a server what: host names, other web sites, tokens, sizes and rates.

A server on this machine alone is still reached by every page that the user's browser shows. Such a page could send
requests to it (cross-site request forgery), or take a name that suddenly points here and read the answers (DNS
rebinding). So the name under which the browser asks must be one of ours, and what another site sends is refused.
"""

from __future__ import annotations

import hmac
import json
import time
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galaxalign.web.settings import Settings

COOKIE = "galaxalign_token"

# What makes the server compute: the page's own reading of rows and pictures is not counted.
_COSTLY = frozenset(
    f"/api/v1/{name}"
    for name in ("search", "refine", "classify", "export", "export/marks", "moc", "connect/samp", "send/samp")
)
_ADDRESSES = 4096  # whose rates are remembered

# The scatter plot compiles its drawing commands as JavaScript, which takes 'unsafe-eval'; its index of many points is
# built in a worker from a blob. Nothing comes from another host.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; worker-src 'self' blob:; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'"
)


class Guard:
    """ASGI middleware that refuses in one sentence what should not be answered.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._seen: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                raise RuntimeError("the explorer has no websockets")
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refusal(scope, headers)
        if refused is not None:
            await _refuse(send, *refused)
            return
        if self._settings.token is not None and _asked(scope).get("token") and scope["method"] == "GET":
            # From now on the browser shows it as a cookie, and it no longer stands in the address.
            await _move_token(send, scope, self._settings.token)
            return
        await self._answer(scope, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and sentence of what is wrong with a request."""
        host = headers.get("host", "")
        names = self._settings.host_names
        if names and _name(host) not in names:
            return 400, f"this server does not answer to the name {_name(host) or '(none)'}; open it by its own address"
        origin = headers.get("origin")
        foreign = origin is not None and _place(origin) != host.lower()
        # Following a link from another site to the page itself is fine; whatever else comes from there is not.
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            foreign = True
        if foreign:
            return 403, "another web site sent this request; use the explorer's own page"
        if self._settings.token is not None and not self._known(scope, headers):
            return 401, "this server wants a token; open the address that it printed when it started"
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return 400, "the length of the request is no number"
        if int(length) > self._settings.upload_bytes:
            return 413, self._too_large()
        if scope["path"] in _COSTLY and not self._in_rate(scope):
            return 429, f"more than {self._settings.costly_per_minute} searches in a minute; wait a little"
        return None

    def _known(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Tell whether the request shows the token; compared in a time that says nothing about it."""
        token = self._settings.token or ""
        shown = [_asked(scope).get("token", "")]
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            shown.append(value.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is not None:
            shown.append(cookie.value)
        # Every one is compared, whichever fits.
        return any([hmac.compare_digest(value.encode(), token.encode()) for value in shown])

    def _in_rate(self, scope: Scope) -> bool:
        """Tell whether an address may ask again: a bucket that fills at a steady rate."""
        address = (scope.get("client") or ("", 0))[0]
        most = self._settings.costly_per_minute
        now = time.monotonic()
        left, then = self._seen.pop(address, (float(most), now))
        left = min(float(most), left + (now - then) * most / 60)
        allowed = left >= 1
        self._seen[address] = (left - allowed, now)
        while len(self._seen) > _ADDRESSES:
            self._seen.popitem(last=False)
        return allowed

    def _too_large(self) -> str:
        return f"the request is larger than {self._settings.upload_bytes / 2**20:.3g} MB; send a smaller picture"

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what it sends; a length need not be said, or be true."""
        got, begun, cut = 0, False, False

        async def counted() -> Message:
            nonlocal got, cut
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._settings.upload_bytes:
                cut = True
                if not begun:
                    await _refuse(send, 413, self._too_large())
                return {"type": "http.disconnect"}
            return message

        async def hardened(message: Message) -> None:
            nonlocal begun
            if cut:
                return
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message["headers"], *self._headers()]
            await send(message)

        await self._app(scope, counted, hardened)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        policy = _POLICY
        if self._settings.frames:
            policy = policy.replace(
                "frame-ancestors 'self'", f"frame-ancestors 'self' {' '.join(self._settings.frames)}"
            )
        return [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]


def _name(host: str) -> str:
    """Return the name in a Host header, without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _place(origin: str) -> str | None:
    """Return host and port of an origin; None where it is none, which is nobody's."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _asked(scope: Scope) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(scope.get("query_string", b"").decode("latin-1")).items()}


async def _move_token(send: Send, scope: Scope, token: str) -> None:
    rest = {name: value for name, value in _asked(scope).items() if name != "token"}
    # A path of two slashes would name another host.
    where = "/" + quote(scope["path"].lstrip("/")) + (f"?{urlencode(rest)}" if rest else "")
    cookie = f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict"
    headers = [(b"location", where.encode("ascii")), (b"set-cookie", cookie.encode())]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 429:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

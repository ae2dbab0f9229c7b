"""One request and its answer, as an application receives the one and sends the other (ASGI 3, HTTP alone)."""

import asyncio
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import unquote

import h11
import structlog

from serving.answers import Message, Scope
from serving.problems import Problem

READ_AHEAD_BYTES_MAX: Final = 64 << 10
"""Of a body, beyond what the application has taken."""
WRITE_BYTES_MAX: Final = 64 << 10
"""Of an answer, before the caller has taken what was written."""
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}

_log = structlog.get_logger()


class Line(Protocol):
    """The connection below, as far as an exchange needs it."""

    def write(self, *events: h11.Event) -> None:
        """Raises: h11.LocalProtocolError, where the answer contradicts itself."""

    async def drained(self) -> None:
        """Wait until the caller has taken what is written."""

    def want_body(self) -> None:
        """The application waits for more of it."""

    def on_answered(self) -> None:
        """The answer is whole."""

    def refuse(self, problem: Problem) -> None:
        """The answer of the application cannot become whole."""


class Exchange:
    """The connection feeds the body; the application receives it and sends the answer."""

    def __init__(self, line: Line, request: h11.Request) -> None:
        self._line = line
        self._is_head = request.method == b"HEAD"
        self._body = bytearray()
        self.is_whole = self._whole_was_given = False
        self._changed = asyncio.Event()
        self.is_over = False
        """Nobody waits for the answer, or it is sent: what the application says from now on goes nowhere."""
        self._is_left = False
        self.body_bytes = self.body_pieces = 0
        self._head: list[h11.Event] = []
        """Of the answer, which goes out with the first of its body."""

    @property
    def is_full(self) -> bool:
        """Whether the body is ahead of the application."""
        return len(self._body) > READ_AHEAD_BYTES_MAX

    def feed(self, data: bytes | bytearray) -> None:
        """Some of the body."""
        self.body_bytes += len(data)
        self.body_pieces += 1
        if not self.is_over:
            self._body += data
            self._changed.set()

    def end_body(self) -> None:
        """It is whole."""
        self.is_whole = True
        self._changed.set()

    def leave(self) -> None:
        """The caller sends nothing more; he may still take the answer."""
        self._is_left = True
        self._changed.set()

    def end(self) -> None:
        """Nobody takes the answer."""
        self.is_over = True
        self._body.clear()
        self._changed.set()

    def on_end(self, task: "asyncio.Task[None]") -> None:
        """The application has returned, or failed: what it has not answered is answered for it."""
        if self.is_over:
            return
        error = None if task.cancelled() else task.exception()
        if error is not None or not self._is_left:
            _log.error("mistake of a server", reason="no whole answer" if error is None else repr(error))
        self._line.refuse(Problem("internal"))

    async def receive(self) -> Message:
        """More of the body, or that the caller has gone."""
        while not (self._body or (self.is_whole and not self._whole_was_given)):
            if self.is_over or self._is_left:
                return {"type": "http.disconnect"}
            self._line.want_body()
            self._changed.clear()
            await self._changed.wait()
        body = bytes(self._body)
        self._body.clear()
        self._whole_was_given = self.is_whole
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    async def send(self, message: Message) -> None:
        """More of the answer. Raises: h11.LocalProtocolError, where it contradicts itself."""
        if self.is_over:
            await asyncio.sleep(0)  # who writes without end to nobody lets others have their turn
            return
        if message["type"] == "http.response.start":
            self._head = [response(message["status"], message.get("headers", ()))]
            return
        body = b"" if self._is_head else message.get("body", b"")
        ahead = max(0, len(body) - 1) // WRITE_BYTES_MAX * WRITE_BYTES_MAX
        for at in range(0, ahead, WRITE_BYTES_MAX):
            await self._write(h11.Data(body[at : at + WRITE_BYTES_MAX]))
        last = [h11.Data(body[ahead:])] if body else []
        if message.get("more_body", False):
            await self._write(*last)
        elif not self.is_over:
            self._line.write(*self._head, *last, h11.EndOfMessage())
            self.end()
            self._line.on_answered()

    async def _write(self, *events: h11.Event) -> None:
        if self.is_over:
            return
        self._line.write(*self._head, *events)
        self._head = []
        await self._line.drained()


def response(code: int, headers: Iterable[tuple[bytes, bytes]]) -> h11.Response:
    """The head of an answer, with what every answer says."""
    status = HTTPStatus(code)
    date = () if any(name.lower() == b"date" for name, _ in headers) else ((b"date", formatdate(usegmt=True).encode()),)
    return h11.Response(status_code=status, headers=[*headers, *date, *_HEADERS], reason=status.phrase.encode())


def scope_of(request: h11.Request, scheme: str, server: object, client: object) -> Scope:
    """The request as an application knows it. Raises: Problem, where it asks for nothing that a server has."""
    raw_path, _, query = _origin_form(request.target).partition(b"?")
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": request.http_version.decode(),
        "server": server,
        "client": client,
        "scheme": scheme,
        "method": request.method.decode(),
        "root_path": "",
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": query,
        "headers": list(request.headers),
    }


def _origin_form(target: bytes) -> bytes:
    """The path and query of a target, which may name the host before them (RFC 9112, 3.2.2). Raises: Problem."""
    if target.startswith(b"/"):
        return target
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        raise Problem("malformed", "A request is for a path.")
    authority_ends = min((at for at in map(rest.find, (b"/", b"?")) if at >= 0), default=len(rest))
    path = rest[authority_ends:]
    return path if path.startswith(b"/") else b"/" + path

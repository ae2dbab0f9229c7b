"""Serves what a node holds to other nodes over HTTP, read-only, in a process of its own.

`GET /v1/records` (`sync.asked`): 200 with the range (`sync.records`), 404 where it is not held exactly so, 413 where it
is larger than one answer may be, 503 where as many requests as may are under way, 400 for anything else. Errors are
problems (RFC 9457). A connection lives `connection_ms` at most, whatever it does: so who sends or takes slowly, or
nothing at all, holds nothing for longer.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from backbone.store import StoreDamaged
from sync.asked import PATH, Asked, asked_of
from sync.holdings import Changed, Held, Holdings, Miss
from sync.records import MEDIA_TYPE, RangeLimits

OUTCOMES: Final = ("answered", "not_held", "too_large", "busy", "bad", "failed", "broken_off")
REQUEST_HEAD_BYTES_MAX: Final = 16 << 10
_SHUTDOWN_S: Final = 2


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of what others may cost. `requests_max` are carried out at once; each reads the disk in a thread."""

    answer: RangeLimits = field(default_factory=RangeLimits)
    requests_max: int = 4
    connections_max: int = 64
    connection_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM: the certificate with its chain, and its key without a passphrase."""

    certificate_file: Path
    key_file: Path


class Records:
    """The application. Counts what it does in `counts`, by outcome."""

    def __init__(self, store: Path, aside: Path, partitions: int, limits: ServerLimits) -> None:
        """The folders need not be there yet."""
        self.limits = limits
        self._partitions = partitions
        self._free = [Holdings(store, aside, limits.answer) for _ in range(limits.requests_max)]
        self.counts: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        asked = asked_of(QueryParams(scope["query_string"]), self._partitions)
        if isinstance(asked, str):
            await self._refuse("bad", 400, asked)(scope, receive, send)
        elif not self._free:
            await self._refuse("busy", 503, "too many requests")(scope, receive, send)
        else:
            holdings = self._free.pop()
            try:
                found = await run_in_threadpool(self._find, holdings, asked)
                await (self._stream(found, send) if isinstance(found, Held) else found(scope, receive, send))
            finally:
                self._free.append(holdings)

    def _find(self, holdings: Holdings, asked: Asked) -> Held | Response:
        try:
            found = holdings.find(asked.before, asked.target)
        except (StoreDamaged, OSError):
            return self._refuse("failed", 503, "the store cannot be read")
        if found is Miss.NOT_HELD:
            return self._refuse("not_held", 404, "these records are not held")
        if found is Miss.TOO_LARGE:
            return self._refuse("too_large", 413, "the range is larger than one answer")
        return found

    async def _stream(self, held: Held, send: Send) -> None:
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(held.body_bytes).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while (piece := await run_in_threadpool(_next_of, held.pieces)) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (Changed, StoreDamaged, OSError):
            # The connection is closed in the middle of the body: who asked sees that, and asks again.
            self._count("broken_off")
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            self._count("answered")

    def _refuse(self, outcome: str, code: int, why: str) -> Response:
        self._count(outcome)
        return problem(code, why)

    def _count(self, outcome: str) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + 1


def _next_of(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def problem(code: int, why: str) -> Response:
    """An error in words, as RFC 9457 has it."""
    return JSONResponse({"status": code, "detail": why}, code, media_type="application/problem+json")


def application(records: ASGIApp) -> Starlette:
    """The routes."""
    route = Route(PATH, endpoint=records, methods=["GET"])
    return Starlette(routes=[route], exception_handlers={HTTPException: _on_http})


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail)


def _bounded(limits: ServerLimits) -> type[asyncio.Protocol]:
    """The protocol of a connection, whose life and number are bounded."""

    class Bounded(H11Protocol):
        _life: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            life_ms = limits.connection_ms if len(self.connections) <= limits.connections_max else 0
            self._life = self.loop.call_later(life_ms / 1000, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._life is not None:
                self._life.cancel()
            super().connection_lost(exc)

    return Bounded


class RecordServer:
    """`records` on a socket that listens. `run` blocks, in a thread that is not the main one, until `stop`."""

    def __init__(self, records: Records, listener: socket.socket, certificate: Certificate | None = None) -> None:
        """Raises: OSError where the certificate cannot be used."""
        config = uvicorn.Config(
            application(records),
            http=_bounded(records.limits),
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # What others send wrongly must not fill our log.
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=_SHUTDOWN_S,
            h11_max_incomplete_event_size=REQUEST_HEAD_BYTES_MAX,
            ssl_certfile=certificate.certificate_file if certificate else None,
            ssl_keyfile=certificate.key_file if certificate else None,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._listener = listener

    def run(self, on_running: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`; the socket is closed then. `on_running` is called before the first request."""
        on_running()
        self._server.run(sockets=[self._listener])

    def stop(self) -> None:
        """From any thread."""
        self._server.should_exit = True

"""The servers of a node on loopback, each with its own application, for tests of what they have in common."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from backbone.store import StoreWriter
from ledger.header import Head
from node.supervision.metrics_server import Pages
from serving.answers import ALIVE, HEALTHZ, Answer, Application
from serving.charging import Rate
from serving.handlers import with_bounds
from serving.limits import Limits
from serving.server import Listener, ServerThread, serve, tcp_socket
from sync.asked import PATH, Asked
from sync.server import RecordLimits, Records
from tests.store_records import chained, start

LOOPBACK: Final = "127.0.0.1"
API, PEERS, METRICS = NAMES = ("api", "peers", "metrics")
PIECE: Final = 1 << 20
LARGE: Final = 24
"""Pieces of an answer that no buffer of the system holds."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its port, and targets with a short and with a large answer."""

    name: str
    port: int
    short: str
    large: str

    def get(self, target: str | None = None, headers: str = "", method: str = "GET", version: str = "1.1") -> bytes:
        """A request."""
        return f"{method} {target or self.short} HTTP/{version}\r\nHost: a\r\n{headers}\r\n".encode()


@contextmanager
def served(name: str, limits: Limits, folder: Path) -> Iterator[Served]:
    """The server of this name; a folder for what it serves, which is made there once."""
    app, short, large = _MADE[name](folder)
    with running(app, limits) as port:
        yield Served(name, port, short, large)


@contextmanager
def running(app: Application, limits: Limits, make: Callable[[], Listener] | None = None) -> Iterator[int]:
    """The port of a server with this application."""
    on = make() if make else Listener(tcp_socket(LOOPBACK, 0))
    on.socket.listen(512)
    thread = ServerThread()
    server = threading.Thread(target=serve, args=(thread, app, on, limits))
    with on.socket:
        server.start()
        try:
            yield on.socket.getsockname()[1]
        finally:
            thread.stop.set()
            server.join()


def connected(port: int, receive_bytes: int | None = None) -> socket.socket:
    """A connection; with a small buffer for what it receives, if wanted."""
    found = socket.socket()
    if receive_bytes is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    found.settimeout(30)
    found.connect((LOOPBACK, port))
    return found


def rest_of(connection: socket.socket) -> bytes:
    """Everything until the other side closes, in whatever way."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def _api(folder: Path) -> tuple[Application, str, str]:
    app = FastAPI()

    @app.api_route("/v1/short", methods=["GET", "HEAD", "POST"])
    async def short(request: Request) -> Response:
        return Response(str(len(await request.body())))

    @app.get("/v1/large")
    async def large() -> Response:
        return Response(bytes(LARGE * PIECE))

    @app.get(HEALTHZ)
    async def alive() -> Response:
        return Response(ALIVE.body)

    with_bounds(app, Rate(10**6, 10**6))
    return app, "/v1/short", "/v1/large"


RECORDS: Final = chained([(0, b"short"), *((number, bytes(PIECE)) for number in range(1, LARGE + 1))])


def _peers(folder: Path) -> tuple[Application, str, str]:
    if not (folder / "store").exists():
        with StoreWriter(folder / "store") as writer:
            writer.append(0, RECORDS)
            writer.sync()

    def target(last: int) -> str:
        end = Head(0, 0, last + 1, RECORDS[last].chain_digest)
        query = Asked(Head(0, 0, 0, start(0)), end).query()
        return PATH + "?" + "&".join(f"{name}={value}" for name, value in query.items())

    return Records(folder / "store", folder / "aside", 1, RecordLimits()), target(0), target(LARGE)


def _metrics(folder: Path) -> tuple[Application, str, str]:
    def answer(body: bytes) -> Answer:
        return Answer(HTTPStatus.OK, body, "text/plain")

    pages = {"/metrics": lambda: answer(b"x 1\n"), "/large": lambda: answer(bytes(LARGE * PIECE))}
    return Pages(pages), "/metrics", "/large"


_MADE: Final[dict[str, Callable[[Path], tuple[Application, str, str]]]] = {
    API: _api,
    PEERS: _peers,
    METRICS: _metrics,
}

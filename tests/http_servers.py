"""The servers of a node on loopback, each with its own application, for tests of what they have in common."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.admin.app import Parts, make_admin_app
from backbone.store import StoreWriter
from ledger.header import Head
from node.home.layout import Home
from node.home.tokens import OPERATOR, Tokens
from node.supervision.metrics_server import Pages
from serving.answers import ALIVE, HEALTHZ, Answer, Application
from serving.charging import Rate
from serving.connection import OnAnswer, nothing
from serving.handlers import with_bounds
from serving.limits import Limits
from serving.server import Listener, ServerThread, serve, tcp_socket
from sync.asked import PATH, Asked
from sync.server import RecordLimits, Records
from tests.certificates import Certificate, certificate
from tests.patience import WAIT_S
from tests.store_records import chained, start

LOOPBACK: Final = "127.0.0.1"
OTHER: Final = "127.0.0.2"
"""The address of another caller."""
API, PEERS, METRICS, ADMIN = "api", "peers", "metrics", "admin"
TCP, TLS, UNIX = "TCP", "TLS", "a Unix socket"
NAMES: Final = ((API, TCP), (PEERS, TCP), (PEERS, TLS), (METRICS, TCP), (ADMIN, TLS), (ADMIN, UNIX))
"""The servers of a node, and what each may listen at."""
PIECE: Final = 1 << 20
LARGE: Final = 8
"""Pieces of an answer that no buffer of the system holds."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where it listens, targets with a short and with a large answer, and a header that it wants."""

    name: str
    at: int | str
    short: str
    large: str
    header: str = ""
    tls: ssl.SSLContext | None = None

    def get(self, target: str | None = None, headers: str = "", method: str = "GET", version: str = "1.1") -> bytes:
        """A request."""
        return f"{method} {target or self.short} HTTP/{version}\r\nHost: a\r\n{self.header}{headers}\r\n".encode()

    def connect(self, receive_bytes: int | None = None, caller: str = LOOPBACK) -> socket.socket:
        """A connection; with a small buffer for what it receives, if wanted."""
        found = self.reached(receive_bytes, caller)
        return found if self.tls is None else self.tls.wrap_socket(found)

    def reached(self, receive_bytes: int | None = None, caller: str = LOOPBACK) -> socket.socket:
        """The same before any handshake."""
        found = socket.socket(socket.AF_UNIX if isinstance(self.at, str) else socket.AF_INET)
        if receive_bytes is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        found.settimeout(WAIT_S)
        if isinstance(self.at, str):
            found.connect(self.at)
        else:
            found.bind((caller, 0))
            found.connect((LOOPBACK, self.at))
        return found


@contextmanager
def served(name: str, through: str, limits: Limits, folder: Path, on_answer: OnAnswer = nothing) -> Iterator[Served]:
    """The server of this name; a folder for what it serves, which is made there once."""
    app, short, large, header = _MADE[name](folder)
    tls = _client_tls() if through == TLS else None
    with running(app, limits, partial(_LISTENERS[through], folder), on_answer) as at:
        yield Served(name, at, short, large, header, tls)


def _client_tls() -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname = False
    found.verify_mode = ssl.CERT_NONE
    return found


def _clear(folder: Path) -> Listener:
    return Listener(tcp_socket(LOOPBACK, 0))


def _encrypted(folder: Path) -> Listener:
    own = Certificate(folder / "certificate.pem", folder / "key.pem")
    if not own.key_file.exists():
        certificate(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(own.certificate_file, own.key_file)
    return Listener(tcp_socket(LOOPBACK, 0), tls)


def _unix(folder: Path) -> Listener:
    path = folder / "socket"
    path.unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX)
    found.bind(str(path))
    return Listener(found)


_LISTENERS: Final = {TCP: _clear, TLS: _encrypted, UNIX: _unix}


@contextmanager
def running(
    app: Application, limits: Limits, make: Callable[[], Listener], on_answer: OnAnswer = nothing
) -> Iterator[int | str]:
    """The port, or the path, of a server with this application."""
    on = make()
    on.socket.listen(512)
    thread = ServerThread()
    server = threading.Thread(target=serve, args=(thread, app, on, limits, None, on_answer))
    with on.socket:
        at = on.socket.getsockname()
        server.start()
        try:
            yield at if isinstance(at, str) else at[1]
        finally:
            thread.stop.set()
            server.join()


def rest_of(connection: socket.socket) -> bytes:
    """Everything until the other side closes, in whatever way."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except (ConnectionError, ssl.SSLError):
        pass
    return b"".join(parts)


Made = tuple[Application, str, str, str]


@cache
def _api(folder: Path) -> Made:
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
    return app, "/v1/short", "/v1/large", ""


RECORDS: Final = chained([(0, b"short"), *((number, bytes(PIECE)) for number in range(1, LARGE + 1))])


def _peers(folder: Path) -> Made:
    if not (folder / "store").exists():
        with StoreWriter(folder / "store") as writer:
            writer.append(0, RECORDS)
            writer.sync()

    def target(last: int) -> str:
        end = Head(0, 0, last + 1, RECORDS[last].chain_digest)
        query = Asked(Head(0, 0, 0, start(0)), end).query()
        return PATH + "?" + "&".join(f"{name}={value}" for name, value in query.items())

    return Records(folder / "store", folder / "aside", 1, RecordLimits()), target(0), target(LARGE), ""


def _metrics(folder: Path) -> Made:
    def answer(body: bytes) -> Answer:
        return Answer(HTTPStatus.OK, body, "text/plain")

    pages = {"/metrics": lambda: answer(b"x 1\n"), "/large": lambda: answer(bytes(LARGE * PIECE))}
    return Pages(pages), "/metrics", "/large", ""


@cache
def _admin(folder: Path) -> Made:
    home = Home(folder)
    bundle = home.diagnostics / "diagnostics-1.tar.gz"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with bundle.open("wb") as file:
        file.truncate(LARGE * PIECE)
    file_of_tokens = folder / "tokens.json"
    file_of_tokens.unlink(missing_ok=True)
    tokens = Tokens(file_of_tokens)
    token = tokens.add("who", OPERATOR)
    context = SimpleNamespace(home=home)
    app = make_admin_app(Parts(context, tokens, None, None), Rate(10**6, 10**6))  # type: ignore[arg-type]
    return app, "/v1/whoami", "/v1/diagnostics/1", f"Authorization: Bearer {token}\r\n"


_MADE: Final[dict[str, Callable[[Path], Made]]] = {API: _api, PEERS: _peers, METRICS: _metrics, ADMIN: _admin}

"""The address of the numbers: what is answered there, and when."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus

import pytest

from node.embedded.broker import free_ports
from node.settings.tree import MetricsSettings
from node.supervision.metrics_server import MetricsServer, Pages
from serving.answers import Answer
from tests.patience import WAIT_S

LOOPBACK = "127.0.0.1"
GET = b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


@contextmanager
def served(connections_max: int = 4, connection_ms: int = 10_000) -> Iterator[int]:
    """The port of a running server."""
    (port,) = free_ports(1)
    with served_at(port, connections_max, connection_ms):
        yield port


@contextmanager
def served_at(port: int, connections_max: int = 4, connection_ms: int = 10_000) -> Iterator[None]:
    settings = MetricsSettings(port=port, connections_max=connections_max, connection_ms=connection_ms)
    server = MetricsServer(settings, Pages({"/metrics": lambda: Answer(HTTPStatus.OK, b"x 1\n", "text/plain")}))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()


def connected(port: int) -> socket.socket:
    """A connection, as soon as somebody listens."""
    while True:
        try:
            return socket.create_connection((LOOPBACK, port), timeout=WAIT_S)
        except ConnectionRefusedError:
            threading.Event().wait(0.005)


def answer(port: int, request: bytes) -> bytes:
    """Everything that comes back until the connection is closed."""
    with closing(connected(port)) as connection:
        connection.sendall(request)
        return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        return b""
    return b"".join(parts)


@pytest.mark.parametrize(
    ("request_bytes", "status", "body"),
    [
        (GET, b"200 OK", b"x 1\n"),
        (GET.replace(b"/metrics", b"/metrics?name[]=x"), b"200 OK", b"x 1\n"),
        (GET.replace(b"GET", b"HEAD"), b"200 OK", b""),
    ],
)
def test_only_the_page_is_answered(request_bytes: bytes, status: bytes, body: bytes) -> None:
    with served() as port:
        head, _, found = answer(port, request_bytes).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert found == body


@pytest.mark.parametrize(
    ("path", "method", "code"), [("/other", "GET", "not_found"), ("/metrics", "POST", "method_not_allowed")]
)
def test_nothing_else_is(path: str, method: str, code: str) -> None:
    with served() as port:
        sent = GET.replace(b"/metrics", path.encode()).replace(b"GET", method.encode())
        head, _, found = answer(port, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4")
    assert json.loads(found)["code"] == code


def test_a_request_has_as_long_as_the_settings_say() -> None:
    with served(connection_ms=100) as port:
        assert answer(port, b"GET") == b""


def test_a_taken_address_is_used_once_it_is_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with served_at(port):
            taken.close()
            assert answer(port, GET).endswith(b"x 1\n")


def test_a_server_stops_while_its_address_is_taken() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken, served_at(taken.getsockname()[1]):
        pass

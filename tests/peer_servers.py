"""Servers of records on loopback for tests: honest ones, which are the real server, and ones that do as a test says."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from serving.limits import Limits
from serving.server import Listener, tcp_socket
from sync.server import RecordLimits, Records
from tests.certificates import Certificate
from tests.http_servers import LOOPBACK, running

Misbehave = Callable[[socket.socket], None]
"""What a liar does with a connection after it has read the request."""


PATIENT: Final = Limits(connections_max=64, head_s=30.0, answer_s=30.0)


@contextmanager
def honest(
    store: Path, limits: RecordLimits | None = None, partitions: int = 1, certificate: Certificate | None = None
) -> Iterator[tuple[str, Records]]:
    """(address, application) of the real server over a store."""
    records = Records(store, store / "aside", partitions, limits or RecordLimits())

    def listener() -> Listener:
        tls = None
        if certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(certificate.certificate_file, certificate.key_file)
        return Listener(tcp_socket(LOOPBACK, 0), tls)

    with running(records, PATIENT, listener) as port:
        yield f"{'https' if certificate else 'http'}://{LOOPBACK}:{port}", records


@contextmanager
def liar(misbehave: Misbehave) -> Iterator[str]:
    """The address of a server that misbehaves on every connection until the test is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=_accept, args=(listener, misbehave))
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(listener: socket.socket, misbehave: Misbehave) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                misbehave(connection)


def sends(*parts: bytes) -> Misbehave:
    """Sends this, and closes."""

    def misbehave(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return misbehave


def hangs(connection: socket.socket) -> None:
    """Says nothing until the other side is gone."""
    connection.recv(1)


def drips(first: bytes, drop: bytes, pause_s: float) -> Misbehave:
    """Sends a start, and then drop after drop for as long as anybody listens."""

    def misbehave(connection: socket.socket) -> None:
        connection.sendall(first)
        connection.settimeout(pause_s)
        while True:
            with suppress(TimeoutError):
                if not connection.recv(1):
                    return
            connection.sendall(drop)

    return misbehave


def unused_address() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

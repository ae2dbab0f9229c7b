"""A pooler in front of Postgres, as far as the start of a session goes: it takes a startup packet, and starts a
session of its own, without `options`, as PgBouncer does where `ignore_startup_parameters` names them; else it refuses.

Startup packet: ``length 4 | 196608 4 | (name NUL value NUL)* NUL``;
https://www.postgresql.org/docs/18/protocol-message-formats.html
"""

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

VERSION: Final = 196_608
REFUSED: Final = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"


def _whole(sender: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        read = sender.recv(size - len(found))
        if not read:
            raise ConnectionError
        found += read
    return found


def _startup(client: socket.socket) -> dict[bytes, bytes]:
    """What a client says at its start, once it has been told that there is no encryption."""
    while True:
        size, version = struct.unpack("!II", _whole(client, 8))
        if version == VERSION:
            words = _whole(client, size - 8).split(b"\0")
            return dict(zip(words[0:-2:2], words[1:-2:2], strict=True))
        client.sendall(b"N")


def _copy(sender: socket.socket, receiver: socket.socket) -> None:
    try:
        while read := sender.recv(1 << 16):
            receiver.sendall(read)
        receiver.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def pooler(url: str, ignores_options: bool) -> Iterator[str]:
    """The URL that leads through it. `ignores_options`: False, and who says options is refused."""
    given = conninfo_to_dict(url)
    folder, port = str(given["host"]), given.get("port", "5432")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: socket.socket = self.request
            said = _startup(client)
            if b"options" in said and not ignores_options:
                client.sendall(b"E" + struct.pack("!I", len(REFUSED) + 4) + REFUSED)
                return
            said.pop(b"options", None)
            words = b"".join(name + b"\0" + value + b"\0" for name, value in said.items()) + b"\0"
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(f"{folder}/.s.PGSQL.{port}")
                server.sendall(struct.pack("!II", len(words) + 8, VERSION) + words)
                threading.Thread(target=_copy, args=(server, client), daemon=True).start()
                _copy(client, server)

    with _Server(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        user, database = (quote(str(given[name]), safe="") for name in ("user", "dbname"))
        yield f"postgresql://{user}@127.0.0.1:{listening.server_address[1]}/{database}"
        listening.shutdown()

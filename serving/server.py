"""A process that answers HTTP until SIGTERM: its socket, and the server on it.

An address that is taken is said, and tried again: nothing of the node waits for it.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

if TYPE_CHECKING:
    import uvicorn

RETRY_S: Final = 0.5
RETRY_S_MAX: Final = 30.0
BACKLOG: Final = 256
_TICK_S: Final = 0.1
_DRAIN_S: Final = 3

_log = structlog.get_logger()


class Process(Protocol):
    """`node.process.process.Process`, as far as it is needed here."""

    @property
    def stop(self) -> threading.Event: ...
    def on_running(self) -> None: ...
    def on_waiting(self, reason: str) -> None: ...


def listening(process: Process, bound: Callable[[], socket.socket], where: str) -> socket.socket | None:
    """The socket that `bound` makes, once it can be had; None where the process is to stop before that."""
    wait_s = RETRY_S
    while not process.stop.is_set():
        try:
            found = bound()
            found.listen(BACKLOG)
        except OSError as error:
            what = f"cannot answer at {where}: {error}"
            process.on_waiting(what)
            _log.warning("not served", reason=what, again_in_s=wait_s)
            process.stop.wait(wait_s)
            wait_s = min(RETRY_S_MAX, 2 * wait_s)
            continue
        _log.info("served", where=where)
        return found
    return None


def tcp_socket(host: str, port: int) -> socket.socket:
    """Bound, not listening. Raises: OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError:
        found.close()
        raise
    return found


def serve(process: Process, app: Any, on: socket.socket, head_s: float, connections_max: int, **more: Any) -> None:
    """Answer on a listening socket until the process is to stop. `head_s`: how long a connection may wait for the head
    of a request. `more` are options of uvicorn."""
    # Loaded by those processes alone that serve.
    import uvicorn

    from serving.bounds import HEAD_BYTES_MAX
    from serving.connection import Patience, connections_with

    config = uvicorn.Config(
        app,
        http=connections_with(Patience(head_s, connections_max)),
        ws="none",
        lifespan="on",
        access_log=False,
        # What others send wrongly must not fill our log.
        log_level="error",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_DRAIN_S,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        **more,
    )
    asyncio.run(_serve(process, uvicorn.Server(config), on))


async def _serve(process: Process, server: "uvicorn.Server", on: socket.socket) -> None:
    serving = asyncio.create_task(server._serve([on]))
    while not serving.done() and not process.stop.is_set():
        if server.started:
            process.on_running()
        await asyncio.sleep(_TICK_S)
    server.should_exit = True
    await serving

"""A process, or a thread of one, that answers HTTP until it is to stop: its socket, and the server on it.

An address that is taken is logged, and tried again: nothing of the node waits for it.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from ledger.backoff import Backoff
from serving.answers import Application
from serving.connection import Connection, OnAnswer, Serving, nothing
from serving.limits import Connections, Limits

RETRY_S: Final = Backoff(0.5, 30.0)
BACKLOG: Final = 256
DRAIN_S: Final = 3.0

_log = structlog.get_logger()


class Process(Protocol):
    """`node.process.process.Process`, as far as it is needed here."""

    @property
    def stop(self) -> threading.Event: ...
    def on_running(self) -> None: ...
    def on_waiting(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ServerThread:
    """The same for a server that is a thread of another process."""

    stop: threading.Event = field(default_factory=threading.Event)

    def on_running(self) -> None:
        """Its process has a status of its own."""

    def on_waiting(self, reason: str) -> None:
        """The log has it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket, and what its connections are encrypted with, if they are."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None


def listening(process: Process, bound: Callable[[], Listener], where: str) -> Listener | None:
    """What `bound` makes, once it can be had, listening; None where the process is to stop before that."""
    failures = 0
    while not process.stop.is_set():
        try:
            found = bound()
            found.socket.listen(BACKLOG)
        except OSError as error:
            wait_s = RETRY_S.wait(failures)
            failures += 1
            what = f"cannot answer at {where}: {error}"
            process.on_waiting(what)
            _log.warning("not served", reason=what, again_in_s=wait_s)
            process.stop.wait(wait_s)
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


def serve(
    process: Process,
    app: Application,
    on: Listener,
    limits: Limits,
    running: AbstractAsyncContextManager[object] | None = None,
    on_answer: OnAnswer = nothing,
) -> None:
    """Answer on a listening socket, which is closed then, until the process is to stop. `running` is entered before the
    first request and left after the last; `on_answer` is told of each answer, refusals too."""
    serving = Serving(app, limits, Connections(limits.connections_max), on.tls, on_answer)
    asyncio.run(_serve(process, serving, on.socket, running or nullcontext()))


async def _serve(
    process: Process, serving: Serving, bound: socket.socket, running: AbstractAsyncContextManager[object]
) -> None:
    loop = asyncio.get_running_loop()
    async with running:
        server = await loop.create_server(lambda: Connection(serving), sock=bound, backlog=BACKLOG)
        process.on_running()
        try:
            await _stopped(process.stop)
        finally:
            server.close()
            await _drain(serving)


async def _stopped(stop: threading.Event) -> None:
    """Wait for an event of threads; nothing is polled meanwhile."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        stop.wait()
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, name="stop", daemon=True).start()
    await ended.wait()


async def _drain(serving: Serving) -> None:
    """Let what is under way become whole, for so long as DRAIN_S."""
    serving.is_draining = True
    for connection in list(serving.open):
        connection.drain()
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while serving.open:
                await serving.closed.wait()
                serving.closed.clear()
    for connection in list(serving.open):
        connection.abort()
    for task in list(serving.tasks):
        task.cancel()
    await asyncio.gather(*serving.tasks, return_exceptions=True)

"""The api process: serves the application until SIGTERM.

Nothing of the node waits for it. An address that is taken is said, and tried again; the log and the database may come
and go, requests are told.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from node import wiring
from node.final import header_bytes_at
from node.metrics.values import Values
from node.metrics.writing import writing
from node.process import Process

if TYPE_CHECKING:
    import uvicorn

    from api.intake import Sender

NICENESS: Final = 3
"""What is asked for must not take the processor from consensus and execution."""
RETRY_S: Final = 0.5
RETRY_S_MAX: Final = 30.0
_BACKLOG: Final = 256
_TICK_S: Final = 0.1
_DRAIN_S: Final = 3

MakeSender = Callable[[Process], "AbstractContextManager[Sender]"]

_log = structlog.get_logger()


def run_api(process: Process, make_sender: MakeSender) -> None:
    """Until SIGTERM. Raises: HomeUnusable, BadSettings."""
    os.nice(NICENESS)
    listening = _listening(process)
    if listening is None:
        return
    with listening, make_sender(process) as sender, _numbers(process):
        asyncio.run(_serve(process, _server(process, sender), listening))


def _numbers(process: Process) -> AbstractContextManager[None]:
    return writing(process.home, "api", process.settings.metrics, Values("api"))


def _server(process: Process, sender: "Sender") -> "uvicorn.Server":
    # Loaded by this process alone.
    import uvicorn

    from api.app import Parts, make_app
    from api.bounds import HEAD_BYTES_MAX

    home, settings = process.home, process.settings
    app = make_app(
        Parts(
            home=home,
            settings=settings,
            genesis=home.genesis(),
            url=wiring.database_url(home, settings),
            sender=sender,
            header_at=partial(header_bytes_at, home.store),
            is_ending=process.stop.is_set,
        )
    )
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.api.connections_max,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_DRAIN_S,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
    )
    return uvicorn.Server(config)


async def _serve(process: Process, server: "uvicorn.Server", listening: socket.socket) -> None:
    serving = asyncio.create_task(server._serve([listening]))
    while not serving.done() and not process.stop.is_set():
        if server.started:
            process.on_running()
        await asyncio.sleep(_TICK_S)
    server.should_exit = True
    await serving


def _listening(process: Process) -> socket.socket | None:
    """The socket, once it can be had; None where the process is to stop before that."""
    host, port = process.settings.api.host, process.settings.api.port
    wait_s = RETRY_S
    while not process.stop.is_set():
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listening = socket.socket(family, kind, protocol)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError as error:
            _log.warning("API not served", host=host, port=port, reason=str(error), again_in_s=wait_s)
            process.stop.wait(wait_s)
            wait_s = min(RETRY_S_MAX, 2 * wait_s)
            continue
        _log.info("API served", host=host, port=listening.getsockname()[1])
        return listening
    return None

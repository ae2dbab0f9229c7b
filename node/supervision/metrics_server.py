"""Answers `GET /metrics`, `/healthz` and `/readyz` for the whole node, in a thread of the supervisor, which outlives
every other process.

Nothing of the node waits for it: an address that is taken is said, and tried again. A connection lives
`connection_ms` at most and carries one request; of its head as much is read as fits a small buffer.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Final

import structlog

from ledger.genesis import Genesis
from node import wiring
from node.home.layout import Home, HomeUnusable
from node.metrics.page import age_s, is_living, metrics_page
from node.metrics.values import Values
from node.metrics.writing import text_of
from node.settings.tree import MetricsSettings, Settings
from node.supervision.health import health_of

HEAD_BYTES_MAX: Final = 8 << 10
RETRY_S: Final = 0.5
RETRY_S_MAX: Final = 30.0
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"

Starts = Callable[[], Mapping[str, int]]
"""How often each process of the node was started, by name."""

Answer = tuple[HTTPStatus, str, bytes]
"""With its content type."""
Pages = Mapping[bytes, Callable[[], Answer]]
"""By path."""

_log = structlog.get_logger()


class MetricsServer:
    """One listener; `run` blocks, in a thread of its own, until `stop`."""

    def __init__(self, settings: MetricsSettings, pages: Pages) -> None:
        self._settings = settings
        self._pages = pages
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()

    def run(self) -> None:
        """Serve until `stop`."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    def stop(self) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # it has ended by itself, and its loop is closed
            self._loop.call_soon_threadsafe(self._ended.set)

    async def _serve(self) -> None:
        for page in self._pages.values():
            page()  # loads what the first answer would have to wait for
        wait_s = RETRY_S
        while not self._ended.is_set():
            host, port = self._settings.host, self._settings.port
            try:
                server = await asyncio.start_server(self._on_connection, host, port, limit=HEAD_BYTES_MAX)
            except OSError as error:
                _log.warning("metrics not served", host=host, port=port, reason=str(error), again_in_s=wait_s)
                await self._sleep(wait_s)
                wait_s = min(RETRY_S_MAX, 2 * wait_s)
                continue
            async with server:
                await self._ended.wait()

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            return

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= self._settings.connections_max:
                async with asyncio.timeout(self._settings.connection_ms / 1000):
                    await self._answer(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Who speaks no HTTP, or takes nothing, is not answered.
            writer.transport.abort()
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status, kind, body = self._response(head.split(b"\r\n", 1)[0].split(b" "))
        is_head = head.startswith(b"HEAD ")
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        writer.write("\r\n".join((*lines, "", "")).encode() + (b"" if is_head else body))
        await writer.drain()

    def _response(self, request: list[bytes]) -> Answer:
        if len(request) != 3 or not request[2].startswith(b"HTTP/1."):
            return HTTPStatus.BAD_REQUEST, _TEXT, b"this is not HTTP/1\n"
        if request[0] not in (b"GET", b"HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"only GET and HEAD\n"
        page = self._pages.get(request[1].split(b"?", 1)[0])
        if page is None:
            return HTTPStatus.NOT_FOUND, _TEXT, b"only " + b", ".join(self._pages) + b"\n"
        return page()


class NodePage:
    """The page of one node: what its processes wrote, and what the supervisor says of them."""

    def __init__(self, home: Home, settings: Settings, starts: Starts) -> None:
        self._home = home
        self._starts = starts
        self._validator = settings.validator
        self._services = [] if wiring.postgres_service(home, settings) is None else ["postgres"]
        self._genesis: Genesis | None = None

    def __call__(self) -> Answer:
        """As of now."""
        return HTTPStatus.OK, _PROMETHEUS, metrics_page(self._home, text_of(self._values(), "supervisor"))

    def _values(self) -> Values:
        values = Values("supervisor")
        values.set("momus_info", 1, self._chain(), self._validator)
        starts = self._starts()
        for name in (*starts, *self._services):
            values.set("momus_process_up", is_living(self._home, name), name)
        for name, count in starts.items():
            values.set("momus_process_starts_total", count, name)
            age = age_s(self._home, name)
            if age is not None:
                values.set("momus_metrics_age_seconds", age, name)
        return values

    def _chain(self) -> str:
        try:
            self._genesis = self._genesis or self._home.genesis()
        except HomeUnusable:
            return ""
        return self._genesis.chain


def pages_of(home: Home, settings: Settings, starts: Starts) -> Pages:
    """What is answered for a node."""

    def alive() -> Answer:
        """The supervisor answers, and starts whatever else is not there."""
        return HTTPStatus.OK, _JSON, b'{"alive": true}\n'

    def ready() -> Answer:
        health = health_of(home, settings, is_public=True)
        status = HTTPStatus.OK if health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return status, _JSON, json.dumps(health.document()).encode() + b"\n"

    return {b"/metrics": NodePage(home, settings, starts), b"/healthz": alive, b"/readyz": ready}


@contextmanager
def metrics_served(home: Home, settings: Settings, starts: Starts) -> Iterator[None]:
    """Serve while the body runs, where `metrics.port` names a port."""
    if not settings.metrics.port:
        yield
        return
    server = MetricsServer(settings.metrics, pages_of(home, settings, starts))
    thread = threading.Thread(target=server.run, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()

"""Answers `GET /metrics`, `/healthz` and `/readyz` for the whole node, in a thread of the supervisor, which outlives
every other process. Nothing of the node waits for it.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from ledger.genesis import Genesis
from node import wiring
from node.home.layout import Home, HomeUnusable
from node.home.status import StatusFile
from node.metrics.page import age_s, metrics_page
from node.metrics.values import Values
from node.metrics.writing import text_of
from node.settings.tree import MetricsSettings, Settings
from node.supervision.health import health_of
from node.supervision.verdict import CODES
from serving.answers import ALIVE, HEALTHZ, Answer, Receive, Scope, Send
from serving.limits import Limits
from serving.problems import Problem
from serving.server import Listener, ServerThread, listening, serve, tcp_socket

_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"

Starts = Callable[[], Mapping[str, int]]
"""How often each process of the node was started, by name."""

Page = Callable[[], Answer]


class Pages:
    """The application: GET and HEAD of a few paths, each with a function that gives its answer as of now."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._answer(scope["method"], scope["path"])(scope, receive, send)

    def _answer(self, method: str, path: str) -> Answer:
        if path not in self.pages:
            return Problem("not_found", "Only " + ", ".join(self.pages) + ".").answer()
        if method not in ("GET", "HEAD"):
            return Problem("method_not_allowed", "Only GET and HEAD.", headers={"Allow": "GET, HEAD"}).answer()
        return self.pages[path]()


class MetricsServer:
    """One listener; `run` blocks, in a thread of its own, until `stop`."""

    def __init__(self, settings: MetricsSettings, pages: Pages) -> None:
        self._settings = settings
        self._pages = pages
        self._thread = ServerThread()

    def run(self) -> None:
        """Serve until `stop`."""
        for page in self._pages.pages.values():
            page()  # loads what the first answer would have to wait for
        host, port = self._settings.host, self._settings.port
        on = listening(self._thread, lambda: Listener(tcp_socket(host, port)), f"http://{host}:{port}/metrics")
        if on is not None:
            with on.socket:
                serve(self._thread, self._pages, on, connection_limits(self._settings))

    def stop(self) -> None:
        """From any thread."""
        self._thread.stop.set()


def connection_limits(settings: MetricsSettings) -> Limits:
    """A request is sent in `connection_ms`, and its answer taken in as much."""
    wait_s = settings.connection_ms / 1000
    return Limits(settings.connections_max, head_s=wait_s, answer_s=wait_s)


class NodePage:
    """The page of one node: what its processes wrote, and what the supervisor says of them."""

    def __init__(self, home: Home, settings: Settings, starts: Starts) -> None:
        self._home = home
        self._settings = settings
        self._starts = starts
        self._validator = settings.validator
        self._services = [] if wiring.postgres_service(home, settings) is None else ["postgres"]
        self._genesis: Genesis | None = None

    def __call__(self) -> Answer:
        """As of now."""
        return Answer(HTTPStatus.OK, metrics_page(self._home, text_of(self._values(), "supervisor")), _PROMETHEUS)

    def _values(self) -> Values:
        values = Values("supervisor")
        values.set("momus_info", 1, self._chain(), self._validator)
        starts = self._starts()
        for name in (*starts, *self._services):
            values.set("momus_process_up", StatusFile(self._home.status_file(name)).is_alive(), name)
        for name, count in starts.items():
            values.set("momus_process_starts_total", count, name)
            age = age_s(self._home, name)
            if age is not None:
                values.set("momus_metrics_age_seconds", age, name)
        self._put_health(values)
        return values

    def _put_health(self, values: Values) -> None:
        health = health_of(self._home, self._settings)
        values.set("momus_ready", health.is_ready)
        wrong = {finding.code for finding in health.findings}
        for code in CODES:
            values.set("momus_unhealthy", code in wrong, code)
        if health.final_age_ms is not None:
            values.set("momus_final_block_age_seconds", health.final_age_ms / 1000)

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
        return ALIVE

    def ready() -> Answer:
        health = health_of(home, settings, is_public=True)
        status = HTTPStatus.OK if health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(status, json.dumps(health.document()).encode() + b"\n", headers=ALIVE.headers)

    return Pages({"/metrics": NodePage(home, settings, starts), HEALTHZ: alive, "/readyz": ready})


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

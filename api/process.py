"""The api process: serves the application until SIGTERM.

The log and the database may come and go: callers get a problem document.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from api.counting import counting
from node import wiring
from node.home.final_heads import header_bytes_at
from node.metrics.values import Values
from node.metrics.writing import writing
from node.process.process import Process
from node.settings.api import ApiSettings
from serving.limits import Limits
from serving.server import Listener, listening, serve, tcp_socket

if TYPE_CHECKING:
    from api.submission.intake import Sender

NICENESS: Final = 3
"""What is asked for must not take the processor from consensus and execution."""

MakeSender = Callable[[Process], "AbstractContextManager[Sender]"]


def run_api(process: Process, make_sender: MakeSender) -> None:
    """Until SIGTERM. Raises: HomeUnusable, BadSettings."""
    os.nice(NICENESS)
    api = process.settings.api
    on = listening(process, lambda: Listener(tcp_socket(api.host, api.port)), f"http://{api.host}:{api.port}")
    if on is None:
        return
    values, streams = Values("api"), set[tuple[str, object]]()

    def count_streams() -> None:
        values.set("momus_api_streams", len(streams))

    with (
        on.socket,
        make_sender(process) as sender,
        writing(process.home, "api", process.settings.metrics, values, count_streams),
    ):
        app = _app(process, sender, values, streams)
        serve(process, app, on, connection_limits(api), app.router.lifespan_context(app), counting(values))


def connection_limits(api: ApiSettings) -> Limits:
    """A head is whole in `body_ms`, and a body in as much."""
    wait_s = api.body_ms / 1000
    return Limits(api.connections_max, wait_s, api.body_bytes_max, wait_s)


def _app(process: Process, sender: "Sender", values: Values, streams: set[tuple[str, object]]) -> Any:
    # Loaded by this process alone.
    from api.app import Parts, make_app

    home, settings = process.home, process.settings
    return make_app(
        Parts(
            context=process.context(),
            url=wiring.database_url_of_the_api(home, settings),
            sender=sender,
            header_at=partial(header_bytes_at, home.store),
            is_ending=process.stop.is_set,
            values=values,
            streams=streams,
        )
    )

"""What is asked of the API, counted for its metrics: by path of the document and status, and how long answers took."""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.metrics.values import Values

PREFIX: Final = "/v1"
OTHER: Final = "other"
"""What no path of the document matches, and what was refused before it was looked at: callers make no series."""
STREAMS: Final = "/streams/"
"""They end when their consumers like; how many are open says more."""


class Counted:
    """ASGI middleware, around all others."""

    def __init__(self, app: ASGIApp, values: Values) -> None:
        self._app = app
        self._values = values

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = _path(scope)
                self._values.add("momus_api_requests_total", 1, path, str(message["status"]))
                if not path.startswith(STREAMS):
                    self._values.observe("momus_api_answer_seconds", time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, sending)


def _path(scope: Scope) -> str:
    """As the document has it below /v1, which the routing puts into the scope."""
    path = getattr(scope.get("route"), "path", None)
    return path.removeprefix(PREFIX) if isinstance(path, str) else OTHER

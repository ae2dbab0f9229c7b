"""What is asked of the API, counted for its metrics: by path of the document and status, and how long answers took."""

from typing import Final

from node.metrics.values import Values
from serving.answers import Scope
from serving.connection import OnAnswer

PREFIX: Final = "/v1"
OTHER: Final = "other"
"""What no path of the document matches, and what was refused before it was looked at: callers make no series."""
STREAMS: Final = "/streams/"
"""They end when their consumers like; how many are open says more."""


def counting(values: Values) -> OnAnswer:
    """What counts an answer."""

    def count(scope: Scope | None, status: int, took_s: float) -> None:
        path = _path(scope or {})
        values.add("momus_api_requests_total", 1, path, str(status))
        if not path.startswith(STREAMS):
            values.observe("momus_api_answer_seconds", took_s)

    return count


def _path(scope: Scope) -> str:
    """As the document has it below /v1, which the routing puts into the scope."""
    path = getattr(scope.get("route"), "path", None)
    return path.removeprefix(PREFIX) if isinstance(path, str) else OTHER

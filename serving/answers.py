"""A whole answer, and the interface of what gives one: ASGI, so that any application of that kind fits."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTHZ: Final = "/healthz"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """Of known length. An application of its own: it gives itself to whoever asks."""

    status: int
    body: bytes
    media_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Its headers as they are sent."""
        fixed = {"content-type": self.media_type, "content-length": str(len(self.body))}
        return [(name.lower().encode(), value.encode()) for name, value in {**fixed, **self.headers}.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.fields()})
        await send({"type": "http.response.body", "body": self.body})


ALIVE: Final = Answer(HTTPStatus.OK, b'{"alive":true}', headers={"Cache-Control": "no-store"})

"""What anybody may cost: requests a second by address, bytes of a body, time to send it. And headers that all get."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem

ADDRESSES_MAX: Final = 10_000
HEAD_BYTES_MAX: Final = 16 << 10
UNBOUNDED: Final = frozenset(("/healthz", "/readyz"))
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(slots=True)
class Rate:
    """A token bucket an address: `burst` requests at once, `per_s` a second from then on."""

    per_s: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def takes(self, address: str) -> bool:
        """Whether a request of this address is let through now."""
        now = self.clock()
        tokens, since = self._buckets.pop(address, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - since) * self.per_s)
        is_let = tokens >= 1
        self._buckets[address] = (tokens - 1 if is_let else tokens, now)
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        return is_let


class Bounds:
    """ASGI middleware. Raises nothing: a request beyond a bound is answered with its problem."""

    def __init__(self, app: ASGIApp, rate: Rate, body_bytes_max: int, body_s: float) -> None:
        self._app = app
        self._rate = rate
        self._body_bytes_max = body_bytes_max
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sending = _with_headers(send)
        try:
            self._check(scope)
            await self._app(scope, self._bounded(receive), sending)
        except Problem as problem:
            await problem.response()(scope, receive, sending)

    def _check(self, scope: Scope) -> None:
        address = (scope.get("client") or ("",))[0]
        if scope["path"] not in UNBOUNDED and not self._rate.takes(address):
            raise Problem("rate_limited", f"{self._rate.per_s:g} a second are let through.")
        if sum(len(name) + len(value) for name, value in scope["headers"]) + len(scope["raw_path"]) > HEAD_BYTES_MAX:
            raise Problem("head_too_large", f"A head has at most {HEAD_BYTES_MAX} bytes.")
        headers = dict(scope["headers"])
        if headers.keys() >= {b"content-length", b"transfer-encoding"}:
            # Where a proxy believes one and this server the other, a body can hold a request of somebody else.
            raise Problem("invalid_request", "A body has one length.", headers={"Connection": "close"})
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._body_bytes_max:
            raise self._too_large()

    def _bounded(self, receive: Receive) -> Receive:
        taken = 0
        deadline = time.monotonic() + self._body_s
        is_whole = False

        async def bounded() -> Message:
            nonlocal taken, is_whole
            if is_whole:  # what comes now is that the caller has gone, whenever that is
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError as error:
                raise Problem("body_too_slow", f"It was not whole after {self._body_s:g} s.") from error
            taken += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if taken > self._body_bytes_max:
                raise self._too_large()
            return message

        return bounded

    def _too_large(self) -> Problem:
        return Problem("body_too_large", f"A body has at most {self._body_bytes_max} bytes.")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending

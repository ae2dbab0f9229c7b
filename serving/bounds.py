"""What anybody may cost: what his address is charged, bytes of a body, time to send it. And headers that all get."""

import asyncio
import time
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.charging import PIECE_BYTES, Charge, Rate, charged, payer
from serving.problems import Problem

HEAD_BYTES_MAX: Final = 16 << 10
UNBOUNDED: Final = frozenset(("/healthz", "/readyz"))
"""They cost next to nothing, however often they are asked for."""
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


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
        charge = Charge(self._rate, payer((scope.get("client") or ("",))[0]))
        try:
            with charged(charge):
                if scope["path"] not in UNBOUNDED:
                    charge.begin()
                paid = max(PIECE_BYTES, self._check(scope))
                charge.take(paid / PIECE_BYTES - 1)
                await self._app(scope, self._bounded(receive, charge, paid), _paid(sending, charge))
        except Problem as problem:
            await problem.response()(scope, receive, sending)

    def _check(self, scope: Scope) -> int:
        """How long the body is, if it says so. Raises: Problem."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) + len(scope["raw_path"]) > HEAD_BYTES_MAX:
            raise Problem("head_too_large", f"A head has at most {HEAD_BYTES_MAX} bytes.")
        headers = dict(scope["headers"])
        if headers.keys() >= {b"content-length", b"transfer-encoding"}:
            # Where a proxy believes one and this server the other, a body can hold a request of somebody else.
            raise Problem("invalid_request", "A body has one length.", headers={"Connection": "close"})
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._body_bytes_max:
            raise self._too_large()
        return int(length)

    def _bounded(self, receive: Receive, charge: Charge, paid: int) -> Receive:
        """`paid`: bytes of the body that are charged already."""
        taken = 0
        deadline = time.monotonic() + self._body_s
        is_whole = False

        async def bounded() -> Message:
            nonlocal taken, paid, is_whole
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
            if taken > paid:
                charge.take((taken - paid) / PIECE_BYTES)
                paid = taken
            return message

        return bounded

    def _too_large(self) -> Problem:
        return Problem("body_too_large", f"A body has at most {self._body_bytes_max} bytes.")


def _paid(send: Send, charge: Charge) -> Send:
    """An answer is paid for as it goes out. One that comes in parts waits while more is owed than was paid."""
    given, paid = 0, PIECE_BYTES

    async def sending(message: Message) -> None:
        nonlocal given, paid
        given += len(message.get("body", b""))
        if given > paid:
            charge.owe((given - paid) / PIECE_BYTES)
            paid = given
        await send(message)
        if message.get("more_body", False):
            await charge.settle()

    return sending


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending

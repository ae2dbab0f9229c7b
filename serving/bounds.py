"""What a request costs is charged to its caller's address."""

from typing import Final

from serving.answers import Application, Message, Receive, Scope, Send
from serving.charging import PIECE_BYTES, Charge, Rate, charged
from serving.limits import payer
from serving.problems import Problem

UNBOUNDED: Final = frozenset(("/healthz", "/readyz"))
"""They cost next to nothing, however often they are asked for."""


class Bounds:
    """ASGI middleware. Raises nothing: a request beyond the rate is answered with its problem."""

    def __init__(self, app: Application, rate: Rate) -> None:
        self._app = app
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        charge = Charge(self._rate, payer((scope.get("client") or ("",))[0]))
        try:
            with charged(charge):
                if scope["path"] not in UNBOUNDED:
                    charge.begin()
                paid = max(PIECE_BYTES, int(dict(scope["headers"]).get(b"content-length", b"0")))
                charge.take(paid / PIECE_BYTES - 1)
                await self._app(scope, _charged_body(receive, charge, paid), _paid(send, charge))
        except Problem as problem:
            await problem.answer()(scope, receive, send)


def _charged_body(receive: Receive, charge: Charge, paid: int) -> Receive:
    """`paid`: bytes of the body that are charged already."""
    taken = 0

    async def receiving() -> Message:
        nonlocal taken, paid
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > paid:
            charge.take((taken - paid) / PIECE_BYTES)
            paid = taken
        return message

    return receiving


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

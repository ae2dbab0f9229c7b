"""A connection of the server that waits for nobody for ever: whoever sends no head, or takes nothing of an answer, is
let go, and whoever comes when all places are taken, or most of them by himself, is told so. `/healthz` is answered
then too.

uvicorn has a time for a connection that is kept alive between two requests, and none for these.
"""

import asyncio
from dataclasses import dataclass
from math import ceil
from typing import Final

import h11
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.charging import SHARE, payer
from serving.problems import Problem

STALL_S: Final = 20.0
HEALTHZ: Final = "/healthz"
ALIVE: Final = {"alive": True}
NO_STORE: Final = {"Cache-Control": "no-store"}
TOLD_MAX: Final = 64
"""Connections beyond the last place that are told so; more are closed without a word."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`head_s` from a connection's start, or from its last answer, until the next head is whole. `stall_s` in which a
    caller takes nothing of what is ready for him. `connections_max` at once."""

    head_s: float
    connections_max: int
    stall_s: float = STALL_S


class Connection(H11Protocol):
    """One of uvicorn's, with deadlines."""

    patience: Patience
    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _left_bytes: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has come."""
        super().connection_made(transport)
        # So that `pause_writing` tells of the first bytes that are not taken. Over TLS 0 would mean always.
        transport.set_write_buffer_limits(high=1)
        beyond = max(
            len(self.connections) - self.patience.connections_max,
            self._same_caller() - ceil(SHARE * self.patience.connections_max),
        )
        if beyond > TOLD_MAX:
            transport.abort()
        elif beyond > 0:
            self.app = _full
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """He has gone, or was let go."""
        _cancel(self._head)
        _cancel(self._stall)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some of a request."""
        super().data_received(data)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        """The next request may come, or is here."""
        super().on_response_complete()
        self._wait_for_head()

    def pause_writing(self) -> None:
        """There is something that he has not taken."""
        super().pause_writing()
        _cancel(self._stall)
        self._look_again()

    def resume_writing(self) -> None:
        """He has it all."""
        _cancel(self._stall)
        super().resume_writing()

    def _same_caller(self) -> int:
        """How many connections this caller has, with this one."""
        mine = self._caller()
        return sum(isinstance(other, Connection) and other._caller() == mine for other in self.connections)

    def _caller(self) -> str:
        return payer(self.client[0]) if self.client else ""

    def _wait_for_head(self) -> None:
        is_waiting = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if not is_waiting:
            _cancel(self._head)
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(self.patience.head_s, self.transport.abort)

    def _look_again(self) -> None:
        self._left_bytes = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(self.patience.stall_s, self._look)

    def _look(self) -> None:
        if self.transport.get_write_buffer_size() < self._left_bytes:
            self._look_again()
        else:
            self.transport.abort()


def connections_with(patience: Patience) -> type[Connection]:
    """The class that a server makes its connections of."""
    return type("Connection", (Connection,), {"patience": patience})


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Connection": "close"}
    if scope["path"] == HEALTHZ:
        await JSONResponse(ALIVE, headers=headers | NO_STORE)(scope, receive, send)
        return
    problem = Problem("back_pressure", "As many connections are open as this node holds.", headers=headers)
    await problem.response()(scope, receive, send)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()

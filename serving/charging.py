"""What a request costs, taken from the rate of its address: a token for itself, and more for what is more work.

Who owes nothing is let do the next thing, whatever it costs, and may owe afterwards; who owes waits. So an address gets
on average what its rate says, and no cost is too large ever to be paid. What an answer costs is known when it is there:
it is owed then.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from serving.problems import Problem

ADDRESSES_MAX: Final = 10_000
PIECE_BYTES: Final = 32 << 10
"""Of a body, and of an answer: a token each beyond the first."""
QUERY_S: Final = 0.05
"""Of a connection to the database: a token each beyond the first."""
READING: Final = 0.1
"""Tokens of a look that a stream takes at the database."""
PROOF: Final = 10.0
"""Tokens of a proof, which reads the state tree while a checkpoint waits."""


@dataclass(slots=True)
class Rate:
    """A token bucket an address: `burst` at once, `per_s` a second from then on."""

    per_s: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def takes(self, address: str) -> bool:
        """Whether a request of this address is let through now; it takes a token then."""
        is_let = self._tokens(address) >= 1
        self.owe(address, 1 if is_let else 0)
        return is_let

    def owe(self, address: str, tokens: float) -> None:
        """Take tokens, whether they are there or not."""
        self._buckets[address] = (self._tokens(address) - tokens, self.clock())
        self._buckets.move_to_end(address)
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)

    def owes_s(self, address: str) -> float:
        """How long until an address owes nothing."""
        return max(0.0, -self._tokens(address) / self.per_s)

    def _tokens(self, address: str) -> float:
        now = self.clock()
        tokens, since = self._buckets.get(address, (float(self.burst), now))
        return min(self.burst, tokens + (now - since) * self.per_s)


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request is charged with."""

    rate: Rate
    address: str

    def begin(self) -> None:
        """A token for the request. Raises: Problem."""
        if not self.rate.takes(self.address):
            raise self._limited()

    def take(self, tokens: float) -> None:
        """For what it is about to do. Raises: Problem, where the address owes."""
        if tokens > 0 and self.rate.owes_s(self.address):
            raise self._limited()
        self.rate.owe(self.address, tokens)

    def owe(self, tokens: float) -> None:
        """For what it has done."""
        self.rate.owe(self.address, tokens)

    async def settle(self) -> None:
        """Wait until the address owes nothing."""
        while owed_s := self.rate.owes_s(self.address):
            await asyncio.sleep(owed_s)

    def _limited(self) -> Problem:
        again_s = max(1, round(self.rate.owes_s(self.address) + 0.5))
        return Problem(
            "rate_limited",
            f"{self.rate.per_s:g} tokens a second are given; what costs how many is in docs/api.md.",
            headers={"Retry-After": str(again_s)},
        )


_current: ContextVar[Charge | None] = ContextVar("charge", default=None)


@contextmanager
def charged(charge: Charge) -> Iterator[None]:
    """What runs inside is charged to it."""
    token = _current.set(charge)
    try:
        yield
    finally:
        _current.reset(token)


def caller() -> str:
    """Who is charged for the request that this runs for."""
    charge = _current.get()
    return "" if charge is None else charge.address


def take(tokens: float) -> None:
    """Charge the request that this runs for, if it is one, for what it is about to do. Raises: Problem."""
    charge = _current.get()
    if charge is not None and tokens > 0:
        charge.take(tokens)


def owe(tokens: float) -> None:
    """Charge it for what it has done."""
    charge = _current.get()
    if charge is not None and tokens > 0:
        charge.owe(tokens)


@contextmanager
def querying() -> Iterator[None]:
    """A connection to the database is held meanwhile."""
    began = time.monotonic()
    try:
        yield
    finally:
        owe((time.monotonic() - began) // QUERY_S)

"""What the callers of one listener may cost together, and each of them."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

SHARE: Final = 0.75
"""Of the connections, and of the streams, that one caller may have: somebody else finds one of the others."""
TOLD_MAX: Final = 64
"""Connections beyond the last place that get an answer saying so, SHARE of them of one caller; more are closed."""
STALL_BYTES_MIN: Final = 16 << 10
PIECES_MAX: Final = 1_000
PIECE_BYTES_MIN: Final = 64
"""A body has PIECES_MAX pieces, chunks for example, and one more for each so many bytes: each costs the same work."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one listener. A request whose bound is passed gets an answer that says so, where one can still be sent; then
    its connection is closed."""

    connections_max: int
    """At once; of one caller SHARE of them."""
    head_s: float
    """From the start of a connection, with its handshake of TLS, or the first byte after an answer, to a whole head."""
    body_bytes_max: int = 0
    body_s: float = 10.0
    """From the end of the head until the body is whole."""
    answer_s: float | None = None
    """From the end of the head until the last byte of the answer is taken. None: streams last as they like."""
    idle_s: float = 5.0
    """Between an answer and the first byte of the next request."""
    stall_s: float = 20.0
    """In which a caller takes less than STALL_BYTES_MIN of what is ready for him, and not all."""
    head_bytes_max: int = 16 << 10


class Admission(Enum):
    """What a connection is let have."""

    SERVED = "its requests are answered"
    REFUSED = "its first request is answered with a refusal"
    CLOSED = "it is closed"


class Connections:
    """How many connections are open, in all and of each caller: no caller takes the places of all others, neither those
    where he is served nor those where he is refused.
    """

    def __init__(self, connections_max: int) -> None:
        self._max = {Admission.SERVED: connections_max, Admission.REFUSED: TOLD_MAX}
        self._open: dict[Admission, Counter[str]] = {place: Counter() for place in self._max}

    def take(self, caller: str) -> Admission:
        """The best place that is free for him; `leave` gives it back."""
        for place, held in self._open.items():
            if held.total() < self._max[place] and held[caller] < ceil(SHARE * self._max[place]):
                held[caller] += 1
                return place
        return Admission.CLOSED

    def leave(self, caller: str, place: Admission) -> None:
        """It is closed."""
        if place is Admission.CLOSED:
            return
        held = self._open[place]
        held[caller] -= 1
        if not held[caller]:
            del held[caller]


def payer(address: str) -> str:
    """Who is charged: an address; of IPv6 the network of 64 bits, since that is what a caller has at least."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return str(found)

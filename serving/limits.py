"""What the callers of one listener may cost together, and each of them."""

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

SHARE: Final = 0.75
"""Of the connections, and of the streams, that one caller may have: somebody else finds one of the others."""
TOLD_MAX: Final = 64
"""Connections beyond the last place that get an answer saying so; more are closed without one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one listener. A request whose bound is passed gets an answer that says so, where one can still be sent; then
    its connection is closed."""

    connections_max: int
    """At once; of one caller SHARE of them."""
    head_s: float
    """From the start of a connection, or the first byte after an answer, until a head is whole. Of TLS too."""
    body_bytes_max: int = 0
    body_s: float = 10.0
    """From the end of the head until the body is whole."""
    answer_s: float | None = None
    """From the end of the head until the last byte of the answer is taken. None: streams last as they like."""
    idle_s: float = 5.0
    """Between an answer and the first byte of the next request."""
    stall_s: float = 20.0
    """In which a caller takes nothing of what is ready for him."""
    head_bytes_max: int = 16 << 10


class Connections:
    """How many connections are open, in all and of each caller."""

    def __init__(self, connections_max: int) -> None:
        self._max = connections_max
        self._of_one_max = ceil(SHARE * connections_max)
        self._open = 0
        self._of_one: Counter[str] = Counter()

    def take(self, caller: str) -> int:
        """Count one more; by how many a bound is passed now, or 0."""
        self._open += 1
        self._of_one[caller] += 1
        return max(0, self._open - self._max, self._of_one[caller] - self._of_one_max)

    def leave(self, caller: str) -> None:
        """It is closed."""
        self._open -= 1
        self._of_one[caller] -= 1
        if not self._of_one[caller]:
            del self._of_one[caller]


def payer(address: str) -> str:
    """Who is charged: an address; of IPv6 the network of 64 bits, since that is what a caller has at least."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return str(found)

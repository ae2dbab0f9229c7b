"""How long to wait after failures in a row. Pure: whoever waits has the clock, and counts."""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Time = TypeVar("Time", int, float)
_DOUBLINGS_MAX: Final = 64
"""More of them mean nothing for a time, and would make numbers long."""


@dataclass(frozen=True, slots=True)
class Backoff(Generic[Time]):
    """A wait that begins with `first`, doubles with each failure in a row, and grows no further than `max`."""

    first: Time
    max: Time

    def wait(self, failures: int) -> Time:
        """After so many failures before this one, in the unit of `first`."""
        return min(self.max, self.first * (1 << min(failures, _DOUBLINGS_MAX)))

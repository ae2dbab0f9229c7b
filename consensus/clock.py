"""A clock for timers and block times at once: it follows the wall clock and never goes back."""

from collections.abc import Callable
from time import monotonic, time
from typing import Final

_JUMP_MS: Final = 2_000
"""A wall clock further ahead than this was set, or the machine slept: follow at once."""
_SLEW: Final = 20
"""Otherwise at most one part in so many of the time that passes."""


class SteadyClock:
    """Milliseconds since the Unix epoch. One thread at a time."""

    def __init__(self, monotonic_s: Callable[[], float] = monotonic, wall_s: Callable[[], float] = time) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._last_s = monotonic_s()
        self._now = wall_s() * 1000

    def now_ms(self) -> int:
        """Never less than before, and never standing: a wall clock that was set back is approached slowly."""
        here = self._monotonic_s()
        passed, self._last_s = (here - self._last_s) * 1000, here
        self._now += passed
        ahead = self._wall_s() * 1000 - self._now
        if ahead > _JUMP_MS:
            self._now += ahead
        else:
            self._now += max(-passed / _SLEW, min(passed / _SLEW, ahead))
        return int(self._now)

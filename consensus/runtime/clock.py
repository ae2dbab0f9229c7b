"""The clock for timers, which never goes back, and the time of day beside it, which somebody may set wrong.

A wall clock that is suddenly a day ahead is more often wrong than right: NTP went bad, or somebody typed a date. Had it
been followed by enough validators, blocks would bear that time, and it could not be taken back. So a jump is doubted:
ahead, it is followed as far as final blocks bear such a time (a quorum's clocks show it), and else so slowly that an
hour of it does little; back, once it has stayed for a while. A start takes the wall clock as it is.
"""

import time
from collections.abc import Callable
from typing import Final

JUMP_MS: Final = 2_000
"""A wall clock that differs by no more is NTP's business, and is followed."""
SLEW: Final = 20
"""One that jumped ahead is followed by one part in so many of the time that passes."""
UNSEEN_MS: Final = 1_000
"""More than this does not count of the time that passes between two looks: nobody saw what the wall clock did in it."""
HOLD_MS: Final = 60_000
"""One that was set back must stay so for so long."""


def elapsed_s() -> float:
    """Seconds that pass whatever is set, also while the machine sleeps, where the system tells."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """Milliseconds since the Unix epoch. One thread at a time, but for `doubted_ms`."""

    def __init__(self, monotonic_s: Callable[[], float] = elapsed_s, wall_s: Callable[[], float] = time.time) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._begin_s = self._last_s = monotonic_s()
        self._begin_ms = wall_s() * 1000
        self._ahead = 0.0
        self._vouched = 0.0
        self._jump: tuple[float, float] | None = None
        """Of a wall clock that is doubted: how far it was ahead when it jumped, and seconds then."""
        self.doubted_ms = 0
        """How far the wall clock is ahead of the time of day that is followed, where it is doubted; else 0."""

    def now_ms(self) -> int:
        """For timers: the wall clock of the start, and what has passed since. Never less than before."""
        return int(self._begin_ms + (self._monotonic_s() - self._begin_s) * 1000)

    def ahead_ms(self) -> int:
        """How far the time of day is ahead of `now_ms`; below zero: behind."""
        here_s = self._monotonic_s()
        passed_ms, self._last_s = min((here_s - self._last_s) * 1000, UNSEEN_MS), here_s
        wall_ahead = self._wall_s() * 1000 - (self._begin_ms + (here_s - self._begin_s) * 1000)
        self._follow(wall_ahead, passed_ms, here_s)
        return round(self._ahead)

    def time_ms(self) -> int:
        """The time of day as it was when `ahead_ms` was last asked, and what has passed since."""
        return self.now_ms() + round(self._ahead)

    def vouch(self, time_ms: int) -> None:
        """A final block bears this time: as far as that the wall clock is not doubted."""
        self._vouched = max(self._vouched, time_ms - self.now_ms())

    def _follow(self, wall_ahead: float, passed_ms: float, here_s: float) -> None:
        jump = wall_ahead - self._ahead
        if abs(jump) <= JUMP_MS:
            self._ahead, self._jump, self.doubted_ms = wall_ahead, None, 0
            return
        if self._jump is None or abs(wall_ahead - self._jump[0]) > JUMP_MS:
            self._jump = (wall_ahead, here_s)
        if jump > 0:
            self._ahead = max(self._ahead + passed_ms / SLEW, min(wall_ahead, self._vouched))
        elif here_s - self._jump[1] >= HOLD_MS / 1000:
            self._ahead = wall_ahead
        self.doubted_ms = round(wall_ahead - self._ahead)

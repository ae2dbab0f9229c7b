"""Virtual time: what is to happen, in order; things due at once happen in the order in which they were planned."""

import heapq
from collections.abc import Callable
from typing import Final

START_MS: Final = 1_700_000_000_000
"""Where virtual time begins, in milliseconds since the Unix epoch."""


class Agenda:
    """The clock of a world; it moves from one planned thing to the next."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self._planned: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0

    def plan(self, at_ms: int, act: Callable[..., None], *facts: object) -> None:
        """Call `act(*facts)` at a moment; at once, if that is over."""
        self._count += 1
        heapq.heappush(self._planned, (at_ms, self._count, act, facts))

    def run_until(self, end_ms: int, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Let happen what is planned up to `end_ms`, or until `is_over`; whether it was."""
        while not is_over():
            if not self._planned or self._planned[0][0] > end_ms:
                self.now_ms = end_ms
                return False
            at_ms, _, act, facts = heapq.heappop(self._planned)
            self.now_ms = max(self.now_ms, at_ms)
            act(*facts)
        return True


class DriftingClock:
    """A validator's clock: set wrong by `offset_ms`, and running fast by so many parts in a million."""

    def __init__(self, offset_ms: int, drift_ppm: int) -> None:
        self._offset_ms = offset_ms
        self._drift_ppm = drift_ppm

    def read_ms(self, now_ms: int) -> int:
        """What it shows at a moment of virtual time."""
        return now_ms + self._offset_ms + (now_ms - START_MS) * self._drift_ppm // 1_000_000

    def moment_ms(self, shown_ms: int) -> int:
        """The first moment of virtual time at which it shows at least `shown_ms`."""
        moment = START_MS + (shown_ms - START_MS - self._offset_ms) * 1_000_000 // (1_000_000 + self._drift_ppm)
        while self.read_ms(moment) < shown_ms:
            moment += 1
        return moment

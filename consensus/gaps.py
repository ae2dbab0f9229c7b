"""Where to read the `blocks` topic on from: after a start, and again when a block of it never came."""

from collections import deque
from typing import Final

OFFSETS_MAX: Final = 4_096
PATIENCE_MS: Final = 2_000
PATIENCE_MS_MAX: Final = 60_000
BACK_MIN: Final = 16


class BlocksPosition:
    """Remembers where the undelivered blocks lie. Used by the loop's thread only."""

    def __init__(self, position: int) -> None:
        self._next = position
        self._undelivered: deque[tuple[int, int]] = deque()
        self._gap_since_ms: int | None = None
        self._tries = 0

    def on_record(self, offset: int, height: int | None) -> None:
        """A record was taken; `height` is that of a verified block that is not delivered yet, else None."""
        self._next = offset + 1
        if height is not None and len(self._undelivered) < OFFSETS_MAX:
            self._undelivered.append((offset, height))

    def position(self, delivered_height: int) -> int:
        """From here on the topic was found to hold the blocks above the delivered one."""
        while self._undelivered and self._undelivered[0][1] <= delivered_height:
            self._undelivered.popleft()
        return min(self._undelivered[0][0], self._next) if self._undelivered else self._next

    def read_again_from(self, is_gap: bool, delivered_height: int, now_ms: int) -> int | None:
        """Where to read from again, once the next block has been missing for long: further back with every try."""
        if not is_gap:
            self._gap_since_ms, self._tries = None, 0
            return None
        if self._gap_since_ms is None:
            self._gap_since_ms = now_ms
        patience_ms = min(PATIENCE_MS << self._tries, PATIENCE_MS_MAX)
        if now_ms < self._gap_since_ms + patience_ms:
            return None
        self._gap_since_ms = now_ms
        self._tries = min(self._tries + 1, 40)
        return max(0, self.position(delivered_height) - (BACK_MIN << self._tries))

    def next_ms(self) -> int | None:
        """When `read_again_from` may have something to say; None while nothing is missing."""
        if self._gap_since_ms is None:
            return None
        return self._gap_since_ms + min(PATIENCE_MS << self._tries, PATIENCE_MS_MAX)

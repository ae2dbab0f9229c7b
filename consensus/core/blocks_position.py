"""Where to read the `blocks` topic on from: after a start, and again when a block of it never came.

*Progress is no gap*: as long as blocks are delivered the topic is read forward, however long that takes. Where the next
header stays unknown it is looked for behind us, in stretches of twice the length each time, so that a search reads a
record once. After each stretch the reading goes on where the search began: the header may still be published. Heights
grow along the topic but for what was published late, so what follows a header that was found lies behind it: the topic
is read forward from there. A log may have withheld a record for a while, so who has searched in vain begins again.
"""

from typing import Final

from ledger.backoff import Backoff

UNDELIVERED_MAX: Final = 4_096
PATIENCE_MS: Final = 2_000
"""How long the next header may be missing before it is looked for; also between two stretches."""
PAUSE_MS_MAX: Final = 600_000
"""Longest pause after a search of the whole topic. The first is as long as the search was, each further one twice that:
who searches in vain spends less and less on it."""
SILENCE_MS: Final = 10_000
"""How long nothing of a stretch may come before it is given up: there may be nothing left of it."""
BACK_MIN: Final = 16
"""Records of a search's first stretch."""


class BlocksPosition:
    """Remembers what was read, and where the undelivered blocks lie. Used by the loop's thread only."""

    def __init__(self, position: int) -> None:
        self._next = position
        self._low = self._high = position
        """All of [low, high) was read since the delivered block is the one that it is."""
        self._end = position
        """Behind all that was ever read."""
        self._stretch: tuple[int, int] | None = None
        """What is being read below `low`: from, to."""
        self._is_inside = self._is_over = False
        """Whether a record of the stretch came, and whether one came that ends it."""
        self._stretch_records = BACK_MIN
        self._last_next = position
        """Where the reading stood when the stretch was last known to come in."""
        self._undelivered: dict[int, int] = {}
        """Height -> offset."""
        self._delivered_height = -1
        self._due_ms: int | None = None
        self._search_began_ms = 0
        self._searches = 0
        """How many have ended in vain since the last progress."""

    def on_record(self, offset: int, height: int | None) -> None:
        """A record was taken; `height` is that of a verified block that is not delivered yet, else None."""
        if self._stretch is not None:
            self._is_inside |= offset < self._stretch[1]
            self._is_over |= offset + 1 >= self._stretch[1] and (self._is_inside or offset < self._high)
        self._next = offset + 1
        self._high = max(self._high, self._next)
        self._end = max(self._end, self._next)
        if height is not None and len(self._undelivered) < UNDELIVERED_MAX:
            self._undelivered[height] = min(offset, self._undelivered.get(height, offset))

    def position(self, delivered_height: int) -> int:
        """From here on the topic was found to hold the blocks above the delivered one."""
        self._forget(delivered_height)
        here = self._next if self._stretch is None else self._high
        return min(here, min(self._undelivered.values(), default=here))

    def read_again_from(self, is_gap: bool, delivered_height: int, now_ms: int) -> int | None:
        """Where to read on from instead of what comes next; `is_gap`: the header to deliver next is not known."""
        if delivered_height != self._delivered_height:
            self._on_progress(delivered_height)
        if not is_gap:
            return self._on_nothing_missing()
        if self._due_ms is None:
            self._due_ms = now_ms + PATIENCE_MS
        if self._stretch is not None:
            return self._watch_stretch(self._stretch, now_ms)
        return self._begin_stretch(now_ms) if now_ms >= self._due_ms else None

    def next_ms(self) -> int | None:
        """When `read_again_from` may have something to say although nothing is read."""
        return self._due_ms

    def _forget(self, delivered_height: int) -> None:
        self._undelivered = {height: at for height, at in self._undelivered.items() if height > delivered_height}

    def _on_progress(self, delivered_height: int) -> None:
        """What was searched for is found. What follows was perhaps not taken when it was read: too far above."""
        self._delivered_height = delivered_height
        self._forget(delivered_height)
        self._low = self._high = self._next
        self._stretch, self._stretch_records = None, BACK_MIN
        self._due_ms, self._searches = None, 0

    def _on_nothing_missing(self) -> int | None:
        """Back to the end, but not while what was read here waits for its records: what follows will be needed."""
        self._stretch, self._due_ms = None, None
        if self._undelivered or self._next >= self._end:
            return None
        self._low = self._end
        return self._go_to(self._end)

    def _begin_stretch(self, now_ms: int) -> int | None:
        """The next one below what was searched; where all was, the first one anew."""
        self._due_ms = now_ms + SILENCE_MS
        if self._high == 0:
            return None
        if self._low == 0:
            self._low, self._stretch_records = self._high, BACK_MIN
        if self._stretch_records == BACK_MIN:
            self._search_began_ms = now_ms
        begin = max(0, self._low - self._stretch_records)
        self._stretch, self._stretch_records = (begin, self._low), 2 * self._stretch_records
        self._is_inside = self._is_over = False
        self._last_next = self._next
        return begin

    def _watch_stretch(self, stretch: tuple[int, int], now_ms: int) -> int | None:
        """Once it was read in vain: where the search began."""
        assert self._due_ms is not None
        if not self._is_over and now_ms < self._due_ms:
            return None
        if not self._is_over and self._next != self._last_next:
            self._due_ms, self._last_next = now_ms + SILENCE_MS, self._next
            return None
        self._low, self._stretch = stretch[0], None
        pause_ms = PATIENCE_MS
        if self._low == 0:
            search_ms = max(PATIENCE_MS, now_ms - self._search_began_ms)
            pause_ms = Backoff(search_ms, PAUSE_MS_MAX).wait(self._searches)
            self._searches += 1
        self._due_ms = now_ms + pause_ms
        return self._go_to(self._high)

    def _go_to(self, position: int) -> int:
        self._next = self._high = position
        self._low = min(self._low, position)
        return position

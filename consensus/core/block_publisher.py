"""Keeps the `blocks` topic complete: our own blocks at once, others' where nobody published them for a while."""

from collections.abc import Callable, Sequence
from typing import Final

from consensus.wire.final_blocks import BlockReader, Proven
from consensus.wire.messages import Block
from ledger.backoff import Backoff

EARLY_MAX: Final = 4_096
WAITING_MAX: Final = 2_048
"""Blocks that are watched at once. What is beyond is taken up from the store when there is room again."""
PAUSE_MS_MAX: Final = 60_000
"""Longest pause between two publications of a block that is not seen. A log that is slow must not be flooded."""

Stored = Callable[[int, int], Sequence[tuple[int, bytes, bytes]]]
"""(height, blocks at most) -> the stored blocks above it: (height, digest, value of the topic)."""


class BlockPublisher:
    """Knows which final blocks the topic lacks. Used by the loop's thread only."""

    def __init__(self, reader: BlockReader, publish: Callable[[bytes], None], stored: Stored, delay_ms: int) -> None:
        self._reader = reader
        self._publish = publish
        self._stored = stored
        self._delay = Backoff(delay_ms, PAUSE_MS_MAX)
        self._waiting: dict[int, tuple[bytes, int, int]] = {}
        """By height: digest, when to publish it, and how often that was done."""
        self._values: dict[int, bytes] = {}
        self._early: dict[int, bytes] = {}
        self._height = 0
        self._unwatched_from: int | None = None

    @property
    def complete_height(self) -> int:
        """Every block up to here has been seen in the topic, so reading it again can begin behind."""
        first_missed = min(self._waiting, default=self._height + 1)
        return min(first_missed, self._unwatched_from or first_missed) - 1

    def start(self, complete_height: int, height: int) -> None:
        """Blocks up to `height` are stored; the topic is known to hold those up to `complete_height`."""
        self._height = height
        self._unwatched_from = complete_height + 1 if complete_height < height else None

    def on_lost(self) -> None:
        """The topic was truncated or recreated: nothing is known to be in it."""
        self._waiting.clear()
        self._values.clear()
        self._early.clear()
        self.start(0, self._height)

    def on_final(self, height: int, digest: bytes, value: bytes, is_own: bool, now_ms: int) -> None:
        """A block has become final and is stored."""
        self._height = height
        if self._early.pop(height, None) == digest:
            return
        if is_own:
            self._publish(value)
        if self._unwatched_from is not None or len(self._waiting) >= WAITING_MAX:
            self._unwatched_from = self._unwatched_from or height
            return
        self._watch(height, digest, value, now_ms)

    def wants(self, block: Block) -> bool:
        """Whether a record of this block tells anything: it was missed in the topic, or is not known to be final."""
        height, digest = block.header.height, block.digest
        waiting = self._waiting.get(height)
        return (waiting is not None and waiting[0] == digest) or (
            height > self._height and self._early.get(height) != digest
        )

    def on_block(self, proven: Proven) -> bool:
        """A well-formed block was read from the topic; whether it is final and above the last one we were told of."""
        height, digest = proven.block.header.height, proven.block.digest
        waiting = self._waiting.get(height)
        if waiting is not None and waiting[0] == digest and self._reader.is_final(proven):
            del self._waiting[height], self._values[height]
        if height <= self._height or not self._reader.is_final(proven):
            return False
        if len(self._early) < EARLY_MAX:
            self._early[height] = digest
        return True

    def on_time(self, now_ms: int) -> None:
        """Publish what has been missed for too long; again after as long, and ever more rarely."""
        self._take_up(now_ms)
        for height, (digest, due_ms, times) in self._waiting.items():
            if now_ms >= due_ms:
                self._waiting[height] = (digest, now_ms + self._delay.wait(times), times + 1)
                self._publish(self._values[height])

    def _take_up(self, now_ms: int) -> None:
        """Watch stored blocks that there was no room for."""
        if self._unwatched_from is None or len(self._waiting) > WAITING_MAX // 2:
            return
        found = self._stored(self._unwatched_from - 1, WAITING_MAX // 2)
        for height, digest, value in found:
            self._watch(height, digest, value, now_ms)
        last = found[-1][0] if found else self._height
        self._unwatched_from = last + 1 if last < self._height else None

    def _watch(self, height: int, digest: bytes, value: bytes, now_ms: int) -> None:
        self._waiting[height] = (digest, now_ms + self._delay.wait(0), 0)
        self._values[height] = value

    def next_ms(self) -> int | None:
        """When `on_time` has something to do; None while nothing is missed."""
        if self._unwatched_from is not None and len(self._waiting) <= WAITING_MAX // 2:
            return 0
        return min((due_ms for _, due_ms, _ in self._waiting.values()), default=None)

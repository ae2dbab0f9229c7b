"""Keeps the `blocks` topic complete: our own blocks at once, others' where nobody published them for a while."""

from collections.abc import Callable
from typing import Final

from consensus.blocks import BlockReader, Proven

EARLY_MAX: Final = 4_096
WAITING_MAX: Final = 2_048
"""Blocks that are watched at once. What is beyond is published after a restart, if nobody did it by then."""


class BlocksKeeper:
    """Knows which final blocks the topic lacks. Used by the loop's thread only."""

    def __init__(self, reader: BlockReader, publish: Callable[[bytes], None], delay_ms: int) -> None:
        self._reader = reader
        self._publish = publish
        self._delay_ms = delay_ms
        self._waiting: dict[int, tuple[bytes, int]] = {}
        self._values: dict[int, bytes] = {}
        self._early: dict[int, bytes] = {}
        self._height = 0
        self._unwatched_from: int | None = None

    @property
    def complete_height(self) -> int:
        """Every block up to here has been seen in the topic, so reading it again can begin behind."""
        first_missed = min(self._waiting, default=self._height + 1)
        return min(first_missed, self._unwatched_from or first_missed) - 1

    def start_at(self, height: int) -> None:
        """Every block up to here was told of, or is known to be in the topic."""
        self._height = height

    def on_final(self, height: int, digest: bytes, value: bytes, is_own: bool, now_ms: int) -> None:
        """A block has become final and is stored."""
        self._height = height
        if self._early.pop(height, None) == digest:
            return
        if is_own:
            self._publish(value)
        if len(self._waiting) >= WAITING_MAX:
            self._unwatched_from = self._unwatched_from or height
            return
        self._waiting[height] = (digest, now_ms + self._delay_ms)
        self._values[height] = value

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
        """Publish what has been missed for too long, again after as long."""
        for height, (digest, due_ms) in self._waiting.items():
            if now_ms >= due_ms:
                self._waiting[height] = (digest, now_ms + self._delay_ms)
                self._publish(self._values[height])

    def next_ms(self) -> int | None:
        """When `on_time` has something to do; None while nothing is missed."""
        return min((due_ms for _, due_ms in self._waiting.values()), default=None)

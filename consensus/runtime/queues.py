"""What the reading threads have found and the loop has not taken yet: a queue for each input.

No input crowds out another. Each has a queue of its own, bounded in items and in bytes: who reads for it waits while
it is full. A turn takes from each in order, and of each no more than its share. What is taken is given to the loop;
what is not stays where it is.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from backbone.intake.intake import Advance
from backbone.log import LogRecord
from backbone.threads import REAL, Threads

ITEMS_MAX: Final = 1_024
BYTES_MAX: Final = 1 << 20
"""Of one queue. An item that is larger waits until the queue is empty."""

ITEM_BYTES: Final = 256
"""What an item takes in memory beside its values."""
ENTRY_BYTES: Final = 160
"""What an entry of an advance takes."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one turn takes of one queue at most; the item that reaches a bound is the last."""

    items: int = 256
    size_bytes: int = 64 << 10
    verifications: int = 32
    """Signatures verified on its behalf: of what costs a loop time, by far the dearest that others can cause."""


class Taker(Protocol):
    """Who is given what waits: `consensus.runtime.loop.Loop`."""

    def has_room_for(self, name: str) -> bool:
        """Whether it takes something of this input now."""

    def take(self, item: object, now_ms: int) -> None:
        """Take it in."""


class Queues:
    """One for each name. Any thread puts; the loop's thread waits and takes."""

    def __init__(
        self, names: Iterable[str], items_max: int = ITEMS_MAX, bytes_max: int = BYTES_MAX, threads: Threads = REAL
    ) -> None:
        self._news, self._room = threads.conditions(2)
        self._queues: dict[str, deque[tuple[object, int]]] = {name: deque() for name in names}
        self._bytes = dict.fromkeys(self._queues, 0)
        self._items_max = items_max
        self._bytes_max = bytes_max
        self._is_closed = False

    def put(self, name: str, batch: Sequence[object]) -> None:
        """Queue a batch in order; waits while there is no room. Nothing is queued once closed."""
        with self._room:
            for item in batch:
                size = size_bytes(item)
                while not (self._is_closed or self._has_room(name, size)):
                    self._news.notify()
                    self._room.wait()
                if self._is_closed:
                    return
                self._queues[name].append((item, size))
                self._bytes[name] += size
            self._news.notify()

    def wait(self, taker: Taker, timeout_s: float) -> None:
        """Until there is something that would be taken, or the time is over."""
        names = [name for name in self._queues if taker.has_room_for(name)]
        with self._news:
            self._news.wait_for(lambda: any(self._queues[name] for name in names), timeout_s)

    def give(self, taker: Taker, share: Share, verified: Callable[[], int], now_ms: Callable[[], int]) -> None:
        """Give what waits, of each queue in turn no more than its share.

        `verified`: how many signatures were verified so far.
        """
        for name in self._queues:
            left, left_bytes, verified_max = share.items, share.size_bytes, verified() + share.verifications
            while left > 0 and left_bytes > 0 and verified() < verified_max and taker.has_room_for(name):
                taken = self._take(name)
                if taken is None:
                    break
                taker.take(taken[0], now_ms())
                left -= 1
                left_bytes -= taken[1]
        with self._room:
            self._room.notify_all()

    def close(self) -> None:
        """Who waits for room need wait no more."""
        with self._room:
            self._is_closed = True
            self._room.notify_all()

    def __len__(self) -> int:
        """How many items wait, in all queues."""
        return sum(map(len, self._queues.values()))

    @property
    def size_bytes(self) -> int:
        """What all that waits takes in memory."""
        return sum(self._bytes.values())

    def _has_room(self, name: str, size: int) -> bool:
        waiting = len(self._queues[name])
        return waiting == 0 or (waiting < self._items_max and self._bytes[name] + size <= self._bytes_max)

    def _take(self, name: str) -> tuple[object, int] | None:
        """Only the loop's thread takes, so what is there stays there."""
        if not self._queues[name]:
            return None
        with self._room:
            taken = self._queues[name].popleft()
            self._bytes[name] -= taken[1]
            return taken


def size_bytes(item: object) -> int:
    """About what an item takes in memory."""
    match item:
        case LogRecord(value=value, key=key):
            return ITEM_BYTES + len(value or b"") + len(key or b"")
        case Advance(entries=entries):
            return ITEM_BYTES + ENTRY_BYTES * len(entries)
        case _:
            return ITEM_BYTES

"""Planted bugs in what runs around the loop, which only worlds of threads can find."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from backbone.intake.retained_records import RetainedRecords
from backbone.log import LogBackPressure
from backbone.store.segments import SegmentLog
from consensus.runtime import driver
from consensus.runtime.outbox import Outbox
from consensus.runtime.queues import Queues, Share, Taker
from simulation.mutants.mutant import Mutant

TURN_MAX: Final = 32


def _lose_the_33rd(self: Queues, taker: Taker, share: Share, verified: Any, now_ms: Callable[[], int]) -> None:
    """A turn takes 32 things, of all queues as they come, takes one more out of its queue, and forgets it."""
    taken, before = 0, -1
    while taken != before and taken <= TURN_MAX:
        before = taken
        for name in self._queues:
            if taken <= TURN_MAX and taker.has_room_for(name) and (item := self._take(name)) is not None:
                taken += 1
                if taken <= TURN_MAX:
                    taker.take(item[0], now_ms())
    _GIVE(self, taker, Share(items=0), verified, now_ms)


def _into_one(self: Queues, name: str, batch: Sequence[object]) -> None:
    """What all topics bring stands in one line; `blocks` has its own, which is closed now and then."""
    *names, blocks = self._queues
    _PUT(self, name if name == blocks else names[0], batch)


def _has_room_for_items(self: Queues, name: str, size: int) -> bool:
    return len(self._queues[name]) < self._items_max


def _give_and_keep(self: Any) -> None:
    """Goes on from record to record, and forgets none."""
    given = self.__dict__.setdefault("_given", 0)
    while given < len(self._waiting):
        topic, value = self._waiting[given]
        try:
            self._producer.send(topic, 0, value, None, self._on_delivery(topic, value))
        except LogBackPressure:
            break
        given += 1
    self._given = given
    self._producer.poll(0)


def _whole_as_it_is(self: SegmentLog, segment: Any, buffer: bytes) -> Any:
    found = _SCAN(self, segment, buffer)
    return found if found.last is None else found._replace(size_bytes=len(buffer))


_SCAN: Callable[..., Any] = SegmentLog._scan
_GIVE: Callable[..., None] = Queues.give
_PUT: Callable[..., None] = Queues.put

THREADS: tuple[Mutant, ...] = (
    Mutant(
        "loses the 33rd thing that a turn takes", ((Queues, "give", _lose_the_33rd),), faults="preempt", kind="threads"
    ),
    Mutant(
        "takes all that waits in a turn",
        ((driver, "SHARE", Share(1 << 40, 1 << 40, 1 << 40)),),
        "flooder",
        "slow-cores",
        kind="threads",
    ),
    Mutant("has one queue for all", ((Queues, "put", _into_one),), "flooder", "slow-cores", kind="threads"),
    Mutant(
        "bounds its queues in items alone",
        ((Queues, "_has_room", _has_room_for_items),),
        "bulky",
        "none",
        kind="threads",
    ),
    Mutant("keeps what the log has taken", ((Outbox, "pump", _give_and_keep),), faults="none", kind="threads"),
    Mutant(
        "does not find what it has set aside",
        ((RetainedRecords, "find", lambda self, before, target: None),),
        faults="mislead,crash",
        kind="threads",
    ),
    Mutant("syncs nothing of its store", ((SegmentLog, "sync", lambda self: None),), faults="crash", kind="threads"),
    Mutant(
        "goes on behind the torn end of its store",
        ((SegmentLog, "_scan", _whole_as_it_is),),
        faults="crash",
        kind="threads",
    ),
)

"""Planted bugs of somebody who had not read the kit's (docs/byzantine-testing.md, *Invented from outside*)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from backbone.intake import open_reader
from backbone.intake.intake import Intake
from backbone.intake.partition import Partition
from backbone.intake.resume_overlap import Joint, joint_in
from backbone.log import LogBackPressure
from backbone.store import StoreReader, writer
from backbone.store.format import SYNCED_BEFORE, encode_record
from consensus.core.certifier import Certifier
from consensus.core.core import Core
from consensus.core.events import Reread
from consensus.core.judge import Judge, Judgement
from consensus.core.timers import Timers
from consensus.core.views import Views
from consensus.runtime.boot import Boot, Booter
from consensus.runtime.certification import Certification
from consensus.runtime.loop import Loop
from consensus.runtime.outbox import Outbox
from consensus.runtime.queues import Queues, Share, Taker
from consensus.runtime.readers import IntakeTail
from consensus.wire.messages import Certificate, Message, Proposal, Wire
from simulation.mutants.mutant import Mutant


def _waits_for_its_clock(self: Judge, proposal: Proposal, time_ms: int, may_advance: bool) -> Judgement:
    """A millisecond after a parent from the future is the future, too."""
    found = _CHILD(self, proposal, time_ms, may_advance)
    is_early = proposal.block.header.time_ms > time_ms + self._drift_ms
    return Judgement.NOT_YET if is_early and found is Judgement.GOOD else found


def _all_but_the_last(self: Views, low: int, high: int) -> bool:
    return all(self.is_nullified(view) for view in range(low + 1, high - 1))


def _answer_anybody(self: Core, *what: Any) -> None:
    self._answered_ms.clear()
    _ANSWER(self, *what)


def _anybody(self: Timers, view: int) -> bool:
    return any(last >= view for last in self._last_active)


def _as_if_said(self: Certifier, *parts: Any) -> None:
    _CERTIFIER(self, *parts)
    self._resend_at_ms = None


def _stop_at_once(self: Certification, action: Any) -> None:
    _REPORT(self, action)
    if self.fork is not None:
        self._halt(self.fork)


def _compact_anyway(self: Loop, now_ms: int) -> None:
    _LET_OUT(self, now_ms)
    if self._ports.journal.is_grown:
        self._ports.journal.compact(self._current_positions())


def _tell_nobody(self: Booter, *parts: Any) -> Boot:
    return replace(_BOOT(self, *parts), given=())


def _share_for_all(
    self: Queues, taker: Taker, share: Share, verified: Callable[[], int], now_ms: Callable[[], int]
) -> None:
    left, left_bytes, verified_max = share.items, share.size_bytes, verified() + share.verifications
    for name in self._queues:
        while left > 0 and left_bytes > 0 and verified() < verified_max and taker.has_room_for(name):
            taken = self._take(name)
            if taken is None:
                break
            taker.take(taken[0], now_ms())
            left, left_bytes = left - 1, left_bytes - taken[1]
    with self._room:
        self._room.notify_all()


def _answer_what_is_found(self: IntakeTail) -> None:
    """Who asked for others' records that nobody has hears nothing."""
    _SUPPLY(self)
    order, _, records = self._fetched[-1] if self._fetched else (None, None, ())
    if isinstance(order, Reread) and order.target is not None and not records:
        self._fetched.pop()


def _pump_while_there_is_room(self: Outbox) -> None:
    """Nobody learns what became of what the log took while it takes nothing more."""
    while self._waiting:
        topic, value = self._waiting[0]
        try:
            self._producer.send(topic, 0, value, None, self._on_delivery(topic, value))
        except LogBackPressure:
            return
        self._waiting.popleft()
        self.under_way += 1
    self._producer.poll(0)


def _aside_from_the_drop(self: Intake, state: Partition, from_offset: int, keep_end: int) -> None:
    """A run begins where what it takes the place of does, and not at the final head."""
    kept = [*self._stored.held(state.number, from_offset, keep_end, state.incarnation)]
    self._retained.keep(state.number, kept)
    _DROP(self, state, from_offset, 0)


def _last_record(state: Partition, stored: StoreReader, is_new: bool) -> Joint | None:
    if state.end_offset <= state.source.first_offset or state.is_suspect:
        return None
    first = max(state.end_offset - 1, state.source.first_offset)
    return joint_in(stored, state.number, first, state.end_offset, state.incarnation)


def _votes_are_good(self: Wire, message: Message) -> bool:
    return _IS_AUTHENTIC(self, replace(message, proposal=None) if isinstance(message, Certificate) else message)


_CHILD: Callable[..., Judgement] = Judge._child
_ANSWER: Callable[..., None] = Core._answer
_CERTIFIER: Callable[..., None] = Certifier.__init__
_REPORT: Callable[..., None] = Certification._report
_LET_OUT: Callable[..., None] = Loop._let_out
_BOOT: Callable[..., Boot] = Booter.boot
_SUPPLY: Callable[..., None] = IntakeTail.supply
_DROP: Callable[..., None] = Intake._drop
_IS_AUTHENTIC: Callable[..., bool] = Wire.is_authentic

OUTSIDE: Final[tuple[Mutant, ...]] = (
    Mutant("waits until its clock has caught up", ((Judge, "_child", _waits_for_its_clock),), faults="set-clock"),
    Mutant("votes over the view right below", ((Views, "are_nullified_between", _all_but_the_last),), "skipper"),
    Mutant("answers whenever it is asked", ((Core, "_answer", _answer_anybody),), "replayer"),
    Mutant("wakes when anybody speaks", ((Timers, "third_has_reached", _anybody),), "far-future", "none"),
    Mutant("says no claim again after a start", ((Certifier, "__init__", _as_if_said),), faults="crash"),
    Mutant(
        "stops before its own word is out",
        ((Certification, "_report", _stop_at_once),),
        faults="diverged-state,lose,delay,crash",
        validators=7,
    ),
    Mutant(
        "writes its journal anew while blocks wait",
        ((Loop, "_let_out", _compact_anyway),),
        faults="crash",
        blocks=400,
    ),
    Mutant(
        "tells nobody of blocks that a start gave the store",
        ((Booter, "boot", _tell_nobody),),
        faults="recreate,truncate,crash",
        kind="threads",
    ),
    Mutant("has one share for all queues", ((Queues, "give", _share_for_all),), "flooder", kind="threads"),
    Mutant(
        "answers only what others have",
        ((IntakeTail, "supply", _answer_what_is_found),),
        faults="mislead,split,cut",
        kind="threads",
    ),
    Mutant(
        "polls only while the log takes more",
        ((Outbox, "pump", _pump_while_there_is_room),),
        faults="back-pressure",
        kind="threads",
    ),
    Mutant(
        "sets aside only what it drops",
        ((Intake, "_drop", _aside_from_the_drop),),
        faults="mislead,delay",
    ),
    Mutant(
        "begins to read at its last record",
        ((open_reader, "joint_of", _last_record),),
        faults="truncate,crash",
        seed=1_000,
    ),
    Mutant(
        "marks every record as behind synced ones",
        ((writer, "encode_record", lambda record, flag, salt: encode_record(record, SYNCED_BEFORE, salt)),),
        faults="crash",
        kind="threads",
    ),
    Mutant("believes a certificate's proposal", ((Wire, "is_authentic", _votes_are_good),), "attacher"),
)

"""What validators say, as somebody sees it who stands outside the fault: views, quorums, finalizations, and when."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from backbone.log import Log, LogReader, LogRecord, LogUnavailable
from consensus.wire.messages import Kind, Message, Proposal, Vote, Wire
from consensus.wire.topics import consensus_topics
from ledger.committee import Committees
from ledger.rejection import Rejection
from node.home.layout import Home
from node.wiring import make_log

READ_MS: Final = 2
RETRY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Moment:
    """`at_s` of `time.monotonic`, and the highest view that anybody had spoken in."""

    at_s: float
    view: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """From a moment, mostly a heal, to the first finalization after it."""

    ms: int
    views: int


class Watch:
    """Reads all consensus topics from their beginning, in a thread. Nothing is verified: all here are honest."""

    def __init__(self, home: Path) -> None:
        """A home whose settings lead to the log directly."""
        place = Home(home)
        self._genesis = place.genesis()
        committees = Committees.of(self._genesis)
        self._committee = committees.current
        self._wire = Wire(self._genesis, committees)
        self._log = make_log(place, place.settings({}))
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._members: dict[tuple[int, Kind, bytes], set[int]] = defaultdict(set)
        self._ended: dict[int, tuple[float, Kind]] = {}
        self._finalized: dict[int, float] = {}
        self._view = 0
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def now(self) -> Moment:
        """This moment."""
        with self._changed:
            return Moment(time.monotonic(), self._view)

    def finalized_after(self, moment: Moment, timeout_s: float) -> Recovered:
        """Wait for the first finalization seen after a moment."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._first_after(moment) is not None, timeout_s), (
                f"nothing final within {timeout_s:g} s of the heal; view {moment.view} then, {self._view} now"
            )
            found = self._first_after(moment)
        assert found is not None
        view, at_s = found
        return Recovered(round(1000 * (at_s - moment.at_s)), max(0, view - moment.view))

    def until_nullifying(self, moment: Moment, timeout_s: float) -> None:
        """Wait until somebody has given up a view that was not over at that moment."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_nullifying(moment.view), timeout_s), "no timer ran out"

    def is_final_since(self, moment: Moment) -> bool:
        """Whether anything became final since."""
        with self._changed:
            return self._first_after(moment) is not None

    def view_changes_ms(self, since: Moment, until: Moment) -> list[int]:
        """How long each view lasted that ended in a nullification, from the end of the one before to its own."""
        with self._changed:
            ended = dict(self._ended)
        return [
            round(1000 * (at_s - ended[view - 1][0]))
            for view, (at_s, kind) in sorted(ended.items())
            if kind is Kind.NULLIFY and since.at_s < at_s <= until.at_s and view - 1 in ended
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()
        self._log.close()

    def _first_after(self, moment: Moment) -> tuple[int, float] | None:
        later = ((view, at_s) for view, at_s in self._finalized.items() if at_s > moment.at_s)
        return min(later, key=lambda found: found[1], default=None)

    def _is_nullifying(self, from_view: int) -> bool:
        return any(view >= from_view and kind is Kind.NULLIFY for view, kind, _ in self._members)

    def _run(self) -> None:
        tails = [_Tail(self._log, topic) for topic in consensus_topics(self._genesis, self._committee)]
        while not self._stopping.is_set():
            for tail in tails:
                for record in tail.read():
                    message = self._wire.decode(record.value)
                    if not isinstance(message, Rejection):
                        self._note(message)
        for tail in tails:
            tail.close()

    def _note(self, message: Message) -> None:
        now = time.monotonic()
        with self._changed:
            self._view = max(self._view, message.view)
            for kind, digest, member in _votes(message):
                members = self._members[message.view, kind, digest]
                members.add(member)
                if not self._committee.is_quorum(members):
                    continue
                if kind is Kind.FINALIZE:
                    self._finalized.setdefault(message.view, now)
                else:
                    self._ended.setdefault(message.view, (now, kind))
            self._changed.notify_all()


class _Tail:
    """One topic, read on and on, whatever happens to the log."""

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._position = 0
        self._reader: LogReader | None = None

    def read(self) -> Iterator[LogRecord]:
        try:
            if self._reader is None:
                self._reader = self._log.reader(self._topic, {0: self._position})
            records = self._reader.read(500, READ_MS)
        except LogUnavailable:
            self.close()
            time.sleep(RETRY_S)
            return
        for record in records:
            self._position = record.offset + 1
            yield record

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _votes(message: Message) -> Iterator[tuple[Kind, bytes, int]]:
    match message:
        case Proposal():
            return
        case Vote(kind, _, _, digest, member):
            yield kind, digest, member
        case _:
            for member, _ in message.signatures:
                yield message.kind, message.digest, member

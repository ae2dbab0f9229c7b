"""Where a log still agrees with what was read of it: the look at a partition that seems to have been rewritten.

A broker that loses the end of a partition keeps what is before it, so agreement is a prefix and bisection finds its
end. A log that lies may lead the bisection anywhere; what depends on it is accepted only by those whose own broker
shows the same (DESIGN §3).
"""

from collections.abc import Generator
from contextlib import closing
from typing import Final

from backbone.joint import FINAL_OFFSETS, joint_in
from backbone.log import LogRecord, LogUnavailable, PositionLost, ReadableLog
from backbone.partition import Partition, Source
from backbone.store import StoreReader

READS_MAX: Final = 50
READ_MS: Final = 100
READ_RECORDS: Final = 1_000


class RecordsPruned(PositionLost):
    """The log has deleted records that were never read here. Halt: they must come from a copy of the store."""


class Probe:
    """Compares one partition of a topic with one incarnation of it in the store. Raises (all): as `Log.reader`."""

    def __init__(self, log: ReadableLog, topic: str, stored: StoreReader, partition: int, incarnation: int) -> None:
        self._log = log
        self._topic = topic
        self._stored = stored
        self._partition = partition
        self._incarnation = incarnation

    def agreed_end(self, first_offset: int, end_offset: int) -> int:
        """The lowest offset in first_offset .. end_offset from which on the log does not show what the store holds.

        `end_offset` where it shows the last ones: what is below is taken to agree then. The store holds a record at
        `end_offset` - 1.
        """
        start = max(first_offset, end_offset - FINAL_OFFSETS)
        agreed = self.followed_to(start, end_offset)
        if agreed > start or start == first_offset:
            return agreed
        low, high = first_offset, start
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.agrees(middle) else (low, middle)
        return self.followed_to(low, end_offset)

    def followed_to(self, first_offset: int, end_offset: int) -> int:
        """As `agreed_end`, by reading all that lies between: records sent again may agree above others that differ."""
        joint = joint_in(self._stored, self._partition, first_offset, end_offset, self._incarnation)
        if joint is None:
            return max(first_offset, end_offset)
        try:
            for record in self._shown_from(first_offset):
                if not joint.is_shown_by(record):
                    return min(record.offset, joint.offset)
                if joint.is_complete:
                    return end_offset
        except PositionLost:
            return first_offset
        return joint.offset

    def end_up_to(self, offset: int) -> int:
        """Where the log ends; `offset` where it ends there or behind."""
        low, high = 0, offset
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.is_readable(middle) else (low, middle - 1)
        return low

    def agrees(self, offset: int) -> bool:
        """Whether the first record at or above `offset` is the same in both."""
        ours = self._stored.first(self._partition, offset, self._incarnation)
        try:
            theirs = self._first_shown(offset)
        except PositionLost:
            return False
        if ours is None or theirs is None:
            return False
        return (ours.offset, ours.value) == (theirs.offset, theirs.value)

    def is_readable(self, offset: int) -> bool:
        """Whether the log can be read from `offset` on, were it from its end."""
        try:
            self._first_shown(offset)
        except PositionLost:
            return False
        return True

    def _first_shown(self, offset: int) -> LogRecord | None:
        """The first record that the log has at or above `offset`; None at its end."""
        with closing(self._shown_from(offset, 1)) as records:
            return next(records, None)

    def _shown_from(self, offset: int, at_once: int = READ_RECORDS) -> Generator[LogRecord]:
        """The records that the log has at or above `offset`, up to its end."""
        reader = self._log.reader(self._topic, {self._partition: offset})
        try:
            in_vain = 0
            while in_vain < READS_MAX:
                records = reader.read(at_once, READ_MS)
                yield from records
                if not records and reader.at_end():
                    return
                in_vain = 0 if records else in_vain + 1
        finally:
            reader.close()
        raise LogUnavailable(f"{self._topic}, partition {self._partition}, does not answer from offset {offset} on.")


def look_at(state: Partition, log: ReadableLog, topic: str, stored: StoreReader) -> tuple[str, int] | None:
    """What the log shows of a partition against what is final: (topic id, first offset of another history) or None.

    Notes in `state` whether the log can be read on, and from where above the final head it shows something else.
    Raises: RecordsPruned, TopicMissing, LogUnavailable.
    """
    state.diverged_at = None
    topic_id, begin = log.describe(topic).topic_id, log.begin(topic, state.number)
    if topic_id != state.source.topic_id:
        state.is_barred = True
        return topic_id, begin
    state.source = source = Source(topic_id, max(begin, state.source.first_offset))
    probe = Probe(log, topic, stored, state.number, state.incarnation)
    agreed = probe.agreed_end(source.first_offset, state.final_offset)
    if agreed == source.first_offset:
        # Nothing of this incarnation is final, so there is nothing to compare: but the log may end below its beginning.
        agreed = max(begin, probe.end_up_to(agreed))
    if agreed < state.final_offset:
        state.is_barred = True
        return topic_id, agreed
    if begin > state.end_offset:
        raise RecordsPruned(
            f"{topic} begins at offset {begin} of partition {state.number}, and {state.end_offset} was to be read "
            "next: it was pruned."
        )
    agreed = probe.followed_to(max(source.first_offset, state.final_offset), state.end_offset)
    state.diverged_at = agreed if agreed < state.end_offset else None
    state.is_suspect = state.is_barred = state.diverged_at is not None or not probe.is_readable(state.end_offset)
    return None

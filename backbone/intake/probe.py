"""Where a log still agrees with what was read of it: the look at a partition that seems to have been rewritten.

A broker that loses the end of a partition keeps what is before it, so agreement is a prefix and bisection finds its
end. A log that lies may lead the bisection anywhere; what depends on it is accepted only by those whose own broker
shows the same (docs/protocol.md, *When the log was rewritten*).
"""

from collections.abc import Generator
from contextlib import closing
from typing import Final, NamedTuple

from backbone.intake.partition import Partition, Source
from backbone.intake.resume_overlap import FINAL_OFFSETS, joint_in
from backbone.log import LogRecord, LogUnavailable, PositionLost, ReadableLog
from backbone.store import StoreReader

READS_MAX: Final = 50
READ_MS: Final = 100
READ_RECORDS: Final = 1_000
LOOKS_MAX: Final = 6
"""Looks at a log that is changed meanwhile, before it is left for later."""


class RecordsPruned(PositionLost):
    """The log has deleted records that were never read here. Halt: they must come from a copy of the store."""


class Probe:
    """Compares one partition of a topic with one incarnation of it in the store. Raises (all): as `Log.reader`."""

    def __init__(self, log: ReadableLog, topic: str, stored: StoreReader, partition: int, incarnation: int) -> None:
        self._log = log
        self.topic: Final = topic
        self._stored = stored
        self._partition = partition
        self._incarnation = incarnation

    def agreed_end(self, first_offset: int, end_offset: int) -> int:
        """The lowest offset in first_offset .. end_offset from which on the log does not show what the store holds.

        `end_offset` where it shows the last ones: what is below is taken to agree then. The store holds a record at
        `end_offset` - 1. What a pruned store no longer holds is not compared.
        """
        start = max(first_offset, end_offset - FINAL_OFFSETS)
        shown, agreed = self._followed(start, end_offset)
        if shown or start == first_offset or agreed == end_offset:
            return agreed
        low, high = self._compared_from(first_offset), start
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.agrees(middle) else (low, middle)
        return self.followed_to(low, end_offset)

    def followed_to(self, first_offset: int, end_offset: int) -> int:
        """As `agreed_end`, by reading all that lies between: records sent again may agree above others that differ."""
        return self._followed(first_offset, end_offset)[1]

    def _followed(self, first_offset: int, end_offset: int) -> tuple[int, int]:
        """(records that the log shows as the store holds them, from `first_offset` on, up to which offset).

        That is behind the last of them, whatever follows: where the log ends there, records may still come to lie at
        offsets that the store leaves out before its next one.
        """
        joint = joint_in(self._stored, self._partition, first_offset, end_offset, self._incarnation)
        if joint is None:
            return 0, max(first_offset, end_offset)
        shown, end = 0, first_offset
        try:
            with closing(self._shown_from(first_offset)) as records:
                for record in records:
                    if not joint.is_shown_by(record):
                        break
                    shown, end = shown + 1, record.offset + 1
                    if joint.is_complete:
                        return shown, end_offset
        except PositionLost:
            return 0, first_offset
        return shown, end

    def _compared_from(self, first_offset: int) -> int:
        """Where bisection begins: above what a pruned store no longer holds, if the log shows its first record."""
        first = self._stored.first(self._partition, first_offset, self._incarnation)
        return first_offset if first is None or not self.agrees(first.offset) else max(first_offset, first.offset)

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
        reader = self._log.reader(self.topic, {self._partition: offset})
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
        raise LogUnavailable(f"{self.topic}, partition {self._partition}, does not answer from offset {offset} on.")


class Seen(NamedTuple):
    """What a look found. `opening`: (topic id, first offset of another history) where it contradicts what is final.
    `diverged_at`: from which offset on the log does not show what is held above that."""

    source: Source
    opening: tuple[str, int] | None = None
    diverged_at: int | None = None
    is_readable: bool = True
    """From the end of what is held on."""

    @property
    def agrees(self) -> bool:
        return self.opening is None and self.diverged_at is None


def look_at(state: Partition, log: ReadableLog, topic: str, stored: StoreReader) -> Seen:
    """What the log shows of a partition against what is final, and against what is held above that.

    While it reads, the final head moves on, retention removes records, brokers lose them, the store is pruned. So a
    look compares with one final head from its beginning to its end; and what contradicts us counts only if a second
    look finds just the same, with the log's beginning where it was before both.
    Raises: RecordsPruned, TopicMissing, LogUnavailable.
    """
    before: tuple[Seen, tuple[str, int]] | None = None
    look_to = state.look_to
    for _ in range(LOOKS_MAX):
        ground = log.describe(topic).topic_id, log.begin(topic, state.number)
        probe = Probe(log, topic, stored, state.number, state.incarnation)
        seen = _look(state, state.final_offset, probe, ground, look_to)
        if look_to is not None and seen.agrees and not seen.is_readable:
            # What we were asked to look at is there, and something above it is not.
            look_to = None
            continue
        if seen.agrees or (seen, ground) == before:
            return seen
        before = seen, ground
    raise LogUnavailable(f"Partition {state.number} of {topic} changes while it is looked at.")


def _look(state: Partition, final_offset: int, probe: Probe, ground: tuple[str, int], look_to: int | None) -> Seen:
    """One look; `ground` is (topic id, first offset) of the log before it."""
    topic_id, begin = ground
    if topic_id != state.source.topic_id:
        return Seen(state.source, (topic_id, begin), is_readable=False)
    source = Source(topic_id, max(begin, state.source.first_offset))
    agreed = probe.agreed_end(source.first_offset, final_offset)
    if agreed == source.first_offset:
        # Nothing of this incarnation is final, so there is nothing to compare: but the log may end below its beginning.
        agreed = max(begin, probe.end_up_to(agreed))
    if agreed < final_offset:
        return Seen(source, (topic_id, agreed), is_readable=False)
    if begin > state.end_offset:
        raise RecordsPruned(
            f"{probe.topic} begins at offset {begin} of partition {state.number}, and {state.end_offset} was to be "
            "read next: it was pruned."
        )
    end_offset = state.end_offset if look_to is None else min(look_to, state.end_offset)
    agreed = probe.followed_to(max(source.first_offset, final_offset), end_offset)
    diverged_at = agreed if agreed < end_offset else None
    return Seen(source, None, diverged_at, diverged_at is None and probe.is_readable(state.end_offset))

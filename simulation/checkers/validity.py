"""Validity: final blocks order what clients wrote, as it lay on the log, and nothing else."""

from collections.abc import Sequence
from typing import Final

from consensus.wire.messages import Block
from ledger import digests
from ledger.header import Head, Header, Opening
from simulation.checkers.checker import Checker, Stored, Subject, Violation
from simulation.parts.validator import SimValidator

GAP_MAX: Final = 1
"""Offsets that the log of a world leaves out between two records: what ends before them ends at its last record."""


class Validity(Checker):
    """Every head re-hashes from the one before over records that clients wrote there; none goes back; time rises."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._heads = {0: subject.genesis.empty_heads()}
        self._times = {0: 0}
        self._topics = {0: [subject.genesis.topic_id] * subject.genesis.partitions}
        """By height: the id of the topic in which each partition's incarnation lies."""
        self._checkpoint = (0, 0, self._heads[0])
        """(height, time, heads) of the last checkpoint block."""

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        """It is ours; what is read of it is checked against it."""
        for header in (block.header for block in blocks):
            self._heads[header.height], self._times[header.height] = header.heads, header.time_ms
            self._topics[header.height] = self._topics[0]
            self._note_checkpoint(header)

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        header = stored.block.header
        before, topics = self._heads[header.height - 1], list(self._topics[header.height - 1])
        for opening in header.openings:
            self._check_opening(header, before[opening.partition], opening, topics[opening.partition])
            topics[opening.partition] = opening.topic_id
        sizes = [
            size
            for old, new in zip(before, header.heads, strict=True)
            for size in self._check_head(validator, header.height, old, new, topics[new.partition])
        ]
        if header.time_ms <= self._times[header.height - 1]:
            raise Violation(f"time does not rise at height {header.height}")
        if header.height not in self._heads:
            self._check_records(header, sizes)
        self._heads[header.height], self._times[header.height] = header.heads, header.time_ms
        self._topics[header.height] = topics

    def _check_head(self, validator: SimValidator, height: int, old: Head, new: Head, topic_id: str) -> list[int]:
        """The sizes in bytes of the records that it adds."""
        if new.incarnation != old.incarnation:
            return []
        if new.end_offset < old.end_offset:
            raise Violation(f"heads go back at height {height}")
        end_offset, digest, records = old.end_offset, old.chain_digest, validator.store.between(old, new)
        for record in records:
            value = record.value
            place = (topic_id, new.partition, record.offset, value)
            if place not in self.subject.log.written and place not in self.subject.log.lies:
                raise Violation(f"height {height} orders what was never on the log: {record}")
            end_offset = record.offset + 1
            digest = digests.chain_next(digest, new.incarnation, record.offset, digests.value_digest(value))
        if (end_offset, digest) != (new.end_offset, new.chain_digest):
            raise Violation(f"height {height} orders what was never on the log: {new}")
        return [len(record.value or b"") for record in records]

    def _check_opening(self, header: Header, old: Head, opening: Opening, topic_id: str) -> None:
        new, view = header.heads[opening.partition], self.subject.log.views[opening.partition]
        is_next = new.incarnation == old.incarnation + 1 == opening.incarnation
        if not is_next or (new.end_offset, new.chain_digest) != (opening.from_offset, old.chain_digest):
            raise Violation(f"height {header.height} opens what does not follow: {opening}")
        was_seen = opening.topic_id != topic_id or view.was_truncated(topic_id, old.end_offset) or self.subject.log.lies
        if not was_seen or opening.topic_id not in view.topic_ids:
            raise Violation(f"height {header.height} opens what no broker ever showed: {opening}")
        cuts = [offset for cut, offset in view.truncations if cut == topic_id]
        low, high = (0, 0) if opening.topic_id != topic_id else (min(cuts, default=0) - GAP_MAX, old.end_offset)
        if not low <= opening.from_offset <= high and not self.subject.log.lies:
            raise Violation(f"height {header.height} opens where no broker showed another history: {opening}")

    def _check_records(self, header: Header, sizes: list[int]) -> None:
        """`sizes`: of its records. One alone may be of any size."""
        records, limits = len(sizes), self.subject.genesis.limits
        if records > limits.records_max:
            raise Violation(f"height {header.height} orders {records} records at once")
        if records > 1 and sum(sizes) > limits.bytes_max:
            raise Violation(f"height {header.height} orders {sum(sizes)} bytes at once")
        _, time_ms, heads = self._checkpoint
        is_due = header.time_ms >= time_ms + self.subject.genesis.checkpoint_time_ms and header.heads != heads
        if records == 0 and not is_due and not header.openings:
            raise Violation(f"height {header.height} orders nothing and is no checkpoint")
        self._note_checkpoint(header)

    def _note_checkpoint(self, header: Header) -> None:
        _, time_ms, heads = self._checkpoint
        is_due = header.time_ms >= time_ms + self.subject.genesis.checkpoint_time_ms and header.heads != heads
        if is_due or header.height % self.subject.genesis.checkpoint_heights == 0:
            self._checkpoint = (header.height, header.time_ms, header.heads)

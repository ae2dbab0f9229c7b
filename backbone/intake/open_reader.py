"""Reads the partitions that are open, each from a joint on, and hash-chains what is new."""

from collections.abc import Mapping, Sequence

from backbone.intake.partition import Partition
from backbone.intake.parts import IntakeParts
from backbone.intake.resume_overlap import Joint, joint_of
from backbone.log import LogReader, LogRecord, LogUnavailable, PositionLost
from backbone.store import StoredRecord


class OpenReader:
    """What it reads continues what the store holds of `partitions`; whoever stores it says so there."""

    def __init__(self, parts: IntakeParts, partitions: Mapping[int, Partition]) -> None:
        self._log, self._topic, self._stored, self._chain = parts.log, parts.topic, parts.stored, parts.chain
        self._partitions = partitions
        self._reader: LogReader | None = None
        self.assigned: frozenset[int] = frozenset()
        """The partitions that are read."""
        self._is_known = False
        """Whether the topic is the one that we last read."""
        self._joints: dict[int, Joint] = {}
        """What the reader must show again before anything new."""
        self.delivered_twice = 0
        """Records that came again exactly as they had been read."""

    def identify(self) -> None:
        """Suspect what was read of another topic: one that was recreated while we did not read it shows no error where
        we hold nothing of it. Once for each reader. Raises: as `Log.describe`.
        """
        if not self._is_known:
            topic_id = self._log.describe(self._topic).topic_id
            for state in self._partitions.values():
                if state.source.topic_id != topic_id:
                    state.suspect()
            self._is_known = True

    def read(self, wanted: frozenset[int], records_max: int, timeout_ms: int) -> dict[int, list[StoredRecord]]:
        """A batch of exactly these partitions; of each the records that are new, in order.

        Raises: PositionLost where the log does not show again what was read; as `Log.reader`.
        """
        return self._chained(self._records(self._reader_of(wanted), records_max, timeout_ms))

    def _reader_of(self, wanted: frozenset[int]) -> LogReader:
        if self._reader is None or wanted != self.assigned:
            is_new = self._reader is None or bool(self._joints)
            self.close()
            joints = {number: joint_of(self._partitions[number], self._stored, is_new) for number in wanted}
            self._joints = {number: joint for number, joint in joints.items() if joint is not None}
            starts = {partition: self._partitions[partition].end_offset for partition in wanted}
            starts.update((partition, joint.offset) for partition, joint in self._joints.items())
            self._reader = self._log.reader(self._topic, starts)
            self.assigned = wanted
        return self._reader

    def _records(self, reader: LogReader, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        try:
            records = reader.read(records_max, timeout_ms)
        except LogUnavailable:
            self.close()
            raise
        if not records and self._joints and reader.at_end():
            partition, joint = next(iter(self._joints.items()))
            raise PositionLost(
                f"Partition {partition} of {self._topic} ends below {joint.offset}, where a record was read before: "
                "the log was truncated.",
                self._topic,
                partition,
            )
        return records

    def _chained(self, records: Sequence[LogRecord]) -> dict[int, list[StoredRecord]]:
        batches: dict[int, list[StoredRecord]] = {}
        heads = {partition: (state.end_offset, state.chain_digest) for partition, state in self._partitions.items()}
        for record in records:
            partition, offset, value = record.partition, record.offset, record.value
            end_offset, digest = heads[partition]
            batch = batches.setdefault(partition, [])
            if offset < end_offset or partition in self._joints:
                self._admit_again(record, batch)
                continue
            incarnation = self._partitions[partition].incarnation
            digest = self._chain(digest, incarnation, offset, value)
            batch.append(StoredRecord(offset, incarnation, value, digest))
            heads[partition] = (offset + 1, digest)
        return batches

    def _admit_again(self, record: LogRecord, batch: Sequence[StoredRecord]) -> None:
        partition, incarnation = record.partition, self._partitions[record.partition].incarnation
        joint = self._joints.get(partition)
        if joint is not None and joint.is_shown_by(record):
            if joint.is_complete:
                del self._joints[partition]
            return
        known = next((held for held in batch if held.offset == record.offset), None)
        known = known or self._stored.find(partition, record.offset, incarnation)
        if known is None or known.value != record.value or (joint is not None and record.offset > joint.offset):
            raise PositionLost(
                f"Partition {partition} of {record.topic} shows another record at offset {record.offset} than was "
                "read there before: the log was rewritten or recreated.",
                record.topic,
                partition,
            )
        self.delivered_twice += 1

    def close(self) -> None:
        """The next read begins anew, at joints, and the topic is identified again."""
        if self._reader is not None:
            self._reader.close()
        self._reader, self.assigned, self._joints = None, frozenset(), {}
        self._is_known = False

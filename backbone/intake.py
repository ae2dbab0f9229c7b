"""From the log into the store: read, hash-chain, append, sync, and only then tell.

*Bounds are per partition.* A validator that stopped reading altogether when its store is full of one partition could
never confirm heads of another, and two validators full of different partitions would nullify each other's proposals
for ever. So a partition that is full is left out of the reading, and the others go on. It is read again when half of
its suffix has become final. The log's port cannot pause a partition, so the reader is opened anew for that, at the
positions reached; when all are full the reader is kept and not asked.

*A record at or below the head* that equals what the store holds was delivered twice, which is harmless: it is counted
and ignored. One that differs, or lies where the store knows a gap, means that the log was rewritten below our
position: LogRewritten. What to do then is not decided here (DESIGN §3, three outcomes): `reread` is the means.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Protocol

from backbone.log import LogReader, LogRecord, LogUnavailable, PositionLost
from backbone.store import Entry, StoredRecord, StoreReader, StoreWriter

Chain = Callable[[bytes, int, int, bytes | None], bytes]
"""(chain digest before, incarnation, offset, value) -> the chain digest after that record."""

OpenReader = Callable[[Mapping[int, int]], LogReader]
"""A reader of the transactions topic from the given positions (partition -> next offset)."""


class HeadLike(Protocol):
    """A log head, of whichever layer."""

    @property
    def partition(self) -> int: ...
    @property
    def incarnation(self) -> int: ...
    @property
    def end_offset(self) -> int: ...
    @property
    def chain_digest(self) -> bytes: ...


class LogRewritten(PositionLost):
    """The log shows another record where one was read before. Its operator must say what happened."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What the store now holds of a partition beyond what was told before: an entry per record, in order."""

    partition: int
    incarnation: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """Bounds of what one partition holds above its final head; one batch may go beyond them.

    They must exceed what one block may take: else a block whose records were not all read would wait for room, and
    the room for the block (`above_a_block`).
    """

    suffix_records_max: int = 200_000
    suffix_bytes_max: int = 128 << 20

    def above_a_block(self, records_max: int, bytes_max: int) -> "IntakeLimits":
        """These bounds, raised to twice what one block may take where they are below."""
        return IntakeLimits(max(self.suffix_records_max, 2 * records_max), max(self.suffix_bytes_max, 2 * bytes_max))


@dataclass(slots=True)
class _Partition:
    """Where a partition stands: its head (the next read begins there), and the suffix above the final head."""

    incarnation: int
    end_offset: int
    chain_digest: bytes
    final_offset: int
    suffix: deque[tuple[int, int]] = field(default_factory=deque)
    """(end offset, size in bytes) of each record above the final head."""
    suffix_bytes: int = 0
    is_full: bool = False

    def extend(self, entries: Iterable[Entry]) -> None:
        for end_offset, _, size_bytes in entries:
            if end_offset > self.final_offset:
                self.suffix.append((end_offset, size_bytes))
                self.suffix_bytes += size_bytes

    def finalize(self, end_offset: int) -> None:
        self.final_offset = max(end_offset, self.final_offset)
        while self.suffix and self.suffix[0][0] <= end_offset:
            self.suffix_bytes -= self.suffix.popleft()[1]

    def shrink(self, end_offset: int) -> None:
        while self.suffix and self.suffix[-1][0] > end_offset:
            self.suffix_bytes -= self.suffix.pop()[1]

    def weigh(self, limits: IntakeLimits) -> None:
        """Full at a bound, and again open at half of both."""
        share = 2 if self.is_full else 1
        self.is_full = (
            len(self.suffix) * share >= limits.suffix_records_max
            or self.suffix_bytes * share >= limits.suffix_bytes_max
        )


class Intake:
    """Reads the transactions topic into the store. `pump` is called in a loop by one thread, the rest by any.

    `starts` are the heads at which partitions without records begin (genesis, or a snapshot); `final` are those of
    the last final block. `stored` is this object's own.
    """

    def __init__(
        self,
        open_reader: OpenReader,
        writer: StoreWriter,
        stored: StoreReader,
        chain: Chain,
        starts: Sequence[HeadLike],
        final: Sequence[HeadLike],
        limits: IntakeLimits,
    ) -> None:
        self._open_reader = open_reader
        self._writer = writer
        self._stored = stored
        self._chain = chain
        self._limits = limits
        self._starts = {head.partition: head for head in starts}
        self._partitions = {head.partition: self._resume(head) for head in final}
        self._reader: LogReader | None = None
        self._assigned: frozenset[int] = frozenset()
        self._turn = Lock()
        self._accounts = Lock()
        self._room = Event()
        self.delivered_twice = 0
        """Records that came again exactly as they had been read."""

    def backlog(self) -> list[Advance]:
        """What the store holds above the final heads at boot, to be told before the first `pump`."""
        found = []
        for partition, state in self._partitions.items():
            entries = self._stored.suffix(partition, state.final_offset, state.incarnation)
            if entries:
                found.append(Advance(partition, state.incarnation, tuple(entries)))
        return found

    def pump(self, records_max: int, timeout_ms: int) -> list[Advance]:
        """Read a batch and store it durably; what it added, at most one advance per partition.

        Empty when nothing came within `timeout_ms`, or when every partition is full for as long.
        Raises: LogUnavailable (call again), PositionLost, LogRewritten, TopicMissing, StoreFailed, ValueTooLarge.
        """
        with self._turn:
            reader = self._reader_with_room()
            if reader is not None:
                return self._store(self._chained(self._read(reader, records_max, timeout_ms)))
        self._room.wait(timeout_ms / 1000)
        return []

    def on_final(self, heads: Sequence[HeadLike]) -> None:
        """The heads of a new final block: what lies below is no longer suffix. They may be ahead of the store."""
        with self._accounts:
            for head in heads:
                state = self._partitions[head.partition]
                if head.incarnation == state.incarnation:
                    state.finalize(head.end_offset)
                state.weigh(self._limits)
            self._room.set()

    def reread(self, partition: int, from_offset: int) -> None:
        """Drop what the store holds of a partition from `from_offset` on, and read that anew as the log shows it now.

        Raises: ValueError below the final head.
        """
        with self._turn, self._accounts:
            state = self._partitions[partition]
            if from_offset < state.final_offset:
                raise ValueError(f"Partition {partition} is final up to {state.final_offset}; {from_offset} is below.")
            self._writer.replace_suffix(partition, from_offset, state.incarnation)
            head = self._writer.head(partition) or self._starts[partition]
            state.end_offset, state.chain_digest = head.end_offset, head.chain_digest
            state.shrink(head.end_offset)
            state.weigh(self._limits)
            self._close_reader()

    def close(self) -> None:
        """Close the reader of the log; the store belongs to the caller."""
        with self._turn:
            self._close_reader()

    def _resume(self, final: HeadLike) -> _Partition:
        head = self._writer.head(final.partition) or self._starts[final.partition]
        state = _Partition(head.incarnation, head.end_offset, head.chain_digest, final.end_offset)
        state.extend(self._stored.suffix(final.partition, final.end_offset, head.incarnation))
        state.weigh(self._limits)
        return state

    def _reader_with_room(self) -> LogReader | None:
        """A reader of exactly the partitions that are not full; None if all are."""
        with self._accounts:
            wanted = frozenset(partition for partition, state in self._partitions.items() if not state.is_full)
            if not wanted:
                self._room.clear()
                return None
        if self._reader is None or wanted != self._assigned:
            self._close_reader()
            self._reader = self._open_reader(
                {partition: self._partitions[partition].end_offset for partition in wanted}
            )
            self._assigned = wanted
        return self._reader

    def _read(self, reader: LogReader, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        try:
            return reader.read(records_max, timeout_ms)
        except LogUnavailable:
            self._close_reader()
            raise

    def _chained(self, records: Sequence[LogRecord]) -> dict[int, list[StoredRecord]]:
        batches: dict[int, list[StoredRecord]] = {}
        heads = {partition: (state.end_offset, state.chain_digest) for partition, state in self._partitions.items()}
        for record in records:
            partition, offset, value = record.partition, record.offset, record.value
            end_offset, digest = heads[partition]
            batch = batches.setdefault(partition, [])
            if offset < end_offset:
                self._admit_again(record, batch)
                continue
            incarnation = self._partitions[partition].incarnation
            digest = self._chain(digest, incarnation, offset, value)
            batch.append(StoredRecord(offset, incarnation, value, digest))
            heads[partition] = (offset + 1, digest)
        return batches

    def _admit_again(self, record: LogRecord, batch: Sequence[StoredRecord]) -> None:
        incarnation = self._partitions[record.partition].incarnation
        known = next((held for held in batch if held.offset == record.offset), None)
        known = known or self._stored.find(record.partition, record.offset, incarnation)
        if known is None or known.value != record.value:
            raise LogRewritten(
                f"Partition {record.partition} of {record.topic} shows a record at offset {record.offset} that is not "
                "the one that was read there before: the log was rewritten or recreated. Find out from its operator "
                "what happened to the topic before this node goes on."
            )
        self.delivered_twice += 1

    def _store(self, batches: Mapping[int, list[StoredRecord]]) -> list[Advance]:
        for partition, batch in batches.items():
            self._writer.append(partition, batch)
        self._writer.sync()
        return [self._advance(partition, batch) for partition, batch in batches.items() if batch]

    def _advance(self, partition: int, batch: Sequence[StoredRecord]) -> Advance:
        entries = tuple(
            Entry(record.offset + 1, record.chain_digest, 0 if record.value is None else len(record.value))
            for record in batch
        )
        with self._accounts:
            state = self._partitions[partition]
            state.end_offset, state.chain_digest = entries[-1].end_offset, entries[-1].chain_digest
            state.extend(entries)
            state.weigh(self._limits)
            return Advance(partition, state.incarnation, entries)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader, self._assigned = None, frozenset()

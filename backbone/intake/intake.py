"""From the log into the store: read, hash-chain, append, sync, and only then tell.

*Bounds are per partition.* A validator that stopped reading altogether when its store is full of one partition could
never confirm heads of another, and two validators full of different partitions would nullify each other's proposals
for ever. So a partition that is full is left out of the reading, and the others go on. It is read again when half of
its suffix has become final.

*Every reader begins at a joint*, one record back or more. Where the log has another record there, or none, or does not
know the position, it was rewritten, and the partition is *suspect*. A suspect partition is looked at now and then until
the log agrees again. Where it disagrees the partition is *barred*: what the log shows now does not follow what is
stored, and what it shows in place of that would be skipped. What was seen is reported as `Shown`. Reading goes on when
what is stored was replaced, or, where it is final, when a block has opened the partition's next incarnation. What to do
is not decided here (docs/protocol.md, *When the log was rewritten*): `reread`, `adopt` and `on_final` are the means.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from types import MappingProxyType
from typing import Final

from backbone.intake.open_reader import OpenReader
from backbone.intake.partition import HeadLike, IntakeLimits, OpeningLike, Partition, Source
from backbone.intake.parts import Chain, IntakeParts
from backbone.intake.probe import RecordsPruned
from backbone.intake.reports import Advance, Differs, Shown
from backbone.intake.suspects import Suspects
from backbone.log import LogUnavailable, PositionLost, TopicMissing
from backbone.store import Entry, StoredRecord

__all__ = [
    "Advance",
    "Chain",
    "Differs",
    "HeadLike",
    "Intake",
    "IntakeLimits",
    "IntakeParts",
    "OpeningLike",
    "RecordsPruned",
    "Shown",
    "Source",
]


class Intake:
    """Reads the transactions topic into the store. `pump`, `reread` and `adopt` are called by one thread.

    `starts` are the heads at which partitions without records begin (genesis, or a snapshot); `final` are those of
    the last final block, `sources` where in the log the incarnations lie that they belong to.
    """

    def __init__(
        self,
        parts: IntakeParts,
        starts: Sequence[HeadLike],
        final: Sequence[HeadLike],
        sources: Sequence[Source],
        limits: IntakeLimits,
        now_ms: Callable[[], int] = lambda: int(monotonic() * 1000),
    ) -> None:
        self._writer, self._stored, self._retained = parts.writer, parts.stored, parts.retained
        self._limits = limits
        starts_by_partition = {head.partition: head for head in starts}
        self._partitions = {
            head.partition: self._resume(head, starts_by_partition[head.partition], sources[head.partition])
            for head in final
        }
        self._reader = OpenReader(parts, self._partitions)
        self._suspects = Suspects(parts, self._partitions, self._reader, now_ms)
        self._turn = parts.threads.lock()
        self._accounts = parts.threads.lock()
        self._room = parts.threads.event()
        self.partitions: Final = MappingProxyType(self._partitions)
        """Where the reading of each stands."""

    @property
    def delivered_twice(self) -> int:
        """Records that came again exactly as they had been read."""
        return self._reader.delivered_twice

    def backlog(self) -> list[Advance]:
        """What the store holds above the final heads at boot, to be told before the first `pump`."""
        return [advance for partition in self._partitions for advance in self._suffix(partition)]

    def pump(self, records_max: int, timeout_ms: int) -> Sequence[Advance | Shown]:
        """Read a batch and store it durably; what it added, at most one advance per partition.

        Or, where a partition was looked at, what was seen. Empty when nothing came within `timeout_ms`, or when no
        partition is open for as long.
        Raises: LogUnavailable (call again; the topic may be missing for a while), RecordsPruned, StoreFailed,
        ValueTooLarge.
        """
        with self._turn:
            try:
                self._reader.identify()
                shown = self._suspects.look()
                if shown:
                    return shown
                wanted = self._wanted()
                if wanted:
                    return self._store(self._reader.read(wanted, records_max, timeout_ms))
            except RecordsPruned:
                raise
            except PositionLost as lost:
                self._on_lost(lost)
                return []
            except TopicMissing as missing:
                # Who recreates a topic deletes it first; nothing is lost by waiting.
                self._reader.close()
                raise LogUnavailable(str(missing)) from missing
        self._room.wait(timeout_ms / 1000)
        return []

    def on_final(self, heads: Sequence[HeadLike], openings: Iterable[OpeningLike] = ()) -> None:
        """A new final block: what lies below its heads is no longer suffix; an opened partition is read anew.

        The heads may be ahead of the store. From any thread.
        """
        opened = {opening.partition: opening.topic_id for opening in openings}
        for head in heads:
            if head.partition in opened:
                self._open(head, opened[head.partition])
        with self._accounts:
            for head in heads:
                state = self._partitions[head.partition]
                if head.incarnation == state.incarnation:
                    state.finalize(head)
                state.weigh(self._limits)
            self._room.set()
        for head in heads:
            self._retained.settle(head.partition, head.incarnation, head.end_offset)

    def probe(self, partition: int, end_offset: int | None = None) -> None:
        """Have the next `pump` look at a partition, and say what it sees. From any thread.

        What is held above what is final is compared up to `end_offset`; None: all of it.
        """
        self._partitions[partition].ask(end_offset)

    def reread(
        self,
        partition: int,
        incarnation: int,
        from_offset: int,
        keep_end: int = 0,
        before: HeadLike | None = None,
        records: Sequence[StoredRecord] = (),
    ) -> Sequence[Advance]:
        """Drop what the store holds of a partition from `from_offset` on; read that anew as the log shows it now.

        With `before`: only what differs from `records`, which follow it, is dropped, and they take its place; without
        any records nothing is, and the log is looked at. What is dropped below `keep_end` is set aside first. Nothing
        happens where the partition is in another incarnation by now. The answer is all that is held above the final
        head: whoever asked several times, in whatever order it was done, knows it all after the last answer.
        Raises: ValueError below the final head.
        """
        with self._turn, self._accounts:
            state = self._partitions[partition]
            if incarnation != state.incarnation:
                return self._suffix(partition)
            if from_offset < state.final_offset:
                raise ValueError(f"Partition {partition} is final up to {state.final_offset}; {from_offset} is below.")
            if before is not None:
                from_offset = max(from_offset, self._agreed_end(state, before, records))
            if from_offset >= state.end_offset:
                state.ask()
            else:
                self._drop(state, from_offset, keep_end)
        if before is not None:
            self.adopt(before, records)
        return self._suffix(partition)

    def _agreed_end(self, state: Partition, before: HeadLike, records: Sequence[StoredRecord]) -> int:
        """Up to which offset what is held agrees with records that follow a head, or they with it."""
        ends = {(record.offset + 1, record.chain_digest) for record in records}
        held = self._stored.suffix(state.number, before.end_offset, state.incarnation)
        agreed = [entry.end_offset for entry in held if (entry.end_offset, entry.chain_digest) in ends]
        if not records or (agreed and agreed[-1] == records[-1].offset + 1):
            return state.end_offset
        return agreed[-1] if agreed else before.end_offset

    def _drop(self, state: Partition, from_offset: int, keep_end: int) -> None:
        """Others are to take the place of what is held from there on."""
        partition, incarnation = state.number, state.incarnation
        if keep_end > from_offset:
            # From the final head on, so that a run is whole for whoever asks.
            run = self._stored.held(partition, state.final_offset, keep_end, incarnation)
            self._retained.keep(partition, list(run))
        self._writer.replace_suffix(partition, from_offset, incarnation)
        held = self._writer.head(partition)
        if held is not None and held.incarnation == incarnation:
            state.begin_at(held)
        else:
            state.end_offset, state.chain_digest = state.final_offset, state.final_digest
        state.shrink(state.end_offset)
        state.weigh(self._limits)
        state.suspect()
        self._reader.close()

    def adopt(self, before: HeadLike, records: Sequence[StoredRecord]) -> Sequence[Advance | Differs]:
        """Take records from elsewhere, re-hashed from `before` on, as far as they continue what the store holds.

        Whether the log shows them too is then looked at. Where they do not continue it, that is said.
        """
        with self._turn:
            state = self._partitions[before.partition]
            ends = [(before.end_offset, before.chain_digest), *((r.offset + 1, r.chain_digest) for r in records)]
            ours = (state.end_offset, state.chain_digest)
            if before.incarnation != state.incarnation or not records:
                return []
            if ours not in ends:
                return [Differs(state.number, state.incarnation)] if ours[0] <= ends[-1][0] else []
            if ours == ends[-1]:
                return []
            state.suspect()
            self._reader.close()
            return self._store({before.partition: list(records[ends.index(ours) :])})

    def close(self) -> None:
        """Close the reader of the log; the parts belong to the caller."""
        with self._turn:
            self._reader.close()

    def _suffix(self, partition: int) -> list[Advance]:
        state = self._partitions[partition]
        entries = self._stored.suffix(partition, state.final_offset, state.incarnation)
        return [Advance(partition, state.incarnation, tuple(entries))] if entries else []

    def _resume(self, final: HeadLike, start: HeadLike, source: Source) -> Partition:
        held = self._writer.head(final.partition)
        if held is None:
            head = start if start.incarnation == final.incarnation else final
        else:
            head = held if held.incarnation == final.incarnation else final
        state = Partition(
            final.partition,
            final.incarnation,
            source,
            head.end_offset,
            head.chain_digest,
            final.end_offset,
            final.chain_digest,
        )
        state.extend(self._stored.suffix(final.partition, final.end_offset, final.incarnation))
        state.weigh(self._limits)
        return state

    def _on_lost(self, lost: PositionLost) -> None:
        """The log does not know a position of ours, or has something else there."""
        for partition in self._reader.assigned if lost.partition is None else (lost.partition,):
            state = self._partitions[partition]
            state.is_barred = True
            state.suspect()
        self._reader.close()

    def _open(self, head: HeadLike, topic_id: str) -> None:
        """Go on in a partition's next incarnation; what was read above the final head of the one before is void."""
        with self._turn, self._accounts:
            state = self._partitions[head.partition]
            if head.incarnation <= state.incarnation:
                return
            self._writer.replace_suffix(head.partition, state.final_offset, state.incarnation)
            source = Source(topic_id, head.end_offset)
            self._partitions[head.partition] = Partition(
                head.partition,
                head.incarnation,
                source,
                head.end_offset,
                head.chain_digest,
                head.end_offset,
                head.chain_digest,
            )
            self._reader.close()

    def _wanted(self) -> frozenset[int]:
        """The partitions that are open; where none is, `pump` waits for room."""
        with self._accounts:
            wanted = frozenset(partition for partition, state in self._partitions.items() if state.is_open)
            if not wanted:
                self._room.clear()
        return wanted

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
            state.extend(entries)
            state.weigh(self._limits)
            return Advance(partition, state.incarnation, entries)

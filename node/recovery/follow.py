"""Filling a store from the log alone: what a follower does, and a replay that trusts no store.

Nothing of the log is believed. Each record of `blocks` is verified for finality, one per height is taken, and each
must name its parent; then the records of every partition are hashed anew, and must reach the chain digest of every
head on the way. Blocks go in windows: records first, then one sync, then the blocks, so that a run that is broken off
leaves a store that the next run continues.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

from backbone.log import LogReader, LogRecord, LogUnavailable, PositionLost
from backbone.store import StoredRecord, StoreReader, StoreWriter
from ledger import digests
from ledger.block import FinalBlock
from ledger.errors import Halt
from ledger.genesis import Genesis
from ledger.header import Head, decode_header
from ledger.rejection import Rejection
from node.ordering.ordered import records_between

READ_TIMEOUT_MS = 250
SILENT_READS_MAX = 240
"""So many reads in a row without a record and without the end: the log does not answer."""

RECENT_BLOCKS_MAX = 4096
"""Blocks already taken that a later record of the same height is held against, to notice a fork."""

OpenReader = Callable[[str, Mapping[int, int]], LogReader]
"""`Log.reader`: (topic, positions) -> a reader."""
Verify = Callable[[bytes | None], FinalBlock | Rejection]
"""A value of `blocks` -> the block that it proves final."""


class FollowError(Halt):
    """The log does not give the chain. Halt; the message names the place and the remedy."""


class BlockMissing(FollowError):
    """`blocks` lacks a height although it has later ones."""


class ChainBroken(FollowError):
    """Blocks that are each proven final contradict each other: more than a third of the power signed both."""


class LogAltered(FollowError):
    """The records of a partition are not those that the blocks order."""


class LogTooShort(FollowError):
    """The log does not hold all records that the blocks order."""


@dataclass(frozen=True, slots=True)
class FollowLimits:
    """Bounds of memory and of what a broken-off run has to do again."""

    window_blocks_max: int = 1000
    window_records_max: int = 20_000
    pending_blocks_max: int = 100_000
    """Verified blocks held because one below them has not been seen yet."""
    read_records_max: int = 1000


@dataclass(frozen=True, slots=True)
class FollowProgress:
    """What a run has done: the store's height, the highest height seen, records stored, records of `blocks` refused."""

    height: int
    height_seen: int
    records: int
    refused: int


class _Mark(NamedTuple):
    """A head that a block moved."""

    height: int
    head: Head


class _Tail:
    """The records of one partition of a topic from an offset on, one at a time; opened at the first of them."""

    def __init__(self, open_reader: OpenReader, topic: str, partition: int, offset: int, read_records_max: int) -> None:
        self._open_reader = open_reader
        self._topic = topic
        self._partition = partition
        self._offset = offset
        self._read_records_max = read_records_max
        self._reader: LogReader | None = None
        self._records: deque[LogRecord] = deque()

    def next(self) -> LogRecord | None:
        """The next record; None at the topic's end. Raises: PositionLost, LogUnavailable."""
        is_fresh = False
        for _ in range(SILENT_READS_MAX):
            while self._records:
                record = self._records.popleft()
                if record.offset >= self._offset:
                    self._offset = record.offset + 1
                    return record
            if self._reader is None:
                self._reader = self._open_reader(self._topic, {self._partition: self._offset})
                is_fresh = True
            self._records.extend(self._reader.read(self._read_records_max, READ_TIMEOUT_MS))
            if not self._records and self._reader.at_end():
                if is_fresh:
                    return None
                self.close()  # the end that it knows may be an old one
        raise LogUnavailable(f"Partition {self._partition} of {self._topic} shows neither records nor its end.")

    def restart(self, offset: int) -> None:
        """Go on from another offset: the next incarnation begins there."""
        self.close()
        self._records.clear()
        self._offset = offset

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None


class Follower:
    """Fills `writer`'s store from the log, from where the store stands to the end of `blocks`.

    `stored` reads that same store. Raises (from `run`): FollowError, LogUnavailable, TopicMissing, StoreFailed,
    StoreDamaged.
    """

    def __init__(
        self,
        open_reader: OpenReader,
        genesis: Genesis,
        writer: StoreWriter,
        stored: StoreReader,
        verify: Verify,
        on_progress: Callable[[FollowProgress], None],
        limits: FollowLimits | None = None,
    ) -> None:
        self._genesis = genesis
        self._writer = writer
        self._verify = verify
        self._on_progress = on_progress
        self._limits = limits or FollowLimits()
        self._height, self._digest, self._heads = _end_of(stored, genesis)
        self._filled = list(self._heads)
        """The heads up to which records are stored."""
        self._height_seen = self._height
        self._records = 0
        self._refused = 0
        self._drop_unfinished()
        read_max = self._limits.read_records_max
        self._blocks = _Tail(open_reader, genesis.topic_name("blocks"), 0, 0, read_max)
        self._tails = [_Tail(open_reader, genesis.topic, h.partition, h.end_offset, read_max) for h in self._heads]

    def run(self) -> FollowProgress:
        """Follow to the end of `blocks`, as it was at some moment of this run."""
        window: list[FinalBlock] = []
        records = 0
        try:
            for block in self._in_order():
                self._admit(block)
                records += records_between(window[-1].header.heads, block.header.heads) if window else 0
                window.append(block)
                if len(window) >= self._limits.window_blocks_max or records >= self._limits.window_records_max:
                    self._store(window)
                    window, records = [], 0
            if window:
                self._store(window)
            return self._progress(self._height)
        finally:
            for tail in (self._blocks, *self._tails):
                tail.close()

    def _in_order(self) -> Iterator[FinalBlock]:
        """One verified block per height, from the one after the store's on, until the topic ends."""
        pending: dict[int, FinalBlock] = {}
        recent: dict[int, bytes] = {}
        following = self._height + 1
        while (block := self._next_verified()) is not None:
            height = block.header.height
            self._height_seen = max(self._height_seen, height)
            known = pending[height].digest if height in pending else recent.get(height, block.digest)
            if known != block.digest:
                raise ChainBroken(f"`blocks` proves two different blocks final at height {height}: a fork.")
            if height >= following:
                pending[height] = block
            while following in pending:
                recent[following] = pending[following].digest
                recent.pop(following - RECENT_BLOCKS_MAX, None)
                yield pending.pop(following)
                following += 1
            if len(pending) > self._limits.pending_blocks_max:
                break
        if pending:
            raise BlockMissing(
                f"The topic {self._genesis.topic_name('blocks')} lacks the block of height {following} but has "
                f"height {min(pending)}: it was pruned, or its writers were stopped. Start a validator, which writes "
                "what is missing, or copy the store of a node that has it."
            )

    def _next_verified(self) -> FinalBlock | None:
        while (record := self._next_of_blocks()) is not None:
            block = self._verify(record.value)
            if isinstance(block, FinalBlock):
                return block
            self._refused += 1
        return None

    def _next_of_blocks(self) -> LogRecord | None:
        try:
            return self._blocks.next()
        except PositionLost as error:
            raise BlockMissing(
                f"The topic {self._genesis.topic_name('blocks')} no longer begins at offset 0: it was pruned or "
                f"recreated ({error}). Copy the store of a node that has its blocks."
            ) from error

    def _admit(self, block: FinalBlock) -> None:
        """The block continues the one before."""
        header = block.header
        if header.parent_digest != self._digest:
            raise ChainBroken(
                f"Block {header.height} is proven final and names the parent {header.parent_digest.hex()[:16]}..., "
                f"but block {self._height} is {self._digest.hex()[:16]}...: a fork, or the store is another chain's."
            )
        if len(header.heads) != len(self._heads):
            raise ChainBroken(f"Block {header.height} is proven final and has not one head for each partition.")
        for before, head in zip(self._heads, header.heads, strict=True):
            is_opened = head.incarnation == before.incarnation + 1 and head.chain_digest == before.chain_digest
            goes_on = head.incarnation == before.incarnation and head.end_offset >= before.end_offset
            if head.partition != before.partition or not (is_opened or goes_on):
                raise ChainBroken(f"Block {header.height} is proven final and sets partition {head.partition} back.")
        self._height, self._digest, self._heads = header.height, block.digest, header.heads

    def _store(self, window: Sequence[FinalBlock]) -> None:
        for partition, tail in enumerate(self._tails):
            self._fill(partition, tail, [_Mark(block.header.height, block.header.heads[partition]) for block in window])
        self._writer.sync()
        for block in window:
            self._writer.append_final(block.header.height, block.header_bytes, block.proof)
        self._on_progress(self._progress(window[-1].header.height))

    def _fill(self, partition: int, tail: _Tail, marks: Sequence[_Mark]) -> None:
        """Store the records up to each mark, once they hash to it."""
        _, incarnation, end_offset, digest = astuple(self._filled[partition])
        for mark in marks:
            records: list[StoredRecord] = []
            if mark.head.incarnation != incarnation:
                incarnation, end_offset = mark.head.incarnation, mark.head.end_offset
                tail.restart(end_offset)
            while end_offset < mark.head.end_offset:
                record = self._next_of(tail, mark, end_offset)
                value_digest = digests.value_digest(record.value)
                digest = digests.chain_next(digest, mark.head.incarnation, record.offset, value_digest)
                records.append(StoredRecord(record.offset, mark.head.incarnation, record.value, digest))
                end_offset = record.offset + 1
            if (end_offset, digest) != (mark.head.end_offset, mark.head.chain_digest):
                raise LogAltered(
                    f"The records of partition {partition} of {self._genesis.topic} up to offset "
                    f"{mark.head.end_offset} do not hash to the head of block {mark.height}: the log was altered "
                    "after the block was final. Copy the store of a node that has the records."
                )
            self._writer.append(partition, records)
            self._records += len(records)
            self._filled[partition] = mark.head

    def _next_of(self, tail: _Tail, mark: _Mark, end_offset: int) -> LogRecord:
        try:
            record = tail.next()
        except PositionLost as error:
            raise self._too_short(mark, end_offset) from error
        if record is None:
            raise self._too_short(mark, end_offset)
        return record

    def _too_short(self, mark: _Mark, end_offset: int) -> LogTooShort:
        return LogTooShort(
            f"Partition {mark.head.partition} of {self._genesis.topic} has no record at or above offset {end_offset}, "
            f"but block {mark.height} orders all below {mark.head.end_offset}: the topic was truncated, pruned or "
            "recreated. Copy the store of a node that has the records, or restore a snapshot."
        )

    def _drop_unfinished(self) -> None:
        """Records that a broken-off run stored and no final block covers are read again."""
        for head, empty in zip(self._heads, self._genesis.empty_heads(), strict=True):
            held = self._writer.head(head.partition) or empty
            if (held.incarnation, held.end_offset) > (head.incarnation, head.end_offset):
                self._writer.replace_suffix(head.partition, head.end_offset, head.incarnation)
                held = self._writer.head(head.partition) or empty
            is_opened = held.incarnation < head.incarnation and held.chain_digest == head.chain_digest
            if not is_opened and (held.end_offset, held.chain_digest) != (head.end_offset, head.chain_digest):
                raise FollowError(
                    f"The store's partition {head.partition} ends at offset {held.end_offset}, its last final block "
                    f"at {head.end_offset}: they are of different chains, or records were lost. Begin with an empty "
                    "store."
                )

    def _progress(self, height: int) -> FollowProgress:
        return FollowProgress(height, self._height_seen, self._records, self._refused)


def _end_of(stored: StoreReader, genesis: Genesis) -> tuple[int, bytes, tuple[Head, ...]]:
    """(height, block digest, heads) of the store's last final block, or of genesis."""
    height = stored.last_height()
    if height == 0:
        return 0, genesis.digest, genesis.empty_heads()
    header_bytes = stored.final_after(height - 1, 1)[0].header_bytes
    header = decode_header(header_bytes, genesis.partitions)
    if isinstance(header, Rejection):
        raise FollowError(f"The store's header {height} is malformed: {header.detail}. Begin with an empty store.")
    return height, digests.block_digest(genesis.digest, header_bytes), header.heads

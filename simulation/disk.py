"""A validator's disk: what survives a crash, and crashes in the middle of durable writes."""

from collections.abc import Callable, Sequence
from random import Random

from backbone.store import Entry, StoredFinal
from ledger.header import Head


class Crashed(Exception):
    """The validator's process is gone. Raised out of its durable writes; the world restarts it."""


class JournalDisk:
    """A journal file in memory. While `tears` is set the next append is torn and crashes."""

    def __init__(self, data: bytes, random: Random) -> None:
        self.data: bytes | None = data
        self.tears = False
        self._random = random

    def read(self) -> bytes | None:
        return self.data

    def append(self, data: bytes) -> None:
        assert self.data is not None
        if self.tears:
            self.tears = False
            self.data += self._torn(data)
            raise Crashed
        self.data += data

    def cut(self, size_bytes: int) -> None:
        assert self.data is not None
        self.data = self.data[:size_bytes]

    def replace(self, data: bytes) -> None:
        self.data = data

    def size_bytes(self) -> int:
        return 0 if self.data is None else len(self.data)

    def close(self) -> None:
        return None

    def _torn(self, data: bytes) -> bytes:
        """What a power cut leaves of a write that was not synced: a part, then perhaps zeros, or noise."""
        kept = self._random.randrange(len(data))
        missing = len(data) - kept
        return data[:kept] + self._random.choice((b"", bytes(missing), self._random.randbytes(missing)))


class StoreDisk:
    """The store: the records of each partition that are held durably, and the final blocks."""

    def __init__(self, partitions: int, on_stored: Callable[[StoredFinal], None]) -> None:
        self.records: list[list[Entry]] = [[] for _ in range(partitions)]
        self.aside: list[list[list[Entry]]] = [[] for _ in range(partitions)]
        """By partition: runs of records under heads that were voted for, and whose place others have taken."""
        self.finals: list[StoredFinal] = []
        self._on_stored = on_stored

    def holds(self, heads: Sequence[Head]) -> bool:
        """Whether every record up to these heads is held, exactly so."""
        return all(
            head.end_offset == 0
            or any(
                entry.end_offset == head.end_offset and entry.chain_digest == head.chain_digest
                for run in (self.records[head.partition], *self.aside[head.partition])
                for entry in run
            )
            for head in heads
        )

    def above(self, before: Head, target: Head) -> list[Entry] | None:
        """The records above one head up to another, in their place or set aside; None if they are not held."""
        for run in (self.records[before.partition], *self.aside[before.partition]):
            found = [entry for entry in run if before.end_offset < entry.end_offset <= target.end_offset]
            if found and (found[-1].end_offset, found[-1].chain_digest) == (target.end_offset, target.chain_digest):
                return found
        return None

    def cut(self, partition: int, from_offset: int, keep_end: int) -> None:
        """Drop the records from an offset on; what is below `keep_end` is set aside."""
        held = self.records[partition]
        self.records[partition] = [entry for entry in held if entry.end_offset <= from_offset]
        kept = [entry for entry in held if from_offset < entry.end_offset <= keep_end]
        if kept and kept not in self.aside[partition]:
            self.aside[partition].append(kept)

    def adopt(self, before: Head, found: Sequence[Entry]) -> None:
        """Take records that follow `before`, as far as they continue what is held."""
        held = self.records[before.partition]
        ends = [(before.end_offset, before.chain_digest), *((e.end_offset, e.chain_digest) for e in found)]
        ours = (held[-1].end_offset, held[-1].chain_digest) if held else ends[0]
        if ours in ends:
            held.extend(found[ends.index(ours) :])

    def settle(self, heads: Sequence[Head]) -> None:
        """What is set aside below final heads need not stay."""
        for head in heads:
            runs = self.aside[head.partition]
            self.aside[head.partition] = [run for run in runs if run[-1].end_offset > head.end_offset]

    def append_final(self, height: int, header_bytes: bytes, proof: bytes) -> None:
        assert height == self.last_height() + 1, "the loop gives blocks in order of height"
        self.finals.append(StoredFinal(height, header_bytes, proof))
        self._on_stored(self.finals[-1])

    def last_height(self) -> int:
        return len(self.finals)

    def final_after(self, height: int, blocks_max: int) -> list[StoredFinal]:
        return self.finals[height : height + blocks_max]

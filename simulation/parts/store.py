"""A validator's store in memory: what `backbone.store` and `backbone.intake.retained_records` do, as far as intake and
loop ask."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from backbone.store import Entry, LogHead, StoredFinal, StoredRecord
from ledger.genesis import Genesis
from ledger.header import Head, Header, decode_header
from ledger.rejection import Rejection


class SimRetained:
    """Records under heads that were voted for, and whose place others have taken."""

    def __init__(self, partitions: int) -> None:
        self.runs: list[list[list[StoredRecord]]] = [[] for _ in range(partitions)]
        self.on_durable: Callable[[str], None] = lambda name: None

    def keep(self, partition: int, records: Sequence[StoredRecord]) -> None:
        """Set records aside, durably."""
        if records and [*records] not in self.runs[partition]:
            self.on_durable("aside.before")
            self.runs[partition].append([*records])
            self.on_durable("aside.after")

    def settle(self, partition: int, incarnation: int, end_offset: int) -> None:
        """Forget the runs wholly at or below a final head."""
        runs = self.runs[partition]
        end = (incarnation, end_offset)
        self.runs[partition] = [run for run in runs if (run[-1].incarnation, run[-1].offset + 1) > end]


class SimStore:
    """Records of each partition, by incarnation and offset, and final blocks."""

    def __init__(self, genesis: Genesis, on_stored: Callable[[StoredFinal], None]) -> None:
        self.kept: list[list[StoredRecord]] = [[] for _ in range(genesis.partitions)]
        self._by_digest: list[dict[bytes, StoredRecord]] = [{} for _ in range(genesis.partitions)]
        """The same records, by their chain digests."""
        self.finals: list[StoredFinal] = []
        self.certificates: list[tuple[int, bytes]] = []
        self.retained = SimRetained(genesis.partitions)
        self.dropped = 0
        """Records that others were to take the place of."""
        self.on_durable: Callable[[str], None] = lambda name: None
        self._starts = genesis.empty_heads()
        self.was_replaced = False
        """Whether another disk's contents were put in the place of its own."""
        self._on_stored = on_stored
        self._unsynced: list[tuple[int, Sequence[StoredRecord]]] = []

    def crash(self) -> None:
        """What was not synced is gone."""
        self._unsynced = []

    def copy_from(self, other: "SimStore") -> None:
        """Become what another disk holds."""
        self.begin_with(other.kept, other.finals)
        self.certificates = list(other.certificates)

    def begin_with(self, kept: Sequence[Sequence[StoredRecord]], finals: Sequence[StoredFinal]) -> None:
        """Hold these records, by partition, and these final blocks."""
        self.was_replaced = True
        self.kept, self.finals = [list(records) for records in kept], list(finals)
        self._by_digest = [{record.chain_digest: record for record in records} for records in kept]

    def recover(
        self,
        kept: Sequence[Sequence[StoredRecord]],
        finals: Sequence[StoredFinal],
        certificates: Sequence[tuple[int, bytes]],
    ) -> None:
        """Hold what is found on a disk after a crash: what was held, and perhaps more that was on its way."""
        for held, by_digest, records in zip(self.kept, self._by_digest, kept, strict=True):
            held[:] = records
            by_digest.update((record.chain_digest, record) for record in records)
        for final in finals[len(self.finals) :]:
            self.append_final(*final)
        self.certificates[:] = certificates

    # --- as a StoreWriter ---

    def append(self, partition: int, records: Sequence[StoredRecord]) -> None:
        if records:
            self._unsynced.append((partition, records))

    def sync(self) -> None:
        if not self._unsynced:
            return
        self.on_durable("records.before")
        unsynced, self._unsynced = self._unsynced, []
        for partition, records in unsynced:
            self.kept[partition].extend(records)
            self._by_digest[partition].update((record.chain_digest, record) for record in records)
        self.on_durable("records.after")

    def head(self, partition: int) -> LogHead | None:
        held = self.kept[partition]
        if not held:
            return None
        return LogHead(partition, held[-1].incarnation, held[-1].offset + 1, held[-1].chain_digest)

    def replace_suffix(self, partition: int, from_offset: int, incarnation: int = 0) -> None:
        end, held = (incarnation, from_offset), self.kept[partition]
        start = bisect_left(held, end, key=_place)
        for dropped in held[start:]:
            self._by_digest[partition].pop(dropped.chain_digest, None)
        self.dropped += len(held) - start
        del held[start:]

    def append_final(self, height: int, header_bytes: bytes, proof: bytes) -> None:
        assert height == self.last_height() + 1, "the loop gives blocks in order of height"
        self.finals.append(StoredFinal(height, header_bytes, proof))
        self._on_stored(self.finals[-1])

    def append_certificate(self, height: int, certificate: bytes) -> None:
        assert not self.certificates or height > self.certificates[-1][0], "certificates rise"
        self.certificates.append((height, certificate))

    def last_certificate(self) -> bytes | None:
        return self.certificates[-1][1] if self.certificates else None

    # --- as a StoreReader ---

    def records(self, partition: int, from_offset: int, end_offset: int, incarnation: int = 0) -> list[StoredRecord]:
        held = self.kept[partition]
        start = bisect_left(held, (incarnation, from_offset), key=_place)
        return held[start : bisect_left(held, (incarnation, end_offset), lo=start, key=_place)]

    def held(self, partition: int, from_offset: int, end_offset: int, incarnation: int = 0) -> Iterator[StoredRecord]:
        return iter(self.records(partition, from_offset, end_offset, incarnation))

    def find(self, partition: int, offset: int, incarnation: int = 0) -> StoredRecord | None:
        return next(iter(self.records(partition, offset, offset + 1, incarnation)), None)

    def first(self, partition: int, from_offset: int, incarnation: int = 0) -> StoredRecord | None:
        return next(iter(self.records(partition, from_offset, 1 << 62, incarnation)), None)

    def suffix(self, partition: int, from_offset: int, incarnation: int = 0) -> list[Entry]:
        found = self.records(partition, from_offset, 1 << 62, incarnation)
        return [Entry(it.offset + 1, it.chain_digest, len(it.value or b"")) for it in found]

    def last_height(self) -> int:
        return len(self.finals)

    def final_after(self, height: int, blocks_max: int) -> list[StoredFinal]:
        return self.finals[height : height + blocks_max]

    # --- for those who watch, and those who ask ---

    def holds(self, heads: Sequence[Head]) -> bool:
        """Whether the records up to these heads are held, exactly so, in their place or aside."""
        return all(self._holds(head) for head in heads)

    def above(self, before: Head, target: Head) -> list[StoredRecord] | None:
        """The records above one head up to another of the same incarnation; None if they are not held."""
        ends = (before.end_offset, target.end_offset)
        runs = [
            [it for it in run if it.incarnation == target.incarnation and ends[0] <= it.offset < ends[1]]
            for run in self.retained.runs[before.partition]
        ]
        for found in (self.records(before.partition, *ends, target.incarnation), *runs):
            if found and (found[-1].offset + 1, found[-1].chain_digest) == (target.end_offset, target.chain_digest):
                return found
        return None

    def between(self, old: Head, new: Head) -> list[StoredRecord]:
        """The records in their place above one final head up to the next; none where that opens an incarnation."""
        if new.incarnation != old.incarnation:
            return []
        return self.records(new.partition, old.end_offset, new.end_offset, new.incarnation)

    def _holds(self, head: Head) -> bool:
        """An opened head has the digest of the last record of the incarnation before."""
        if head.chain_digest == self._starts[head.partition].chain_digest:
            return True
        kept = self._by_digest[head.partition].get(head.chain_digest)
        retained = (
            it for run in self.retained.runs[head.partition] for it in run if it.chain_digest == head.chain_digest
        )
        found = (*(() if kept is None else (kept,)), *retained)
        return any(it.incarnation < head.incarnation or it.offset + 1 == head.end_offset for it in found)


def _place(record: StoredRecord) -> tuple[int, int]:
    return record.incarnation, record.offset


@lru_cache(100_000)
def header_of(header_bytes: bytes, partitions: int) -> Header:
    """The header of a final block, which was read when it was stored."""
    header = decode_header(header_bytes, partitions)
    assert not isinstance(header, Rejection), "it was read when it was stored"
    return header

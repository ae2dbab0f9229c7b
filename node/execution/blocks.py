"""Final blocks with their records, read from the store: the one interface behind live execution, replay and drill."""

from collections.abc import Sequence
from dataclasses import dataclass

from backbone.store import StoredRecord, StoreReader
from ledger import digests
from ledger.block import FinalBlock
from ledger.errors import Halt
from ledger.genesis import Genesis
from ledger.header import Head, Header, decode_header
from ledger.rejection import Rejection


class StoreInconsistent(Halt):
    """The store does not continue what the database executed. Halt: rebuild the database, or restore the store."""


@dataclass(frozen=True, slots=True)
class BlockRecords:
    """A final block and the data records between its parent's heads and its own: by partition, then offset.
    `size_bytes` are those of header, proof and values."""

    block: FinalBlock
    records: tuple[tuple[int, StoredRecord], ...]
    size_bytes: int


class BlockSource:
    """Walks the final blocks of a store upwards from a parent (its height, digest and heads).

    Always: parent links, header spelling, and that the stored chain digest at each head is the header's. With
    `rehash` every record's value is hashed anew along the chain, so that nothing in the segments is believed. It
    ends at `until_height`, if given.
    """

    def __init__(
        self,
        reader: StoreReader,
        genesis: Genesis,
        height: int,
        digest: bytes,
        heads: Sequence[Head],
        rehash: bool,
        until_height: int | None = None,
    ) -> None:
        self._reader = reader
        self._genesis = genesis
        self._rehash = rehash
        self.height = height
        self._digest = digest
        self._heads = tuple(heads)
        self._until_height = until_height

    def read(self, blocks_max: int, bytes_max: int, records_max: int) -> list[BlockRecords]:
        """The next blocks, at least one if there is one, until `bytes_max` or `records_max` is reached: records without
        values are held, too.

        Raises: StoreInconsistent, StoreDamaged.
        """
        found: list[BlockRecords] = []
        size = count = 0
        if self._until_height is not None:
            blocks_max = min(blocks_max, self._until_height - self.height)
        for height, header_bytes, proof in self._reader.final_after(self.height, blocks_max) if blocks_max > 0 else ():
            block = self._admit(height, header_bytes, proof)
            records = self._records_of(block.header)
            size_bytes = len(header_bytes) + len(proof) + _size_of(records)
            found.append(records_and_block := BlockRecords(block, records, size_bytes))
            self.height, self._digest, self._heads = height, block.digest, block.header.heads
            size, count = size + records_and_block.size_bytes, count + len(records)
            if size >= bytes_max or count >= records_max:
                break
        return found

    def wait(self, timeout_ms: int) -> None:
        """Until the store has grown, or the time is over."""
        self._reader.wait(timeout_ms)

    def _admit(self, height: int, header_bytes: bytes, proof: bytes) -> FinalBlock:
        header = decode_header(header_bytes, self._genesis.partitions)
        if isinstance(header, Rejection):
            raise StoreInconsistent(f"The store's header {height} is malformed: {header.detail}.")
        if height != self.height + 1 or header.height != height or header.parent_digest != self._digest:
            raise StoreInconsistent(
                f"The store's block {height} does not continue block {self.height} "
                f"({self._digest.hex()[:16]}...) of the database: they are of different chains, or one was altered. "
                "Rebuild the database with `momus replay`, or put the node's own store back."
            )
        return FinalBlock(header, header_bytes, digests.block_digest(self._genesis.digest, header_bytes), proof)

    def _records_of(self, header: Header) -> tuple[tuple[int, StoredRecord], ...]:
        found: list[tuple[int, StoredRecord]] = []
        for before, head in zip(self._heads, header.heads, strict=True):
            is_opened = head.incarnation != before.incarnation
            if head.end_offset == before.end_offset and not is_opened:
                continue
            records = (
                []
                if is_opened
                else self._reader.records(head.partition, before.end_offset, head.end_offset, head.incarnation)
            )
            self._check(header.height, before, head, records)
            found.extend((head.partition, record) for record in records)
        return tuple(found)

    def _check(self, height: int, before: Head, head: Head, records: Sequence[StoredRecord]) -> None:
        chain = records[-1].chain_digest if records else before.chain_digest
        if self._rehash:
            chain = before.chain_digest
            for record in records:
                value = digests.value_digest(record.value)
                chain = digests.chain_next(chain, record.incarnation, record.offset, value)
        if chain != head.chain_digest:
            raise StoreInconsistent(
                f"The store's records of partition {head.partition} up to offset {head.end_offset} do not hash to "
                f"the head of block {height}: they were altered or lost. Rebuild the store from the log."
            )


def _size_of(records: Sequence[tuple[int, StoredRecord]]) -> int:
    return sum(len(record.value) for _, record in records if record.value is not None)

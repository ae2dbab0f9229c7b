"""A node's store audited: headers and proofs of finality, every record against the heads, and the journal.

Unlike `BlockSource`, which stops at the first fault, this goes on where it can: every header names the chain digests
that its records begin and end with, so each block's records are checked alone.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from backbone.store import StoreDamaged, StoredFinal, StoredRecord, StoreReader
from consensus.runtime.errors import JournalLost
from consensus.runtime.journal import Journal
from consensus.wire.final_blocks import encode_block
from ledger import digests
from ledger.block import FinalBlock
from ledger.committee import Committee
from ledger.genesis import Genesis
from ledger.header import Head, Header, decode_header
from ledger.rejection import Rejection
from projections.audit.findings import Findings

BLOCKS_AT_ONCE: Final = 256
Verify = Callable[[bytes], FinalBlock | Rejection]
OnBlock = Callable[[int, int], None]
"""(height, records so far)"""
BlockRows = Iterator[tuple[int, bytes]]
"""(height, digest) of the block rows of the database, lowest first."""


class StoreAudit:
    """One pass over a store. `may_begin_late`: segments were pruned, so what is missing at the front is no fault."""

    def __init__(
        self, store: Path, genesis: Genesis, verify: Verify, may_begin_late: bool, findings: Findings, on_block: OnBlock
    ) -> None:
        self._reader = StoreReader(store)
        self._genesis = genesis
        self._verify = verify
        self._may_begin_late = may_begin_late
        self._findings = findings
        self._on_block = on_block
        self._given_up: set[int] = set()
        self._first: dict[int, StoredRecord | None] = {}
        self.blocks = 0
        self.records = 0
        self.begins_at = 1
        """The height of the first block that is there."""

    def run(self, rows: BlockRows, height: int) -> None:
        """Everything, up to the store's end, which must not lie below `height`, where the database is."""
        before: Header | None = None
        digest = self._genesis.digest
        row = next(rows, None)
        for stored in self._finals():
            self.blocks += 1
            header = self._header(stored, before, digest)
            if header is None:
                before = None
                continue
            own = digests.block_digest(self._genesis.digest, stored.header_bytes)
            while row is not None and row[0] < stored.height:
                row = next(rows, None)
            if row is not None and row[0] == stored.height and row[1] != own:
                what = f"The row has the digest {row[1].hex()}, the header in the store {own.hex()}."
                self._findings.add("blocks", f"height {stored.height}", what)
            self._records(header, self._heads_before(header, before))
            before, digest = header, own
            self._on_block(header.height, self.records)
        if self._reader_height() < height:
            what = f"The store ends at height {self._reader_height()}, the database is at {height}."
            self._findings.add("final blocks", f"height {height}", what)

    def _finals(self) -> Iterator[StoredFinal]:
        height = 0
        while True:
            try:
                found = self._reader.final_after(height, BLOCKS_AT_ONCE)
            except StoreDamaged as error:
                self._findings.add("final blocks", f"above height {height}", str(error))
                return
            if not found:
                return
            yield from found
            height = found[-1].height

    def _reader_height(self) -> int:
        try:
            return self._reader.last_height()
        except StoreDamaged:
            return 0  # told already

    def _header(self, stored: StoredFinal, before: Header | None, digest: bytes) -> Header | None:
        """The header of a stored block, checked against the one before; None where it does not read."""
        key = f"height {stored.height}"
        header = decode_header(stored.header_bytes, self._genesis.partitions)
        if isinstance(header, Rejection):
            self._findings.add("final blocks", key, f"The header does not read: {header.detail}.")
            return None
        if header.height != stored.height:
            self._findings.add("final blocks", key, f"The header is of height {header.height}.")
        block = self._verify(encode_block(stored.header_bytes, stored.proof))
        if isinstance(block, Rejection):
            why = f"{block.reason}: {block.detail}" if block.detail else str(block.reason)
            self._findings.add("final blocks", key, f"It is not proven to be final ({why}).")
        height_before = before.height if before is not None else 0
        if before is None and self.blocks == 1 and stored.height > 1 and self._may_begin_late:
            self.begins_at = stored.height
        elif stored.height != height_before + 1 and (before is not None or self.blocks == 1):
            self._findings.add("final blocks", key, f"The block before in the store is of height {height_before}.")
        elif (before is not None or stored.height == 1) and header.parent_digest != digest:
            what = f"It follows {header.parent_digest.hex()}; the block before is {digest.hex()}."
            self._findings.add("final blocks", key, what)
        return header

    def _heads_before(self, header: Header, before: Header | None) -> tuple[Head, ...] | None:
        """None where the block before is not known."""
        if before is not None and before.height == header.height - 1:
            return before.heads
        return self._genesis.empty_heads() if header.height == 1 else None

    def _records(self, header: Header, heads_before: tuple[Head, ...] | None) -> None:
        for before, head in zip(heads_before or (), header.heads, strict=heads_before is not None):
            if head.incarnation == before.incarnation and head.partition not in self._given_up:
                try:
                    self._partition(header.height, before, head)
                except StoreDamaged as error:
                    self._findings.add(f"partition {head.partition}", f"from offset {before.end_offset}", str(error))
                    self._given_up.add(head.partition)

    def _partition(self, height: int, before: Head, head: Head) -> None:
        """The records of one block. Raises: StoreDamaged."""
        chain, wrong = before.chain_digest, None
        found = self._reader.records(head.partition, before.end_offset, head.end_offset, head.incarnation)
        self.records += len(found)
        for record in found:
            value = digests.value_digest(record.value)
            chain = digests.chain_next(chain, record.incarnation, record.offset, value)
            if chain != record.chain_digest and wrong is None:
                wrong = record.offset
        if chain == head.chain_digest or self._is_pruned(before, head):
            if wrong is not None:
                self._findings.add(f"partition {head.partition}", f"offset {wrong}", "Its chain digest was altered.")
            return
        if wrong is None:
            where = f"offsets {before.end_offset} to {head.end_offset - 1}"
            last = f"the last one is offset {found[-1].offset}" if found else "there are none"
            what = (
                f"The records of block {height} do not hash to its head: some are missing ({last}), or were altered "
                "together with the chain digests beside them."
            )
        else:
            where = f"offset {wrong}"
            what = f"The record was altered, or one before it in block {height} was removed or added."
        self._findings.add(f"partition {head.partition}", where, what)

    def _is_pruned(self, before: Head, head: Head) -> bool:
        """Whether the records of a block may have gone with old segments: the store begins behind some of them."""
        if not self._may_begin_late:
            return False
        if head.partition not in self._first:
            self._first[head.partition] = self._reader.first(head.partition, 0, head.incarnation)
        first = self._first[head.partition]
        return first is not None and first.offset > before.end_offset


def audit_journal(path: Path, genesis: Genesis, committee: Committee, findings: Findings) -> None:
    """Whether the journal reads, and is that of a validator of this genesis. Nothing is locked, cut or written."""
    try:
        data: bytes | None = path.read_bytes()
    except FileNotFoundError:
        data = None
    except OSError as error:
        findings.add("journal", path.name, f"It cannot be read: {error.strerror}.")
        return
    said = "No validator of this genesis has one."
    for validator in committee.members:
        try:
            Journal(_Read(data), genesis.digest, validator.consensus_key)
        except JournalLost as error:
            said = str(error)
        else:
            return
    findings.add("journal", path.name, said)


class _Read:
    """A journal that was read, which repairing does not change."""

    def __init__(self, data: bytes | None) -> None:
        self._data = data

    def read(self) -> bytes | None:
        return self._data

    def append(self, data: bytes) -> None:
        """Nothing is ever appended."""

    def cut(self, size_bytes: int) -> None:
        """What a crash left at the end stays."""

    def replace(self, data: bytes) -> None:
        """Nothing is ever replaced."""

    def size_bytes(self) -> int:
        return len(self._data or b"")

    def close(self) -> None:
        """Nothing is open."""

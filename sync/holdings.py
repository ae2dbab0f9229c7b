"""What a node holds of a range: in its store, or set aside beside it. Another process writes both."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from backbone.intake.retained_records import RetainedRecords
from backbone.store import StoredRecord, StoreReader
from ledger import digests
from ledger.errors import Unavailable
from ledger.header import Head
from sync.records import END_FRAME, RangeLimits, body_bytes, encode_frames

_PIECE_RECORDS: Final = 256
_PIECE_BYTES: Final = 256 << 10


class Miss(Enum):
    """Why a range is not served."""

    NOT_HELD = "not held"
    TOO_LARGE = "too large"


class Changed(Unavailable):
    """The store was rewritten while a range was read from it. Ask again."""


@dataclass(frozen=True, slots=True)
class Held:
    """A range that is held: the size of its body, and the body, piece by piece. Raises (pieces): Changed."""

    body_bytes: int
    pieces: Iterator[bytes]


class Holdings:
    """Finds ranges; one thread at a time. Raises (all, pieces too): StoreDamaged, OSError."""

    def __init__(self, store: Path, retained: Path, limits: RangeLimits) -> None:
        """Neither folder need be there yet."""
        self._stored = StoreReader(store)
        self._retained = RetainedRecords(retained)
        self._limits = limits

    def find(self, before: Head, target: Head) -> Held | Miss:
        """The records from one head to the other, exactly; of one partition and incarnation, the second beyond."""
        found = self._measured(self._in_store(before, target), before, target)
        if isinstance(found, int):
            return Held(found, _pieces(_linked(self._in_store(before, target), before), found))
        if found is Miss.TOO_LARGE:
            return found
        kept = self._retained.find(before, target) or []
        found = self._measured(kept, before, target)
        return Held(found, _pieces(_linked(kept, before), found)) if isinstance(found, int) else found

    def _in_store(self, before: Head, target: Head) -> Iterator[StoredRecord]:
        return self._stored.held(target.partition, before.end_offset, target.end_offset, target.incarnation)

    def _measured(self, records: Iterable[StoredRecord], before: Head, target: Head) -> int | Miss:
        """The size of the body, if the records lead from one head to the other by the digests that they carry."""
        last: StoredRecord | None = None
        size, count = len(END_FRAME), 0
        for record in records:
            if last is None and _next(before.chain_digest, record) != record.chain_digest:
                return Miss.NOT_HELD
            last = record
            size, count = size + body_bytes(record), count + 1
            if size > self._limits.bytes_max or count > self._limits.records_max:
                return Miss.TOO_LARGE
        if last is None or (last.offset + 1, last.chain_digest) != (target.end_offset, target.chain_digest):
            return Miss.NOT_HELD
        return size


def _linked(records: Iterable[StoredRecord], before: Head) -> Iterator[StoredRecord]:
    """The records, as long as each continues the one before: what was read may be rewritten under the reader."""
    digest = before.chain_digest
    for record in records:
        digest = _next(digest, record)
        if digest != record.chain_digest:
            raise Changed
        yield record


def _next(digest: bytes, record: StoredRecord) -> bytes:
    return digests.chain_next(digest, record.incarnation, record.offset, digests.value_digest(record.value))


def _pieces(records: Iterator[StoredRecord], size: int) -> Iterator[bytes]:
    """The body in pieces of about _PIECE_BYTES, or of one record. Raises: Changed where it is not `size` bytes."""
    batch: list[StoredRecord] = []
    batch_bytes = 0
    for record in records:
        batch.append(record)
        batch_bytes += body_bytes(record)
        if batch_bytes >= _PIECE_BYTES or len(batch) >= _PIECE_RECORDS:
            yield encode_frames(batch)
            size -= batch_bytes
            batch, batch_bytes = [], 0
    if size != batch_bytes + len(END_FRAME):
        raise Changed
    yield encode_frames(batch) + END_FRAME

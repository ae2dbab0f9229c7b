"""Records for the tests of the store: chained as the protocol chains them."""

from collections.abc import Iterable, Sequence

from backbone.store import StoredRecord
from ledger.digests import chain_next, chain_start, value_digest

GENESIS = bytes(range(32))


def chain(previous: bytes, incarnation: int, offset: int, value: bytes | None) -> bytes:
    """The chain digest after one more record."""
    return chain_next(previous, incarnation, offset, value_digest(value))


def start(partition: int) -> bytes:
    """The chain digest of an empty partition."""
    return chain_start(GENESIS, partition)


def chained(
    entries: Iterable[tuple[int, bytes | None]], previous: bytes | None = None, incarnation: int = 0, partition: int = 0
) -> list[StoredRecord]:
    """Records of (offset, value), chained from `previous`, or from the partition's start."""
    digest = start(partition) if previous is None else previous
    records = []
    for offset, value in entries:
        digest = chain(digest, incarnation, offset, value)
        records.append(StoredRecord(offset, incarnation, value, digest))
    return records


def is_chained(records: Sequence[StoredRecord], partition: int = 0) -> bool:
    """Whether the records hash to the digests that they carry, from the partition's start."""
    entries = [(record.offset, record.value) for record in records]
    return chained(entries, partition=partition) == list(records)


def numbered(count: int, first: int = 0) -> list[tuple[int, bytes | None]]:
    """`count` small values at offsets without gaps."""
    return [(offset, b"value %d" % offset) for offset in range(first, first + count)]

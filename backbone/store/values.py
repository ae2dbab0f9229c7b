"""What crosses the interface of the store: records, final blocks, certificates, heads; and the errors it raises."""

from typing import Final, NamedTuple

from ledger.errors import Halt, Unavailable

VALUE_BYTES_MAX: Final = 64 << 20
"""A value above this cannot be stored. `momus init` keeps the topics' `max.message.bytes` far below."""


class StoredRecord(NamedTuple):
    """One data record of a partition. `chain_digest` covers the partition's history up to and with this record."""

    offset: int
    incarnation: int
    value: bytes | None
    chain_digest: bytes


class StoredFinal(NamedTuple):
    """One final block."""

    height: int
    header_bytes: bytes
    proof: bytes


class StoredCertificate(NamedTuple):
    """The certificate of the checkpoint of a height, as consensus encodes it."""

    height: int
    certificate: bytes


class LogHead(NamedTuple):
    """The end of what a partition holds: `end_offset` = last data record + 1."""

    partition: int
    incarnation: int
    end_offset: int
    chain_digest: bytes


class Entry(NamedTuple):
    """A record without its value: the head it makes, and the bytes of its own value (0 for null)."""

    end_offset: int
    chain_digest: bytes
    size_bytes: int


class StoreDamaged(Halt):
    """The store holds bytes that no crash can explain. Halt; the message names the file, the place and the remedy."""


class StoreOfAnotherFormat(StoreDamaged):
    """A file of the store was written by another version of this program; the message names it."""


class StoreLocked(Unavailable):
    """Another process writes this store. One process per store."""


class StoreFailed(Unavailable):
    """The disk refused a write or a sync, so what is in flight is unknown. Free or replace it, then start again."""


class ValueTooLarge(Halt):
    """A record's value is over VALUE_BYTES_MAX. Halt: lower `max.message.bytes` of the topic."""


def damaged(path: object, position: int, what: str) -> StoreDamaged:
    """The error that names file, place and remedy."""
    return StoreDamaged(
        f"The store file {path} is damaged at byte {position}: {what}. Stop the node, check the disk, and put the "
        "file back from a copy, or move the whole store away and rebuild it from the log."
    )


def other_format(path: object, refused: str) -> StoreOfAnotherFormat:
    """The error that names file and remedy; `refused`: what `Format.refusal` says."""
    return StoreOfAnotherFormat(f"The store file {path} {refused}.")


def check_size(what: str, size_bytes: int) -> None:
    """Raises: ValueTooLarge over VALUE_BYTES_MAX."""
    if size_bytes > VALUE_BYTES_MAX:
        raise ValueTooLarge(
            f"{what} has {size_bytes} bytes; the store takes {VALUE_BYTES_MAX}. Lower the topic's max.message.bytes."
        )

"""What execution asks of the state, and what it does to it. `projections` answers the first and writes the second;
`executor` decides. Neither imports the other; both speak these types.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.commands import Ownership
from ledger.header import Epoch, Head
from ledger.object_parts import ObjectDetails, ObjectParts

BUCKET_MS: Final = 60_000
"""Width of an expiry bucket, a constant of protocol version 1."""


def bucket_of(expires_at_ms: int) -> int:
    """The expiry bucket that remembers a transaction; all of it has expired at ``(bucket + 1) * BUCKET_MS``."""
    return expires_at_ms // BUCKET_MS


@dataclass(frozen=True, slots=True)
class Asset:
    """`supply` is in the asset's smallest unit, 0 <= supply < 2^63."""

    id: bytes
    name: str
    decimals: int
    issuer: bytes
    supply: int


@dataclass(frozen=True, slots=True)
class Object:
    """One version of an object, without what may be large: that is stored when it is set (`ObjectContent`,
    `Effects.object_types`, `Effects.object_writers`) and is here by its hash.

    `owner` is an address (32 bytes) when ownership is ADDRESS, else b""; `writers` is how many there are;
    `details_digest` and `content_digest` are those of `ledger.object_parts`; `content_version` is the version that set
    the content, of `content_size_bytes`.
    """

    id: bytes
    version: int
    ownership: Ownership
    owner: bytes
    writers: int
    details_digest: bytes
    content_version: int
    content_size_bytes: int
    content_digest: bytes

    def is_of(self, details: ObjectDetails) -> bool:
        """Whether these are what this, of a tree that is believed, has the hashes of."""
        writers, rest = divmod(len(details.writers), 32)
        hashes = self.details_digest, self.content_digest
        return (writers, rest) == (self.writers, 0) and details.digests(self.ownership) == hashes

    def has(self, parts: ObjectParts) -> bool:
        """As `is_of`, with the content itself."""
        return len(parts.content) == self.content_size_bytes and self.is_of(parts.details)


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """What a write set: the content of an object from `version` on, until another write sets one."""

    object: bytes
    version: int
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """The inputs of a block group that the executor does not hold yet."""

    balances: Mapping[bytes, tuple[bytes, ...]]  # asset -> addresses
    assets: tuple[bytes, ...]
    objects: tuple[bytes, ...]
    writers: tuple[bytes, ...]  # object 32 | address 32: is it among the object's writers?
    digests: tuple[tuple[int, bytes], ...]  # (bucket, transaction digest)
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The answer to `Wanted`: only what exists is in it."""

    balances: Mapping[bytes, Mapping[bytes, int]]  # asset -> address -> amount
    assets: Mapping[bytes, Asset]
    objects: Mapping[bytes, Object]
    writers: frozenset[bytes]  # those of the asked ones that are
    digests: frozenset[bytes]  # those of the asked ones that are remembered
    buckets: Mapping[int, tuple[int, bytes]]  # bucket -> (count, running hash)


@dataclass(frozen=True, slots=True)
class BlockRow:
    """One final block as history. Counts are of the whole block, also of what is past `rejections_max`."""

    height: int
    digest: bytes
    parent_digest: bytes
    epoch: Epoch
    view: int
    proposer: int
    time_ms: int
    heads: tuple[Head, ...]
    records: int
    transactions: int
    transfers: int
    rejections: int


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """An executed transaction. `index` counts the executed transactions of its block from 0, in log order."""

    height: int
    index: int
    partition: int
    offset: int
    item: int
    digest: bytes
    signer: bytes
    reference: bytes
    expires_at_ms: int
    commands: int


@dataclass(frozen=True, slots=True)
class RejectionRow:
    """`index` counts the rejections of its block from 0. `digest` and `signer` are None where nothing decoded."""

    height: int
    index: int
    partition: int
    offset: int
    item: int
    reason: int
    digest: bytes | None
    signer: bytes | None
    reference: bytes | None


class MoveKind(IntEnum):
    """What moved units. It is said, and not read off the addresses: the address of zeros may be credited like any."""

    TRANSFER = 0
    MINT = 1
    BURN = 2


NOBODY: Final = bytes(32)
"""Stands for the sender of a mint and the recipient of a burn."""

TRANSFER: Final = np.dtype(
    [
        ("height", "<i8"),
        ("index", "<i4"),  # within the block, from 0
        ("transaction", "<i4"),  # TransactionRow.index
        ("asset", "V32"),
        ("sender", "V32"),  # of a mint NOBODY
        ("recipient", "V32"),  # of a burn NOBODY
        ("kind", "<i2"),  # MoveKind; here it takes no room in a row of the database, which is padded before `amount`
        ("amount", "<i8"),
    ]
)

BALANCE: Final = np.dtype([("asset", "V32"), ("address", "V32"), ("amount", "<i8")])


@dataclass(frozen=True, slots=True)
class ObjectVersionRow:
    """History of objects: one row a write. `deleted`: this version ends the object, its content is the last one's."""

    height: int
    transaction: int
    command: int
    object: Object
    deleted: bool


@dataclass(frozen=True, slots=True)
class Effects:
    """All that one block group does; applying it twice is impossible because of the cursor's compare-and-set.

    State is given as final values: a key is in at most one of inserted, updated, deleted.
    """

    blocks: tuple[BlockRow, ...]
    transactions: tuple[TransactionRow, ...]
    rejections: tuple[RejectionRow, ...]
    transfers: NDArray[Any]  # TRANSFER
    object_versions: tuple[ObjectVersionRow, ...]
    object_contents: tuple[ObjectContent, ...]  # of these and the next two each row is written once and never changed
    object_types: tuple[tuple[bytes, str], ...]  # (object, type)
    object_writers: tuple[tuple[bytes, bytes], ...]  # (object, its writers: packed addresses, sorted, distinct)
    balances_inserted: NDArray[Any]  # BALANCE
    balances_updated: NDArray[Any]  # BALANCE
    balances_deleted: NDArray[Any]  # BALANCE, amount 0
    assets_inserted: tuple[Asset, ...]
    assets_updated: tuple[Asset, ...]
    objects_inserted: tuple[Object, ...]
    objects_updated: tuple[Object, ...]
    objects_deleted: tuple[bytes, ...]
    remembered: tuple[tuple[int, bytes, int, int], ...]  # (bucket, digest, height, rank in bucket), in execution order
    buckets: Mapping[int, tuple[int, bytes]]  # bucket -> (count, running hash), final values of the changed ones
    buckets_expired_below: int  # forget every bucket < this one


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a database has come, with the identity of the log it came from."""

    genesis_digest: bytes
    chain: str
    cluster_id: str
    topic_id: str
    protocol_version: int
    height: int
    block_digest: bytes
    time_ms: int
    heads: tuple[Head, ...]

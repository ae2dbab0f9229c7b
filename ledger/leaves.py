"""What is under the state root: whatever execution can read, each piece as a key and a value, both bytes.

All integers are big-endian. A key begins with a byte that says what it is of:

    1 object      ``id 32``                   ``version 8 | ownership 1 | owner 32, of an address only | writers 2 |
                                              details digest 32 | content version 8 | content length 4 |
                                              content digest 32``; the digests are those of `ledger.object_parts`
    2 balance     ``asset 32 | address 32``   ``amount 8``
    3 asset       ``id 32``                   ``decimals 1 | issuer 32 | supply 8 | name``
    4 bucket      ``bucket 8``                ``count 8 | running hash 32``
    5 validator   ``index 4``                 ``power 8 | consensus key 32 | operator address 32 | name``
    6 parameter   ``name``                    ``number 8``; of asset_issuers ``0 1``: anybody, or
                                              ``1 1 | SHA-256 of the addresses, sorted, one behind the other 32``

Texts are UTF-8. What does not exist has no leaf. In the tree stand ``SHA-256("momus/key/v1" | key)`` and
``SHA-256("momus/value/v1" | value)``.
"""

from collections.abc import Iterator
from dataclasses import asdict
from enum import IntEnum
from hashlib import sha256
from struct import Struct
from typing import Final

from ledger.commands import Ownership
from ledger.genesis import Genesis
from ledger.state import Asset, Object

TAG_KEY: Final = b"momus/key/v1"
TAG_VALUE: Final = b"momus/value/v1"

_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_OBJECT_HEAD: Final = Struct(">QB")
_OBJECT_TAIL: Final = Struct(">H32sQI32s")

Leaf = tuple[bytes, bytes]
"""(key, value)"""


class Kind(IntEnum):
    """The first byte of a key."""

    OBJECT = 1
    BALANCE = 2
    ASSET = 3
    BUCKET = 4
    VALIDATOR = 5
    PARAMETER = 6


def key_hash(key: bytes) -> bytes:
    """Where a key stands in the tree."""
    return sha256(TAG_KEY + key).digest()


def value_hash(value: bytes) -> bytes:
    """What stands there."""
    return sha256(TAG_VALUE + value).digest()


def object_key(object_id: bytes) -> bytes:
    return b"\x01" + object_id


def balance_key(asset: bytes, address: bytes) -> bytes:
    return b"\x02" + asset + address


def asset_key(asset_id: bytes) -> bytes:
    return b"\x03" + asset_id


def bucket_key(bucket: int) -> bytes:
    return b"\x04" + _U64.pack(bucket)


def object_value(item: Object) -> bytes:
    """What may be large is there by its hash, so that a leaf is small whatever its object is."""
    owner = item.owner if item.ownership == Ownership.ADDRESS else b""
    return b"".join(
        (
            _OBJECT_HEAD.pack(item.version, item.ownership),
            owner,
            _OBJECT_TAIL.pack(
                item.writers, item.details_digest, item.content_version, item.content_size_bytes, item.content_digest
            ),
        )
    )


def balance_value(amount: int) -> bytes:
    return _U64.pack(amount)


def asset_value(asset: Asset) -> bytes:
    return bytes((asset.decimals,)) + asset.issuer + _U64.pack(asset.supply) + asset.name.encode()


def bucket_value(count: int, running_hash: bytes) -> bytes:
    return _U64.pack(count) + running_hash


def genesis_leaves(genesis: Genesis) -> Iterator[Leaf]:
    """Validators and parameters, which protocol version 1 never changes."""
    for index, validator in enumerate(genesis.validators):
        value = _U64.pack(validator.power) + validator.consensus_key + validator.operator_address
        yield b"\x05" + _U32.pack(index), value + validator.name.encode()
    numbers = {
        **asdict(genesis.limits),
        "protocol_version": genesis.protocol_version,
        "partitions": genesis.partitions,
        "shards": genesis.shards,
        "checkpoint_heights": genesis.checkpoint_heights,
        "checkpoint_time_ms": genesis.checkpoint_time_ms,
    }
    for name, number in numbers.items():
        yield b"\x06" + name.encode(), _U64.pack(number)
    issuers = genesis.asset_issuers
    yield b"\x06asset_issuers", b"\0" if issuers is None else b"\1" + sha256(b"".join(sorted(issuers))).digest()

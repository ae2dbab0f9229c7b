"""Every hash of the protocol, each under its own domain tag (docs/formats.md, *Digests*).

All integers are big-endian. All results are 32 bytes. Layouts are given in words: ``tag | field width``.
"""

from hashlib import sha256
from struct import Struct
from typing import Final

DIGEST_SIZE: Final = 32
NULL_VALUE_DIGEST: Final = bytes(DIGEST_SIZE)

TAG_GENESIS: Final = b"momus/genesis/v1"
TAG_CHAIN: Final = b"momus/chain/v1"
TAG_TRANSACTION: Final = b"momus/transaction/v1"
TAG_BLOCK: Final = b"momus/block/v1"
TAG_ADDRESS: Final = b"momus/address/v1"
TAG_OBJECT: Final = b"momus/object/v1"
TAG_ASSET: Final = b"momus/asset/v1"
TAG_REMEMBERED: Final = b"momus/remembered/v1"
TAG_CHECKPOINT: Final = b"momus/checkpoint/v1"

_U32 = Struct(">I")
_U64 = Struct(">Q")
_INCARNATION_OFFSET = Struct(">IQ")


def genesis_digest(file_bytes: bytes) -> bytes:
    """``tag | the bytes of genesis.json as they are``."""
    return sha256(TAG_GENESIS + file_bytes).digest()


def chain_start(genesis: bytes, partition: int) -> bytes:
    """The chain digest of an empty partition: ``tag | genesis digest 32 | partition 4``."""
    return sha256(TAG_CHAIN + genesis + _U32.pack(partition)).digest()


def value_digest(value: bytes | None) -> bytes:
    """SHA-256 of a record's value; a null value counts as 32 zero bytes."""
    return NULL_VALUE_DIGEST if value is None else sha256(value).digest()


def chain_next(previous: bytes, incarnation: int, offset: int, digest_of_value: bytes) -> bytes:
    """``tag | previous 32 | incarnation 4 | offset 8 | value digest 32``."""
    return sha256(TAG_CHAIN + previous + _INCARNATION_OFFSET.pack(incarnation, offset) + digest_of_value).digest()


def transaction_message(genesis: bytes, public_key: bytes, body: bytes) -> bytes:
    """What a client signs: ``tag | genesis digest 32 | public key 32 | body``."""
    return TAG_TRANSACTION + genesis + public_key + body


def transaction_digest(genesis: bytes, public_key: bytes, body: bytes) -> bytes:
    """SHA-256 of :func:`transaction_message`; it does not cover the signature."""
    return sha256(TAG_TRANSACTION + genesis + public_key + body).digest()


def block_digest(genesis: bytes, header_bytes: bytes) -> bytes:
    """``tag | genesis digest 32 | header bytes``."""
    return sha256(TAG_BLOCK + genesis + header_bytes).digest()


def checkpoint_digest(genesis: bytes, checkpoint_bytes: bytes) -> bytes:
    """``tag | genesis digest 32 | checkpoint bytes``."""
    return sha256(TAG_CHECKPOINT + genesis + checkpoint_bytes).digest()


def address_of(public_key: bytes) -> bytes:
    """``tag | public key 32``."""
    return sha256(TAG_ADDRESS + public_key).digest()


def object_id(transaction: bytes, command_index: int) -> bytes:
    """``tag | transaction digest 32 | command index 4``."""
    return sha256(TAG_OBJECT + transaction + _U32.pack(command_index)).digest()


def asset_id(transaction: bytes, command_index: int) -> bytes:
    """``tag | transaction digest 32 | command index 4``."""
    return sha256(TAG_ASSET + transaction + _U32.pack(command_index)).digest()


def remembered_next(previous: bytes, height: int, transaction: bytes) -> bytes:
    """The running hash of one expiry bucket, from zeros: ``tag | previous 32 | height 8 | transaction digest 32``."""
    return sha256(TAG_REMEMBERED + previous + _U64.pack(height) + transaction).digest()

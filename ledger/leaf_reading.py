"""Leaves back from their bytes (layouts: `ledger.leaves`), for whoever shows or verifies a row of state.

Bytes from anybody become a value or a Rejection. Each value has one spelling: what is read here is what was written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.commands import Ownership
from ledger.commands.rules import (
    ADDRESS_SIZE,
    AMOUNT_MAX,
    ASSET_NAME_BYTES_MAX,
    DECIMALS_MAX,
    WRITERS_MAX,
)
from ledger.errors import PeerError
from ledger.genesis import LIMITS_MAX, Validator
from ledger.leaves import Kind
from ledger.rejection import Reason, Rejection
from ledger.state import Asset, Object

_NUMBER_MAX: Final = 2**63 - 1
_NAME_BYTES_MAX: Final = 64
KEY_BYTES_MAX: Final = 1 + 2 * ADDRESS_SIZE
VALUE_BYTES_MAX: Final = 8 + 2 * 32 + _NAME_BYTES_MAX
"""A validator's is the largest."""


@dataclass(frozen=True, slots=True)
class BalanceLeaf:
    """`amount` in the asset's smallest unit, above 0."""

    asset: bytes
    address: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class BucketLeaf:
    """The remembered digests of an expiry bucket: how many, and their running hash in order of execution."""

    bucket: int
    count: int
    running_hash: bytes


@dataclass(frozen=True, slots=True)
class ValidatorLeaf:
    """A member of the committee at its index."""

    index: int
    validator: Validator


@dataclass(frozen=True, slots=True)
class ParameterLeaf:
    """A constant of genesis. `value` of asset_issuers: the hash over their addresses, or None: anybody."""

    name: str
    value: int | bytes | None


LeafContent = Object | BalanceLeaf | Asset | BucketLeaf | ValidatorLeaf | ParameterLeaf


def read_leaf(key: bytes, value: bytes) -> LeafContent | Rejection:
    """What a leaf says: sizes, ranges and spelling checked; not whether it is under any root."""
    if not key or not value:
        return Rejection(Reason.EMPTY)
    if len(key) > KEY_BYTES_MAX or len(value) > VALUE_BYTES_MAX:
        return Rejection(Reason.OVERSIZE, f"{len(key)} and {len(value)} bytes")
    read = _READERS.get(key[0])
    if read is None:
        return Rejection(Reason.UNKNOWN_BRANCH, f"kind {key[0]}")
    key_bytes, value_bytes = _Bytes(key[1:]), _Bytes(value)
    try:
        leaf = read(key_bytes, value_bytes)
        key_bytes.end()
        value_bytes.end()
    except _Wrong as wrong:
        return Rejection(wrong.reason, wrong.what)
    return leaf


class _Wrong(PeerError):
    """Never leaves `read_leaf`."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.reason = reason
        self.what = what


class _Bytes:
    """Takes fields off the front of a leaf's key or value."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise _Wrong(Reason.MALFORMED, "the bytes end early")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, width: int, what: str, low: int, high: int) -> int:
        number = int.from_bytes(self.take(width))
        if not low <= number <= high:
            raise _Wrong(Reason.FIELD_RANGE, what)
        return number

    def text(self, size: int, what: str, size_max: int) -> str:
        """Of 1 to `size_max` bytes."""
        if not 1 <= size <= size_max:
            raise _Wrong(Reason.FIELD_RANGE, what)
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise _Wrong(Reason.MALFORMED, what) from None

    def rest(self, what: str, size_max: int) -> str:
        return self.text(len(self._data) - self._at, what, size_max)

    def end(self) -> None:
        if self._at != len(self._data):
            raise _Wrong(Reason.NON_CANONICAL, "bytes follow")


def _object(key: _Bytes, value: _Bytes) -> Object:
    object_id = key.take(32)
    version = value.number(8, "version", 1, _NUMBER_MAX)
    ownership = Ownership(value.number(1, "ownership", 0, max(Ownership)))
    owner = value.take(ADDRESS_SIZE) if ownership is Ownership.ADDRESS else b""
    writers, details = value.number(2, "writers", 0, WRITERS_MAX), value.take(32)
    content_version = value.number(8, "content version", 1, version)
    size = value.number(4, "content length", 0, LIMITS_MAX.content_bytes_max)
    return Object(object_id, version, ownership, owner, writers, details, content_version, size, value.take(32))


def _balance(key: _Bytes, value: _Bytes) -> BalanceLeaf:
    return BalanceLeaf(key.take(32), key.take(ADDRESS_SIZE), value.number(8, "amount", 1, AMOUNT_MAX))


def _asset(key: _Bytes, value: _Bytes) -> Asset:
    asset_id = key.take(32)
    decimals = value.number(1, "decimals", 0, DECIMALS_MAX)
    issuer = value.take(ADDRESS_SIZE)
    supply = value.number(8, "supply", 0, AMOUNT_MAX)
    return Asset(asset_id, value.rest("name", ASSET_NAME_BYTES_MAX), decimals, issuer, supply)


def _bucket(key: _Bytes, value: _Bytes) -> BucketLeaf:
    bucket = key.number(8, "bucket", 0, _NUMBER_MAX)
    return BucketLeaf(bucket, value.number(8, "count", 1, _NUMBER_MAX), value.take(32))


def _validator(key: _Bytes, value: _Bytes) -> ValidatorLeaf:
    index = key.number(4, "index", 0, 2**31 - 1)
    power = value.number(8, "power", 1, _NUMBER_MAX)
    consensus_key, operator_address = value.take(32), value.take(ADDRESS_SIZE)
    name = value.rest("name", _NAME_BYTES_MAX)
    return ValidatorLeaf(index, Validator(name, operator_address, consensus_key, power))


def _parameter(key: _Bytes, value: _Bytes) -> ParameterLeaf:
    name = key.rest("name", _NAME_BYTES_MAX)
    if name != "asset_issuers":
        return ParameterLeaf(name, value.number(8, "number", 0, _NUMBER_MAX))
    return ParameterLeaf(name, value.take(32) if value.number(1, "issuers", 0, 1) else None)


_READERS: Final[dict[int, Callable[[_Bytes, _Bytes], LeafContent]]] = {
    Kind.OBJECT: _object,
    Kind.BALANCE: _balance,
    Kind.ASSET: _asset,
    Kind.BUCKET: _bucket,
    Kind.VALIDATOR: _validator,
    Kind.PARAMETER: _parameter,
}

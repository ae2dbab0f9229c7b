"""The commands of a transaction (docs/formats.md), as decoded and range-checked values.

A transfer is columnar: `recipients` is n packed addresses of 32 bytes, `amounts` n packed big-endian i64, each > 0.
Ids, addresses and assets are 32 bytes.

What a part of the node knows of each command stands in one table of that part, which is `complete`: a command that has
no row there fails when the part is imported, on the desk of whoever adds it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from re import sub
from typing import TypeVar, get_args

from ledger.errors import CallerError

Row = TypeVar("Row")


class Ownership(IntEnum):
    """Who owns an object: an address, everybody named as a writer, or nobody any more."""

    ADDRESS = 0
    SHARED = 1
    IMMUTABLE = 2


@dataclass(frozen=True, slots=True)
class CreateAsset:
    """A new asset, id `digests.asset_id`; only `issuer` may mint. `decimals` 0..18 is for display."""

    name: str
    decimals: int
    issuer: bytes


@dataclass(frozen=True, slots=True)
class Mint:
    """New units to `recipient`, by the asset's issuer; the supply stays below 2^63."""

    asset: bytes
    recipient: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Burn:
    """Units of the signer's own balance cease to exist."""

    asset: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """From the signer to n recipients: the sum is debited first, then credited in order."""

    asset: bytes
    recipients: bytes
    amounts: bytes


@dataclass(frozen=True, slots=True)
class CreateObject:
    """A new object, id `digests.object_id`, version 1, owned by the signer, or shared where `writers` is not None
    (an empty tuple: anybody may write)."""

    type: str
    media_type: str
    content: bytes
    writers: tuple[bytes, ...] | None


@dataclass(frozen=True, slots=True)
class UpdateObject:
    """New content. `version` is the one read: exact for an owned object; 0 on a shared one: whatever it is now."""

    object: bytes
    version: int
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class TransferObject:
    """A new owner for an owned object."""

    object: bytes
    version: int
    recipient: bytes


@dataclass(frozen=True, slots=True)
class ShareObject:
    """From owned to shared, for good. Empty `writers`: anybody may write."""

    object: bytes
    version: int
    writers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class FreezeObject:
    """From owned to immutable, for good."""

    object: bytes
    version: int


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """The owner's; a shared object: any of its writers."""

    object: bytes
    version: int


Command = (
    CreateAsset
    | Mint
    | Burn
    | Transfer
    | CreateObject
    | UpdateObject
    | TransferObject
    | ShareObject
    | FreezeObject
    | DeleteObject
)


class IncompleteTable(CallerError):
    """A table of commands lacks one, or has a row for what is none."""


def complete(table: Mapping[type, Row], what: str, besides: Collection[type] = ()) -> Mapping[type, Row]:
    """The table itself, which has a row for each command but those `besides`. Raises: IncompleteTable."""
    kinds = set(get_args(Command)) - set(besides)
    if table.keys() != kinds:
        missing, unknown = (
            ", ".join(sorted(map(_name, some))) for some in (kinds - table.keys(), table.keys() - kinds)
        )
        raise IncompleteTable(f"{what}: missing are {missing or 'none'}; no commands are {unknown or 'none'}.")
    return table


def spelling(kind: type) -> str:
    """A command as people write it: `create_asset`."""
    return sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)

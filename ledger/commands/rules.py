"""What may stand in each command, and what the command costs: ranges that Avro does not express, and bytes.

A cost is in bytes of tables, indexes and state tree: what a command adds to them at most (docs/formats.md has what was
measured, `tests/integration/test_block_costs.py` measures it).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ledger.commands import (
    Burn,
    Command,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    ShareObject,
    Transfer,
    TransferObject,
    UpdateObject,
    complete,
)
from ledger.genesis import Limits
from ledger.rejection import Reason, Rejection

AMOUNT_MAX: Final = 2**63 - 1
ADDRESS_SIZE: Final = 32
AMOUNT_SIZE: Final = 8
ASSET_NAME_BYTES_MAX: Final = 64
DECIMALS_MAX: Final = 18
TYPE_SIZE_MAX: Final = 128
WRITERS_MAX: Final = 256

Check = Callable[[Any, Limits], Rejection | None]

_KEY: Final = 900
"""A key of the state that changes: its leaf, the nodes above, what these supersede, the note of the change."""
_MOVE: Final = 200
_BALANCE: Final = 400
_ASSET: Final = 400
_OBJECT: Final = 500
_VERSION: Final = 200
_TYPE: Final = 200
_CONTENT: Final = 250
_WRITER: Final = 250
"""A row with what the indexes have of it; of objects and balances also the row that an update leaves behind."""

ASSET_COST: Final = _ASSET + _KEY
"""Of an asset that changes."""
_AMOUNT_COST: Final = _MOVE + _BALANCE + _KEY
_OBJECT_COST: Final = _OBJECT + _VERSION + _KEY


@dataclass(frozen=True, slots=True)
class Rule:
    """`check`: why the command's values are out of range; None: they are not. Sizes of ids are the schema's matter.

    `cost`: in bytes. `changes_asset`: ASSET_COST comes to it, once for each asset of a transaction.
    """

    check: Check
    cost: Callable[[Any], int]
    changes_asset: bool = False


def check_command(command: Command, limits: Limits) -> Rejection | None:
    """Why the command's values are out of range; None: they are not."""
    return RULES[type(command)].check(command, limits)


def _are_amounts(packed: bytes) -> bool:
    """Whether every packed big-endian i64 is > 0."""
    if len(packed) == AMOUNT_SIZE:
        return packed[0] < 0x80 and any(packed)
    return bool((np.frombuffer(packed, ">i8") > 0).all())


def _check_amount(command: Mint | Burn, _limits: Limits) -> Rejection | None:
    return None if 0 < command.amount <= AMOUNT_MAX else Rejection(Reason.AMOUNT_RANGE)


def _check_transfer(transfer: Transfer, limits: Limits) -> Rejection | None:
    count, rest = divmod(len(transfer.recipients), ADDRESS_SIZE)
    if rest or count * AMOUNT_SIZE != len(transfer.amounts) or not 1 <= count <= limits.recipients_max:
        return Rejection(Reason.RECIPIENTS_COUNT)
    return None if _are_amounts(transfer.amounts) else Rejection(Reason.AMOUNT_RANGE)


def _check_create_asset(command: CreateAsset, _limits: Limits) -> Rejection | None:
    size = len(command.name.encode())
    if not 1 <= size <= ASSET_NAME_BYTES_MAX or any(c < " " or c == "\x7f" for c in command.name):
        return Rejection(Reason.FIELD_RANGE, "the name of the asset")
    return None if 0 <= command.decimals <= DECIMALS_MAX else Rejection(Reason.FIELD_RANGE, "decimals")


def _check_create_object(command: CreateObject, limits: Limits) -> Rejection | None:
    if not _is_printable_ascii(command.type):
        return Rejection(Reason.FIELD_RANGE, "type")
    return _check_content(command, limits) or _check_writers(command.writers or ())


def _check_update_object(command: UpdateObject, limits: Limits) -> Rejection | None:
    return _check_content(command, limits) or _check_version(command, limits)


def _check_share_object(command: ShareObject, limits: Limits) -> Rejection | None:
    return _check_version(command, limits) or _check_writers(command.writers)


def _check_content(command: CreateObject | UpdateObject, limits: Limits) -> Rejection | None:
    if not _is_printable_ascii(command.media_type):
        return Rejection(Reason.FIELD_RANGE, "media_type")
    return None if len(command.content) <= limits.content_bytes_max else Rejection(Reason.CONTENT_SIZE)


def _is_printable_ascii(text: str) -> bool:
    """1 to 128 characters from space to tilde. (`str.isprintable` would depend on Python's version.)"""
    return 1 <= len(text) <= TYPE_SIZE_MAX and all(" " <= character <= "~" for character in text)


def _check_writers(writers: tuple[bytes, ...]) -> Rejection | None:
    return None if len(writers) <= WRITERS_MAX else Rejection(Reason.FIELD_RANGE, "writers")


def _check_version(
    command: UpdateObject | TransferObject | ShareObject | FreezeObject | DeleteObject, _limits: Limits
) -> Rejection | None:
    return None if command.version >= 0 else Rejection(Reason.FIELD_RANGE, "version")


def _transfer_cost(command: Transfer) -> int:
    return len(command.recipients) // ADDRESS_SIZE * _AMOUNT_COST


def _create_object_cost(command: CreateObject) -> int:
    made = _OBJECT_COST + _TYPE + len(command.type) + _WRITER * len(command.writers or ())
    return made + _content_cost(command)


def _update_object_cost(command: UpdateObject) -> int:
    return _OBJECT_COST + _content_cost(command)


def _share_object_cost(command: ShareObject) -> int:
    return _OBJECT_COST + _WRITER * len(command.writers)


def _content_cost(command: CreateObject | UpdateObject) -> int:
    return _CONTENT + 2 * (len(command.media_type) + len(command.content))


def _always(cost: int) -> Callable[[Command], int]:
    return lambda _command: cost


RULES: Final[Mapping[type, Rule]] = complete(
    {
        CreateAsset: Rule(_check_create_asset, _always(ASSET_COST)),
        Mint: Rule(_check_amount, _always(_AMOUNT_COST), changes_asset=True),
        Burn: Rule(_check_amount, _always(_AMOUNT_COST), changes_asset=True),
        Transfer: Rule(_check_transfer, _transfer_cost),
        CreateObject: Rule(_check_create_object, _create_object_cost),
        UpdateObject: Rule(_check_update_object, _update_object_cost),
        TransferObject: Rule(_check_version, _always(_OBJECT_COST)),
        ShareObject: Rule(_check_share_object, _share_object_cost),
        FreezeObject: Rule(_check_version, _always(_OBJECT_COST)),
        DeleteObject: Rule(_check_version, _always(_OBJECT_COST)),
    },
    "ledger/commands/rules.py",
)

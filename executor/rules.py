"""What each command reads, so that the inputs of a block group are fetched at once, and how it is executed.

Transfers are columns, and have no row: see `state` and `transfers`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from executor.assets import burn, create_asset, mint
from executor.context import Context
from executor.objects import (
    create_object,
    delete_object,
    freeze_object,
    share_object,
    transfer_object,
    update_object,
)
from ledger.commands import (
    Burn,
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
from ledger.rejection import Reason


@dataclass(frozen=True, slots=True)
class Reads:
    """Asset ids, object ids, of which objects the signer may be a writer, and balances as (asset, address)."""

    assets: tuple[bytes, ...] = ()
    objects: tuple[bytes, ...] = ()
    written: tuple[bytes, ...] = ()
    balances: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """`reads`: of a command and its signer. `handle`: of a command and its index within its transaction; it returns a
    Reason and has changed nothing, or NONE and has changed everything."""

    reads: Callable[[Any, bytes], Reads]
    handle: Callable[[Context, int, Any], Reason]


def _nothing(_command: CreateAsset | CreateObject, _signer: bytes) -> Reads:
    return Reads()


def _of_mint(command: Mint, _signer: bytes) -> Reads:
    return Reads(assets=(command.asset,), balances=((command.asset, command.recipient),))


def _of_burn(command: Burn, signer: bytes) -> Reads:
    return Reads(assets=(command.asset,), balances=((command.asset, signer),))


def _of_object(command: TransferObject | ShareObject | FreezeObject, _signer: bytes) -> Reads:
    return Reads(objects=(command.object,))


def _of_shared(command: UpdateObject | DeleteObject, _signer: bytes) -> Reads:
    return Reads(objects=(command.object,), written=(command.object,))


RULES: Final[Mapping[type, Rule]] = complete(
    {
        CreateAsset: Rule(_nothing, create_asset),
        Mint: Rule(_of_mint, mint),
        Burn: Rule(_of_burn, burn),
        CreateObject: Rule(_nothing, create_object),
        UpdateObject: Rule(_of_shared, update_object),
        TransferObject: Rule(_of_object, transfer_object),
        ShareObject: Rule(_of_object, share_object),
        FreezeObject: Rule(_of_object, freeze_object),
        DeleteObject: Rule(_of_shared, delete_object),
    },
    "executor/rules.py",
    besides={Transfer},
)

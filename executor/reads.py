"""What each command reads, so that the inputs of a block group are fetched at once. Transfers are columns: see
`state`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.commands import (
    Burn,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    ShareObject,
    TransferObject,
    UpdateObject,
)


@dataclass(frozen=True, slots=True)
class Reads:
    """Asset ids, object ids, of which objects the signer may be a writer, and balances as (asset, address)."""

    assets: tuple[bytes, ...] = ()
    objects: tuple[bytes, ...] = ()
    written: tuple[bytes, ...] = ()
    balances: tuple[tuple[bytes, bytes], ...] = ()


def _nothing(_command: Any, _signer: bytes) -> Reads:
    return Reads()


def _of_mint(command: Mint, _signer: bytes) -> Reads:
    return Reads(assets=(command.asset,), balances=((command.asset, command.recipient),))


def _of_burn(command: Burn, signer: bytes) -> Reads:
    return Reads(assets=(command.asset,), balances=((command.asset, signer),))


def _of_object(command: Any, _signer: bytes) -> Reads:
    return Reads(objects=(command.object,))


def _of_shared(command: Any, _signer: bytes) -> Reads:
    return Reads(objects=(command.object,), written=(command.object,))


READS: Final[Mapping[type, Callable[[Any, bytes], Reads]]] = {
    CreateAsset: _nothing,
    Mint: _of_mint,
    Burn: _of_burn,
    CreateObject: _nothing,
    UpdateObject: _of_shared,
    TransferObject: _of_object,
    ShareObject: _of_object,
    FreezeObject: _of_object,
    DeleteObject: _of_shared,
}

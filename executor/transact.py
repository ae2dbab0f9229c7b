"""One transaction: all of its commands, or none."""

from collections.abc import Callable, Mapping
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
from executor.state import Resolved
from executor.transfers import transfer
from ledger.columns import KIND_TRANSFER
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
from ledger.rejection import Reason

Handler = Callable[[Context, int, Any], Reason]

HANDLERS: Final[Mapping[type, Handler]] = {
    CreateAsset: create_asset,
    Mint: mint,
    Burn: burn,
    CreateObject: create_object,
    UpdateObject: update_object,
    TransferObject: transfer_object,
    ShareObject: share_object,
    FreezeObject: freeze_object,
    DeleteObject: delete_object,
}


def transact(context: Context, resolved: Resolved, start: int, stop: int) -> Reason:
    """Execute the commands in rows `start` up to `stop`. Not NONE: nothing has changed."""
    if stop - start > 1:
        context.begin()
    for position in range(start, stop):
        reason = _command(context, resolved, position)
        if reason is not Reason.NONE:
            if position > start:
                context.roll_back()
            return reason
    return Reason.NONE


def _command(context: Context, resolved: Resolved, position: int) -> Reason:
    kind, index, _, first, _ = resolved.commands[position]
    if kind == KIND_TRANSFER:
        return transfer(context, resolved, position)
    command = resolved.verdicts.others[first]
    return HANDLERS[type(command)](context, index, command)

"""Transfers: the sum is debited first, then every recipient is credited in order."""

from typing import Final

from executor.context import Context
from executor.resolved import Resolved
from ledger.rejection import Reason

_FEW: Final = 12
"""Up to so many recipients a Python loop is faster than arrays."""


def transfer(context: Context, resolved: Resolved, position: int) -> Reason:
    """Execute the transfer in row `position` of the commands."""
    commands = resolved.commands
    asset, start, stop = commands.asset[position], commands.start[position], commands.stop[position]
    if context.assets.get(asset) is None:
        return Reason.UNKNOWN_ASSET
    amounts = resolved.amounts[start:stop]
    total = sum(amounts)
    sender, balances = resolved.senders[position], context.balances
    if balances.amount(sender) < total:
        return Reason.INSUFFICIENT_BALANCE
    balances.add(sender, -total)
    if stop - start <= _FEW:
        for slot, amount in zip(resolved.recipients[start:stop], amounts, strict=True):
            balances.add(slot, amount)
    else:
        balances.credit(resolved.recipient_column[start:stop], resolved.verdicts.amounts[start:stop])
    context.moves.add_run(start, stop, asset, context.signer, context.transaction)
    return Reason.NONE

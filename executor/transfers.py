"""Transfers: the sum is debited first, then every recipient is credited in order (DESIGN §5)."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from executor.context import Context
from executor.state import Resolved
from ledger.rejection import Reason

_FEW: Final = 12
"""Up to so many recipients a Python loop is faster than arrays."""


def transfer(context: Context, resolved: Resolved, position: int) -> Reason:
    """Execute the transfer in row `position` of the commands."""
    _, _, asset, start, stop = resolved.commands[position]
    if context.assets.get(asset) is None:
        return Reason.UNKNOWN_ASSET
    few = stop - start <= _FEW
    amounts = resolved.verdicts.amounts[start:stop]
    listed = amounts.tolist() if few else []
    total = sum(listed) if few else exact_sum(amounts)
    sender, balances = resolved.senders[position], context.balances
    if balances.amount(sender) < total:
        return Reason.INSUFFICIENT_BALANCE
    balances.add(sender, -total)
    if few:
        for slot, amount in zip(resolved.recipients[start:stop], listed, strict=True):
            balances.add(slot, amount)
    else:
        balances.credit(resolved.recipient_column[start:stop], amounts)
    context.moves.add_run(start, stop, asset, context.signer, context.transaction)
    return Reason.NONE


def exact_sum(amounts: NDArray[Any]) -> int:
    """The sum as an unbounded integer, of less than 2^31 amounts, each in 0..2^63-1; an int64 sum wraps in silence."""
    high = int(np.sum(amounts >> 32, dtype=np.int64))
    low = int(np.sum(amounts & 0xFFFFFFFF, dtype=np.int64))
    return (high << 32) + low

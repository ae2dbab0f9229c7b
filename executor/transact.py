"""One transaction: all of its commands, or none."""

from executor.context import Context
from executor.resolved import Resolved
from executor.rules import RULES
from executor.transfers import transfer
from ledger.columns import KIND_TRANSFER
from ledger.rejection import Reason


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
    commands = resolved.commands
    if commands.kind[position] == KIND_TRANSFER:
        return transfer(context, resolved, position)
    command = resolved.verdicts.others[commands.start[position]]
    return RULES[type(command)].handle(context, commands.index[position], command)

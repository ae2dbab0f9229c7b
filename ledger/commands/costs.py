"""What a transaction may cost a node that executes it, counted from its bytes before anything is spent on it.

`ledger.commands.rules` says what a command costs. A transaction whose commands cost more than COST_MAX times its own
bytes in the log is rejected: what a block costs is proportional to what its senders put on the log.
"""

from collections.abc import Iterable
from typing import Any, Final

from ledger.commands import Command
from ledger.commands.rules import ASSET_COST, RULES

COST_MAX: Final = 40
"""Bytes of cost for each byte of a transaction."""

ENVELOPE_BYTES: Final = 96
"""What a transaction is in the log beside its body, at least: a public key and a signature."""

TRANSACTION_COST: Final = 600
"""Its row, and its remembered digest with the bucket."""


def transaction_cost(commands: Iterable[Command]) -> int:
    """In bytes. An asset that several commands change is counted once."""
    assets: set[bytes] = set()
    cost = TRANSACTION_COST
    command: Any
    for command in commands:
        rule = RULES[type(command)]
        cost += rule.cost(command)
        if rule.changes_asset:
            assets.add(command.asset)
    return cost + ASSET_COST * len(assets)


def is_too_costly(commands: Iterable[Command], body_bytes: int) -> bool:
    """Whether a transaction with a body of so many bytes may not have these commands."""
    return transaction_cost(commands) > COST_MAX * (body_bytes + ENVELOPE_BYTES)

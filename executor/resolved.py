"""A block group's verdicts once their balances have places in the cache."""

from dataclasses import dataclass

from executor.balances import Slots
from ledger.columns import Commands, Items, Verdicts


@dataclass(frozen=True, slots=True)
class Resolved:
    """Verdicts with their balances found: a slot for the sender of each transfer and for each of its recipients.
    Where an item is rejected already, its slots are meaningless."""

    verdicts: Verdicts
    items: Items
    commands: Commands
    senders: list[int]  # one per command
    recipients: list[int]  # one per recipient
    recipient_column: Slots  # the same as an array
    amounts: list[int]  # the verdicts' as integers

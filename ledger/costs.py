"""What a transaction may cost a node that executes it, counted from its bytes before anything is spent on it.

A cost is in bytes of tables, indexes and state tree: what a command adds to them at most (docs/formats.md has what was
measured, `tests/integration/test_block_costs.py` measures it). A transaction whose commands cost more than COST_MAX
times its own bytes in the log is rejected: what a block costs is proportional to what its senders put on the log.
"""

from collections.abc import Iterable
from typing import Final, assert_never

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
)

COST_MAX: Final = 40
"""Bytes of cost for each byte of a transaction."""

ENVELOPE_BYTES: Final = 96
"""What a transaction is in the log beside its body, at least: a public key and a signature."""

TRANSACTION_COST: Final = 600
"""Its row, and its remembered digest with the bucket."""

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


def transaction_cost(commands: Iterable[Command]) -> int:
    """In bytes. An asset that several commands mint or burn is counted once."""
    assets: set[bytes] = set()
    cost = TRANSACTION_COST
    for command in commands:
        cost += _cost(command)
        if isinstance(command, Mint | Burn) and command.asset not in assets:
            assets.add(command.asset)
            cost += _ASSET + _KEY
    return cost


def is_too_costly(commands: Iterable[Command], body_bytes: int) -> bool:
    """Whether a transaction with a body of so many bytes may not have these commands."""
    return transaction_cost(commands) > COST_MAX * (body_bytes + ENVELOPE_BYTES)


def _cost(command: Command) -> int:
    match command:
        case Transfer():
            return len(command.recipients) // 32 * (_MOVE + _BALANCE + _KEY)
        case Mint() | Burn():
            return _MOVE + _BALANCE + _KEY
        case CreateAsset():
            return _ASSET + _KEY
        case CreateObject():
            made = _OBJECT + _VERSION + _KEY + _TYPE + len(command.type) + _WRITER * len(command.writers or ())
            return made + _content(command.media_type, command.content)
        case UpdateObject():
            return _OBJECT + _VERSION + _KEY + _content(command.media_type, command.content)
        case ShareObject():
            return _OBJECT + _VERSION + _KEY + _WRITER * len(command.writers)
        case TransferObject() | FreezeObject() | DeleteObject():
            return _OBJECT + _VERSION + _KEY
        case _:
            assert_never(command)


def _content(media_type: str, content: bytes) -> int:
    return _CONTENT + 2 * (len(media_type) + len(content))

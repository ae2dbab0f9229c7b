"""The columns that cross between ingest, executor and projections: NumPy arrays, so that a thousand transfers under
one signature are decoded, executed and flushed as arrays.

Digests, addresses and ids are ``V32`` (``S32`` would strip trailing zero bytes).
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ledger.commands import Command

ITEM: Final = np.dtype(
    [
        ("record", "<i8"),  # index of the record within the chunk (after joining: within the block group)
        ("partition", "<i4"),
        ("offset", "<i8"),
        ("item", "<i4"),  # index within a batch; 0 for a single transaction; -1: the record as a whole
        ("reason", "u1"),  # ledger.rejection.Reason; 0: so far so good
        ("has_digest", "?"),
        ("digest", "V32"),  # of the transaction; zeros where the bytes did not decode
        ("signer", "V32"),  # address; zeros where the bytes did not decode
        ("expires_at_ms", "<i8"),
        ("commands_start", "<i4"),  # into `commands`
        ("commands_stop", "<i4"),
    ]
)

COMMAND: Final = np.dtype(
    [
        ("kind", "u1"),  # 0: transfer, in the amount columns; 1: any other, in `others`
        ("index", "<i4"),  # within its transaction
        ("asset", "V32"),  # of a transfer
        ("start", "<i4"),  # transfer: into `recipients` and `amounts`; other: into `others`
        ("stop", "<i4"),
    ]
)

KIND_TRANSFER: Final = 0
KIND_OTHER: Final = 1


@dataclass(frozen=True, slots=True)
class Items:
    """Rows of ITEM as one list for each column: a row's place in them is its place in the rows."""

    record: list[int]
    partition: list[int]
    offset: list[int]
    item: list[int]
    reason: list[int]
    has_digest: list[bool]
    digest: list[bytes]
    signer: list[bytes]
    expires_at_ms: list[int]
    commands_start: list[int]
    commands_stop: list[int]

    @classmethod
    def of(cls, rows: NDArray[Any]) -> Self:
        """The columns of these rows."""
        return cls(*(rows[name].tolist() for name in ITEM.names or ()))


@dataclass(frozen=True, slots=True)
class Commands:
    """Rows of COMMAND as one list for each column."""

    kind: list[int]
    index: list[int]
    asset: list[bytes]
    start: list[int]
    stop: list[int]

    @classmethod
    def of(cls, rows: NDArray[Any]) -> Self:
        """The columns of these rows."""
        return cls(*(rows[name].tolist() for name in COMMAND.names or ()))


assert tuple(field.name for field in fields(Items)) == ITEM.names
assert tuple(field.name for field in fields(Commands)) == COMMAND.names


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What `ingest` found out about records without knowing any state. One row of `items` per transaction, or one
    per record that does not decode; in log order."""

    items: NDArray[Any]  # ITEM
    references: tuple[bytes, ...]  # the client's own reference, one per item (empty where undecodable)
    commands: NDArray[Any]  # COMMAND
    recipients: NDArray[Any]  # V32
    amounts: NDArray[np.int64]  # > 0
    others: tuple[Command, ...]

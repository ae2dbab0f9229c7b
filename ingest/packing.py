"""Packs what was found out about single transactions into columns, and joins the columns of several chunks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.columns import COMMAND, ITEM, KIND_OTHER, KIND_TRANSFER, Verdicts
from ledger.commands import Command, Transfer
from ledger.rejection import Reason
from ledger.transaction import Body

ZERO_32 = bytes(32)
WHOLE_RECORD = -1
"""The `item` of a row that speaks of a record as a whole."""


RecordPosition = tuple[int, int, int, int]
"""(index of the record, partition, offset, item)"""


class Packer:
    """Collects rows, one call per item in log order, and packs them once at the end."""

    def __init__(self) -> None:
        self._numbers: list[tuple[int, ...]] = []
        self._identities: list[bytes] = []
        self._references: list[bytes] = []
        self._commands: list[tuple[int, ...]] = []
        self._assets: list[bytes] = []
        self._recipients: list[bytes] = []
        self._amounts: list[bytes] = []
        self._recipients_count = 0
        self._others: list[Command] = []

    def add_record(self, record: int, partition: int, offset: int, reason: Reason) -> None:
        """A record that does not decode."""
        self._add((record, partition, offset, WHOLE_RECORD), reason, (ZERO_32, ZERO_32), None, len(self._commands))

    def add_item(
        self,
        place: RecordPosition,
        reason: Reason,
        identity: tuple[bytes, bytes],
        body: Body | None,
        commands: Sequence[Command],
    ) -> None:
        """A transaction; `identity` is (digest, signer), `body` None where it does not decode.

        `commands` are those to execute: none where it is rejected.
        """
        start = len(self._commands)
        for index, command in enumerate(commands):
            self._add_command(index, command)
        self._add(place, reason, identity, body, start)

    def _add(
        self, place: RecordPosition, reason: Reason, identity: tuple[bytes, bytes], body: Body | None, start: int
    ) -> None:
        expires_at_ms, reference = (0, b"") if body is None else (body.expires_at_ms, body.reference)
        has_digest = place[3] != WHOLE_RECORD
        self._numbers.append((*place, reason, has_digest, expires_at_ms, start, len(self._commands)))
        self._identities.extend(identity)
        self._references.append(reference)

    def _add_command(self, index: int, command: Command) -> None:
        if isinstance(command, Transfer):
            start = self._recipients_count
            self._recipients_count += len(command.recipients) // 32
            self._recipients.append(command.recipients)
            self._amounts.append(command.amounts)
            self._assets.append(command.asset)
            self._commands.append((KIND_TRANSFER, index, start, self._recipients_count))
        else:
            self._assets.append(ZERO_32)
            self._commands.append((KIND_OTHER, index, len(self._others), len(self._others) + 1))
            self._others.append(command)

    def pack(self) -> Verdicts:
        """The columns of all rows so far."""
        items = np.zeros(len(self._numbers), ITEM)
        names = "record partition offset item reason has_digest expires_at_ms commands_start commands_stop"
        _fill(items, names.split(), self._numbers)
        identities = _packed_32(self._identities)
        items["digest"], items["signer"] = identities[::2], identities[1::2]
        commands = np.zeros(len(self._commands), COMMAND)
        _fill(commands, ["kind", "index", "start", "stop"], self._commands)
        commands["asset"] = _packed_32(self._assets)
        return Verdicts(
            items=items,
            references=tuple(self._references),
            commands=commands,
            recipients=_packed_32(self._recipients),
            amounts=np.frombuffer(b"".join(self._amounts), ">i8").astype(np.int64),
            others=tuple(self._others),
        )


def join(parts: Sequence[Verdicts]) -> Verdicts:
    """The verdicts of consecutive chunks as those of one: record, command, recipient and other indexes are shifted.

    Every record has at least one row, so a chunk's last row says how many records it had.
    """
    if len(parts) == 1:
        return parts[0]
    items = np.concatenate([np.zeros(0, ITEM), *(part.items for part in parts)])
    commands = np.concatenate([np.zeros(0, COMMAND), *(part.commands for part in parts)])
    at_item = at_command = at_record = at_recipient = at_other = 0
    for part in parts:
        rows = items[at_item : at_item + len(part.items)]
        rows["record"] += at_record
        rows["commands_start"] += at_command
        rows["commands_stop"] += at_command
        moved = commands[at_command : at_command + len(part.commands)]
        shift = np.where(moved["kind"] == KIND_TRANSFER, at_recipient, at_other).astype(np.int32)
        moved["start"] += shift
        moved["stop"] += shift
        at_record = int(rows["record"][-1]) + 1 if len(rows) else at_record
        at_item += len(part.items)
        at_command += len(part.commands)
        at_recipient += len(part.recipients)
        at_other += len(part.others)
    return Verdicts(
        items=items,
        references=tuple(reference for part in parts for reference in part.references),
        commands=commands,
        recipients=np.concatenate([np.zeros(0, "V32"), *(part.recipients for part in parts)]),
        amounts=np.concatenate([np.zeros(0, np.int64), *(part.amounts for part in parts)]),
        others=tuple(command for part in parts for command in part.others),
    )


def _fill(rows: NDArray[Any], names: Sequence[str], tuples: Sequence[tuple[int, ...]]) -> None:
    """Copy `tuples` into the named fields of `rows`, a field at a time."""
    columns = np.array(tuples, np.int64).reshape(len(tuples), len(names))
    for i, name in enumerate(names):
        rows[name] = columns[:, i]


def _packed_32(parts: Sequence[bytes]) -> NDArray[Any]:
    return np.frombuffer(b"".join(parts), "V32")

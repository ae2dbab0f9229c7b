"""The transfers of a block group, collected as runs and written out as TRANSFER columns at the end."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.columns import Verdicts
from ledger.state import NOBODY, TRANSFER, MoveKind

_V32: Final = np.dtype("V32")


class Moves:
    """A run is a stretch of the verdicts' recipients and amounts that one transfer moved; mints and burns are runs of
    one behind their end."""

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._runs: list[tuple[int, int, bytes, bytes, int, MoveKind]] = []
        """start, stop, asset, sender, transaction, kind."""
        self._extra: list[tuple[bytes, int]] = []  # recipient, amount
        self._blocks: list[tuple[int, int]] = []  # height, count
        self._mark = (0, 0)
        self.count = 0
        """Transfers since the block began."""

    def begin_block(self, height: int) -> None:
        """What comes is of this block."""
        self._close_block()
        self._blocks.append((height, 0))
        self.count = 0

    def begin(self) -> None:
        """A transaction starts."""
        self._mark = (len(self._runs), self.count)

    def roll_back(self) -> None:
        """Forget everything since `begin`."""
        runs, self.count = self._mark
        del self._runs[runs:]

    def add_run(self, start: int, stop: int, asset: bytes, sender: bytes, transaction: int) -> None:
        """A transfer of the verdicts' recipients and amounts from `start` up to `stop`."""
        self._add(start, stop, asset, sender, transaction, MoveKind.TRANSFER)

    def add_mint(self, asset: bytes, recipient: bytes, amount: int, transaction: int) -> None:
        """New units for `recipient`."""
        self._add_extra(asset, NOBODY, recipient, amount, transaction, MoveKind.MINT)

    def add_burn(self, asset: bytes, sender: bytes, amount: int, transaction: int) -> None:
        """Units of `sender` that are no more."""
        self._add_extra(asset, sender, NOBODY, amount, transaction, MoveKind.BURN)

    def _add_extra(
        self, asset: bytes, sender: bytes, recipient: bytes, amount: int, transaction: int, kind: MoveKind
    ) -> None:
        position = len(self._verdicts.recipients) + len(self._extra)
        self._extra.append((recipient, amount))
        self._add(position, position + 1, asset, sender, transaction, kind)

    def _add(self, start: int, stop: int, asset: bytes, sender: bytes, transaction: int, kind: MoveKind) -> None:
        self._runs.append((start, stop, asset, sender, transaction, kind))
        self.count += stop - start

    def columns(self) -> NDArray[Any]:
        """All moves as TRANSFER rows, in execution order; `index` counts them from 0 in each block."""
        self._close_block()
        bounds = np.array([run[:2] for run in self._runs], np.int64).reshape(-1, 2)
        lengths = bounds[:, 1] - bounds[:, 0]
        rows = np.empty(int(lengths.sum()), TRANSFER)
        source = np.arange(len(rows)) + np.repeat(bounds[:, 0] - _starts(lengths), lengths)
        counts = np.array([count for _, count in self._blocks], np.int64)
        rows["height"] = np.repeat(np.array([height for height, _ in self._blocks], np.int64), counts)
        rows["index"] = np.arange(len(rows)) - np.repeat(_starts(counts), counts)
        rows["transaction"] = np.repeat(np.array([run[4] for run in self._runs], np.int64), lengths)
        rows["asset"] = np.repeat(_packed([run[2] for run in self._runs]), lengths)
        rows["sender"] = np.repeat(_packed([run[3] for run in self._runs]), lengths)
        rows["kind"] = np.repeat(np.array([run[5] for run in self._runs], np.int16), lengths)
        recipients, amounts = self._sources()
        rows["recipient"] = recipients[source]
        rows["amount"] = amounts[source]
        return rows

    def _sources(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        recipients, amounts = self._verdicts.recipients, self._verdicts.amounts
        if not self._extra:
            return recipients, amounts
        more = np.array([amount for _, amount in self._extra], np.int64)
        return (
            np.concatenate([recipients, _packed([recipient for recipient, _ in self._extra])]),
            np.concatenate([amounts, more]),
        )

    def _close_block(self) -> None:
        if self._blocks:
            self._blocks[-1] = (self._blocks[-1][0], self.count)


def _packed(values: Sequence[bytes]) -> NDArray[Any]:
    return np.frombuffer(b"".join(values), _V32)


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(lengths) - lengths

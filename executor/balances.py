"""Balances as one growing column: an (asset, address) has a slot, and amounts lie in an int64 array by slot, so that a
transfer to a thousand recipients is a thousand dict look-ups and one vectorised credit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.state import BALANCE

Slots = NDArray[np.int64]

_CAPACITY_MIN: Final = 1024
_BALANCE_BYTES: Final = 340
_ASSET_BYTES: Final = 360
"""What a balance, and an asset that has any beside them, take in memory with their places in dictionaries."""
_NOBODY: Final[Mapping[bytes, int]] = {}


class Balances:
    """Final amounts by slot, what the database will hold once all flushes in flight are durable, and an undo log.

    Amount 0 means that there is no row. No credit can overflow: the amounts of an asset sum to its supply < 2^63.
    """

    def __init__(self) -> None:
        self._slots: dict[bytes, dict[bytes, int]] = {}
        self._fresh: list[tuple[bytes, bytes]] = []  # (asset, address), their slots follow the learned ones
        self._learned = 0
        self._keys: NDArray[Any] = np.zeros(0, BALANCE)
        self._amounts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._flushed: NDArray[np.int64] = np.zeros(0, np.int64)
        self._reserve(_CAPACITY_MIN)
        self._touched: list[int] = []
        self._touched_many: list[Slots] = []
        self._undo: list[tuple[int | Slots, int | NDArray[np.int64]]] = []

    @property
    def size_bytes(self) -> int:
        """What they take in memory, about."""
        return _BALANCE_BYTES * self._learned + _ASSET_BYTES * len(self._slots)

    @property
    def is_learned(self) -> bool:
        """Every slot that was handed out has an amount."""
        return not self._fresh

    def slot_of(self, asset: bytes, address: bytes) -> int:
        """The slot of one balance; a new one until `learn` says its amount."""
        slots = self._slots.get(asset)
        if slots is None:
            slots = self._slots[asset] = {}
        slot = slots.get(address)
        if slot is None:
            slot = slots[address] = self._learned + len(self._fresh)
            self._fresh.append((asset, address))
        return slot

    def slots_of(self, asset: bytes, addresses: Sequence[bytes]) -> list[int]:
        """The slots of many balances of one asset, in the order given."""
        try:
            return list(map(self._slots[asset].__getitem__, addresses))
        except KeyError:
            return [self.slot_of(asset, address) for address in addresses]

    def wanted(self) -> dict[bytes, tuple[bytes, ...]]:
        """What has a slot and no amount yet: asset -> addresses."""
        wanted: dict[bytes, list[bytes]] = {}
        for asset, address in self._fresh:
            wanted.setdefault(asset, []).append(address)
        return {asset: tuple(addresses) for asset, addresses in wanted.items()}

    def learn(self, stored: Mapping[bytes, Mapping[bytes, int]]) -> None:
        """All that is wanted: the amount stored, or 0 where there is no row."""
        if not self._fresh:
            return
        start, stop = self._learned, self._learned + len(self._fresh)
        if stop > len(self._amounts):
            self._reserve(max(stop, 2 * len(self._amounts)))
        packed = b"".join(part for key in self._fresh for part in key)
        keys = np.frombuffer(packed, np.dtype([("asset", "V32"), ("address", "V32")]))
        self._keys["asset"][start:stop] = keys["asset"]
        self._keys["address"][start:stop] = keys["address"]
        amounts = [stored.get(asset, _NOBODY).get(address, 0) for asset, address in self._fresh]
        self._amounts[start:stop] = self._flushed[start:stop] = amounts
        self._learned = stop
        self._fresh.clear()

    def amount(self, slot: int) -> int:
        """What is in a slot now."""
        return int(self._cells[slot])

    def add(self, slot: int, amount: int) -> None:
        """Credit one slot, or debit it where `amount` is negative; the caller has checked that it is covered."""
        before = self._cells[slot]
        self._undo.append((slot, before))
        self._cells[slot] = before + amount
        self._touched.append(slot)

    def credit(self, slots: Slots, amounts: NDArray[np.int64]) -> None:
        """Credit many slots; one that occurs twice is credited twice."""
        self._undo.append((slots, self._amounts[slots]))
        np.add.at(self._amounts, slots, amounts)
        self._touched_many.append(slots)

    def begin(self) -> None:
        """What can be undone begins here: what was done before can no longer be undone."""
        self._undo.clear()

    def roll_back(self) -> None:
        """Undo everything since `begin`."""
        for slots, before in reversed(self._undo):
            self._amounts[slots] = before
        self._undo.clear()

    def changes(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """(inserted, updated, deleted) since the last call, as BALANCE rows; from now on they count as flushed."""
        touched = _distinct([np.array(self._touched, np.int64), *self._touched_many])
        self._touched.clear()
        self._touched_many.clear()
        self._undo.clear()
        now, was = self._amounts[touched], self._flushed[touched]
        self._flushed[touched] = now
        had, has = was != 0, now != 0
        return (
            self._rows(touched[~had & has]),
            self._rows(touched[had & has & (was != now)]),
            self._rows(touched[had & ~has]),
        )

    def _rows(self, slots: Slots) -> NDArray[Any]:
        rows = self._keys[slots]
        rows["amount"] = self._amounts[slots]
        return rows

    def _reserve(self, capacity: int) -> None:
        more = capacity - len(self._amounts)
        self._keys = np.concatenate([self._keys, np.zeros(more, BALANCE)])
        self._amounts = np.concatenate([self._amounts, np.zeros(more, np.int64)])
        self._flushed = np.concatenate([self._flushed, np.zeros(more, np.int64)])
        self._cells: Any = memoryview(self._amounts)  # type: ignore[arg-type]  # one element costs half of the array's


def _distinct(parts: Sequence[Slots]) -> Slots:
    """Sorted and without repetitions; `np.unique` does the same 20 times slower."""
    slots = np.sort(np.concatenate(parts))
    is_first = np.ones(len(slots), np.bool_)
    is_first[1:] = slots[1:] != slots[:-1]
    return slots[is_first]

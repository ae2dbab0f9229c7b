"""Who may write shared objects: asked of the database by pairs of object and signer, never as a whole list, which may
be two hundred times as long as the command that needs it. Whole are only the lists that were set here.
"""

from bisect import bisect_left
from collections.abc import Collection
from typing import Final

_PAIR_BYTES: Final = 200
_LIST_BYTES: Final = 250
"""What a pair, and a list beside its addresses, take in memory, about."""


class Writers:
    """Pairs are ``object 32 | address 32``. Lists have an undo log; what a pair says of the database stays true, since
    an object's writers are set once."""

    def __init__(self) -> None:
        self._pairs: dict[bytes, bool] = {}
        self._wanted: dict[bytes, None] = {}
        self._lists: dict[bytes, bytes] = {}  # object -> packed addresses, sorted
        self._undo: list[bytes] = []
        self.size_bytes = 0

    def want(self, object_id: bytes, address: bytes) -> None:
        """Ask for a pair, unless it is known."""
        pair = object_id + address
        if object_id not in self._lists and pair not in self._pairs:
            self._wanted[pair] = None

    def wanted(self) -> tuple[bytes, ...]:
        """The pairs asked for, in order."""
        return tuple(self._wanted)

    def learn(self, found: Collection[bytes]) -> None:
        """All that is wanted: the pairs that the database has."""
        for pair in self._wanted:
            self._pairs[pair] = pair in found
        self.size_bytes += _PAIR_BYTES * len(self._wanted)
        self._wanted.clear()
        self._undo.clear()

    def has(self, object_id: bytes, address: bytes) -> bool:
        """Whether an address is among an object's writers; the pair was asked for."""
        packed = self._lists.get(object_id)
        if packed is None:
            return self._pairs[object_id + address]
        place = bisect_left(range(len(packed) // 32), address, key=lambda n: packed[32 * n : 32 * n + 32])
        return packed[32 * place : 32 * place + 32] == address

    def put(self, object_id: bytes, packed: bytes) -> None:
        """The writers of an object that becomes shared."""
        self._lists[object_id] = packed
        self._undo.append(object_id)
        self.size_bytes += _LIST_BYTES + len(packed)

    def begin(self) -> None:
        """What can be undone begins here: what was put before can no longer be undone."""
        self._undo.clear()

    def roll_back(self) -> None:
        """Undo everything since `begin`."""
        for object_id in self._undo:
            self.size_bytes -= _LIST_BYTES + len(self._lists.pop(object_id))
        self._undo.clear()

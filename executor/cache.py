"""Assets and objects as execution sees them: by id, known to be absent too, with an undo log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

_ABSENT_BYTES: Final = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Changes(Generic[T]):
    """What a group did to one table, split by what the database holds; in order of first change."""

    inserted: tuple[T, ...]
    updated: tuple[T, ...]
    deleted: tuple[bytes, ...]


class Cache(Generic[T]):
    """Values by id, of `value_bytes` in memory each; of what does not exist only the id is held."""

    def __init__(self, value_bytes: int) -> None:
        self._value_bytes = value_bytes
        self._values: dict[bytes, T | None] = {}
        self._wanted: dict[bytes, None] = {}
        self._before: dict[bytes, T | None] = {}  # of what this group has changed
        self._undo: list[tuple[bytes, T | None]] = []
        self._present = 0

    @property
    def size_bytes(self) -> int:
        """What the values take in memory, about."""
        return self._value_bytes * self._present + _ABSENT_BYTES * (len(self._values) - self._present)

    @property
    def is_learned(self) -> bool:
        """Everything asked for is known."""
        return not self._wanted

    def want(self, key: bytes) -> None:
        """Ask for a value, unless it is known."""
        if key not in self._values:
            self._wanted[key] = None

    def wanted(self) -> tuple[bytes, ...]:
        """The ids asked for, in order."""
        return tuple(self._wanted)

    def learn(self, stored: Mapping[bytes, T]) -> None:
        """All that is wanted; what is not in `stored` does not exist."""
        for key in self._wanted:
            value = stored.get(key)
            self._values[key] = value
            self._present += value is not None
        self._wanted.clear()

    def get(self, key: bytes) -> T | None:
        """The value now, None where there is none. The id was wanted and learned, or put."""
        return self._values[key]

    def put(self, key: bytes, value: T | None) -> None:
        """Set, or remove with None. An id that was never learned is one that a transaction has just made."""
        before = self._values.get(key)
        self._undo.append((key, before))
        self._before.setdefault(key, before)
        self._set(key, value)

    def begin(self) -> None:
        """What can be undone begins here: what was put before can no longer be undone."""
        self._undo.clear()

    def roll_back(self) -> None:
        """Undo everything since `begin`."""
        for key, before in reversed(self._undo):
            self._set(key, before)
        self._undo.clear()

    def changes(self) -> Changes[T]:
        """What was put since the last call; from now on it counts as flushed."""
        inserted: list[T] = []
        updated: list[T] = []
        deleted: list[bytes] = []
        for key, before in self._before.items():
            now = self._values[key]
            if now is None and before is not None:
                deleted.append(key)
            elif now is not None and before is None:
                inserted.append(now)
            elif now is not None and now != before:
                updated.append(now)
        self._before.clear()
        self._undo.clear()
        return Changes(tuple(inserted), tuple(updated), tuple(deleted))

    def _set(self, key: bytes, value: T | None) -> None:
        self._present += (value is not None) - (self._values.get(key) is not None)
        self._values[key] = value

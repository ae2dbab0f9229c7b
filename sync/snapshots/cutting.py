"""Cuts the leaves of a state into subtrees of its tree, none larger than a bound, and packs those into files.

A subtree is all that lies under a path. It is cut as high as the bound lets it, and as deep as it must be: who grinds
ids until many begin alike makes paths long, and nothing too large. Only a single leaf may be larger than the bound.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from projections.snapshots.exporting import LiveLeaf
from tree.loading import nibble
from tree.nodes import NIBBLES

_FRAMING: Final = 16
"""About what a record has beside its bytes, at most."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a subtree, and a file, may hold."""

    leaves: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The leaves under a path (a byte per nibble): all of them, at least one. That of a single leaf is its whole key
    hash."""

    path: bytes
    rows: list[LiveLeaf]
    size_bytes: int


def cuts_of(rows: Iterator[LiveLeaf], bound: Bound) -> Iterator[Cut]:
    """`rows` are all of a tree, by rising key hash. What is held at once is one subtree, and one leaf beside."""
    window = _Window(rows, bound)
    before: bytes | None = None
    while window.fill():
        first = window.rows[0][0]
        depth = 0 if before is None else _common(before, first) + 1
        if window.is_over:
            depth = max(depth, _common(first, window.rows[-1][0]) + 1)
        taken = window.take(depth)
        before = taken[-1][0]
        path = before if len(taken) == 1 else first
        count = NIBBLES if len(taken) == 1 else depth
        yield Cut(bytes(nibble(path, place) for place in range(count)), taken, sum(map(_size, taken)))


class _Window:
    """The next rows: as many as are within the bound, at least one; and the one that is not any more."""

    def __init__(self, rows: Iterator[LiveLeaf], bound: Bound) -> None:
        self._coming = rows
        self._bound = bound
        self._size = 0
        self.rows: deque[LiveLeaf] = deque()

    @property
    def is_over(self) -> bool:
        """Whether its last row does not fit beside the others."""
        return len(self.rows) > 1 and (len(self.rows) > self._bound.leaves or self._size > self._bound.size_bytes)

    def fill(self) -> bool:
        """Whether there is a row."""
        while not self.is_over and (row := next(self._coming, None)) is not None:
            self.rows.append(row)
            self._size += _size(row)
        return bool(self.rows)

    def take(self, depth: int) -> list[LiveLeaf]:
        """The first row, and those next to it with the same first `depth` nibbles."""
        taken = [self.rows.popleft()]
        while self.rows and _common(taken[0][0], self.rows[0][0]) >= depth:
            taken.append(self.rows.popleft())
        self._size -= sum(map(_size, taken))
        return taken


def _common(a: bytes, b: bytes) -> int:
    """How many nibbles two key hashes have in common at their beginning."""
    return NIBBLES - ((int.from_bytes(a) ^ int.from_bytes(b)).bit_length() + 3) // 4


def _size(row: LiveLeaf) -> int:
    _, key, value, parts = row
    return len(key) + len(value) + (0 if parts is None else parts.size_bytes) + _FRAMING

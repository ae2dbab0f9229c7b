"""Nodes of the state tree that this process has written itself, so that the next checkpoint neither asks for nor checks
them. A node of a path and a version never changes, and the next checkpoint of hot rows supersedes what this one wrote.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from tree.nodes import NodeKey

BYTES_MAX: Final = 64 << 20
ENTRY_BYTES: Final = 300
"""What an entry takes beside the node: its key, and its place in the dictionary."""


class NodeCache:
    """The nodes that were kept last, up to `bytes_max` bytes; the oldest go first.

    For one database and one transaction after the other: `clear` it where one is undone, since the next may write other
    nodes under the same keys.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._nodes: dict[NodeKey, bytes] = {}

    def get(self, key: NodeKey) -> bytes | None:
        """The node, if it is here."""
        return self._nodes.get(key)

    def keep(self, nodes: Mapping[NodeKey, bytes]) -> None:
        """Take new nodes in."""
        self.drop(nodes)
        self._nodes.update(nodes)
        self._bytes += sum(map(len, nodes.values())) + ENTRY_BYTES * len(nodes)
        while self._bytes > self._bytes_max:
            self._forget(next(iter(self._nodes)))

    def drop(self, keys: Iterable[NodeKey]) -> None:
        """Superseded nodes: nobody asks for them again."""
        for key in keys:
            if key in self._nodes:
                self._forget(key)

    def clear(self) -> None:
        """Forget everything."""
        self._nodes.clear()
        self._bytes = 0

    def _forget(self, key: NodeKey) -> None:
        self._bytes -= len(self._nodes.pop(key)) + ENTRY_BYTES

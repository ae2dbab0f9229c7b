"""What a batch of changes costs the state tree, in memory: per updated leaf, for trees and batches of several sizes.

python benchmarks/state_tree.py [leaves_max]
"""

import sys
import time
from collections.abc import Sequence
from hashlib import sha256

from tree.nodes import Child, NodeKey
from tree.update import update

SIZES = (1_000, 10_000, 100_000, 1_000_000, 3_000_000)
BATCHES = (1_000, 10_000, 100_000)
GROW = 100_000


def name(number: int) -> bytes:
    """A key hash or value hash."""
    return sha256(number.to_bytes(8)).digest()


class Bench:
    """One tree, grown on and on; nodes that have become stale are dropped."""

    def __init__(self) -> None:
        self.nodes: dict[NodeKey, bytes] = {}
        self.root: Child | None = None
        self.version = 0
        self.count = 0

    def read(self, keys: Sequence[NodeKey]) -> dict[NodeKey, bytes]:
        return {key: self.nodes[key] for key in keys}

    def grow(self, count: int) -> None:
        while self.count < count:
            stop = min(count, self.count + GROW)
            self.change({name(number): name(number) for number in range(self.count, stop)})
            self.count = stop

    def change(self, changes: dict[bytes, bytes | None]) -> tuple[float, int, int]:
        """(seconds, nodes written, bytes written)"""
        self.version += 1
        start = time.perf_counter()
        done = update(self.root, self.version, changes, self.read)
        took = time.perf_counter() - start
        self.root = done.root
        self.nodes.update(done.written)
        for key in done.stale_nodes:
            del self.nodes[key]
        return took, len(done.written), sum(map(len, done.written.values()))

    def touch(self, count: int) -> tuple[float, int, int]:
        """Change so many leaves, spread over all."""
        step = self.count // count
        return self.change({name(number * step): name(self.version << 40 | number) for number in range(count)})


def main() -> None:
    """Print the table."""
    leaves_max = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    bench = Bench()
    print(f"{'leaves':>10} {'changed':>8} {'us/leaf':>8} {'nodes/leaf':>10} {'bytes/leaf':>10}")
    for size in SIZES:
        if size > leaves_max:
            return
        bench.grow(size)
        for count in BATCHES:
            if count <= size:
                took, nodes, written = bench.touch(count)
                print(
                    f"{size:>10} {count:>8} {took / count * 1e6:>8.1f} {nodes / count:>10.2f} {written / count:>10.0f}"
                )


if __name__ == "__main__":
    main()

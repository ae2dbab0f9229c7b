"""What a batch of changes costs the state tree, per changed leaf, for trees and batches of several sizes.

python -m benchmarks.state_tree [--smallest] [memory | postgres] [leaves_max] [URL]

memory: `tree.update` over a dict, without the cyclic garbage collector, as in `projections.flush.tree`. postgres: all
of what a checkpoint does to the tree, from keys and values to the commit; without a URL in an embedded Postgres of its
own.
A tree is grown on and on by batches of GROW new leaves (`new`: the cost of the last of them); then leaves spread over
all are changed. `own` is the part that this process spends computing: on a busy machine the figure that two runs agree
on best. What a batch superseded is pruned before the next, and not counted.
"""

import argparse
import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.smallest import SMALLEST, run_to_its_end
from ledger.leaves import key_hash
from node.embedded.postgres import EmbeddedPostgres
from projections.flush.node_cache import NodeCache
from projections.flush.tree import change_tree
from projections.maintenance.migrate import migrate
from projections.maintenance.pruning import prune_tree
from projections.session.connect import Connection, connect
from tree.nodes import Child, NodeKey
from tree.update import update

SIZES = (1_000, 10_000, 100_000, 1_000_000, 3_000_000)
BATCHES = (1_000, 10_000, 100_000)
GROW = 100_000

Changes = dict[bytes, bytes | None]


class Cost(NamedTuple):
    """Of a batch, in seconds: by the wall, and of this process's computing."""

    wall: float
    own: float


class Tree(ABC):
    """One tree of `count` leaves, the keys and values of which are names of numbers."""

    def __init__(self) -> None:
        self.version = 0
        self.count = 0

    @abstractmethod
    def change(self, changes: Changes) -> None:
        """A batch, of version `version`."""

    @abstractmethod
    def prune(self) -> None:
        """Drop what the last batch superseded, and leave nothing of it to be done during the next."""

    def grow(self, count: int) -> Cost:
        """Add leaves until there are so many; the cost of the last batch, per leaf of it."""
        cost = Cost(0, 0)
        while self.count < count:
            stop = min(count, self.count + GROW)
            cost = self._timed({name(number): name(number) for number in range(self.count, stop)})
            self.count = stop
        return cost

    def touch(self, count: int) -> Cost:
        """Change so many leaves, spread over all; the cost per leaf."""
        step = self.count // count
        return self._timed({name(number * step): name(self.version + 1 << 40 | number) for number in range(count)})

    def _timed(self, changes: Changes) -> Cost:
        self.version += 1
        wall, own = time.perf_counter(), time.process_time()
        self.change(changes)
        cost = Cost((time.perf_counter() - wall) / len(changes), (time.process_time() - own) / len(changes))
        self.prune()
        return cost


class TreeInMemory(Tree):
    """Nodes in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[NodeKey, bytes] = {}
        self.root: Child | None = None
        self._stale: list[NodeKey] = []

    def read(self, keys: Sequence[NodeKey]) -> dict[NodeKey, bytes]:
        return {key: self.nodes[key] for key in keys}

    def change(self, changes: Changes) -> None:
        done = update(self.root, self.version, changes, self.read)
        self.root, self._stale = done.root, done.stale_nodes
        self.nodes.update(done.written)

    def prune(self) -> None:
        for key in self._stale:
            del self.nodes[key]


class TreeInPostgres(Tree):
    """As the executor keeps it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._cache = NodeCache()

    def change(self, changes: Changes) -> None:
        by_hash = {key_hash(key): (key, value) for key, value in changes.items()}
        with self._connection.transaction():
            change_tree(
                self._connection,
                self.version,
                sorted(by_hash),
                lambda hashes: {each: by_hash[each] for each in hashes},
                self._cache,
            )

    def prune(self) -> None:
        while prune_tree(self._connection, self.version):
            pass
        for table in ("nodes", "leaves", "stale"):
            self._connection.execute(f"VACUUM (ANALYZE) ledger.tree_{table}")


def name(number: int) -> bytes:
    """A key, key hash, value or value hash."""
    return sha256(number.to_bytes(8)).digest()


def measure(tree: Tree, leaves_max: int) -> None:
    """Print the table of one tree, a line at a time."""
    print(f"{'leaves':>10} {'changed':>8} {'us/leaf':>8} {'own':>8}")
    for size in SIZES:
        if size > leaves_max:
            return
        _line(size, "new", tree.grow(size))
        for count in BATCHES:
            if count <= size:
                _line(size, str(count), tree.touch(count))


def _line(size: int, changed: str, cost: Cost) -> None:
    print(f"{size:>10} {changed:>8} {cost.wall * 1e6:>8.1f} {cost.own * 1e6:>8.1f}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """One table; with --smallest one of each kind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("where", nargs="?", choices=("memory", "postgres"), default="memory")
    parser.add_argument("leaves_max", nargs="?", type=int, default=SIZES[-1])
    parser.add_argument("url", nargs="?", help="of a database without tables")
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    leaves, url = SIZES[0] if given.smallest else given.leaves_max, given.url
    if given.where == "memory" or given.smallest:
        gc.disable()
        measure(TreeInMemory(), leaves)
        gc.enable()
    if given.where == "memory":
        return
    with TemporaryDirectory(prefix="momus-") as folder:
        embedded = EmbeddedPostgres(Path(folder) / "pg")
        with nullcontext() if url else embedded:
            url = url or embedded.url()
            migrate(url)
            with connect(url) as connection:
                measure(TreeInPostgres(connection), leaves)


if __name__ == "__main__":
    run_to_its_end(main)

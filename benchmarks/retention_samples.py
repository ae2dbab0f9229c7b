"""What a node occupies at one moment, by kind, and whether its checkpoints came when they were due."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import children, pid_of, private_bytes
from lab.demo.local_node import LocalNode
from ledger.checkpoint_rule import CheckpointRule, Mark, genesis_mark
from ledger.header import Head
from node.home.layout import Home
from projections.maintenance.partitions import HISTORY
from projections.rows.heads import heads_from_json
from projections.session.connect import Connection

STATE = ("balances", "assets", "objects", "remembered", "expiry_buckets")
TREE = ("tree_nodes", "tree_leaves", "tree_stale", "tree_root", "changed_balances", "changed_keys")
_PARTITIONED = """SELECT coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint
FROM pg_inherits AS i WHERE i.inhparent = ANY(%s::regclass[])"""
_PLAIN = "SELECT coalesce(sum(pg_total_relation_size(t::regclass)), 0)::bigint FROM unnest(%s::text[]) AS t"
_BLOCKS = "SELECT height, time_ms, heads FROM ledger.blocks WHERE height > %s ORDER BY height"
_CHECKPOINTS = "SELECT height FROM ledger.checkpoints WHERE height > %s AND height <= %s"
_TIMES = """SELECT (SELECT max(time_ms) FROM ledger.checkpoints), (SELECT max(time_ms) FROM ledger.checkpoints
    WHERE height <= (SELECT max(height) FROM ledger.certificates))"""


@dataclass(frozen=True, slots=True)
class Sample:
    """Bytes by kind, on disk and in memory; transactions and heights of which there is history; the age in seconds of
    the newest checkpoint, and of the newest certified one."""

    disk: dict[str, int]
    memory: dict[str, int]
    transactions: int
    heights: int
    checkpoint_age_s: float
    certified_age_s: float


@dataclass(slots=True)
class Checkpoints:
    """By the rule, over every block: which were due, which are there; the longest block time from one to the next."""

    due: int = 0
    missing: list[int] = field(default_factory=list)
    undue: list[int] = field(default_factory=list)
    between_ms_max: int = 0


@dataclass(frozen=True, slots=True)
class _Block:
    time_ms: int
    heads: tuple[Head, ...]


class Sampler:
    """Of one running node; asked more often than history is pruned, so that it sees every block."""

    def __init__(self, home: Home, node: LocalNode, connection: Connection) -> None:
        self.checkpoints = Checkpoints()
        self._home = home
        self._node = node
        self._connection = connection
        genesis = home.genesis()
        self._rule = CheckpointRule(genesis)
        self._heights = genesis.checkpoint_heights
        self._last: Mark = genesis_mark(genesis)
        self._height = 0

    def sample(self) -> Sample:
        """As it is now."""
        self._follow_blocks()
        row = self._connection.execute("SELECT count(*) FROM ledger.transactions").fetchone()
        blocks = self._connection.execute("SELECT count(*) FROM ledger.blocks").fetchone()
        times = self._connection.execute(_TIMES).fetchone()
        assert row is not None
        assert blocks is not None
        assert times is not None
        newest, certified = (time.time() - (time_ms or 0) / 1000 for time_ms in times)
        return Sample(self._disk(), self._memory(), int(row[0]), int(blocks[0]), newest, certified)

    def _disk(self) -> dict[str, int]:
        home = self._home
        return {
            "history tables": self._relations(_PARTITIONED, HISTORY),
            "store": size_bytes(home.store),
            "state tables": self._relations(_PLAIN, STATE),
            "tree": self._relations(_PLAIN, TREE),
            "snapshots": size_bytes(home.path / "snapshots"),
            "journal": size_bytes(home.journal),
            "Postgres' WAL": size_bytes(home.postgres / "pg_wal"),
            "log": size_bytes(home.path / "log"),
        }

    def _memory(self) -> dict[str, int]:
        execute, order = pid_of(self._node, "execute"), pid_of(self._node, "order")
        postgres = pid_of(self._node, "postgres")
        return {
            "order": private_bytes(order),
            "execute": private_bytes(execute),
            "execute's workers": sum(map(private_bytes, _workers(execute))),
            "supervisor": private_bytes(pid_of(self._node, "supervisor")),
            "Postgres": private_bytes(postgres) + sum(map(private_bytes, children(postgres))),
        }

    def _relations(self, query: str, tables: tuple[str, ...]) -> int:
        row = self._connection.execute(query, ([f"ledger.{table}" for table in tables],)).fetchone()
        assert row is not None
        return int(row[0])

    def _follow_blocks(self) -> None:
        """Hold the rule against every block since the last time."""
        found, since, due = self.checkpoints, self._height, set[int]()
        for height, time_ms, heads in self._connection.execute(_BLOCKS, (since,)):
            assert height == self._height + 1, f"blocks {self._height + 1} to {height - 1} were pruned unseen"
            block = _Block(time_ms, heads_from_json(heads))
            if height % self._heights == 0 or self._rule.is_due(time_ms, block.heads, self._last):
                due.add(height)
                if self._last.time_ms:
                    found.between_ms_max = max(found.between_ms_max, time_ms - self._last.time_ms)
                self._last = block
            self._height = height
        there = {int(row[0]) for row in self._connection.execute(_CHECKPOINTS, (since, self._height))}
        found.due += len(due)
        found.missing += sorted(due - there)
        found.undue += sorted(there - due)


def _workers(execute: int) -> list[int]:
    """Of the execute process, but not one that makes a snapshot: that comes and goes."""
    return [pid for pid in children(execute) if b"spawn_main" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def size_bytes(folder: Path) -> int:
    """Of all files below; those that go while they are counted count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total

"""Whether a large state costs throughput: two nodes, one with few objects and one with many, under the same load.

python -m benchmarks.large_state [--few N] [--many N] [--rounds N] [--steps N] [--memory-mib N] [--smallest]
[--scratch FOLDER]

Each node fills its state by itself, from transactions that create objects. Then both are given the same load in turn: a
step updates DISTINCT different objects, each under a signature of its own. At `few` these are all there are. At `many`
they are drawn from all, once with others in every round ("many"), once with others in every step ("many, fresh": then
none is in the executor's cache, and a checkpoint has as many more leaves to change as there were steps before it). A
flush holds a step at most: so the number of distinct objects in one is the same in all three.

Every process of the nodes is bounded (`processes.bounded`): the execute process and its workers, and as well the order
process and each of Postgres.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.objects import Objects, run_steps
from benchmarks.processes import bounded, children, limit_bytes, memory_bytes, pid_of, processor_s
from benchmarks.ratios import ratios, spread
from benchmarks.smallest import SMALLEST, run_to_its_end
from client import HeightWatch
from lab.bench.inject import Injector
from lab.bench.load import RECORD_TRANSACTIONS, LogEntry, packed
from lab.bench.run import VALID_FOR_MS, make_chain
from lab.bench.watch import FinalWatch
from lab.demo.local_node import LocalNode
from lab.demo.scratch import fresh_scratch
from ledger.committee import Committees
from node.wiring import database_url, open_log
from projections.session.connect import connect

DISTINCT = 10_000
CREATED_A_STEP = 20_000
CREATIONS_A_RECORD = 20
MARK = 0.30
MIB = 1 << 20
ENVIRONMENT = {
    "MOMUS_EXECUTE__FLUSH_RECORDS_MAX": str(DISTINCT // RECORD_TRANSACTIONS),
    "MOMUS_EXECUTE__JOB_RECORDS_MAX": "10",
    "MOMUS_SNAPSHOTS__EVERY_MS": "0",
}


@dataclass(slots=True)
class Figures:
    """Of one node, round by round; `processor_s` is of the execute process without its workers."""

    per_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)


class Site:
    """A node that runs until `stack` ends, and its objects."""

    def __init__(self, scratch: Path, name: str, memory_bytes_max: int, stack: ExitStack) -> None:
        (home,) = make_chain(scratch, name, None, 1, "--checkpoint-ms", "10000")
        self.name = name
        self.node = LocalNode(home.path, ENVIRONMENT)
        with bounded(memory_bytes_max):
            stack.enter_context(self.node)
        settings = home.settings({})
        self._url = database_url(home, settings)
        self._heights = stack.enter_context(HeightWatch(self._url))
        log = stack.enter_context(open_log(home, settings))
        watch = stack.enter_context(FinalWatch(log, home.genesis(), Committees.of(home.genesis())))
        self._injector = Injector(log, home.genesis(), watch, [self._heights])
        self._partitions = home.genesis().partitions
        self.objects = Objects(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS)
        self.pid = pid_of(self.node, "execute")

    def fill(self, count: int) -> float:
        """Create objects until there are so many; the seconds that took, with signing."""
        began = time.monotonic()
        run_steps(self._injector, self._heights, self._creations(count))
        seconds = time.monotonic() - began
        with connect(self._url) as connection:
            connection.execute("VACUUM (ANALYZE)")
            row = connection.execute("SELECT count(*) FROM ledger.objects").fetchone()
        assert row is not None
        assert row[0] == count == len(self.objects), f"{row[0]} objects of {count}"
        return seconds

    def measure(self, figures: Figures, steps: Sequence[Sequence[LogEntry]], transactions: int) -> None:
        """One round."""
        checkpoints, processor = self._checkpoints(), processor_s(self.pid)
        seconds = run_steps(self._injector, self._heights, steps)
        figures.per_s.append(transactions / seconds)
        figures.processor_s.append(processor_s(self.pid) - processor)
        figures.checkpoints.append(self._checkpoints() - checkpoints)

    def updates(
        self, steps: int, chance: Random, is_fresh: bool, distinct: int = DISTINCT
    ) -> list[tuple[LogEntry, ...]]:
        """Signed steps: of all objects where there are no more than a step has, else drawn for all steps or each."""
        count = len(self.objects)
        numbers = range(count) if count <= distinct else chance.sample(range(count), distinct)
        made = []
        for _ in range(steps):
            made.append(packed(self.objects.update(numbers), self._partitions))
            numbers = chance.sample(range(count), distinct) if is_fresh else numbers
        return made

    def rejected(self) -> int:
        """Transactions that did not execute: must be none."""
        with connect(self._url) as connection:
            row = connection.execute("SELECT coalesce(sum(rejections), 0) FROM ledger.blocks").fetchone()
        assert row is not None
        return int(row[0])

    def show_memory(self) -> None:
        """The most that the execute process and its workers have had, and what bounds them."""
        assert pid_of(self.node, "execute") == self.pid, "the execute process was started again: see run.log"
        pids = [self.pid, *children(self.pid)]
        peaks = ", ".join(f"{memory_bytes(pid, 'VmHWM') // MIB:,}" for pid in pids)
        data = ", ".join(f"{memory_bytes(pid, 'VmData') // MIB:,}" for pid in pids)
        print(
            f"{self.name}: execute process and its workers: most in memory {peaks} MiB; private now {data} MiB "
            f"of at most {limit_bytes(self.pid) // MIB:,}",
            flush=True,
        )

    def _creations(self, count: int) -> Iterator[tuple[LogEntry, ...]]:
        while len(self.objects) < count:
            step = self.objects.create(min(CREATED_A_STEP, count - len(self.objects)))
            yield packed(step, self._partitions, CREATIONS_A_RECORD)
            if len(self.objects) % 500_000 == 0:
                print(f"  {self.name}: {len(self.objects):,} objects", flush=True)

    def _checkpoints(self) -> int:
        with connect(self._url) as connection:
            row = connection.execute("SELECT count(*) FROM ledger.checkpoints").fetchone()
        assert row is not None
        return int(row[0])


def main(argv: Sequence[str] | None = None) -> None:
    """Fill, measure in turn, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--few", type=int, default=DISTINCT)
    parser.add_argument("--many", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=10, help=f"of {DISTINCT:,} transactions each, in a round")
    parser.add_argument("--memory-mib", type=int, default=1024)
    parser.add_argument("--scratch", type=Path, default=Path(".bench-state"))
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    if given.smallest:
        given.few, given.many, given.rounds, given.steps = 10, 20, 1, 1
    distinct = min(DISTINCT, given.few)
    scratch = fresh_scratch(given.scratch)
    with ExitStack() as stack:
        few, many = (Site(scratch, name, given.memory_mib * MIB, stack) for name in ("few", "many"))
        for site, count in ((few, given.few), (many, given.many)):
            print(f"{site.name}: {count:,} objects made in {site.fill(count):,.0f} s", flush=True)
            site.show_memory()
        chance = Random(1)
        kinds = {"few": (few, False), "many": (many, False), "many, fresh": (many, True)}
        found = {name: Figures() for name in kinds}
        for number in range(given.rounds):
            for name in kinds if number % 2 == 0 else reversed(kinds):
                site, is_fresh = kinds[name]
                figures = found[name]
                site.measure(figures, site.updates(given.steps, chance, is_fresh, distinct), given.steps * distinct)
                print(
                    f"round {number + 1}, {name}: {figures.per_s[-1]:,.0f} transactions/s, "
                    f"{figures.processor_s[-1]:.1f} s computing, {figures.checkpoints[-1]} checkpoints",
                    flush=True,
                )
        for site in (few, many):
            site.show_memory()
            assert site.rejected() == 0, f"{site.name}: {site.rejected()} transactions were rejected"
    for name in ("many", "many, fresh"):
        show(name, found["few"], found[name])


def show(name: str, few: Figures, many: Figures) -> None:
    """The ratios, and whether the loss is within the mark."""
    rates = ratios(many.per_s, few.per_s)
    ratio = median(rates)
    print(
        f"{name}: {median(many.per_s):,.0f} transactions/s, few {median(few.per_s):,.0f}, ratio {spread(rates)}; "
        f"computing of the execute process {spread(ratios(many.processor_s, few.processor_s))}"
    )
    print(f"{name}: loss {1 - ratio:.0%} of at most {MARK:.0%}: {'met' if ratio >= 1 - MARK else 'missed'}")


if __name__ == "__main__":
    run_to_its_end(main)

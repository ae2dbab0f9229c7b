"""What each knob does, as ratios: `python -m benchmarks.tuning [--pairs N] [--kafka] [--smallest] [KNOB ...]`.

Two settings of a knob, each on a chain and a node of its own; both nodes run, and get the same signed load in turn,
the first place changing. Of every figure the median of the ratios by pairs, second over first, with the least and the
most. On a machine that others use too, processor seconds say more than wall seconds. docs/performance-tuning.md has the
figures.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import psycopg
from rich.console import Console

from benchmarks.knobs import KNOBS, Knob, Side, singles
from benchmarks.processes import family_s, pid_of
from benchmarks.ratios import ratios, spread
from benchmarks.smallest import SMALLEST, run_to_its_end
from client import Client, ClientSettings, HeightWatch
from lab.bench.inject import Injector, executed
from lab.bench.load import Load, Maker
from lab.bench.pacer import pace
from lab.bench.run import VALID_FOR_MS, make_chain
from lab.bench.watch import FinalWatch
from lab.demo.backbone import running_broker
from lab.demo.latency import finality, visibility
from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import momus
from ledger.committee import Committees
from node.home.layout import Home
from node.wiring import database_url, open_log
from node.wiring.databases import running_postgres

WAIT_S = 600.0
Figures = dict[str, float]


class Running:
    """One side of a knob: a fresh chain that runs, and is given one round of the load after the other."""

    def __init__(self, scratch: Path, name: str, knob: Knob, side: Side, servers: str | None) -> None:
        self._knob = knob
        self._side = side
        self._homes = make_chain(scratch, name, servers, knob.validators, *side.init)
        for home in self._homes:
            _prepare(home, side)
        self._home = self._homes[0]
        self._maker = Maker(self._home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS)
        self._committee = LocalCommittee([home.path for home in self._homes], [side.environment] * len(self._homes))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._committee)
            self._heights = stack.enter_context(HeightWatch(self._committee.urls[0]))
            self._client = stack.enter_context(Client.at_home(self._home.path, ClientSettings(**self._side.client)))
            opened = self._client.submit_all(self._maker.opening())
            self._client.wait(opened, WAIT_S)
            executed(self._heights, max(each.height or 0 for each in opened), WAIT_S)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def round(self) -> Figures:
        """Seconds of wall and processor for the load; or milliseconds, of a steady pace."""
        self._maker.expires_at_ms += 1  # so that nothing is signed twice
        load = self._knob.load(self._maker, self._side) if self._knob.load is not None else None
        before = self._processor()
        found = self._paced() if load is None else self._loaded(load)
        return found | {name: spent - before[name] for name, spent in self._processor().items()}

    def _paced(self) -> Figures:
        measured = pace(self._client, self._maker.payments(self._knob.payments), WAIT_S)
        executed(self._heights, max(each.height or 0 for each in measured), WAIT_S)
        final, seen = finality(measured), visibility(measured, self._heights)
        return {"final p50": final.p50, "final p99": final.p99, "in SQL p50": seen.p50, "in SQL p99": seen.p99}

    def _loaded(self, load: Load) -> Figures:
        step = self._knob.step * len(load.entries) // load.transfers or len(load.entries)
        with (
            open_log(self._home, self._home.settings({})) as log,
            FinalWatch(log, self._home.genesis(), Committees.of(self._home.genesis())) as watch,
        ):
            injector = Injector(log, self._home.genesis(), watch, [self._heights])
            began = time.monotonic()
            for at in range(0, len(load.entries), step):
                header = injector.finalize(load.entries[at : at + step])
            executed(self._heights, header.height, WAIT_S)
            return {"wall": time.monotonic() - began}

    def _processor(self) -> Figures:
        node, postgres = (
            sum(family_s(pid_of(each, process)) for each in self._committee.nodes)
            for process in ("supervisor", "postgres")
        )
        return {"node processor": node, "Postgres processor": postgres}


def _prepare(home: Home, side: Side) -> None:
    if side.effects:
        momus("effects", "create", "--home", str(home.path))
    if side.kafka:
        lines = [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in side.kafka.items()]
        text = home.settings_file.read_text()
        home.settings_file.write_text(text.replace("[kafka]\n", "[kafka]\n" + "\n".join(lines) + "\n"))
    if side.postgres:
        with (
            running_postgres(home, home.settings({})),
            psycopg.connect(database_url(home, home.settings({})), autocommit=True) as database,
        ):
            for name, value in side.postgres.items():
                database.execute(f"alter system set {name} = '{value}'".encode())


def measure(knob: Knob, folder: Path, pairs: int, servers: str | None) -> tuple[list[Figures], list[Figures]]:
    """The figures of each side, pair by pair."""
    found: tuple[list[Figures], list[Figures]] = ([], [])
    with (
        Running(folder, "first", knob, knob.first, servers) as first,
        Running(folder, "second", knob, knob.second, servers) as second,
    ):
        for number in range(pairs):
            for at in (0, 1) if number % 2 == 0 else (1, 0):
                found[at].append((first, second)[at].round())
    return found


def row(knob: Knob, found: tuple[Sequence[Figures], Sequence[Figures]]) -> str:
    """A line of the table."""
    cells = []
    for figure in found[0][0]:
        firsts, seconds = ([each[figure] for each in side] for side in found)
        if found_ratios := ratios(seconds, firsts):
            cells.append(f"{figure} {spread(found_ratios)}, {median(firsts):.1f} to {median(seconds):.1f}")
    return f"| {knob.name} | {knob.first.name} | {knob.second.name} | {'; '.join(cells)} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a row for each knob."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--kafka", action="store_true", help="On a Kafka broker, started here; default: embedded log.")
    parser.add_argument("knobs", nargs="*", metavar="KNOB", help=", ".join(KNOBS))
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    if given.smallest:
        given.pairs, given.knobs = 1, given.knobs or ["workers"]
    names = given.knobs or [name for name, knob in KNOBS.items() if knob.on_kafka == given.kafka]
    with (
        TemporaryDirectory(prefix="momus-tuning-", ignore_cleanup_errors=True) as name,
        running_broker("kafka" if given.kafka else "embedded", Path(name), Console(stderr=True)) as servers,
    ):
        for number, knob in enumerate(KNOBS[each] for each in names):
            with TemporaryDirectory(dir=name, prefix=f"{number}-", ignore_cleanup_errors=True) as folder:
                knob = replace(knob, load=singles(20), step=10) if given.smallest else knob
                found = measure(knob, Path(folder), given.pairs, servers)
            print(row(knob, found), f"load average {os.getloadavg()[0]:.0f}", flush=True)


if __name__ == "__main__":
    run_to_its_end(main)

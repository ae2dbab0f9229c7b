"""What metrics cost, and how long a scrape under load takes: `python -m benchmarks.metrics [--smallest]`.

Rounds of two runs each, in turn with the first place changing: the same signed load into a fresh chain of one
validator, without metrics (`metrics.port = 0`) and with them, then scraped once a second. From the first append to the
last committed row: wall seconds, and the processor seconds of the supervisor, order, execute and the signature workers,
not those of Postgres. The machine's own pace changes more than metrics cost: read the median of the ratios by pairs.
"""

import argparse
import os
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.ratios import ratios, spread
from benchmarks.smallest import SMALLEST, run_to_its_end
from client import Client, HeightWatch
from lab.bench.inject import Injector, executed
from lab.bench.load import Load, Maker
from lab.bench.run import VALID_FOR_MS, make_chain
from lab.bench.watch import FinalWatch
from lab.demo.local_node import LocalNode
from ledger.committee import Committees
from node.embedded.broker import free_ports
from node.home.layout import Home
from node.wiring import database_url, open_log

PAUSE_S = 1.0
READY = "ready"
SCRAPE_MS_MARK = 50
WAIT_S = 300.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Figures:
    """Of the runs of one kind, in order."""

    wall_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    scrapes_s: list[float] = field(default_factory=list)
    page_bytes: int = 0


def run(scratch: Path, name: str, transactions: int, port: int, figures: Figures, pause_s: float) -> None:
    """One run on a fresh chain; `port` 0: without metrics."""
    (home,) = make_chain(scratch, name, None, 1)
    with home.settings_file.open("a") as file:
        file.write(f"\n[metrics]\nport = {port}\n")
    load = Maker(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS).single(transactions)
    with LocalNode(home.path) as node, HeightWatch(database_url(home, home.settings({}))) as heights:
        _open(home, load, heights)
        with (
            open_log(home, home.settings({})) as log,
            FinalWatch(log, home.genesis(), Committees.of(home.genesis())) as watch,
            scraping(port, figures, pause_s),
        ):
            before = processor_s(node)
            figures.wall_s.append(Injector(log, home.genesis(), watch, [heights]).run(load.entries).executed_s)
            figures.processor_s.append(processor_s(node) - before)


def _open(home: Home, load: Load, heights: HeightWatch) -> None:
    with Client.at_home(home.path) as client:
        submissions = client.submit_all(load.opening)
        client.wait(submissions, WAIT_S)
    executed(heights, max(submission.height or 0 for submission in submissions), WAIT_S)


def processor_s(node: LocalNode) -> float:
    """Of the node's processes and the workers that they started, since their start."""
    said = [node.status(name) for name in ("supervisor", "order", "execute")]
    pids = [status.pid for status in said if status is not None]
    workers = Path(f"/proc/{pids[-1]}/task").glob("*/children")
    pids += [int(pid) for file in workers for pid in file.read_text().split()]
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(found[11]) + int(found[12]) for found in fields) / TICKS_PER_S


@contextmanager
def scraping(port: int, figures: Figures, pause_s: float) -> Iterator[None]:
    """Ask for the page once a second, where there is one, from a process of its own; time every answer."""
    if not port:
        yield
        return
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_scrape, args=(port, theirs, pause_s))
    process.start()
    try:
        assert ours.recv() == READY
        yield
    finally:
        ours.send(None)
        scrapes_s, figures.page_bytes = ours.recv()
        figures.scrapes_s += scrapes_s
        process.join()


def _scrape(port: int, pipe: "Connection[Any, Any]", pause_s: float) -> None:
    scrapes_s: list[float] = []
    page_bytes = 0
    pipe.send(READY)
    is_ending = False
    while not is_ending:
        is_ending = pipe.poll(pause_s)
        began = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            page_bytes = len(answer.read())
        scrapes_s.append(time.perf_counter() - began)
    pipe.send((scrapes_s, page_bytes))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--transactions", type=int, default=60_000)
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    rounds, transactions, pause_s = given.rounds, given.transactions, PAUSE_S
    if given.smallest:
        rounds, transactions, pause_s = 1, 50, 0.0
    without, having = Figures(), Figures()
    with TemporaryDirectory(prefix="momus-metrics-", ignore_cleanup_errors=True) as folder:
        for number in range(rounds):
            runs = [(without, 0), (having, free_ports(1)[0])]
            for figures, port in runs if number % 2 == 0 else reversed(runs):
                name = f"m{number}-{'with' if port else 'without'}"
                run(Path(folder), name, transactions, port, figures, pause_s)
                print(f"{name}: {figures.wall_s[-1]:.2f} s, processor {figures.processor_s[-1]:.2f} s", flush=True)
    for what in ("wall_s", "processor_s"):
        ours, theirs = getattr(having, what), getattr(without, what)
        print(f"{what}: without {median(theirs):.2f}, with {median(ours):.2f}, ratio {spread(ratios(ours, theirs), 3)}")
    scrapes = sorted(1000 * seconds for seconds in having.scrapes_s)
    print(
        f"{len(scrapes)} scrapes of {having.page_bytes:,} bytes: median {median(scrapes):.1f} ms, "
        f"p95 {scrapes[len(scrapes) * 95 // 100]:.1f} ms, longest {scrapes[-1]:.1f} ms, "
        f"{sum(1 for scrape in scrapes if scrape >= SCRAPE_MS_MARK)} of at least {SCRAPE_MS_MARK} ms"
    )


if __name__ == "__main__":
    run_to_its_end(main)

"""Whether a node that prunes stays as large as it is: an hour's worth of checkpoints, snapshots and pruning in minutes.

python -m benchmarks.retention [--seconds N] [--rate N] [--accounts N] [--smallest] [--scratch FOLDER]

One validator under a steady load. A checkpoint falls due every second, a snapshot every ten, of which three are kept;
history older than a minute is pruned. So seven minutes have as many checkpoints as an hour with one every ten seconds.
Of what is sampled, the last third of the run is compared with the second: the first is there to reach the level.
"""

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from benchmarks.retention_report import Report
from benchmarks.retention_samples import Sampler
from benchmarks.smallest import SMALLEST, run_to_its_end
from client import Client, HeightWatch
from lab.bench.inject import WAIT_S, Injector, executed
from lab.bench.load import Maker, packed
from lab.bench.run import make_chain
from lab.bench.watch import FinalWatch
from lab.demo.local_node import LocalNode
from lab.demo.scratch import fresh_scratch
from ledger.committee import Committees
from node.home.layout import Home
from node.wiring import database_url, open_log
from node.wiring.databases import running_postgres
from projections.maintenance.migrate import migrate
from projections.session.connect import connect

VALID_FOR_MS = 30_000
TICK_S = 0.25
SAMPLE_S = 5.0
SAMPLES_MIN = 3
CHECKPOINT_MS = 1_000
SETTINGS = """
[projections]
partition_heights = 50

[store]
segment_bytes = 1048576

[snapshots]
every_ms = 10000
keep_count = 3

[pruning]
keep_ms = 60000
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run, sample, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=420)
    parser.add_argument("--rate", type=int, default=1_000, help="transactions a second")
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--sample-s", type=float, default=SAMPLE_S)
    parser.add_argument("--scratch", type=Path, default=Path(".bench-retention"))
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    if given.smallest:
        given.seconds, given.rate, given.accounts, given.sample_s = 2, 20, 10, 0.5
    console = Console(highlight=False)
    (home,) = make_chain(fresh_scratch(given.scratch), "retention", None, 1, "--checkpoint-ms", str(CHECKPOINT_MS))
    with home.settings_file.open("a") as file:
        file.write(SETTINGS)
    settings = home.settings({})
    with running_postgres(home, settings):
        migrate(database_url(home, settings), partition_heights=settings.projections.partition_heights)
    report = Report()
    try:
        run(home, given.seconds, given.rate, given.accounts, console, report, given.sample_s)
    finally:
        if len(report.samples) >= SAMPLES_MIN:
            report.show(console)


def run(
    home: Home, seconds: int, rate: int, accounts: int, console: Console, report: Report, sample_s: float = SAMPLE_S
) -> None:
    """Keep the node under load for so long, sampling into `report`. Raises: BenchFailed, NodeFailed."""
    settings = home.settings({})
    with ExitStack() as stack:
        node = stack.enter_context(LocalNode(home.path))
        url = database_url(home, settings)
        heights = stack.enter_context(HeightWatch(url))
        maker = Maker(home.genesis(), _now_ms() + VALID_FOR_MS)
        with Client.at_home(home.path) as client:
            opening = client.submit_all(maker.opening())
            client.wait(opening, WAIT_S)
            executed(heights, max(submission.height or 0 for submission in opening), WAIT_S)
        log = stack.enter_context(open_log(home, settings))
        watch = stack.enter_context(FinalWatch(log, home.genesis(), Committees.of(home.genesis())))
        injector = Injector(log, home.genesis(), watch, [heights])
        sampler = Sampler(home, node, stack.enter_context(connect(url)))
        report.checkpoints = sampler.checkpoints
        count = max(1, round(rate * TICK_S))
        began = time.monotonic()
        for tick in range(round(seconds / TICK_S)):
            time.sleep(max(0.0, began + tick * TICK_S - time.monotonic()))
            maker.expires_at_ms = _now_ms() + VALID_FOR_MS
            injector.finalize(packed(maker.payments(count, tick * count, accounts), home.genesis().partitions))
            if time.monotonic() - began >= sample_s * (len(report.samples) + 1):
                report.samples.append(sampler.sample())
                console.print(report.line(time.monotonic() - began), soft_wrap=True)
        report.transactions_per_s = count * round(seconds / TICK_S) / (time.monotonic() - began)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    run_to_its_end(main)

"""Every recovery path from a lost database, timed after many transactions, on one log or the other.

python -m benchmarks.drill [--kafka] [--transactions N] [--accounts N] [--smallest] [--scratch FOLDER]
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from backbone.store import StoreReader
from benchmarks.smallest import SMALLEST, run_to_its_end
from client import Client, HeightWatch
from lab.bench.inject import Injector, executed
from lab.bench.load import Maker
from lab.bench.run import VALID_FOR_MS, make_chain
from lab.bench.watch import FinalWatch
from lab.demo.backbone import running_broker
from lab.demo.local_node import LocalNode, momus
from lab.demo.scratch import fresh_scratch
from ledger.committee import Committees
from node.home.layout import Home
from node.wiring import DATABASE, database_url, open_log
from node.wiring.databases import drop_database, running_postgres

STEP = 50_000
WAIT_S = 600.0
SETTINGS = "\n[snapshots]\nevery_ms = {}\n"
SOURCES = ("snapshot", "store", "log")


def main(argv: Sequence[str] | None = None) -> None:
    """Fill a node, walk its drills, destroy its database and bring it back."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--transactions", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=200_000)
    parser.add_argument("--every-ms", type=int, default=60_000, help="of block time, from snapshot to snapshot")
    parser.add_argument("--scratch", type=Path, default=Path(".bench-drill"))
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    if given.smallest:
        given.transactions, given.accounts, given.every_ms = 100, 10, 1
    console = Console(highlight=False)
    scratch = fresh_scratch(given.scratch)
    with running_broker("kafka" if given.kafka else "embedded", scratch, console) as servers:
        (home,) = make_chain(scratch, "drill", servers, 1, "--checkpoint-ms", str(min(10_000, given.every_ms)))
        with home.settings_file.open("a") as file:
            file.write(SETTINGS.format(given.every_ms))
        with LocalNode(home.path):
            seconds = fill(home, given.transactions, given.accounts, console)
            console.print(f"{given.transactions:,} transactions executed in {seconds:,.0f} s")
            wait_for_snapshot(home, console)
            for source in SOURCES:
                show(console, momus("drill", "--home", str(home.path), "--from", source))
        recovered(home, console)


def fill(home: Home, transactions: int, accounts: int, console: Console) -> float:
    """Append and execute all, a step after the other; the seconds that took without signing."""
    maker = Maker(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS)
    took = 0.0
    with HeightWatch(database_url(home, home.settings({}))) as heights:
        with Client.at_home(home.path) as client:
            opening = client.submit_all(maker.opening())
            client.wait(opening, WAIT_S)
            executed(heights, max(submission.height or 0 for submission in opening), WAIT_S)
        for first in range(0, transactions, STEP):
            load = maker.single(min(STEP, transactions - first), first, accounts)
            with (
                open_log(home, home.settings({})) as log,
                FinalWatch(log, home.genesis(), Committees.of(home.genesis())) as watch,
            ):
                took += Injector(log, home.genesis(), watch, [heights]).run(load.entries).executed_s
            console.print(f"  {first + STEP:,} after {took:,.0f} s")
    return took


def wait_for_snapshot(home: Home, console: Console) -> None:
    """Until the newest one is done, and the checkpoints after the load are certified."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = momus("snapshots", "--home", str(home.path))["snapshots"]
        with StoreReader(home.store) as store:
            final, certified = store.last_height(), store.certificates_after(max(0, store.last_height() - 2), 1)
        if found and certified:
            newest = found[-1]
            console.print(f"snapshot of height {newest['height']:,} of {final:,}: {newest['rows']:,} rows")
            return
        time.sleep(1)
    raise SystemExit("no snapshot was made")


def show(console: Console, report: dict[str, Any]) -> None:
    """One drill."""
    console.print(
        f"{report['source']:>8}: {report['verdict']}, root certified {report['is_root_certified']}, "
        f"{report['rows_compared']:,} rows equal, {report['records']:,} records in {report['seconds']:,.1f} s "
        f"({report['records_per_s']:,.0f} records/s)"
    )


def recovered(home: Home, console: Console) -> None:
    """With the node stopped: the database is destroyed, and `momus recover` brings it back."""
    settings = home.settings({})
    with running_postgres(home, settings):
        drop_database(database_url(home, settings).replace(f"/{DATABASE}?", "/postgres?"), DATABASE)
        found = momus("recover", "--home", str(home.path))
    console.print(f" recover: from the {found['source']} to height {found['height']:,} in {found['seconds']:,.1f} s")
    with LocalNode(home.path), Client.at_home(home.path) as client:
        maker = Maker(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS)
        payment = client.submit_all(list(maker.payments(1, 10**9)))
        client.wait(payment, WAIT_S)
        console.print(f"          the node goes on: a payment is final at height {payment[0].height:,}")


if __name__ == "__main__":
    run_to_its_end(main)

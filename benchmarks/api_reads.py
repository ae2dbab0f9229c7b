"""Reads by the HTTP API beside the same reads by SQL: requests a second, and the slowest in a hundred.

    python -m benchmarks.api_reads [--rounds N] [--seconds N] [--transactions N] [--smallest]

A running node of one validator that has executed so many transfers, each signed by itself, in blocks of about 500.
`wrk` (Debian: apt install wrk) asks the API; `pgbench` (Debian: postgresql) asks Postgres what the API asks it for the
same rows, over as many connections. Both are programs in C on this machine, and take their share of its processors.
Rounds in turn; medians. Then the same while payments come in.
"""

import argparse
import os
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from api.reading import transactions
from api.reading.listing import PAGE, PlacePageQuery
from api.reading.rows import Executed
from api.routes.ledger import PARTIES, TRANSFERS
from api.routes.state import _BALANCE, _OBJECT
from benchmarks.processes import family_s, pid_of
from benchmarks.smallest import SMALLEST, run_to_its_end
from client import Client, HeightWatch
from lab.bench.inject import Injector, executed
from lab.bench.load import Maker
from lab.bench.run import VALID_FOR_MS, make_chain
from lab.bench.watch import FinalWatch
from lab.demo.local_node import LocalNode
from ledger.commands import CreateObject
from ledger.committee import Committees
from ledger.transaction import Transaction
from node.embedded.broker import free_ports
from node.home.layout import Home
from node.wiring import database_url, open_log

CONNECTIONS = 8
ROWS = 16
OBJECTS = 64
BLOCK_RECORDS = 5
LOAD_PER_S = 500
LOAD_STEP = 50
WAIT_S = 600.0
_LUA = """local paths, at = {{ {paths} }}, 0
request = function() at = at % #paths + 1; return wrk.format("GET", paths[at]) end
done = function(summary, latency)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  print(string.format("RESULT %d %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), bad))
end
"""


@dataclass(frozen=True, slots=True)
class Read:
    """One kind: the paths that the API is asked, and for each what Postgres is asked."""

    name: str
    paths: tuple[str, ...]
    scripts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one run: requests a second, milliseconds of the median and of the slowest in a hundred; and what one costs the
    API process and Postgres together, in milliseconds of processor."""

    per_s: float
    p50_ms: float
    p99_ms: float
    processor_ms: float = 0.0


class Reads:
    """The rows that are asked for, of a node that holds them."""

    def __init__(self, database: psycopg.Connection[dict[str, Any]]) -> None:
        self._database = database
        self._mogrify = psycopg.ClientCursor(database).mogrify

    def all(self) -> list[Read]:
        """The four kinds."""
        return [self._balance(), self._transaction(), self._statement(), self._object()]

    def _balance(self) -> Read:
        rows = self._rows("SELECT address, asset FROM api.balances ORDER BY address")
        return Read(
            "one balance",
            tuple(f"/v1/addresses/{row['address']}/balances/{row['asset']}" for row in rows),
            tuple(self._script((_BALANCE, (row["asset"], row["address"]))) for row in rows),
        )

    def _transaction(self) -> Read:
        rows = self._rows("SELECT * FROM api.transactions WHERE index % 97 = 7 ORDER BY digest")
        return Read(
            "one transaction, with its effects",
            tuple(f"/v1/transactions/{row['digest']}" for row in rows),
            tuple(self._script(*self._effects(row)) for row in rows),
        )

    def _effects(self, row: dict[str, Any]) -> list[tuple[sql.Composed | str, Any]]:
        place = (row["height"], row["index"])
        return [
            (transactions._HEIGHT, (row["digest"],)),
            (
                transactions.found(Executed, "transactions", row["height"]),
                {"digest": row["digest"], "height": row["height"]},
            ),
            (transactions._TRANSFERS, (*place, transactions.TRANSFERS_MAX + 1)),
            (transactions._OBJECTS, place),
        ]

    def _statement(self) -> Read:
        rows = self._rows("SELECT address FROM api.balances ORDER BY address")
        addresses = [row["address"] for row in rows]
        return Read(
            f"{PAGE} transfers of an address",
            tuple(f"/v1/addresses/{address}/transfers" for address in addresses),
            tuple(self._script(*TRANSFERS.statements(PlacePageQuery(), 0, {}, PARTIES, one)) for one in addresses),
        )

    def _object(self) -> Read:
        rows = self._rows("SELECT object FROM api.objects ORDER BY object")
        return Read(
            "one object",
            tuple(f"/v1/objects/{row['object']}" for row in rows),
            tuple(self._script((_OBJECT, (row["object"],))) for row in rows),
        )

    def _rows(self, query: str) -> list[dict[str, Any]]:
        return self._database.execute(f"{query} LIMIT {ROWS}".encode()).fetchall()

    def _script(self, *asked: tuple[sql.Composed | str, Any]) -> str:
        return "".join(f"{self._mogrify(statement, values)};\n" for statement, values in asked)


def by_api(folder: Path, port: object, read: Read, seconds: int) -> Rate:
    """What `wrk` measures."""
    script = folder / "paths.lua"
    script.write_text(_LUA.format(paths=", ".join(f'"{path}"' for path in read.paths)))
    argv = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", str(seconds), "-s", str(script), f"http://127.0.0.1:{port}"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    assert found is not None, said
    requests, took_us, p50_us, p99_us, bad = map(int, found.groups())
    assert bad == 0, f"{bad} requests failed: {said}"
    return Rate(1e6 * requests / took_us, p50_us / 1e3, p99_us / 1e3)


def by_sql(folder: Path, url: object, read: Read, seconds: int) -> Rate:
    """What `pgbench` measures: every script is one request, its statements prepared once."""
    for old in folder.glob("latency*"):
        old.unlink()
    files = [folder / f"{number}.sql" for number in range(len(read.scripts))]
    for file, script in zip(files, read.scripts, strict=True):
        file.write_text(script)
    argv = ["pgbench", "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "1", "-T", str(seconds), "-l"]
    argv += ["--log-prefix", str(folder / "latency"), *(part for file in files for part in ("-f", str(file))), str(url)]
    environment = {**os.environ, "PGOPTIONS": "-c role=momus_reader -c jit=off"}
    subprocess.run(argv, capture_output=True, text=True, check=True, env=environment)
    lines = [line for log in folder.glob("latency*") for line in log.read_text().splitlines()]
    took = sorted(int(line.split()[2]) / 1e3 for line in lines)
    return Rate(len(took) / seconds, median(took), took[len(took) * 99 // 100])


def once_by_api(folder: Path, port: object, read: Read, seconds: int) -> Rate:
    """Every path asked for once: shows that it is answered, and measures next to nothing."""
    began = time.monotonic()
    for path in read.paths:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=WAIT_S) as answer:
            assert answer.status == 200, f"{path}: {answer.status}"
    return _once(read, began)


def once_by_sql(folder: Path, url: object, read: Read, seconds: int) -> Rate:
    """Every script run once."""
    began = time.monotonic()
    with psycopg.connect(str(url), autocommit=True) as database:
        for script in read.scripts:
            database.execute(script.encode())
    return _once(read, began)


def _once(read: Read, began: float) -> Rate:
    took_s = time.monotonic() - began
    return Rate(len(read.paths) / took_s, took_s * 1e3, took_s * 1e3)


@contextmanager
def node(scratch: Path, count: int) -> Iterator[tuple[Home, LocalNode, int, Maker]]:
    """Running, with so many transfers executed, and some objects; with the port of its API."""
    (home,) = make_chain(scratch, "reads", None, 1)
    (port,) = free_ports(1)
    open_wide = {"MOMUS_API__PORT": str(port), "MOMUS_API__RATE_PER_S": "1000000", "MOMUS_API__BURST": "1000000"}
    maker = Maker(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS)
    load = maker.single(count)
    with LocalNode(home.path, open_wide) as running:
        settings = home.settings({})
        with HeightWatch(database_url(home, settings)) as heights:
            with Client.at_home(home.path) as client:
                sent = client.submit_all([*load.opening, *objects(maker)])
                client.wait(sent, WAIT_S)
                executed(heights, max(each.height or 0 for each in sent), WAIT_S)
            with (
                open_log(home, settings) as log,
                FinalWatch(log, home.genesis(), Committees.of(home.genesis())) as watch,
            ):
                injector = Injector(log, home.genesis(), watch, [heights])
                for at in range(0, len(load.entries), BLOCK_RECORDS):
                    injector.run(load.entries[at : at + BLOCK_RECORDS])
        running.wait_running(["api"], WAIT_S)
        yield home, running, port, maker


def objects(maker: Maker) -> Iterator[Transaction]:
    """Of a kilobyte each."""
    for number in range(OBJECTS):
        content = b'{"number": %d, "text": "%s"}' % (number, b"x" * 950)
        yield maker._sign(maker._bank, b"object %d" % number, CreateObject("note", "application/json", content, None))


@contextmanager
def paying(home: Home, maker: Maker, first: int) -> Iterator[None]:
    """LOAD_PER_S payments a second, in steps, from a thread of this process, which does nothing else meanwhile."""
    stop = threading.Event()

    def pay() -> None:
        with Client.at_home(home.path) as client:
            number, begun = first, time.monotonic()
            while not stop.wait(max(0.0, begun + (number - first) / LOAD_PER_S - time.monotonic())):
                client.submit_all(maker.payments(LOAD_STEP, number))
                number += LOAD_STEP

    thread = threading.Thread(target=pay)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


Ask = Callable[[Path, object, Read, int], Rate]
"""Given a scratch folder, the port or the URL, what to read, and for how many seconds."""


def measure(
    folder: Path,
    place: tuple[Home, LocalNode, int],
    reads: Sequence[Read],
    rounds: int,
    seconds: int,
    asks: tuple[Ask, Ask] = (by_api, by_sql),
) -> None:
    """Print a row of the table for each kind."""
    home, running, port = place
    url = database_url(home, home.settings({}))
    processes = [pid_of(running, name) for name in ("api", "postgres")]
    for read in reads:
        rates: tuple[list[Rate], list[Rate]] = ([], [])
        for _ in range(rounds):
            before = sum(map(family_s, processes))
            for ask, where, found in zip(asks, (port, url), rates, strict=True):
                rate = ask(folder, where, read, seconds)
                spent = sum(map(family_s, processes)) - before
                found.append(replace(rate, processor_ms=spent * 1000 / (rate.per_s * seconds)))
                before += spent
        print(f"| {read.name} | {' | '.join(map(_cells, rates))} |", flush=True)


def _cells(rates: Sequence[Rate]) -> str:
    per_s, *times = (median(figures) for figures in zip(*map(astuple, rates), strict=True))
    return " | ".join([f"{per_s:,.0f}", *(f"{time_ms:.2f} ms" for time_ms in times)])


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    rounds, seconds, count = (1, 1, 100) if given.smallest else (given.rounds, given.seconds, given.transactions)
    asks: tuple[Ask, Ask] = (once_by_api, once_by_sql) if given.smallest else (by_api, by_sql)
    with TemporaryDirectory(prefix="momus-reads-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with node(folder, count) as (home, running, port, maker):
            url = database_url(home, home.settings({}))
            with psycopg.connect(url, autocommit=True, row_factory=dict_row) as database:
                reads = Reads(database).all()
            print(f"{CONNECTIONS} connections, load average {os.getloadavg()[0]:.1f}")
            measure(folder, (home, running, port), reads, rounds, seconds, asks)
            print(f"the same with {LOAD_PER_S} payments a second, load average {os.getloadavg()[0]:.1f}")
            with paying(home, maker, count):
                measure(folder, (home, running, port), reads, rounds, seconds, asks)


if __name__ == "__main__":
    run_to_its_end(main)

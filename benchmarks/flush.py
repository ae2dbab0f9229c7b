"""How fast a flush is by itself: `python -m benchmarks.flush [--smallest] [URL]`; without a URL, an embedded Postgres
of its own.

Batched: transfers a second by accounts, transfers in a flush, and with or without the primary key of the history.
Single: transactions a second, each with its row, one transfer, a remembered digest and its share of the balances.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import psycopg

from benchmarks.smallest import SMALLEST, run_to_its_end
from ledger.header import Epoch, Head
from ledger.state import BALANCE, TRANSFER, Asset, BlockRow, Cursor, Effects, TransactionRow, Wanted
from node.embedded.postgres import EmbeddedPostgres
from projections.database import Database
from projections.maintenance.migrate import downgrade, migrate

ASSET = b"A" * 32
RECIPIENTS = 1_000
EXPIRES_MS = 600_000_000


class Load:
    """Makes effects for one flush after the other, as execution would."""

    def __init__(self, accounts: int) -> None:
        self.addresses = np.frombuffer(os.urandom(32 * accounts), "V32")
        self.held = np.zeros(accounts, np.bool_)
        self.chance = np.random.default_rng(1)
        self.height = 0

    def cursor(self) -> Cursor:
        heads = tuple(Head(p, 0, self.height, bytes(32)) for p in range(4))
        return Cursor(bytes(32), "bench", "cluster", "topic", 1, self.height, bytes(32), self.height, heads)

    def effects(self, transfers: int, recipients: int) -> Effects:
        """One block of `transfers` transfers, so many recipients per transaction."""
        self.height += 1
        count = transfers // recipients
        senders = self.chance.integers(0, len(self.addresses), count)
        to = self.chance.integers(0, len(self.addresses), transfers)
        rows = np.zeros(transfers, TRANSFER)
        rows["height"], rows["index"] = self.height, np.arange(transfers)
        rows["transaction"] = np.arange(transfers) // recipients
        rows["asset"] = np.frombuffer(ASSET, "V32")[0]
        rows["sender"] = np.repeat(self.addresses[senders], recipients)
        rows["recipient"] = self.addresses[to]
        rows["amount"] = self.chance.integers(1, 1_000_000, transfers)
        touched = np.unique(np.concatenate([senders, to]))
        new = touched[~self.held[touched]]
        known = touched[self.held[touched]]
        self.held[touched] = True
        digests = [os.urandom(32) for _ in range(count)]
        signers = self.addresses[senders].tolist()
        return Effects(
            blocks=(self._block(count, transfers),),
            transactions=tuple(
                TransactionRow(self.height, n, n % 4, n, 0, digests[n], signers[n], b"reference", EXPIRES_MS, 1)
                for n in range(count)
            ),
            rejections=(),
            transfers=rows,
            object_versions=(),
            object_contents=(),
            object_types=(),
            object_writers=(),
            balances_inserted=self._balances(new),
            balances_updated=self._balances(known),
            balances_deleted=np.zeros(0, BALANCE),
            assets_inserted=(Asset(ASSET, "unit", 2, bytes(32), 10**15),) if self.height == 1 else (),
            assets_updated=(),
            objects_inserted=(),
            objects_updated=(),
            objects_deleted=(),
            remembered=tuple(
                (10_000 + n % 60, digests[n], self.height, self.height * 1_000_000 + n // 60) for n in range(count)
            ),
            buckets={10_000 + n: (self.height, bytes(32)) for n in range(60)},
            buckets_expired_below=0,
        )

    def _block(self, transactions: int, transfers: int) -> BlockRow:
        heads = self.cursor().heads
        zero = bytes(32)
        return BlockRow(
            self.height, zero, zero, Epoch(0), 1, 0, self.height, heads, transactions, transactions, transfers, 0
        )

    def _balances(self, accounts: np.ndarray) -> np.ndarray:
        rows = np.zeros(len(accounts), BALANCE)
        rows["asset"] = np.frombuffer(ASSET, "V32")[0]
        rows["address"] = self.addresses[accounts]
        rows["amount"] = self.chance.integers(1, 2**60, len(accounts))
        return rows


def measure(url: str, accounts: int, transfers: int, recipients: int, flushes: int, with_key: bool) -> float:
    """Transfers a second, over `flushes` flushes; the first two, which find new accounts, are not counted."""
    downgrade(url)
    migrate(url)
    if not with_key:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE ledger.transfers DROP CONSTRAINT transfers_pkey")
    load = Load(accounts)
    spent = 0.0
    with Database(url) as database:
        database.initialise(load.cursor())
        for number in range(flushes + 2):
            before = load.height
            effects = load.effects(transfers, recipients)
            start = time.perf_counter()
            database.flush(effects, before, load.cursor())
            spent += time.perf_counter() - start if number > 1 else 0
    return flushes * transfers / spent


def measure_prefetch(url: str, accounts: int, asked: int) -> float:
    """Balances a second that a prefetch answers, of a database that holds `accounts`."""
    downgrade(url)
    migrate(url)
    load = Load(accounts)
    with Database(url) as database:
        database.initialise(load.cursor())
        database.flush(load.effects(accounts * 5, RECIPIENTS), 0, load.cursor())
        wanted = Wanted({ASSET: tuple(load.addresses[:asked].tolist())}, (ASSET,), (), (), (), ())
        start = time.perf_counter()
        inputs = database.prefetch(wanted)
        return len(inputs.balances[ASSET]) / (time.perf_counter() - start)


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """The URL that was given, or a server for this run."""
    if url:
        yield url
        return
    with TemporaryDirectory(prefix="momus-") as folder, EmbeddedPostgres(Path(folder) / "pg") as embedded:
        yield embedded.url()


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of what is measured: each with each."""

    accounts: tuple[int, ...] = (10_000, 100_000)
    transfers: tuple[int, ...] = (25_000, 100_000, 200_000)
    transfers_all: int = 800_000
    transactions: tuple[int, ...] = (500, 5_000, 20_000)
    transactions_all: int = 60_000
    asked: tuple[int, ...] = (1_000, 100_000)


SMALL: Final = Sizes((1_000,), (1_000,), 1_000, (10,), 10, (10,))


def main(argv: Sequence[str] | None = None) -> None:
    """All of it, as a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url", nargs="?", help="of a database that may be emptied")
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    sizes = SMALL if given.smallest else Sizes()
    with server(given.url) as url:
        for accounts in sizes.accounts:
            for transfers in sizes.transfers:
                flushes = sizes.transfers_all // transfers
                rates = [measure(url, accounts, transfers, RECIPIENTS, flushes, key) for key in (True, False)]
                print(f"{accounts:>7} accounts, {transfers:>7} transfers a flush: "
                      f"{rates[0]:>9,.0f}/s with the primary key, {rates[1]:>9,.0f}/s without", flush=True)  # fmt: skip
        for transactions in sizes.transactions:
            flushes = sizes.transactions_all // transactions
            rate = measure(url, sizes.accounts[0], transactions, 1, flushes, True)
            print(f"single, {transactions:>6} transactions a flush: {rate:>9,.0f}/s", flush=True)
        for asked in sizes.asked:
            rate = measure_prefetch(url, sizes.accounts[-1], asked)
            print(f"prefetch of {asked:>7} balances: {rate:>9,.0f}/s", flush=True)


if __name__ == "__main__":
    run_to_its_end(main)

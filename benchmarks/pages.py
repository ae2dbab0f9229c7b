"""How long a page of an id takes beside much history: `python -m benchmarks.pages [--smallest] [--rows N] [URL]`;
without a URL, an embedded Postgres of its own.

Of N transfers one account sent the first, one each ten-thousandth, one each hundredth, and one all the others. Each
page of 100 is asked for as the API asks, in both orders: while all of it is in the partition that is written, and again
when that is closed.
"""

import argparse
import time
from hashlib import sha256
from statistics import median
from typing import Any, Final

import numpy as np
import psycopg
from psycopg import sql

from api.reading.listing import PlacePageQuery
from api.routes.ledger import PARTIES, TRANSFERS
from benchmarks.flush import ASSET, Load, server
from benchmarks.smallest import SMALLEST, run_to_its_end
from ledger.state import Effects
from projections.database import Database
from projections.maintenance.live_slices import forget_slices
from projections.maintenance.migrate import downgrade, migrate
from projections.maintenance.partitions import unindexed

BLOCK: Final = 2_000
BLOCKS_OF_FLUSH: Final = 25
ACCOUNTS: Final = 10_000
ASKED: Final = 11
PAGE: Final = 100
NAMES: Final = ("first row only", "each 10,000th row", "each 100th row", "nearly all rows", "no row")
IDS: Final = tuple(sha256(name.encode()).digest() for name in NAMES)


class History:
    """Groups of blocks, one after the other."""

    def __init__(self) -> None:
        self._load = Load(ACCOUNTS)
        self._rows = 0

    def group(self) -> Effects:
        """The next."""
        blocks = [self._load.effects(BLOCK, BLOCK) for _ in range(BLOCKS_OF_FLUSH)]
        transfers = np.concatenate([block.transfers for block in blocks])
        numbers = np.arange(self._rows, self._rows + len(transfers))
        ids = np.frombuffer(b"".join(IDS), "V32")
        transfers["sender"] = ids[3]
        transfers["sender"][numbers % 100 == 0] = ids[2]
        transfers["sender"][numbers % 10_000 == 0] = ids[1]
        transfers["sender"][numbers == 0] = ids[0]
        self._rows += len(transfers)
        nothing = blocks[0].balances_deleted
        return Effects(
            blocks=tuple(row for block in blocks for row in block.blocks),
            transactions=tuple(row for block in blocks for row in block.transactions),
            rejections=(),
            transfers=transfers,
            object_versions=(),
            object_contents=(),
            object_types=(),
            object_writers=(),
            balances_inserted=nothing,
            balances_updated=nothing,
            balances_deleted=nothing,
            assets_inserted=blocks[0].assets_inserted,
            assets_updated=(),
            objects_inserted=(),
            objects_updated=(),
            objects_deleted=(),
            remembered=(),
            buckets={},
            buckets_expired_below=0,
        )

    def cursor(self) -> Any:
        """Where a database is that has all of them."""
        return self._load.cursor()


def write(url: str, rows: int) -> None:
    """Make the tables anew and write so many transfers."""
    downgrade(url)
    migrate(url, 10**9)
    history = History()
    with Database(url) as database:
        database.initialise(history.cursor())
        for _ in range(max(1, rows // (BLOCK * BLOCKS_OF_FLUSH))):
            before = history.cursor().height
            group = history.group()
            database.flush(group, before, history.cursor())


def pages(url: str) -> dict[str, list[float]]:
    """By whose page, in ms: newest and oldest, the median and the longest of several."""
    asked: list[tuple[str, dict[str, str], tuple[str, ...], bytes]]
    asked = [(name, {}, PARTIES, id_) for name, id_ in zip(NAMES, IDS, strict=True)]
    asked += [("the asset of all rows", {"asset": ASSET.hex()}, (), b"")]
    asked += [("an asset without rows", {"asset": IDS[4].hex()}, (), b"")]
    found: dict[str, list[float]] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        row = connection.execute("SELECT api.indexed_below()").fetchone()
        below = 0 if row is None else int(row[0])
        for name, equal, either, id_ in asked:
            for order in ("newest", "oldest"):
                query = PlacePageQuery.model_validate({"limit": PAGE, "order": order})
                found.setdefault(name, []).extend(
                    _timed(connection, TRANSFERS.statements(query, below, equal, either, id_.hex()))
                )
    return found


def _timed(connection: psycopg.Connection, asked: list[tuple[sql.Composed, dict[str, object]]]) -> tuple[float, float]:
    """As `Listing.page` does: the second statement for what the first has not found."""
    spent = []
    for _ in range(ASKED):
        since, found = time.perf_counter(), 0
        for statement, given in asked:
            if found <= PAGE:
                found += len(connection.execute(statement, {**given, "rows": PAGE + 1 - found}).fetchall())
        spent.append(1_000 * (time.perf_counter() - since))
    return median(spent), max(spent)


def measure(url: str, rows: int) -> None:
    """Print it."""
    write(url, rows)
    print("| page of 100 | newest, live | oldest, live | newest, closed | oldest, closed |\n|---|---|---|---|---|")
    live = pages(url)
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT max(height) FROM ledger.blocks").fetchone()
        assert row is not None
        # The partition that is written is then the next one, though no height is in it.
        _close(connection, row[0])
    closed = pages(url)
    for name, found in live.items():
        figures = (f"{each:.1f}, {longest:.1f}" for each, longest in _pairs(found + closed[name]))
        print(f"| {name} | {' | '.join(figures)} |")
    print("milliseconds: median, longest of eleven")


def _close(connection: psycopg.Connection, height: int) -> None:
    for partition, statements in unindexed(connection, 1).items():
        connection.execute(f"VACUUM (FREEZE) ledger.{partition}".encode())
        for statement in statements:
            connection.execute(statement.encode())
    forget_slices(connection, height + 1)


def _pairs(figures: list[float]) -> list[tuple[float, float]]:
    return list(zip(figures[::2], figures[1::2], strict=True))


def main(arguments: list[str] | None = None) -> None:
    """Measure, in the database of the URL or one of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("url", nargs="?")
    given = parser.parse_args(arguments)
    rows = BLOCK * BLOCKS_OF_FLUSH if given.smallest else given.rows
    with server(given.url) as url:
        measure(url, rows)


if __name__ == "__main__":
    run_to_its_end(main)

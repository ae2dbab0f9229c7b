"""What databases and stores must hold after the payments of a test of kills or faults."""

import time
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import psycopg

from backbone.store import StoredFinal, StoreReader
from node.home.layout import Home
from tests.recovery.payments import Payments, balances_after

BLOCKS_AT_ONCE = 1_000
Database = psycopg.Connection[tuple[object, ...]]


def check_payments(url: str, payments: Payments, count: int, timeout_s: float) -> None:
    """The first `count` payments executed, once each, nothing else did, and balances are what arithmetic says.

    A payment that was sent a second time is rejected as a duplicate.
    """
    wanted = {payments.digest(number).hex() for number in range(count)} | payments.opening_digests()
    with psycopg.connect(url, autocommit=True) as database:
        _until_executed(database, len(wanted), timeout_s)
        digests = [str(row[0]) for row in database.execute("select digest from api.transactions")]
        assert sorted(digests) == sorted(wanted)
        reasons = {row[0] for row in database.execute("select distinct reason from api.rejections")}
        assert reasons <= {"duplicate"}
        query = "select address, amount from api.balances where asset = %s"
        found = database.execute(query, [payments.asset.hex()]).fetchall()
        assert {bytes.fromhex(str(address)): amount for address, amount in found} == balances_after(range(count))


def _until_executed(database: Database, count: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        found = database.execute("select count(*) from api.transactions").fetchone()
        if found is not None and int(str(found[0])) >= count:
            return
        assert time.monotonic() < deadline, f"{found} of {count} transactions executed"
        database.execute("select pg_sleep(0.1)")


def differing_blocks(homes: Sequence[Path]) -> list[str]:
    """A sentence per height at which two stores hold different final blocks; one that ends earlier differs in none."""
    stores = [Home(home).store for home in homes]
    found = []
    for blocks in zip_longest(*map(_final_blocks, stores)):
        held = [block for block in blocks if block is not None]
        if len({(block.height, block.header_bytes) for block in held}) != 1:
            found.append(f"the final blocks differ at height {held[0].height}")
    return found


def _final_blocks(store: Path) -> Iterable[StoredFinal]:
    with StoreReader(store) as reader:
        height = 0
        while blocks := reader.final_after(height, BLOCKS_AT_ONCE):
            yield from blocks
            height = blocks[-1].height

"""Holds a node's database against what must be in it: arithmetic, and what the client was told."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from backbone.store import StoreReader
from lab.workload import Plan
from ledger.genesis import Genesis
from ledger.header import decode_header
from ledger.rejection import Rejection
from projections.session.connect import connect


@dataclass(slots=True)
class Checks:
    """What was found. Counts are of rows in the database."""

    accounts: int = 0
    executed: int = 0
    rejected: int = 0
    tables: int = 0
    balances_wrong: int = 0
    supply_equal: bool = False
    overdrawn: int = 0
    """Accounts whose money out is more than their money in: they hold nothing, and owe the bank the difference."""
    owed: int = 0
    """What they owe together, in hellers."""
    databases_equal: bool = False
    replay_equal: bool = False

    @property
    def balances_equal(self) -> bool:
        """Every account's balance is money in minus money out, or nothing, and the whole supply is somewhere."""
        return self.accounts > 0 and self.balances_wrong == 0 and self.supply_equal

    def failures(self, submitted: int) -> list[str]:
        """A sentence for everything that does not hold."""
        told = [
            (self.executed == submitted, f"{submitted} transactions were submitted and {self.executed} executed"),
            (self.rejected == 0, f"{self.rejected} transactions were rejected"),
            (self.balances_wrong == 0, f"{self.balances_wrong} balances differ from money in minus money out"),
            (self.supply_equal, "the balances do not add up to what was minted"),
            (self.databases_equal, "the databases of the nodes differ"),
            (self.replay_equal, "the replayed database differs from the one that was dropped"),
        ]
        return [sentence for holds, sentence in told if not holds]


def check_nodes(urls: Sequence[str], plan: Plan) -> Checks:
    """All nodes' databases: counts of the first, and whatever is wrong in any."""
    first, *others = [_check_node(url, plan) for url in urls]
    for other in others:
        first.balances_wrong += other.balances_wrong
        first.supply_equal &= other.supply_equal
        if (other.executed, other.rejected) != (first.executed, first.rejected):
            first.executed = -1
    return first


def _check_node(url: str, plan: Plan) -> Checks:
    checks = Checks()
    with connect(url, "momus client") as database:
        check_balances(checks, database, plan)
        count_transactions(checks, database)
    return checks


def check_balances(checks: Checks, database: psycopg.Connection[tuple[object, ...]], plan: Plan) -> None:
    """Every balance of the plan's asset against the sums of the file."""
    rows = database.execute("select address, amount from api.balances where asset = %s", [plan.asset.hex()]).fetchall()
    found = {bytes.fromhex(str(address)): int(str(amount)) for address, amount in rows}
    addresses = plan.addresses()
    expected = {addresses[account]: held for account, held in plan.totals.held.items()}
    checks.accounts = len(expected)
    owed = plan.totals.owed.values()
    checks.overdrawn, checks.owed = len(owed), sum(owed)
    checks.balances_wrong = sum(found.get(address, 0) != balance for address, balance in expected.items())
    checks.balances_wrong += len(found.keys() - expected.keys() - {plan.bank.address})
    checks.supply_equal = sum(found.values()) == plan.totals.supply


def count_transactions(checks: Checks, database: psycopg.Connection[tuple[object, ...]]) -> None:
    """How many transactions executed (each digest at most once) and how many were rejected."""
    executed, distinct = _row(database, "select count(*), count(distinct digest) from api.transactions")
    checks.executed = distinct if distinct == executed else -1
    (checks.rejected,) = _row(database, "select coalesce(sum(rejections), 0) from api.blocks")


def _row(database: psycopg.Connection[tuple[object, ...]], query: str) -> tuple[int, ...]:
    found = database.execute(query).fetchone()
    return tuple(int(str(value)) for value in found or ())


def views_nullified(store: Path, genesis: Genesis) -> int:
    """Views without a block below the tip: between each header's view and the one in which its parent was notarized
    every view was nullified (what is nullified before a re-proposal of one block is not seen here)."""
    count, height = 0, 0
    with StoreReader(store) as reader:
        while blocks := reader.final_after(height, 1_000):
            height = blocks[-1].height
            for _, header_bytes, _ in blocks:
                header = decode_header(header_bytes, genesis.partitions)
                assert not isinstance(header, Rejection)
                count += header.view - header.parent_view - 1
    return count

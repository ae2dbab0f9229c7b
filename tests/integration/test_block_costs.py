"""What a block costs is proportional to what its senders put on the log: every command, and every way to be rejected,
is driven to the most that the rules allow, on a real Postgres; tables and indexes are measured, table by table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest

from ledger.commands import Ownership, TransferObject
from ledger.commands.costs import COST_MAX
from ledger.transaction import Transaction
from projections.session.connect import connect
from tests.builders import TIME_MS, genesis, key, transaction
from tests.costly_blocks import KINDS, LARGE, OWNER, RUBBISH, Growth, Ledger, batches, growth, named, records_of

pytestmark = pytest.mark.postgres

GENESIS = genesis(1, partitions=1)
BLOCK_BYTES = 256 << 10
CONTENT_GROWTH_MAX = 1.2
REJECTION_ROW_BYTES_MAX = 400
"""A block's rejections are rows up to `rejections_max`, also where their records have no bytes."""
EXTENT_BYTES = 576 << 10
"""COPY lengthens a table by up to 64 pages at once, so that this much of a table may be empty."""
CONTENTS = ("create_object, large", "update_object, large")


@pytest.fixture(scope="module")
def template(new_databases: Callable[[], str]) -> str:
    """A database with targets for every command."""
    url = new_databases()
    ledger = Ledger(url, GENESIS)
    ledger.prepare()
    ledger.database.close()
    return url


@contextmanager
def copy_of(template: str, postgres: str) -> Iterator[Ledger]:
    """A ledger of its own with the template's state."""
    parts = urlsplit(template)
    name = parts.path[1:]
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f'create database "{name}_copy" template "{name}"')
        ledger = Ledger(parts._replace(path=f"/{name}_copy").geturl(), GENESIS)
        try:
            yield ledger
        finally:
            ledger.database.close()
            admin.execute(f'drop database "{name}_copy" with (force)')


def told(kind: str, found: Growth) -> str:
    """A line for a person."""
    tables = ", ".join(f"{name} {each:.1f}" for name, each in sorted(found.tables.items()) if each > 0.05)
    return f"{kind}: {found.total:.1f} bytes for each of {found.log_bytes} bytes of log: {tables}"


@pytest.mark.parametrize("kind", KINDS)
def test_no_command_makes_the_tables_grow_by_more_than_the_factor(kind: str, template: str, postgres: str) -> None:
    with copy_of(template, postgres) as ledger:
        values = records_of(GENESIS, kind, BLOCK_BYTES if kind not in CONTENTS else 1 << 20)
        found, effects = growth(ledger, 2, values)
    done, rejected = len(effects.transactions), effects.blocks[0].rejections
    assert (done, rejected > 0) == (0, True) if kind.startswith("rejected") else (done > 0, rejected) == (True, 0), kind
    assert found.total <= COST_MAX, told(kind, found)
    if kind in CONTENTS:
        assert found.tables["object_contents"] <= CONTENT_GROWTH_MAX, told(kind, found)


@pytest.mark.parametrize("kind", ["transfer to many", "update_object, an object each", "create_object, empty"])
def test_twice_the_bytes_cost_no_more_for_each(kind: str, template: str, postgres: str) -> None:
    found = []
    for size in (BLOCK_BYTES // 2, BLOCK_BYTES):
        with copy_of(template, postgres) as ledger:
            found.append(growth(ledger, 2, records_of(GENESIS, kind, size))[0])
    for table, each in found[1].tables.items():
        spare = EXTENT_BYTES / found[1].log_bytes
        assert each <= 1.1 * found[0].tables[table] + spare, (told(kind, found[0]), told(kind, found[1]))


@pytest.mark.parametrize("kind", RUBBISH)
def test_what_is_no_transaction_costs_rows_up_to_the_bound(kind: str, template: str, postgres: str) -> None:
    with copy_of(template, postgres) as ledger:
        found, effects = growth(ledger, 2, records_of(GENESIS, kind, 100_000))
    assert len(effects.rejections) == min(effects.blocks[0].rejections, GENESIS.limits.rejections_max)
    assert effects.blocks[0].rejections > 0
    rows = REJECTION_ROW_BYTES_MAX * len(effects.rejections)
    assert found.total * max(1, found.log_bytes) <= rows + 8 * found.log_bytes, told(kind, found)


def chained(number: int) -> Iterator[Transaction]:
    """Sixteen transfers of a large object to oneself in each transaction, the first `number` of them."""
    expires = TIME_MS + GENESIS.limits.window_ms // 2
    for n in range(number):
        versions = range(16 * n + 1, 16 * n + 17)
        commands = [TransferObject(named("large", 0), version, OWNER) for version in versions]
        yield transaction(GENESIS.digest, *commands, signer=key(0), nonce=n, expires_at_ms=expires)


def test_a_large_object_that_is_handed_on_a_thousand_times_is_stored_once(template: str, postgres: str) -> None:
    with copy_of(template, postgres) as ledger:
        found, effects = growth(ledger, 2, batches(GENESIS, chained(80), 1 << 20))
        with connect(ledger.url) as connection:
            row = connection.execute(
                "select version, length(content_bytes), ownership from api.objects where object = %s",
                [named("large", 0).hex()],
            ).fetchone()
            history = connection.execute(
                "select count(*), count(distinct content_bytes), min(length(content_bytes)) from api.object_history"
                " where object = %s",
                [named("large", 0).hex()],
            ).fetchone()
    assert len(effects.transactions) == 80
    assert row == (16 * 80 + 1, LARGE, Ownership.ADDRESS.name.lower())
    assert history == (16 * 80, 1, LARGE)
    assert found.total <= COST_MAX, told("transfer_object", found)

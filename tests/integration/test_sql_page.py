"""Every query of docs/sql.md runs in psql as it stands, where amounts are as large as they can be."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from ledger.state import MoveKind
from node.embedded.postgres_files import programs
from projections.database import Database
from projections.maintenance.migrate import migrate
from tests import flush_effects as effects
from tests.flush_effects import ALICE, BOB, COIN, THING, TIME_MS, cursor_at, name
from tests.whole_objects import made

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
MOST = 2**63 - 1
BLOCKS = 9
VALUES = {
    "address": ALICE.hex(),
    "asset": COIN.hex(),
    "object": THING.hex(),
    "digest": name("transaction 1 0").hex(),
    "height": str(BLOCKS),
}
EMPTY = {"Does every supply equal the sum of its balances? No row: yes."}


def queries() -> dict[str, str]:
    """By the sentence above it."""
    return dict(re.findall(r"\n\n([^\n]+(?:\n[^\n]+)*)\n\n```sql\n(.*?)```", PAGE.read_text(), re.DOTALL))


@pytest.fixture(scope="module")
def url(postgres: str) -> Iterator[str]:
    """Alice has minted all that an asset can have, and pays it to Bob and gets it back, again and again."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("create database sql_page")
    of_page = re.sub(r"/[^/?]*(?=\?|$)", "/sql_page", postgres)
    migrate(of_page)
    with Database(of_page) as database:
        database.initialise(cursor_at(0))
        first, thing = effects.first(), effects.thing(content=b'{"status": "open"}')
        minted = effects.transfers((1, 0, bytes(32), ALICE, MOST), kind=MoveKind.MINT)
        rows = replace(
            first,
            transfers=minted,
            assets_inserted=(effects.coin(MOST),),
            balances_inserted=effects.balances((ALICE, MOST)),
            object_versions=(effects.written(1, thing),),
        )
        database.flush(made(rows, thing), 0, cursor_at(1))
        for before, height in pairwise(range(1, BLOCKS + 1)):
            payer, payee = (ALICE, BOB) if height % 2 == 0 else (BOB, ALICE)
            moved = replace(
                effects.nothing(),
                blocks=(effects.block_row(height),),
                transfers=effects.transfers((height, 0, payer, payee, MOST)),
                balances_deleted=effects.balances((payer, 0)),
                balances_inserted=effects.balances((payee, MOST)),
            )
            database.flush(moved, before, cursor_at(height))
    _upkeep(of_page)
    yield of_page
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("drop database sql_page with (force)")


def _upkeep(url: str) -> None:
    """A certified checkpoint, a drill, and an action of an operator."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "insert into ledger.checkpoints values (1, 0, %(d)s, 0, '[]', %(d)s, %(d)s, %(d)s)",
            {"d": name("checkpoint")},
        )
        connection.execute("insert into ledger.certificates values (1, 'certificate')")
        connection.execute("insert into ledger.drills (started_at, report) values (now(), '{}')")
        connection.execute(
            "insert into ledger.admin_actions values (1, now(), 'owner', 'admin', 'pause', '{}', 'x', 'done', null, 1)"
        )


def test_the_page_has_queries() -> None:
    assert len(queries()) == PAGE.read_text().count("```sql\n") > 20
    assert queries().keys() >= EMPTY


@pytest.mark.parametrize("title", queries())
def test_a_query_of_the_page_runs_in_psql_with_the_largest_amounts(url: str, title: str) -> None:
    settings = (f"--set={name}={value}" for name, value in VALUES.items())
    psql = [str(programs() / "psql"), "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--csv", "--tuples-only", *settings, url]
    done = subprocess.run(psql, input=f"set role momus_reader; {queries()[title]}", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (done.stdout.removeprefix("SET\n") == "") == (title in EMPTY)


def test_the_height_at_a_time_is_that_of_the_last_block_not_after_it(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as reader:
        reader.execute("set role momus_reader")
        for height in range(-2, BLOCKS + 3):
            for off_ms in (-1, 0, 1):
                at_ms = TIME_MS + height * 1000 + off_ms
                asked = f"select api.height_at(timestamptz 'epoch' + {at_ms} * interval '1 ms')"
                (found,) = reader.execute(asked.encode()).fetchone() or ()
                newest = min((at_ms - TIME_MS) // 1000, BLOCKS)
                assert found == (newest if newest >= 1 else None)

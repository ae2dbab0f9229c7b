"""The views of schema api: complete in words, exact in numbers, safe against hostile content, closed to writers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from ledger.commands import Ownership
from ledger.rejection import Reason
from ledger.state import Asset
from projections.database import Database
from projections.maintenance.migrate import migrate
from tests import flush_effects as effects
from tests.flush_effects import ALICE, BOB, COIN, THING, TIME_MS, TRAILING_ZEROS, cursor_at, name
from tests.whole_objects import Whole, made

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
Rows = list[dict[str, Any]]


@pytest.fixture
def url(postgres_url: str) -> str:
    migrate(postgres_url)
    return postgres_url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as opened:
        opened.initialise(cursor_at(0))
        yield opened


def _ask(url: str, query: str) -> Rows:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        return list(connection.execute(query.encode()))


def _reader(url: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("set role momus_reader")
    return connection


def test_every_view_column_and_function_has_a_comment(url: str) -> None:
    rows = _ask(
        url,
        """select c.relname, a.attname, obj_description(c.oid, 'pg_class') as view_comment,
            col_description(c.oid, a.attnum) as comment
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'api'::regnamespace and c.relkind = 'v'""",
    )
    assert {row["relname"] for row in rows} >= {"blocks", "transactions", "rejections", "transfers", "balances"}
    assert [row for row in rows if not row["view_comment"] or not row["comment"]] == []
    functions = _ask(
        url, "select proname from pg_proc where pronamespace = 'api'::regnamespace and obj_description(oid) is null"
    )
    assert functions == []


def test_the_page_names_every_view_and_column_with_its_comment(url: str) -> None:
    page = PAGE.read_text()
    rows = _ask(
        url,
        """select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type,
            col_description(c.oid, a.attnum) as comment
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'api'::regnamespace and c.relkind = 'v' order by 1, a.attnum""",
    )
    missing = [
        f"api.{row['relname']}: {line}"
        for row in rows
        if (line := f"| `{row['attname']}` | {row['type']} | {row['comment']} |") not in page
        or f"### api.{row['relname']}" not in page
    ]
    assert missing == []


def test_the_page_names_every_function_with_its_comment(url: str) -> None:
    page = PAGE.read_text()
    rows = _ask(
        url,
        """select '| `' || oid::regprocedure || '` | ' || obj_description(oid) || ' |' as line
        from pg_proc where pronamespace = 'api'::regnamespace""",
    )
    assert len(rows) >= 5
    assert [row["line"] for row in rows if row["line"] not in page] == []


def test_blocks_show_their_time_and_heads(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    (row,) = _ask(url, "select * from api.blocks")
    assert row["time"] == datetime.fromtimestamp((TIME_MS + 1000) / 1000, UTC)
    assert row["digest"] == name("block 1").hex()
    assert [head["end_offset"] for head in row["heads"]] == [10, 11]
    assert row["heads"][1]["chain_digest"] == name("chain 1 1").hex()


def test_transfers_tell_what_is_minted_and_burned_and_by_whom(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    database.flush(effects.second(), 1, cursor_at(2))
    rows = _ask(url, "select kind, sender, recipient, amount from api.transfers order by height, index")
    assert rows[0] == {"kind": "mint", "sender": None, "recipient": ALICE.hex(), "amount": 1000}
    assert rows[1]["recipient"] == TRAILING_ZEROS.hex()
    assert [row["kind"] for row in rows] == ["mint", "transfer", "transfer", "burn"]
    assert rows[3] == {"kind": "burn", "sender": TRAILING_ZEROS.hex(), "recipient": None, "amount": 100}


@pytest.mark.parametrize("decimals", [0, 1, 18])
def test_the_largest_amount_is_shown_to_the_last_digit(database: Database, url: str, decimals: int) -> None:
    amount = 2**63 - 1
    full = replace(
        effects.nothing(),
        assets_inserted=(effects.coin(amount, decimals),),
        balances_inserted=effects.balances((ALICE, amount)),
    )
    database.flush(full, 0, cursor_at(1))
    (row,) = _ask(url, "select decimal_amount from api.balances")
    assert str(row["decimal_amount"]) == str(Decimal(amount).scaleb(-decimals))
    (row,) = _ask(url, "select decimal_supply from api.assets")
    assert row["decimal_supply"] == Decimal(amount).scaleb(-decimals)


def test_rejections_give_their_reason_as_a_sentence(database: Database, url: str) -> None:
    rejected = replace(
        effects.first(),
        rejections=(
            effects.rejection_row(1),
            replace(
                effects.rejection_row(1, 1, Reason.MALFORMED), item=-1, digest=None, signer=None, reference=None
            ),
        ),
    )  # fmt: skip
    database.flush(rejected, 0, cursor_at(1))
    first, second = _ask(url, "select * from api.rejections order by index")
    assert (first["reason"], first["sentence"]) == ("insufficient_balance", Reason.INSUFFICIENT_BALANCE.sentence)
    assert (first["digest"], first["signer"]) == (name("rejected 1 0").hex(), BOB.hex())
    assert first["reference"] is None  # it is not UTF-8
    assert (second["digest"], second["signer"], second["reference"], second["item"]) == (None, None, None, -1)


HOSTILE = {
    "json": (b'{"a": [1, 2.50]}', '{"a": [1, 2.50]}', {"a": [1, 2.5]}),
    "text": (b"no json", "no json", None),
    "empty": (b"", "", None),
    "not utf-8": (b"\xff\xfe", None, None),
    "an overlong encoding": (b"\xc0\x80", None, None),
    "a surrogate": (b"\xed\xa0\x80", None, None),
    "nul": (b"a\x00b", None, None),
    "escaped nul": (b'"\\u0000"', '"\\u0000"', "\ufffd"),
    "escaped half of a pair": (b'"\\ud800"', '"\\ud800"', "\ufffd"),
    "deep": (b"[" * 60_000, "[" * 60_000, None),
    "deep and closed": (b"[" * 30_000 + b"]" * 30_000, "[" * 30_000 + "]" * 30_000, None),
    "a bomb of digits": (b"[" + b"1e131071," * 7_000 + b"1]", "[" + "1e131071," * 7_000 + "1]", None),
    "a number beyond all bounds": (b"1e99999999999", "1e99999999999", None),
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_content_that_is_no_text_or_no_json_is_null_and_harms_no_query(database: Database, url: str, kind: str) -> None:
    content, text, parsed = HOSTILE[kind]
    item = effects.thing(content=content)
    both = made(replace(effects.first(), object_versions=(effects.written(1, item),)), item)
    database.flush(both, 0, cursor_at(1))
    for view in ("objects", "object_history"):
        with _reader(url) as reader:
            row = reader.execute(
                f"select content, content_json, content_bytes from api.{view}".encode()
            ).fetchone()  # fmt: skip
        assert row == (text, parsed, content)


def test_objects_show_owner_and_writers(database: Database, url: str) -> None:
    shared = Whole(name("shared"), 4, Ownership.SHARED, b"", (ALICE, BOB), "t", "text/plain", b"x")
    database.flush(made(effects.nothing(), shared, effects.thing()), 0, cursor_at(1))
    rows = {row["object"]: row for row in _ask(url, "select * from api.objects")}
    assert rows[shared.id.hex()]["writers"] == [ALICE.hex(), BOB.hex()]
    assert (rows[shared.id.hex()]["ownership"], rows[shared.id.hex()]["owner"]) == ("shared", None)
    assert (rows[THING.hex()]["ownership"], rows[THING.hex()]["owner"]) == ("address", ALICE.hex())
    assert rows[THING.hex()]["writers"] == []


def test_status_tells_height_and_lag_and_does_not_guess(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    (row,) = _ask(url, "select * from api.status")
    assert (row["chain"], row["height"], row["digest"]) == ("tests", 1, name("block 1").hex())
    assert (row["final_height"], row["lag_blocks"]) == (None, None)
    database.tell_final(5)
    database.tell_final(6)
    (row,) = _ask(url, "select * from api.status")
    assert (row["final_height"], row["lag_blocks"]) == (6, 5)


def test_height_of_finds_what_is_remembered(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    known, unknown = name("transaction 1 1").hex(), name("never").hex()
    with _reader(url) as reader:
        row = reader.execute(f"select api.height_of('{known}'), api.height_of('{unknown}')".encode()).fetchone()
    assert row == (1, None)


def test_a_reader_reads_the_views_and_nothing_else(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    with _reader(url) as reader:
        assert reader.execute("select count(*) from api.transfers").fetchone() == (2,)
        for forbidden in (
            "select * from ledger.balances",
            "update ledger.cursor set height = 9",
            "delete from api.blocks",
            "insert into api.assets (name) values ('mine')",
            "create table api.mine (x int)",
            "drop view api.blocks",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(forbidden)


def test_a_reader_that_logs_in_cannot_write_and_is_cut_short(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        rows = admin.execute("select unnest(rolconfig), rolcanlogin from pg_roles where rolname = 'momus_reader'")
        assert set(rows) >= {("statement_timeout=30s", True), ("default_transaction_read_only=on", True)}
    with psycopg.connect(url, autocommit=True, user="momus_reader", options="-c statement_timeout=50") as reader:
        assert reader.execute("show default_transaction_read_only").fetchone() == ("on",)
        with pytest.raises(psycopg.errors.QueryCanceled):
            reader.execute("select count(*) from generate_series(1, 100000000000)")


def test_an_asset_with_a_nasty_name_is_shown_as_it_is(database: Database, url: str) -> None:
    asset = Asset(COIN, "'; drop schema api; -- \\ \" % :x", 0, ALICE, 1)
    database.flush(replace(effects.nothing(), assets_inserted=(asset,)), 0, cursor_at(1))
    assert [row["name"] for row in _ask(url, "select name from api.assets")] == [asset.name]

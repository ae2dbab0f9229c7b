"""Pages of an address, an asset, an object or a digest: the same rows whether they lie in closed partitions or not, and
little is read for them however much history there is."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, Final

import numpy as np
import psycopg
import pytest
from psycopg.rows import dict_row

from api.reading import transactions
from api.reading.database import Database as Reader
from api.reading.listing import HolderPageQuery, Listing, NumberPageQuery, PageQuery, PlacePageQuery
from api.reading.rows import Executed, Rejected
from api.reading.transactions import transaction_of
from api.routes import lookup
from api.routes.ledger import BLOCKS, PARTIES, REJECTIONS, TRANSACTIONS, TRANSFERS
from api.routes.state import BALANCES, HOLDERS, OBJECTS, VERSIONS, WRITES
from ledger.state import BALANCE, TRANSFER, Effects, MoveKind
from projections.database import Database
from projections.maintenance import live_slices
from projections.maintenance.migrate import downgrade, migrate
from projections.rows import live_index
from tests import flush_effects as effects
from tests.flush_effects import ALICE, BOB, CAROL, COIN, cursor_at, name
from tests.whole_objects import made

pytestmark = pytest.mark.postgres

HEIGHTS: Final = 8
LAST: Final = 30
TWIN: Final = ALICE[:15] + bytes(17)
"""Has the first bytes of another."""
PEOPLE: Final = (ALICE, ALICE, ALICE, BOB, CAROL, TWIN, bytes(32), bytes([255]) * 32, *map(name, "abcdefgh"))
COINS: Final = (COIN, COIN, COIN, name("gold"), name("tin"))
THINGS: Final = tuple(name(f"thing {n}") for n in range(4))
STRANGER: Final = name("stranger")


LIVE, SOME_CLOSED, CLOSED, MERGED = "live", "some closed", "closed", "merged"
MAINTAINED: Final = {
    LIVE: range(0),
    SOME_CLOSED: range(20),
    CLOSED: range(LAST + 1),
    MERGED: range(LAST - 8, LAST + 1),
}
"""At which heights the database is maintained."""


@pytest.fixture
def url(postgres_url: str, request: pytest.FixtureRequest) -> str:
    how = request.node.callspec.params.get("how") if hasattr(request.node, "callspec") else None
    migrate(postgres_url, 1_000 if how == MERGED else HEIGHTS)
    return postgres_url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as opened:
        opened.initialise(cursor_at(0))
        yield opened


class _History:
    """Random blocks, some with more entries of one id than a row of the index holds."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._versions = dict.fromkeys(THINGS, 0)

    def group(self, heights: range) -> Effects:
        random = self._random
        written = [self._write(height, index) for height in heights for index in range(random.randint(0, 6))]
        return replace(
            effects.nothing(),
            blocks=tuple(map(effects.block_row, heights)),
            transactions=tuple(
                replace(effects.transaction_row(height, index), signer=random.choice(PEOPLE))
                for height in heights
                for index in range(random.randint(0, 9))
            ),
            rejections=tuple(self._rejection(height, index) for height in heights for index in range(3)),
            transfers=np.array(
                [self._transfer(height, n) for height in heights for n in range(random.choice((0, 5, 90)))], TRANSFER
            ),
            object_versions=tuple(row for row, _ in written),
            object_contents=tuple(item.set_content for _, item in written),
            object_types=tuple((item.id, item.type) for _, item in written if item.version == 1),
        )

    def _transfer(self, height: int, index: int) -> tuple[Any, ...]:
        random = self._random
        kind = random.choice((MoveKind.TRANSFER, MoveKind.TRANSFER, MoveKind.MINT, MoveKind.BURN))
        sender = bytes(32) if kind is MoveKind.MINT else random.choice(PEOPLE)
        recipient = bytes(32) if kind is MoveKind.BURN else random.choice(PEOPLE)
        return height, index, index // 2, random.choice(COINS), sender, recipient, kind, 1 + index

    def _rejection(self, height: int, index: int) -> Any:
        row = effects.rejection_row(height, index)
        if self._random.random() < 0.3:
            return replace(row, digest=None, signer=None, reference=None)
        return replace(row, signer=self._random.choice(PEOPLE))

    def _write(self, height: int, index: int) -> Any:
        thing = self._random.choice(THINGS)
        self._versions[thing] += 1
        item = replace(effects.thing(self._versions[thing]), id=thing)
        # Two writes of a transaction: the same place.
        return replace(effects.written(height, item, index // 2), command=index % 2), item


def _filled(database: Database, seed: int, how: str) -> None:
    random, history, at = Random(seed), _History(seed), 0
    while at < LAST:
        to = min(LAST, at + (1 if how == MERGED else random.randint(1, 5)))
        database.flush(history.group(range(at + 1, to + 1)), at, cursor_at(to))
        at = to
        if at in MAINTAINED[how]:
            database.maintain()


async def _walked(url: str, listing: Listing[Any], query: PageQuery, *asked: Any) -> list[Any]:
    """The rows of all pages."""
    reader = Reader(url, 1, 60_000)
    await reader.open()
    found: list[Any] = []
    try:
        while True:
            async with reader.view() as view:
                page = await listing.page(view, query, *asked)
            assert len(page.items) == query.limit or page.next is None
            found += [row.model_dump(mode="json") for row in page.items]
            if page.next is None:
                return found
            query = query.model_copy(update={"cursor": page.next})
    finally:
        await reader.close()


def _expected(url: str, listing: Listing[Any], condition: str, value: str, is_newest: bool) -> list[Any]:
    direction = " DESC" if is_newest else ""
    order = ", ".join(f'"{key}"{direction}' for key in listing.key)
    columns = ", ".join(f'"{column}"' for column in listing.row.model_fields)
    query = f"SELECT {columns} FROM api.{listing.view} WHERE {condition} ORDER BY {order}"
    with psycopg.connect(url, row_factory=dict_row) as connection:
        rows = connection.execute(query.encode(), {"id": value}).fetchall()
    return [listing.row.model_validate(row).model_dump(mode="json") for row in rows]


PLACES: Final = PlacePageQuery
CASES: Final[list[tuple[Listing[Any], type[PageQuery], str, tuple[bytes, ...]]]] = [
    (TRANSFERS, PLACES, "sender = %(id)s OR recipient = %(id)s", (*set(PEOPLE), STRANGER)),
    (TRANSFERS, PLACES, "asset = %(id)s", (*set(COINS), STRANGER)),
    (TRANSACTIONS, PLACES, "signer = %(id)s", (*set(PEOPLE), STRANGER)),
    (REJECTIONS, PLACES, "signer = %(id)s", (*set(PEOPLE), STRANGER)),
    (VERSIONS, NumberPageQuery, "object = %(id)s", (*THINGS, STRANGER)),
]


@pytest.mark.parametrize("how", MAINTAINED)
@pytest.mark.parametrize("case", range(len(CASES)), ids=["party", "asset", "signer", "rejected", "object"])
def test_pages_have_what_the_views_have(database: Database, url: str, case: int, how: str) -> None:
    _filled(database, case, how)
    listing, query, condition, ids = CASES[case]
    seen = 0
    for number, id_ in enumerate(ids):
        column = condition.split()[0]
        asked: tuple[Any, ...] = ({}, PARTIES, id_.hex()) if column == "sender" else ({column: id_.hex()},)
        for order in ("newest", "oldest"):
            expected = _expected(url, listing, condition, id_.hex(), order == "newest")
            limit = (1, 7, 50, 1_000)[number % 4] if len(expected) < 60 else (17, 50)[number % 2]
            page = query(limit=limit, order=order)
            assert asyncio.run(_walked(url, listing, page, *asked)) == expected
            seen += len(expected)
    assert seen > 50


def test_a_database_from_before_is_carried_over(database: Database, url: str) -> None:
    _filled(database, 0, SOME_CLOSED)
    downgrade(url, "0014")
    migrate(url)
    more = replace(
        _History(9).group(range(LAST + 1, LAST + 5)), object_versions=(), object_contents=(), object_types=()
    )
    database.flush(more, LAST, cursor_at(LAST + 4))
    seen = 0
    for who in set(PEOPLE):
        expected = _expected(url, TRANSFERS, "sender = %(id)s OR recipient = %(id)s", who.hex(), is_newest=True)
        assert asyncio.run(_walked(url, TRANSFERS, PlacePageQuery(limit=20), {}, PARTIES, who.hex())) == expected
        seen += sum(row["height"] > LAST for row in expected)
    assert seen > 0


def test_more_conditions_leave_no_row_out(database: Database, url: str) -> None:
    _filled(database, 7, SOME_CLOSED)
    who, coin = ALICE.hex(), COINS[3].hex()
    for more in ({"asset": coin}, {"height": 5}, {"height": 29}, {"asset": coin, "height": 29}):
        condition = " AND ".join(
            ["(sender = %(id)s OR recipient = %(id)s)", *(f"{key} = '{value}'" for key, value in more.items())]
        )
        expected = _expected(url, TRANSFERS, condition, who, is_newest=True)
        assert asyncio.run(_walked(url, TRANSFERS, PlacePageQuery(limit=3), more, PARTIES, who)) == expected


@pytest.mark.parametrize("how", MAINTAINED)
def test_a_transaction_is_found_by_its_digest_wherever_it_lies(database: Database, url: str, how: str) -> None:
    _filled(database, 3, how)

    async def states() -> dict[str, str]:
        reader = Reader(url, 1, 60_000)
        await reader.open()
        try:
            async with reader.view() as view:
                rows = await view.rows("SELECT digest FROM api.transactions")
                digests = [row["digest"] for row in rows]
                rows = await view.rows("SELECT digest FROM api.rejections WHERE digest IS NOT NULL")
                digests += [row["digest"] for row in rows] + [STRANGER.hex()]
                found = {digest: await transaction_of(view, digest) for digest in digests}
        finally:
            await reader.close()
        return {digest: "" if what is None else what.state for digest, what in found.items()}

    found = asyncio.run(states())
    assert found.pop(STRANGER.hex()) == ""
    assert len(found) > 100
    assert {"executed", "rejected"} == set(found.values()), found


def test_holders_of_an_asset_are_those_of_the_view(database: Database, url: str) -> None:
    random = Random(1)
    rows = [(coin, who, 1) for coin in set(COINS) for who in set(PEOPLE) if random.random() < 0.7]
    group = replace(
        effects.nothing(),
        blocks=(effects.block_row(1),),
        assets_inserted=tuple(replace(effects.coin(), id=coin) for coin in set(COINS)),
        balances_inserted=np.array(rows, BALANCE),
    )
    database.flush(group, 0, cursor_at(1))
    for coin in (*set(COINS), STRANGER):
        for order in ("newest", "oldest"):
            expected = _expected(url, HOLDERS, "asset = %(id)s", coin.hex(), order == "newest")
            page = HolderPageQuery(limit=3, order=order)
            assert asyncio.run(_walked(url, HOLDERS, page, {"asset": coin.hex()})) == expected


def test_slices_go_when_their_partitions_have_indexes(database: Database, url: str) -> None:
    _filled(database, 5, CLOSED)
    with psycopg.connect(url) as connection:
        slices = _slices(connection)
        below = connection.execute("SELECT api.indexed_below()").fetchone()
    assert below is not None
    assert below[0] == LAST // HEIGHTS * HEIGHTS
    assert len(slices) < 10
    assert [at for at in slices if at < below[0]] == slices[:1]


def _slices(connection: psycopg.Connection) -> list[int]:
    listed = [row[0] for row in connection.execute("SELECT slice FROM ledger.live_slices ORDER BY 1")]
    there = [row[0] for row in connection.execute("SELECT DISTINCT slice FROM ledger.live_index ORDER BY 1")]
    assert set(there) <= set(listed)
    return listed


@pytest.mark.parametrize("how", [MERGED])
def test_small_slices_are_merged(database: Database, url: str, how: str) -> None:
    _filled(database, 5, how)
    with psycopg.connect(url) as connection:
        assert len(_slices(connection)) < live_slices.MERGED
        row = connection.execute("SELECT sum(entries) FROM ledger.live_slices").fetchone()
        rows = connection.execute("SELECT sum(octet_length(places)) FROM ledger.live_index").fetchone()
    assert row is not None
    assert rows is not None
    assert row[0] * 8 == rows[0]


def test_merging_bounds_slices_and_writes_each_entry_few_times() -> None:
    """Whatever the sizes: of small ones beside each other there are never many, and little is written twice."""
    for sizes in ([40] * 5_000, [5_000] * 1_000, [40, 9_000] * 500, [40, 9_000, 40, 200_000] * 200):
        slices: list[tuple[int, int]] = []
        written = 0
        for at, entries in enumerate(sizes):
            slices.append((at, entries))
            while run := live_slices.due(slices):
                assert len(run) == live_slices.MERGED
                merged = sum(size for slice_, size in slices if slice_ in run)
                place = slices.index(next(each for each in slices if each[0] == run[0]))
                slices[place : place + len(run)] = [(run[0], merged)]
                written += merged
        total = sum(sizes)
        assert len(slices) < 6 * live_slices.MERGED
        assert written < 9 * total


def test_columns_are_those_that_the_function_knows(url: str) -> None:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = 'live_places'").fetchone()
    assert row is not None
    listed = row[0].partition("ARRAY[")[2].partition("]")[0]
    assert tuple(part.strip().strip("'") for part in listed.split(",")) == live_index.COLUMNS


# --- what is read ---

ROWS: Final = 300_000
BLOCK: Final = 1_000
RARE, FEW, MANY = name("rare"), name("few"), name("many")
RARE_COIN: Final = name("gold")
ACCOUNTS: Final = tuple(name(f"account {n}") for n in range(60_000))
OBJECTS_OF_GROUP: Final = 10_000
BUFFERS_MAX: Final = 4_000
"""Pages of 8 KiB: of 300,000 transfers there are some 8,000 with their key."""
LOOKED_AT_MAX: Final = 20_000
"""Rows of tables, for a page of 100: each table has three times as many, or more."""


@pytest.fixture(scope="module")
def large(new_databases: Any) -> str:
    """All of it live: one sends nearly all, one a hundredth, one a thousandth, one once, first of all."""
    url = str(new_databases())
    migrate(url)
    with Database(url) as database:
        database.initialise(cursor_at(0))
        for number, first in enumerate(range(0, ROWS, 50 * BLOCK)):
            heights = range(first // BLOCK + 1, first // BLOCK + 51)
            database.flush(_group(number, heights), heights[0] - 1, cursor_at(heights[-1]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return url


def _group(number: int, heights: range) -> Effects:
    rows = range((heights[0] - 1) * BLOCK, heights[-1] * BLOCK)
    things = [
        replace(effects.thing(), id=name(f"object {n}"))
        for n in range(number * OBJECTS_OF_GROUP, (number + 1) * OBJECTS_OF_GROUP)
    ]
    made_ = made(effects.nothing(), *things)
    return replace(
        made_,
        blocks=tuple(map(effects.block_row, heights)),
        transactions=tuple(
            replace(effects.transaction_row(height, index), signer=_sender(index, height))
            for height in heights
            for index in range(200)
        ),
        rejections=tuple(effects.rejection_row(height, index) for height in heights for index in range(200)),
        transfers=np.array(
            [
                (1 + row // BLOCK, row % BLOCK, 0, COIN, _sender(row, 1), ACCOUNTS[row % 997], MoveKind.TRANSFER, 1)
                for row in rows
            ],
            TRANSFER,
        ),
        object_versions=tuple(
            effects.written(heights[0] + n % len(heights), thing, n // len(heights)) for n, thing in enumerate(things)
        ),
        assets_inserted=(effects.coin(), replace(effects.coin(), id=RARE_COIN)) if number == 0 else (),
        balances_inserted=np.array(
            [(COIN, who, 1) for who in ACCOUNTS] + [(RARE_COIN, who, 1) for who in ACCOUNTS[::5_000]], BALANCE
        )
        if number == 0
        else np.zeros(0, BALANCE),
    )


def _sender(row: int, height: int) -> bytes:
    if row % 1_000 == 0:
        return RARE if row == 0 and height == 1 else ACCOUNTS[0]
    return FEW if row % 100 == 0 else MANY


PEOPLE_ASKED: Final = (RARE, FEW, MANY, ACCOUNTS[0], ACCOUNTS[500], ACCOUNTS[9_999], STRANGER)
ASKED: Final[list[tuple[Listing[Any], dict[str, Any], tuple[str, ...], bytes]]] = [
    *((TRANSFERS, {}, PARTIES, who) for who in PEOPLE_ASKED),
    *((TRANSFERS, {"asset": coin.hex()}, (), b"") for coin in (COIN, STRANGER)),
    *((TRANSACTIONS, {"signer": who.hex()}, (), b"") for who in PEOPLE_ASKED),
    *((REJECTIONS, {"signer": who.hex()}, (), b"") for who in (BOB, STRANGER)),
    *((VERSIONS, {"object": which.hex()}, (), b"") for which in (name("object 1"), STRANGER)),
    *((HOLDERS, {"asset": coin.hex()}, (), b"") for coin in (COIN, RARE_COIN, STRANGER)),
    *((BALANCES, {"address": who.hex()}, (), b"") for who in (ACCOUNTS[0], STRANGER)),
    *((listing, {}, (), b"") for listing in (BLOCKS, TRANSACTIONS, REJECTIONS, TRANSFERS, WRITES, HOLDERS, OBJECTS)),
    (TRANSFERS, {"height": 3}, PARTIES, MANY),
]


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("asked", range(len(ASKED)))
def test_a_page_looks_at_little_of_a_large_database(large: str, asked: int, order: str) -> None:
    listing, equal, either, id_ = ASKED[asked]
    query = PageQuery.model_validate({"limit": 100, "order": order})
    for statement, given in listing.statements(query, 0, equal, either, id_.hex()):
        _check_work(large, statement, given)


@pytest.mark.parametrize("digest", [name("transaction 100 50"), name("rejected 100 50"), STRANGER])
@pytest.mark.parametrize("height", [None, 100])
def test_so_does_who_asks_for_a_digest(large: str, digest: bytes, height: int | None) -> None:
    given = {"digest": digest.hex(), "height": height, "below": 0}
    _check_work(large, transactions.found(Executed, "transactions", height), given)
    _check_work(large, transactions.found(Rejected, "rejections", height), given)


@pytest.mark.parametrize("id_", [name("object 5"), ACCOUNTS[7], COIN, STRANGER])
def test_so_does_who_asks_what_an_id_is(large: str, id_: bytes) -> None:
    _check_work(large, lookup.STATE, {"id": id_.hex(), "below": 0})


def _check_work(url: str, statement: Any, given: dict[str, Any]) -> None:
    with psycopg.connect(url) as connection:
        explain = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement.as_bytes(connection)
        found = connection.execute(explain, given).fetchone()
    assert found is not None
    plan = found[0][0]["Plan"]
    buffers = int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
    looked_at = sum(map(_looked_at, _nodes(plan)))
    assert (buffers < BUFFERS_MAX, looked_at < LOOKED_AT_MAX) == (True, True), (buffers, looked_at, found[0])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _looked_at(node: dict[str, Any]) -> float:
    """Rows of a table that a scan took up, also those that it then left out."""
    if "Relation Name" not in node:
        return 0
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])

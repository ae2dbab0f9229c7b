"""A request reads all tables as they were at one moment, and cannot write."""

import asyncio

import psycopg
import pytest

from api.reading.database import Database
from api.reading.listing import PAGE_BYTES_MAX, NumberPageQuery
from api.routes.state import VERSIONS
from projections.maintenance.migrate import migrate
from serving.problems import Problem

pytestmark = pytest.mark.postgres

_COUNT = "SELECT count(*) AS rows FROM public.coming"


async def _seen(url: str) -> tuple[int, int, int, dict[str, str]]:
    """Rows in a view before and after another connection adds one, then in the next view; what the view says it is."""
    database = Database(url, connections=1, statement_ms=10_000)
    await database.open()
    try:
        async with database.view() as view:
            before = await view.rows(_COUNT)
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("insert into public.coming default values")
            after = await view.rows(_COUNT)
            shows = {
                name: (await view.rows(f"SHOW {name}"))[0][name]
                for name in ("transaction_isolation", "transaction_read_only")
            }
        async with database.view() as view:
            following = await view.rows(_COUNT)
    finally:
        await database.close()
    return before[0]["rows"], after[0]["rows"], following[0]["rows"], shows


def test_a_view_does_not_change_while_others_write(postgres_url: str) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("create table public.coming (number int)")
        owner.execute("grant select on public.coming to public")
    before, after, following, shows = asyncio.run(_seen(postgres_url))
    assert (before, after, following) == (0, 0, 1)
    assert shows == {"transaction_isolation": "repeatable read", "transaction_read_only": "on"}


async def _heights_after_a_restart(url: str) -> list[int]:
    """The height that each of some views shows, the pool's connections having died after the first few."""
    database = Database(url, connections=3, statement_ms=10_000)
    await database.open()
    try:
        async with database.view(), database.view(), database.view():
            pass
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'momus api'")
        heights = []
        for _ in range(5):
            async with database.view() as view:
                heights.append(view.height)
    finally:
        await database.close()
    return heights


def test_connections_that_died_with_the_server_cost_no_request(postgres_url: str) -> None:
    migrate(postgres_url)
    assert asyncio.run(_heights_after_a_restart(postgres_url)) == [0] * 5


async def _asked_of_a_silent_server(url: str) -> str:
    database = Database(url, connections=1, statement_ms=100)
    await database.open()
    try:
        async with database.view() as view:
            # A limit that the server does not keep is what a server that hangs looks like.
            await view.connection.execute("SET statement_timeout = 0")
            await view.rows("SELECT count(*) FROM generate_series(1, 1000000000000)")
    except Problem as problem:
        return problem.code
    finally:
        await database.close()
    return "answered"


def test_a_server_that_does_not_answer_holds_no_request_for_ever(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(postgres_url)
    monkeypatch.setattr("api.reading.database.ANSWER_S", 0.1)
    assert asyncio.run(_asked_of_a_silent_server(postgres_url)) == "database_unavailable"


async def _pages(url: str) -> list[list[int]]:
    """The versions on each page of the history of all objects, and no page has more text than it may."""
    database = Database(url, connections=1, statement_ms=10_000)
    await database.open()
    pages: list[list[int]] = []
    try:
        cursor = None
        while cursor is not None or not pages:
            async with database.view() as view:
                page = await VERSIONS.page(view, NumberPageQuery(limit=1_000, order="oldest", cursor=cursor))
            last = len(page.items[-1].model_dump_json())
            assert len(page.model_dump_json()) - last < 1.3 * PAGE_BYTES_MAX
            pages.append([row.version for row in page.items])
            cursor = page.next
    finally:
        await database.close()
    return pages


def test_a_page_of_versions_that_many_may_write_is_short_and_the_pages_hold_them_all(postgres_url: str) -> None:
    """An update of forty bytes shows all of its object's writers again."""
    migrate(postgres_url)
    versions = 150
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        for table in ("blocks", "object_versions"):
            owner.execute(f"create table ledger.{table}_0 partition of ledger.{table} for values from (0) to (1000)")
        owner.execute(
            "insert into ledger.blocks select 1, sha256('1'), sha256('0'), 0, 1, 0, 1000, '[]', 1, 1, 0, 0;"
            "insert into ledger.object_types values (sha256('o'), 't');"
            "insert into ledger.object_contents values (sha256('o'), 1, 'm', '');"
            "insert into ledger.object_writers select sha256('o'), sha256(int8send(n)) from generate_series(1, 256) n"
        )
        owner.execute(
            "insert into ledger.object_versions select 1, n, 0, sha256('o'), n, 1, '', 1, false"
            " from generate_series(1, %s) as n",
            [versions],
        )
    pages = asyncio.run(_pages(postgres_url))
    assert [version for page in pages for version in page] == list(range(1, versions + 1))
    assert len(pages) > 1

"""A request reads all tables as they were at one moment, and cannot write."""

import asyncio

import psycopg
import pytest

from api.database import Database
from projections.migrate import migrate

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

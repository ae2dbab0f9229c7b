"""A role that may have few connections: execution goes first, and the API takes what is left."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.reading.database import Database
from cli.main import run_line
from lab.demo.local_node import LocalNode
from node.home import status
from node.settings.tree import Settings, read_settings
from node.wiring.connections import EXECUTION_MIN, before_the_api, check_room, needed
from projections.maintenance.migrate import migrate
from projections.session.errors import DatabaseUnusable
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres]


@contextmanager
def role(postgres: str, owned: str, connections: int) -> Iterator[str]:
    """The URL of a database, for a role of its own that may have so many."""
    name = f"few_{uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN CREATEROLE CONNECTION LIMIT {connections}")
        admin.execute(f"ALTER DATABASE {conninfo_to_dict(owned)['dbname']} OWNER TO {name}")
        try:
            yield make_conninfo(owned, user=name)
        finally:
            with psycopg.connect(owned, autocommit=True) as inside:
                inside.execute(f"REASSIGN OWNED BY {name} TO current_user")
                inside.execute(f"DROP OWNED BY {name}")
            admin.execute(f"DROP ROLE {name}")


def settings(api_connections: int) -> Settings:
    """Of a node with an API, and nothing else that is not always there."""
    given = {
        "MOMUS_VALIDATOR": "v0",
        "MOMUS_API__PORT": "8080",
        "MOMUS_API__CONNECTIONS": str(api_connections),
        "MOMUS_EFFECTS__ENABLED": "false",
        "MOMUS_DRILLS__EVERY_MS": "0",
    }
    return read_settings(None, given)


async def opened_at_once(url: str, connections: int, left_to_others: int) -> int:
    """How many views the API's pool can have open, each of which was."""
    database = Database(url, connections, WAIT_S * 1000, left_to_others)
    await database.open()
    try:
        async with AsyncExitStack() as held:
            await held.enter_async_context(database.view())
            for _ in range(database.connections - 1):
                await held.enter_async_context(database.view())
            return database.connections
    finally:
        await database.close()


@pytest.mark.parametrize(("limit", "pool"), [(-1, 8), (100, 8), (19, 8), (14, 3), (12, 1), (9, 1)])
def test_the_pool_of_the_api_takes_what_is_left(
    limit: int, pool: int, postgres: str, new_database: Callable[[], str]
) -> None:
    asked = settings(8)
    assert (sum(needed(asked).values()), before_the_api(asked)) == (19, 11)
    with role(postgres, new_database(), limit) as url:
        migrate(url)
        assert asyncio.run(opened_at_once(url, 8, before_the_api(asked))) == pool
        told = check_room(url, asked)
    assert (told is None) == (limit in (-1, 100, 19))
    assert told is None or f"may have {limit} connections" in told


def test_too_few_for_execution_are_refused(postgres: str, new_database: Callable[[], str]) -> None:
    with role(postgres, new_database(), EXECUTION_MIN - 1) as url, pytest.raises(DatabaseUnusable, match="needs 4"):
        check_room(url, settings(8))


@pytest.mark.processes
def test_a_node_halts_where_they_are_too_few(postgres: str, new_database: Callable[[], str], tmp_path: Path) -> None:
    owned = new_database()
    assert run_line(["init", "--home", str(tmp_path), "--dev", "--postgres", owned]) == 0
    name = str(conninfo_to_dict(owned)["dbname"])
    with role(postgres, owned, EXECUTION_MIN - 1) as url:
        given = conninfo_to_dict(url)
        address = f"postgresql://{given['user']}@/{name}?host={quote(str(given['host']), safe='')}&port={given['port']}"
        node = LocalNode(tmp_path, {"MOMUS_POSTGRES__URL": address})
        node.launch()
        try:
            node.wait_ended(WAIT_S)
            said = node.status("execute")
        finally:
            node.abort()
    assert said is not None
    assert (said.seen, "execution needs 4" in said.detail) == (status.HALTED, True), said


def test_what_database_and_server_let_in_counts_too(postgres: str, new_database: Callable[[], str]) -> None:
    with role(postgres, new_database(), -1) as url:
        with psycopg.connect(postgres, autocommit=True) as admin:
            name = conninfo_to_dict(url)["dbname"]
            admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 13")
        told = check_room(url, settings(8))
        assert told is not None
        assert "may have 13 connections" in told
        told = check_room(url, settings(100))
        assert told is not None
        assert "uses up to 111" in told

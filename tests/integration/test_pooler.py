"""A pooler between node and Postgres is found out, wherever a session begins."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from api.reading.database import Database
from api.reading.heights import Heights
from cli.main import run_line
from lab.demo.local_node import LocalNode
from node.home import status
from node.process.watching import Dependency
from projections.maintenance.migrate import migrate
from projections.session.connect import connect, connect_async
from projections.session.errors import DatabaseUnusable
from serving.problems import Problem
from tests.patience import WAIT_S
from tests.pooler import pooler

pytestmark = [pytest.mark.postgres]

KINDS = pytest.mark.parametrize("ignores_options", [True, False], ids=["drops", "refuses"])


async def _first_error(heights: Heights) -> str:
    running = asyncio.create_task(heights.run())
    try:
        async with asyncio.timeout(WAIT_S):
            while not (told := _error(heights.database)):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
    return told


def _error(dependency: Dependency) -> str:
    return dependency.part().error


async def _view(url: str) -> None:
    database = Database(url, 1, 1_000)
    await database.open()
    try:
        async with database.view():
            pass
    finally:
        await database.close()


@KINDS
def test_no_session_begins_through_it(ignores_options: bool, new_database: Callable[[], str]) -> None:
    with pooler(new_database(), ignores_options) as url:
        for settings in (None, {"default_transaction_read_only": "on"}):
            with pytest.raises(DatabaseUnusable, match="leads to a pooler"):
                connect(url, settings=settings)
            with pytest.raises(DatabaseUnusable, match="leads to a pooler"):
                asyncio.run(connect_async(url, "test", settings))
        with pytest.raises(DatabaseUnusable, match="leads to a pooler"):
            migrate(url)
        assert "leads to a pooler" in asyncio.run(_first_error(Heights(url)))
        with pytest.raises(Problem, match="says how the node does"):
            asyncio.run(_view(url))


@pytest.mark.processes
@KINDS
def test_a_node_says_so_when_it_is_made_and_when_it_starts(
    ignores_options: bool, new_database: Callable[[], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = new_database()
    with pooler(own, ignores_options) as url:
        assert run_line(["init", "--home", str(tmp_path / "one"), "--dev", "--postgres", url]) == 3
        assert "leads to a pooler" in " ".join(capsys.readouterr().err.split())
        home = tmp_path / "other"
        assert run_line(["init", "--home", str(home), "--dev", "--postgres", own]) == 0
        node = LocalNode(home, {"MOMUS_POSTGRES__URL": url})
        node.launch()
        try:
            node.wait_ended(WAIT_S)
            said = node.status("execute")
        finally:
            node.abort()
        assert said is not None
        assert said.seen == status.HALTED
        assert "leads to a pooler" in said.detail

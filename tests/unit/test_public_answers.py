"""What anybody may ask of the API tells nothing that is for the node's operators alone."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import Parts, make_app
from node.home import status
from node.home.context import NodeContext
from node.home.layout import Home
from node.home.status import StatusFile
from node.settings.tree import Settings, read_settings
from node.supervision.metrics_server import pages_of
from tests.builders import genesis, genesis_bytes

SECRET = "hunter2"
LOG = f"""pg_ctl failed in /home/bank/node/pg: could not start server
LOG:  statement: ALTER ROLE momus PASSWORD '{SECRET}'"""
PROCESSES = ("supervisor", "order", "execute", "postgres", "api")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make_folders()
    made.genesis_file.write_bytes(genesis_bytes())
    return made


@pytest.fixture
def settings() -> Settings:
    return read_settings(None, {"MOMUS_VALIDATOR": "v0", "MOMUS_API__STATEMENT_MS": "100"})


def answers(home: Home, settings: Settings) -> dict[str, str]:
    """By path: all that is asked without an argument."""
    unused: Any = None
    url = "postgresql://momus@127.0.0.1:9/momus"
    parts = Parts(NodeContext.of(home, settings, genesis()), url, unused, unused, lambda: False)
    app = make_app(parts)
    paths = [path for path in app.openapi()["paths"] if "{" not in path and not path.endswith("stream")]

    async def ask() -> dict[str, str]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            asked = [*paths, "/healthz", "/readyz"]
            return {path: (await client.get(path)).text for path in asked}

    metrics = {f"metrics {path}": page().body.decode() for path, page in pages_of(home, settings, dict).pages.items()}
    return asyncio.run(ask()) | metrics


@pytest.mark.parametrize("state", [status.CRASHED, status.HALTED, status.STARTING, status.RUNNING])
def test_what_a_process_says_is_not_for_everybody(home: Home, settings: Settings, state: str) -> None:
    for name in PROCESSES:
        StatusFile(home.status_file(name)).write(state, LOG)
    told = answers(home, settings)
    assert len(told) > 10
    assert {
        path for path, text in told.items() if SECRET in text or str(home.path) in text or "/home/bank" in text
    } == set()
    assert all(f'"{name}"' in told["/v1/status"] for name in PROCESSES)


def test_what_the_system_says_of_the_home_is_not_either(home: Home, settings: Settings) -> None:
    home.genesis_file.unlink()
    told = answers(home, settings)
    assert {path for path, text in told.items() if str(home.path) in text} == set()
    assert '"ready":false' in told["/readyz"].replace(" ", "")

"""The API reads from a streaming replica, and says what is there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
import pytest

from cli.main import run_line
from lab.demo.local_node import LocalNode, momus
from node.embedded.broker import free_ports
from node.embedded.postgres import EmbeddedPostgres
from node.embedded.postgres_files import server_account
from node.wiring.databases import create_database
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]

_APIS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'momus api'"


class _Standby(EmbeddedPostgres):
    """A server that follows another one."""

    def copy(self, primary: EmbeddedPostgres) -> None:
        self.folder.mkdir(mode=0o700)
        server_account().own(self.folder)
        self._call(self.folder, "pg_basebackup", "--write-recovery-conf", f"--dbname={primary.url()}")


@contextmanager
def replicated() -> Iterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    """A primary, and a replica of it."""
    with TemporaryDirectory(prefix="momus-replica-", ignore_cleanup_errors=True) as folder:
        # The replica reaches the primary through it, as the same user.
        server_account().own(Path(folder))
        with EmbeddedPostgres(Path(folder) / "primary") as primary:
            standby = _Standby(Path(folder) / "standby")
            standby.copy(primary)
            with standby:
                yield primary, standby


def _connected(server: EmbeddedPostgres) -> int:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute(_APIS).fetchone()
    assert row is not None
    return int(row[0])


def test_the_api_reads_from_a_replica_and_from_nowhere_else(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    home = tmp_path / "home"
    api = f"http://127.0.0.1:{port}"
    with replicated() as (primary, standby):
        create_database(primary.url(), "ledger")
        assert run_line(["init", "--home", str(home), "--dev", "--postgres", primary.url("ledger")]) == 0
        environment = {"MOMUS_API__PORT": str(port), "MOMUS_API__POSTGRES_URL": standby.url("ledger")}
        with LocalNode(home, environment) as node:
            node.wait_running(["order", "execute", "api"], WAIT_S)
            made = momus("submit", "create-object", "note", '"x"', "--home", str(home))
            deadline = time.monotonic() + WAIT_S
            url = f"{api}/v1/transactions/{made['digest']}"
            while (found := httpx.get(url, timeout=WAIT_S)).json().get("state") != "executed":
                assert time.monotonic() < deadline, found.text
                time.sleep(0.1)
            assert found.json()["height"] == made["height"]
            while not (told := httpx.get(f"{api}/readyz", timeout=WAIT_S).json())["ready"]:
                assert time.monotonic() < deadline, told
                time.sleep(0.1)
            assert (_connected(primary), _connected(standby) > 0) == (0, True)
            standby.stop()
            while "The database has not answered" not in str(
                told := httpx.get(f"{api}/readyz", timeout=WAIT_S).json()["reasons"]
            ):
                assert time.monotonic() < deadline + WAIT_S, told
                time.sleep(0.1)
            assert httpx.get(url, timeout=WAIT_S).status_code == 503
            standby.start()
            while httpx.get(url, timeout=WAIT_S).status_code != 200:
                assert time.monotonic() < deadline + WAIT_S
                time.sleep(0.1)
            assert node.stop() == 0

"""What a node must not go on with: it stops for good, and its message names the remedy; and what rebuilds it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cli.main import run_line
from lab.demo.local_node import LocalNode
from node.embedded.postgres import EmbeddedPostgres
from node.home.layout import Home
from node.wiring import DATABASE
from node.wiring.databases import drop_database
from tests.command_here import momus
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
HALT, USAGE = 3, 2


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A node at rest that has executed something. Each test puts back what it changes."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home")
        momus("init", "--home", str(home.path), "--dev")
        with LocalNode(home.path):
            momus("submit", "transfer", "dev", "5", "--to", "01" * 32, "--home", str(home.path))
        yield home


def run(home: Home, **variables: str) -> tuple[int, str]:
    """`momus run` until it ends by itself: exit code, and all it said."""
    done = subprocess.run(
        [sys.executable, "-m", "momus", "run", "--home", str(home.path)],
        env={name: value for name, value in os.environ.items() if not name.startswith("MOMUS_")} | variables,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("damage", ["gone", "a bit flipped", "another key's"])
def test_lost_journal_halts_the_node_with_its_remedy(home: Home, damage: str) -> None:
    whole = home.journal_file.read_bytes()
    altered = {
        "gone": None,
        "a bit flipped": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        "another key's": whole[:60] + bytes(20) + whole[80:],
    }[damage]
    try:
        home.journal_file.unlink()
        if altered is not None:
            home.journal_file.write_bytes(altered)
        code, said = run(home)
    finally:
        home.journal_file.write_bytes(whole)
    assert code == HALT
    assert "put the file back" in said


def test_journal_that_was_rolled_back_halts_the_node(home: Home) -> None:
    old = home.journal_file.read_bytes()
    with LocalNode(home.path):
        momus("submit", "transfer", "dev", "5", "--to", "01" * 32, "--home", str(home.path))
    new = home.journal_file.read_bytes()
    try:
        home.journal_file.write_bytes(old)
        code, said = run(home)
    finally:
        home.journal_file.write_bytes(new)
    assert code == HALT
    assert "ournal" in said


def test_another_cluster_at_the_address_halts_the_node(home: Home) -> None:
    code, said = run(home, MOMUS_LOG__CLUSTER_ID="another")
    assert code == HALT
    assert "log.cluster_id" in said


def test_key_that_genesis_does_not_name_halts_the_node(home: Home) -> None:
    code, said = run(home, MOMUS_VALIDATOR="mallory")
    assert code == HALT
    assert "`validator` in momus.toml" in said


def test_halted_node_shows_why_in_its_status(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run(home, MOMUS_LOG__CLUSTER_ID="another")
    assert run_line(["status", "--home", str(home.path)]) == HALT
    assert "another" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("MOMUS_NONSENSE", "1", "nonsense is not a setting"),
        ("MOMUS_ORDER__IDLE_MS", "never", "order.idle_ms"),
        ("MOMUS_KAFKA__SASL_PASSWORD", "x", "sasl.password_file"),
        ("MOMUS_LOG__KIND", "kafka", "bootstrap.servers"),
    ],
)
def test_settings_that_cannot_be_used_refuse_to_start(home: Home, variable: str, value: str, why: str) -> None:
    code, said = run(home, **{variable: value})
    assert code in (USAGE, HALT)
    assert why in said
    assert "Traceback" not in said


@pytest.mark.parametrize("source", ["store", "log"])
def test_database_is_rebuilt_in_its_place(home: Home, source: str) -> None:
    told = momus("replay", "--from", source, "--into", "live", "--compare", "--home", str(home.path))
    assert (told["equal"], told["into"]) == (True, "live")


def test_lost_database_is_rebuilt_and_the_node_goes_on(home: Home) -> None:
    service = EmbeddedPostgres(home.postgres)
    with service:
        drop_database(service.url(), DATABASE)
    momus("replay", "--into", "live", "--home", str(home.path))
    with LocalNode(home.path):
        told = momus("submit", "transfer", "dev", "5", "--to", "01" * 32, "--home", str(home.path))
    assert told["state"] == "executed"

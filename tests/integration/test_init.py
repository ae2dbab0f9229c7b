"""`momus init`: everything or nothing, and never over what is there."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from backbone.log.embedded import EmbeddedLog
from cli.main import run_line
from ledger.committee import Committees
from node import wiring
from node.home import exits
from node.home.keystore import load_key
from node.home.layout import Home
from node.home.status import RUNNING, StatusFile
from node.wiring.databases import running_postgres
from projections.session.connect import connect
from tests.integration.test_sessions import VARIABLES
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: for root the database server is another user, whom pytest keeps out."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_init_makes_a_home_from_which_everything_can_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["init", "--home", str(folder / "home"), "--chain", "orchard", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    home = Home(folder / "home")
    genesis, settings = home.genesis(), home.settings({})
    assert (genesis.chain, genesis.digest.hex()) == ("orchard", told["genesis_digest"])
    assert (
        wiring.validator_key(home, settings, Committees.of(genesis).current).public_key
        == genesis.validators[0].consensus_key
    )
    assert home.validator_key_file.stat().st_mode & 0o777 == 0o600
    with wiring.open_log(home, settings) as log:
        assert log.cluster_id() == settings.log.cluster_id
        assert log.describe(genesis.topic).topic_id == genesis.topic_id
        assert log.describe(genesis.topic_name("blocks")).partitions == 1
    with running_postgres(home, settings), closing(psycopg.connect(wiring.database_url(home, settings))) as database:
        assert database.execute("select count(*) from api.blocks").fetchone() == (0,)


def test_init_makes_the_same_database_whatever_the_environment_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (VARIABLES | {"LANG": "de_DE.ISO-8859-1", "LC_ALL": "tr_TR.ISO-8859-9"}).items():
        monkeypatch.setenv(name, value)
    assert run_line(["init", "--home", str(folder / "home"), "--chain", "orchard", "--json"]) == 0
    home = Home(folder / "home")
    settings = home.settings({})
    query = """select pg_encoding_to_char(encoding), datlocprovider::text, datlocale, datname from pg_database
    where has_database_privilege('momus_reader', oid, 'CONNECT') and datallowconn"""
    with running_postgres(home, settings), connect(wiring.database_url(home, settings)) as database:
        assert database.execute(query).fetchall() == [("UTF8", "b", "C.UTF-8", "momus")]
    assert run_line(["sql", "--home", str(folder / "home"), "select count(*) from blocks"]) == 0


def test_init_refuses_a_folder_that_is_not_empty(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "precious").write_text("mine")
    assert run_line(["init", "--home", str(folder)]) == 2
    assert "never overwrites" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["precious"]


def test_init_that_fails_on_its_way_leaves_nothing_behind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = folder / "log"
    options = ["--log-path", str(shared), "--chain", "orchard"]
    assert run_line(["init", "--home", str(folder / "first"), *options]) == 0
    assert run_line(["init", "--home", str(folder / "second"), *options]) == 2
    assert "exists already" in capsys.readouterr().err
    assert not (folder / "second").exists()
    assert EmbeddedLog(shared).describe("momus.orchard.transactions").partitions == 4


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--validators", "4", "--postgres", "postgresql://h/d"], "a database of its own"),
        (["--genesis", "genesis.json"], "--genesis needs --key"),
        (["--backbone", "pigeon"], "embedded or kafka"),
        (["--backbone", "kafka"], "--kafka HOST:PORT"),
        (["--backbone", "kafka", "--kafka", "h:1", "--kafka-property", "sasl.password=x"], "sasl.password_file"),
        (["--postgres", "postgresql://u:secret@h/d"], "url_file"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    assert run_line(["init", "--home", str(folder / "home"), *options]) == 2
    assert why in capsys.readouterr().err
    assert not (folder / "home").exists()


def test_init_with_a_passphrase_encrypts_the_key(folder: Path) -> None:
    (folder / "passphrase").write_text("correct horse\n")
    options = ["--passphrase-file", str(folder / "passphrase")]
    assert run_line(["init", "--home", str(folder / "home"), *options]) == 0
    home = Home(folder / "home")
    assert "seed" not in json.loads(home.validator_key_file.read_text())
    assert load_key(home.validator_key_file, "correct horse").public_key == home.genesis().validators[0].consensus_key


def test_another_postgres_can_be_used(folder: Path, postgres_url: str) -> None:
    (folder / "url").write_text(postgres_url)
    assert run_line(["init", "--home", str(folder / "home"), "--postgres", str(folder / "url")]) == 0
    home = Home(folder / "home")
    assert wiring.database_url(home, home.settings({})) == postgres_url
    assert not home.postgres.exists()
    with closing(psycopg.connect(postgres_url)) as database:
        assert database.execute("select count(*) from api.blocks").fetchone() == (0,)


def test_postgres_that_does_not_answer_is_said_in_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--postgres", f"postgresql://nobody@/none?host={folder}&port=1"]
    assert run_line(["init", "--home", str(folder / "home"), *options]) == 4
    assert "Traceback" not in (told := capsys.readouterr().err)
    assert told.startswith("momus: ")
    assert not (folder / "home").exists()


def wait_running(home: Home) -> None:
    """As a person would, who looks at the other terminal first."""
    deadline = time.monotonic() + WAIT_S
    file = StatusFile(home.status_file("execute"))
    while (status := file.read()) is None or status.state != RUNNING:
        assert time.monotonic() < deadline
        select.select([], [], [], 0.05)


@pytest.mark.processes
def test_commands_that_init_names_work_when_they_are_pasted_in_another_folder(folder: Path) -> None:
    elsewhere, place = folder / "elsewhere", '-it\'s $HOME, "x" дом'
    elsewhere.mkdir()
    environment = {**os.environ, "COLUMNS": "80", "PATH": "/usr/bin:/bin"}

    def said(*argv: str, cwd: Path = elsewhere) -> str:
        done = subprocess.run(
            argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    made = said(sys.executable, "-m", "momus", "init", "--dev", "--home", place, cwd=folder)
    run, sql, submit = [line.strip() for line in made.splitlines() if line.startswith("  ")]
    with subprocess.Popen(["bash", "-c", f"exec {run}"], cwd=elsewhere, env=environment) as node:
        try:
            wait_running(Home(folder / place))
            assert said("bash", "-c", submit).startswith("executed")
            assert "999995" in said("bash", "-c", sql)
        finally:
            node.terminate()
    assert node.returncode == 0


def test_a_path_in_which_postgres_cannot_live_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["init", "--home", str(folder / "two\nlines")]) in (exits.USAGE, exits.UNAVAILABLE)
    assert "without a line end" in capsys.readouterr().err
    assert [*folder.iterdir()] == []

"""A role that may not make databases: commands that need one of their own say so, and the drills process goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from cli.main import run_line

pytestmark = [pytest.mark.postgres]


@pytest.fixture(scope="module")
def home(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a node whose role owns its database, and has no right beyond that."""
    folder, name = tmp_path_factory.mktemp("node"), f"plain_{uuid4().hex[:12]}"
    place = urlsplit(postgres)
    url = place._replace(netloc=f"{name}@{place.netloc.rpartition('@')[2]}", path=f"/{name}").geturl()
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"create role {name} login createrole")
        admin.execute(f"create database {name} owner {name}")
        try:
            (folder / "url").write_text(url)
            assert run_line(["init", "--home", str(folder / "home"), "--postgres", str(folder / "url")]) == 0
            yield folder / "home"
        finally:
            admin.execute(f"drop database {name} with (force)")
            admin.execute(f"drop role {name}")


@pytest.mark.parametrize("command", [["drill"], ["at", "--height", "1"], ["replay"], ["audit"]], ids=lambda it: it[0])
def test_a_command_that_needs_a_database_names_the_right(home: Path, command: list[str]) -> None:
    argv = [sys.executable, "-m", "momus", *command, "--home", str(home)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 3
    assert "permission denied to create database: the role in postgres.url needs this right." in done.stderr


def test_the_drills_process_tells_it_and_does_not_crash(home: Path) -> None:
    argv = [sys.executable, "-m", "momus", "process", "drills", "--home", str(home)]
    environment = {**os.environ, "MOMUS_DRILLS__EVERY_MS": "1"}
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = next((line for line in process.stderr if "drill postponed" in line), "")
        process.send_signal(signal.SIGTERM)
        assert "permission denied to create database" in told
        assert process.wait() == 0

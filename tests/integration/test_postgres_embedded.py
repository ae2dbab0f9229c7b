"""The embedded Postgres: made, found, killed, started again, in folders of all kinds."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

import psycopg
import pytest

from node.embedded import postgres_files
from node.embedded.postgres import EmbeddedPostgres
from node.embedded.postgres_files import PostgresUnusable, is_process_in, processes_in

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with TemporaryDirectory(prefix="momus-") as folder, EmbeddedPostgres(Path(folder) / "pg") as started:
        yield started


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="momus-") as made:
        yield Path(made)


def _ask(server: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        found = connection.execute(query).fetchone()
        assert found is not None
        return found[0]


def _kill(server: EmbeddedPostgres, wait: bool = True) -> None:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while wait and is_process_in(server.folder, pid):
        pass


def test_it_is_postgres_18_with_durable_settings_and_no_open_port(server: EmbeddedPostgres) -> None:
    assert str(_ask(server, "show server_version")).startswith("18.")
    settings = {name: _ask(server, f"show {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")}
    assert set(settings.values()) == {"on"}
    assert _ask(server, "show listen_addresses") == ""
    assert _ask(server, "show shared_buffers") == "256MB"
    assert _ask(server, "show server_encoding") == "UTF8"


def test_a_second_start_finds_the_first(server: EmbeddedPostgres) -> None:
    pid = server.pid
    other = EmbeddedPostgres(server.folder)
    assert not other.ensure_running()
    other.start()
    assert other.pid == pid
    assert other.url("momus") == server.url("momus")


def test_handles_of_other_processes_do_not_stop_it(server: EmbeddedPostgres) -> None:
    pid = server.pid
    script = "import sys; from pathlib import Path; from node.embedded.postgres import EmbeddedPostgres as E; "
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{script} E(Path(sys.argv[1])).start()", str(server.folder)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PGPORT": "1", "LC_ALL": "no_SUCH.locale"},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    assert server.pid == pid
    assert server.is_running()


def test_it_comes_back_after_its_postmaster_was_killed_and_keeps_what_was_committed(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
    for _ in range(3):
        _kill(server)
        assert server.pid is None
        assert server.ensure_running()
        assert _ask(server, "select answer from kept") == 42


def test_it_starts_while_the_orphans_of_a_killed_postmaster_still_work(server: EmbeddedPostgres) -> None:
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        connection.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000000)")
        _kill(server)
        assert processes_in(server.folder)
        server.start()
    assert _ask(server, "select 1") == 1


def test_it_starts_when_orphans_that_it_ended_are_gone(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine one that was killed has the server's memory for a while."""

    def kill(pid: int, number: int) -> None:
        Timer(0.5, os_kill, (pid, number)).start()

    os_kill = os.kill
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        connection.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000000)")
        _kill(server)
        monkeypatch.setattr(postgres_files, "_ORPHANS_WAIT_S", 0.0)
        monkeypatch.setattr(os, "kill", kill)
        server.start()
    assert _ask(server, "select 1") == 1


def test_a_start_waits_for_a_server_that_recovers_and_whose_starter_was_killed(server: EmbeddedPostgres) -> None:
    pid, lock = server.pid, server.folder / "postmaster.pid"
    ready = lock.read_text()
    _overwrite(lock, ready.replace("ready", "starting"))
    with ThreadPoolExecutor() as pool:
        other = pool.submit(EmbeddedPostgres(server.folder).ensure_running)
        assert not wait([other], 0.3).done
        _overwrite(lock, ready)
        assert other.result() is False
    assert server.pid == pid


def _overwrite(path: Path, text: str) -> None:
    """As the server does it: nobody ever sees the file empty."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def test_a_pid_file_that_names_a_stranger_does_not_stop_it_from_starting(server: EmbeddedPostgres) -> None:
    server.stop()
    lock = server.folder / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{server.folder}\n0\n5432\n{server.folder}\n\n     1         1\nready   \n")
    assert not server.is_running()
    server.start()
    assert _ask(server, "select 1") == 1


def test_processes_that_start_it_at_once_get_one_server(folder: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    starters = [spawn.Process(target=_start_in, args=(folder / "pg",)) for _ in range(3)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    server = EmbeddedPostgres(folder / "pg")
    try:
        assert [starter.exitcode for starter in starters] == [0, 0, 0]
        assert _ask(server, "select 1") == 1
    finally:
        server.stop()
    assert not server.is_running()


@pytest.mark.parametrize("name", ['it\'s a "long", long folder ' * 4 + "/" + "é" * 40, "one,two"])
def test_a_long_path_with_spaces_quotes_and_commas_works_beside_another_server(
    server: EmbeddedPostgres, folder: Path, name: str
) -> None:
    deep = folder / name / "pg"
    with EmbeddedPostgres(deep) as other:
        assert other.folder == deep
        assert processes_in(deep)
        assert other.pid != server.pid
        assert server.is_running()
    assert not other.is_running()
    other.start()
    other.stop()


def test_an_interrupted_first_start_is_made_anew(folder: Path) -> None:
    half = folder / "pg.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder / "pg") as server:
        assert _ask(server, "select 1") == 1
    assert not half.exists()


def test_a_folder_of_something_else_is_left_alone(folder: Path) -> None:
    (folder / "pg").mkdir()
    (folder / "pg" / "letters.txt").write_text("mine")
    with pytest.raises(PostgresUnusable, match="not empty"):
        EmbeddedPostgres(folder / "pg").start()
    assert (folder / "pg" / "letters.txt").read_text() == "mine"


def _start_in(folder: Path) -> None:
    EmbeddedPostgres(folder).start()

"""`momus recover` takes the lightest recovery path that works and says why; `momus at` shows the state as it was."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from backbone.store import StoreReader
from backbone.store.files import partition_folder, segments
from cli.main import run_line
from client import Client
from lab.demo.local_node import LocalNode, NodeFailed
from node.home import exits
from node.home.layout import Home
from node.home.locks import node_lock
from node.wiring import database_url
from node.wiring.databases import beside, drop_database, make_database, running_postgres
from projections.audit.fingerprint import Fingerprint, fingerprint
from projections.session.connect import connect
from projections.snapshots.restoring import begin as begin_restoring
from tests.command_here import momus
from tests.patience import WAIT_S
from tests.recovery.payments import Payments

pytestmark = [pytest.mark.postgres, pytest.mark.processes]


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Path, dict[str, Fingerprint]]]:
    """A stopped node with some history, and what its database held."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "home"
        assert run_line(["init", "--home", str(path), "--dev"]) == 0
        with LocalNode(path), Client.at_home(path) as client:
            payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
            client.wait(client.submit_all(payments.opening()), WAIT_S)
            for first in range(0, 400, 100):
                client.wait(client.submit_all([payments.payment(first + n) for n in range(100)]), WAIT_S)
            until(lambda: is_level_and_certified(Home(path)))
        with running_postgres(Home(path), Home(path).settings({})):
            yield path, fingerprint(url_of(path))


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; the test's own time is the bound."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.05)


def is_level_and_certified(home: Home) -> bool:
    """Whether all that is final is executed, and a checkpoint of it is certified."""
    with StoreReader(home.store) as store, connect(url_of(home.path)) as database:
        executed = database.execute("select height from ledger.cursor").fetchone()
        return executed == (store.last_height(),) and bool(store.certificates_after(0, 1))


def url_of(path: Path) -> str:
    return database_url(Home(path), Home(path).settings({}))


UNCHANGED = """select ctid from ledger.balances where (asset, address) not in
    (select asset, address from ledger.changed_balances) limit 1"""


def recover(path: Path) -> Any:
    return momus("recover", "--home", str(path))


def execute(path: Path, statement: str) -> None:
    with connect(url_of(path)) as database:
        database.execute(statement.encode())


def test_whole_database_is_left_as_it_is(made: tuple[Path, dict[str, Fingerprint]]) -> None:
    path, before = made
    told = recover(path)
    assert (told["source"], told["records"], told["tried"]) == ("cursor", 0, [])
    assert fingerprint(url_of(path)) == before


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("drop table ledger.balances cascade", "tables are missing: balances"),
        ("delete from ledger.cursor", "it is empty"),
        ("drop schema ledger cascade", "schema is missing"),
        ("update ledger.cursor set height = height + 1000", "the store ends at height"),
        ("update ledger.cursor set genesis_digest = sha256('other')", "another genesis"),
        ("update ledger.checkpoints set digest = sha256('other')", "is not the certified one"),
        ("update ledger.balances set amount = amount + 1 where ctid = (@unchanged)", "balances, asset"),
    ],
)
def test_damaged_database_is_executed_again_from_the_store(
    made: tuple[Path, dict[str, Fingerprint]], damage: str, why: str
) -> None:
    path, before = made
    execute(path, damage.replace("@unchanged", UNCHANGED))
    told = recover(path)
    assert told["source"] == "store"
    assert why in told["tried"][0]
    assert fingerprint(url_of(path)) == before


def test_database_that_is_gone_is_made_anew(made: tuple[Path, dict[str, Fingerprint]]) -> None:
    path, before = made
    drop_database(beside(url_of(path), "postgres"), "momus")
    told = recover(path)
    assert told["source"] == "store"
    assert "the schema is missing" in told["tried"][0]
    assert fingerprint(url_of(path)) == before


def test_damaged_store_is_passed_over_for_the_log(made: tuple[Path, dict[str, Fingerprint]]) -> None:
    path, before = made
    execute(path, "delete from ledger.cursor")
    segment = next(s.path for n in range(4) for s in segments(partition_folder(path / "store", n)))
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])
    told = recover(path)
    segment.write_bytes(whole)
    assert told["source"] == "log"
    assert "Skipped store: " in told["tried"][1]
    assert fingerprint(url_of(path)) == before
    assert not (path / "recover-store").exists()


def test_store_that_is_gone_is_passed_over_for_the_log(made: tuple[Path, dict[str, Fingerprint]]) -> None:
    path, before = made
    execute(path, "delete from ledger.cursor")
    retained = (path / "store").rename(path / "store-aside")
    try:
        told = recover(path)
    finally:
        retained.rename(path / "store")
    assert told["source"] == "log"
    assert "holds no final block" in told["tried"][1]
    assert fingerprint(url_of(path)) == before


def test_beginning_of_a_snapshot_that_is_gone_does_not_stand_in_the_way(
    made: tuple[Path, dict[str, Fingerprint]],
) -> None:
    path, before = made
    drop_database(beside(url_of(path), "postgres"), "momus")
    make_database(Home(path), Home(path).settings({}))
    with connect(url_of(path)) as database:
        begin_restoring(database, 7, bytes(32))
    told = recover(path)
    assert told["source"] == "store"
    assert fingerprint(url_of(path)) == before


def test_node_that_runs_is_not_recovered(made: tuple[Path, dict[str, Fingerprint]]) -> None:
    path, _ = made
    with node_lock(Home(path)), pytest.raises(NodeFailed, match="runs already"):
        recover(path)


def test_state_as_of_a_height_and_of_a_time_is_what_it_was(made: tuple[Path, dict[str, Fingerprint]]) -> None:
    path, _ = made
    told = momus("at", "--home", str(path), "--height", "3")
    with connect(told["url"]) as then, connect(url_of(path)) as now:
        assert then.execute("select height from api.status").fetchone() == (3,)
        query = "select height, digest, time_ms from api.blocks where height <= 3 order by 1"
        blocks = now.execute(query).fetchall()
        assert then.execute(query).fetchall() == blocks
        assert (then.execute("select max(height) from api.blocks").fetchone() or ())[0] == 3
    told = momus("at", "--home", str(path), "--time", str(blocks[2][2] - 1), "--into", "momus_then")
    assert told["height"] == 2


def test_database_of_somebody_else_is_not_dropped(
    made: tuple[Path, dict[str, Fingerprint]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = made
    execute(path, "create database accounting")
    assert run_line(["at", "--home", str(path), "--height", "1", "--into", "accounting"]) == exits.USAGE
    assert "accounting that this command has not made" in capsys.readouterr().err
    execute(path, "drop database accounting")
    for _ in range(2):
        assert momus("at", "--home", str(path), "--height", "1", "--into", "accounting")["height"] == 1


@pytest.mark.parametrize(
    "options", [(), ("--height", "999999"), ("--height", "1", "--time", "1"), ("--height", "1", "--into", "momus")]
)
def test_wrong_use_is_told(made: tuple[Path, dict[str, Fingerprint]], options: tuple[str, ...]) -> None:
    assert run_line(["at", "--home", str(made[0]), *options]) == exits.USAGE

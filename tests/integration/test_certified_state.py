"""Four validators certify what their databases hold; one whose rows were changed by hand finds out and stops."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backbone.store import StoreReader
from client import Client
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import PROCESSES, LocalNode
from ledger.committee import Committees
from node.home.exits import HALT
from node.wiring import open_log
from projections.session.connect import connect
from tests.command_here import momus
from tests.patience import WAIT_S
from tests.recovery.payments import KEYS, Payments

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
LIAR = 2


@pytest.fixture
def homes() -> Iterator[list[Path]]:
    """Not below pytest's own folder: for root the database server is another user, whom pytest keeps out."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        options = ("--validators", "4", "--chain", "orchard", "--checkpoint-ms", "3000")
        told = momus("init", "--home", f"{folder}/chain", *options)
        yield [Path(home) for home in told["homes"]]


def test_state_is_certified_and_who_has_another_finds_out_at_the_next_checkpoint(homes: list[Path]) -> None:
    """It stops, names the row, is recovered, and goes on with the others."""
    with LocalCommittee(homes) as committee, Client.at_home(homes[0]) as client:
        payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
        client.wait(client.submit_all(payments.opening()), WAIT_S)
        for url in committee.urls:
            until(lambda url=url: certified(url) > 0)  # type: ignore[misc]
        check_certificates(homes, committee.urls)
        change_a_balance(committee.nodes[LIAR], committee.urls[LIAR])
        before = certified(committee.urls[0])
        client.wait(client.submit_all([payments.payment(number) for number in range(40)]), WAIT_S)
        assert committee.nodes[LIAR].wait_ended(WAIT_S) == HALT
        until(lambda: certified(committee.urls[0]) > before)
        with connect(committee.urls[0]) as database:
            query = "select from ledger.certificates where height = %s"
            assert database.execute(query, [check_reports(homes[LIAR], before)]).rowcount == 1
        told = momus("recover", "--home", str(homes[LIAR]))
        assert told["source"] == "store"
        assert any(why in told["tried"][0] for why in ("is not the certified one", "signed another state")), told
        committee.nodes[LIAR].start()
        until(lambda: certified(committee.urls[LIAR]) >= certified(committee.urls[0]))


@pytest.mark.soak
def test_half_of_the_power_with_another_state_halts_everybody_until_it_is_recovered(homes: list[Path]) -> None:
    with LocalCommittee(homes) as committee, Client.at_home(homes[0]) as client:
        payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
        client.wait(client.submit_all(payments.opening()), WAIT_S)
        for url in committee.urls:
            until(lambda url=url: certified(url) > 0)  # type: ignore[misc]
        for node, url in zip(committee.nodes[2:], committee.urls[2:], strict=True):
            change_a_balance(node, url)
        before = certified(committee.urls[0])
        client.submit_all([payments.payment(number) for number in range(40)])
        assert [node.wait_ended(WAIT_S) for node in committee.nodes] == [HALT] * 4
        for home in homes:
            report, *_ = (json.loads(it.read_text()) for it in (home / "evidence").glob("fork-*.json"))
            assert report["height"] > before
            with StoreReader(home / "store") as store:
                assert store.certificates_after(before, 10) == []
        for home in homes:
            told = momus("recover", "--home", str(home))
            assert "signed another state" in told["tried"][0], told
        for node in committee.nodes:
            node.start()
        client.wait(client.submit_all([payments.payment(number) for number in range(40, 80)]), WAIT_S)
        for url in committee.urls:
            until(lambda url=url: certified(url) > report["height"])  # type: ignore[misc]


def check_reports(home: Path, before: int) -> int:
    """Both sides' words, and the row; the height."""
    report, *_ = (json.loads(it.read_text()) for it in (home / "evidence").glob("fork-*.json"))
    assert report["height"] > before
    assert report["others"]
    assert report["own"]
    assert report["state_root"] != report["other_state_root"]
    rows, *_ = (json.loads(it.read_text()) for it in (home / "evidence").glob("rows_of_fork-*.json"))
    assert rows["height"] == report["height"]
    assert any(KEYS[0].address.hex() in row["key"] for row in rows["rows"] if row["where"] == "balances"), rows
    assert "`momus recover`" in rows["says"]
    return int(report["height"])


def certified(url: str) -> int:
    with connect(url) as database:
        row = database.execute("select coalesce(max(height), 0) from ledger.certificates").fetchone()
    assert row is not None
    return int(row[0])


def check_certificates(homes: list[Path], urls: tuple[str, ...]) -> None:
    """In every database and store the same, with a quorum behind them; and in the topic."""
    genesis = LocalNode(homes[0]).home.genesis()
    wire = CheckpointWire(genesis, Committees.of(genesis))
    states = set()
    for home, url in zip(homes, urls, strict=True):
        with connect(url) as database:
            query = """select height, certificate, digest from ledger.certificates join ledger.checkpoints
            using (height) order by height limit 1"""
            row = database.execute(query).fetchone()
        assert row is not None
        message = wire.decode(row[1])
        assert isinstance(message, CheckpointCertificate)
        assert wire.is_certified(message)
        assert message.claim.digest == row[2]
        states.add((row[0], row[2]))
        with StoreReader(home / "store") as store:
            assert (row[0], row[1]) in store.certificates_after(0, 10)
    assert len(states) == 1
    node = LocalNode(homes[0]).home
    with open_log(node, node.settings({})) as log:
        reader = log.reader(genesis.topic_name("checkpoints"), {0: 0})
        until(lambda: any(isinstance(wire.decode(it.value), CheckpointCertificate) for it in reader.read(10, 100)))
        reader.close()


def change_a_balance(node: LocalNode, url: str) -> None:
    """By hand, as somebody who owns the server could; and the execute process forgets what it had cached."""
    with connect(url) as database:
        query = "update ledger.balances set amount = amount + 1 where address = %s"
        assert database.execute(query, [KEYS[0].address]).rowcount == 1
    pid = node.kill_9("execute")
    node.wait_running(PROCESSES[1:], WAIT_S, not_pid=pid)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)

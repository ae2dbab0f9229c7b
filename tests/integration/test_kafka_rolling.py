"""Three brokers are restarted in turn, as for an upgrade: no transaction is lost, and the node goes on by itself."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli.main import run_line
from cli.status import status_facts
from client import Client
from lab.bench.load import Maker
from lab.bench.run import VALID_FOR_MS
from lab.demo.local_node import LocalNode
from node.embedded.broker import LocalCluster
from projections.session.connect import connect
from tests.patience import WAIT_S

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.processes]

AT_ONCE = 20


def test_brokers_that_are_restarted_in_turn_cost_no_transaction(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    home, url = tmp_path / "home", new_database()
    with LocalCluster(tmp_path / "kafka") as kafka:
        words = ["--backbone", "kafka", "--kafka", kafka.bootstrap, "--replicas", "3", "--postgres", url]
        assert run_line(["init", "--home", str(home), *words]) == 0
        with LocalNode(home) as node, closing(Client.at_home(home)) as client:
            maker = Maker(node.home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS)
            submitted = client.submit_all(maker.opening())
            client.wait(submitted, WAIT_S)
            starts = {name: node.status(name) for name in ("order", "execute")}
            for broker in kafka.brokers:
                for step in (None, broker.stop, broker.start):
                    if step is not None:
                        step()
                    paid = client.submit_all(maker.payments(AT_ONCE, len(submitted)))
                    submitted += paid
                    # With all brokers, with one away, and with it back.
                    client.wait(paid, WAIT_S)
            deadline = time.monotonic() + WAIT_S
            while not (told := status_facts(node.home, node.home.settings({}), node.home.genesis()))["ready"]:
                assert time.monotonic() < deadline, told
                time.sleep(0.2)
            assert {name: node.status(name) for name in starts} == starts, "the same processes, which never ended"
            while _executed(url) < len(submitted):
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert node.stop() == 0
    assert _executed(url) == len({each.digest for each in submitted}) == 3 * 3 * AT_ONCE + len(tuple(maker.opening()))


def _executed(url: str) -> int:
    with connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM api.transactions").fetchone()
    assert row is not None
    return int(row[0])

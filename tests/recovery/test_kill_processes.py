"""SIGKILL to every process of a running chain, at moments that a seed chooses, while payments flow.

Afterwards: whatever the log acknowledged to the client has executed, everything executed exactly once, balances are
what arithmetic says, and a replay gives the same database.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import psycopg
import pytest

from client import Client, HeightWatch
from lab.demo.local_node import LocalNode
from lab.demo.rebuild import rebuild
from node.embedded.broker import LocalBroker
from node.wiring import database_url
from tests.command_here import momus
from tests.patience import WAIT_S
from tests.recovery.kill_client import noted
from tests.recovery.killing import ClientProcess, Kill, deck, kill_postgres, kill_process, kill_worker
from tests.recovery.payments import Payments, balances_after

SEED = 20260731
KILLS_EACH = 3
PER_S = 120
BETWEEN_KILLS_MAX = 150


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, which is closed to the other user that Postgres runs as for root."""
    with TemporaryDirectory(prefix="momus-kills-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.processes
def test_kills_on_the_embedded_log_lose_nothing_and_repeat_nothing(folder: Path) -> None:
    _run(folder, (), {})


@pytest.mark.processes
@pytest.mark.kafka
def test_kills_on_kafka_lose_nothing_and_repeat_nothing(folder: Path) -> None:
    with LocalBroker(folder / "kafka") as broker:

        def kill_broker() -> None:
            broker.kill()
            broker.start()

        _run(folder, ("--backbone", "kafka", "--kafka", broker.bootstrap), {"broker": kill_broker})


def _run(folder: Path, options: tuple[str, ...], more_victims: dict[str, Kill]) -> None:
    home = folder / "node"
    momus("init", "--home", str(home), "--chain", f"kills-{secrets.token_hex(4)}", *options)
    with LocalNode(home) as node:
        url = database_url(node.home, node.home.settings({}))
        payments = _opened(home, url)
        kills, count = _flow_under_kills(node, more_victims)
        assert len(kills) >= 15
        _check(url, payments, count)
    assert rebuild(home).differing == ()


def _opened(home: Path, url: str) -> Payments:
    """The asset and everybody's funds are executed; what follows can be paid in any order."""
    with Client.at_home(home) as client, HeightWatch(url) as heights:
        payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
        submissions = client.submit_all(payments.opening())
        client.wait(submissions, WAIT_S)
        assert heights.wait(max(submission.height or 0 for submission in submissions), WAIT_S)
    payments.write(home)
    return payments


def _flow_under_kills(node: LocalNode, more_victims: dict[str, Kill]) -> tuple[list[str], int]:
    """Who was killed, in order; and how many payments the log has acknowledged."""
    chance = Random(SEED)
    kills = []
    with ExitStack() as stack:
        client = ClientProcess(node.home.path, PER_S)
        stack.callback(client.end)
        victims: dict[str, Kill] = {
            "client": client.kill_9,
            "order": lambda: kill_process(node, "order"),
            "execute": lambda: kill_process(node, "execute"),
            "worker": lambda: kill_worker(node, chance),
            "postgres": lambda: kill_postgres(node),
            **more_victims,
        }
        for victim, kill in deck(victims, KILLS_EACH, chance):
            client.until_acknowledged(client.acknowledged() + chance.randint(1, BETWEEN_KILLS_MAX))
            kill()
            kills.append(victim)
        client.until_acknowledged(client.acknowledged() + 1)
        client.finish()
        return kills, len(noted(client.notes))


def _check(url: str, payments: Payments, count: int) -> None:
    """All of the `count` payments executed, once each, and nothing else did."""
    wanted = {payments.digest(number).hex() for number in range(count)} | payments.opening_digests()
    with psycopg.connect(url, autocommit=True) as database:
        _until_executed(database, len(wanted))
        digests = [str(row[0]) for row in database.execute("select digest from api.transactions")]
        assert sorted(digests) == sorted(wanted)
        reasons = {row[0] for row in database.execute("select distinct reason from api.rejections")}
        assert reasons <= {"duplicate"}
        query = "select address, amount from api.balances where asset = %s"
        balances = {
            bytes.fromhex(str(address)): amount for address, amount in database.execute(query, [payments.asset.hex()])
        }
        assert balances == balances_after(range(count))


def _until_executed(database: psycopg.Connection[tuple[object, ...]], count: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        found = database.execute("select count(*) from api.transactions").fetchone()
        if found is not None and int(str(found[0])) >= count:
            return
        assert time.monotonic() < deadline, f"{found} of {count} transactions executed"
        database.execute("select pg_sleep(0.1)")

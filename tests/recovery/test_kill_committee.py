"""SIGKILL to processes of a committee of four, at moments and of validators that a seed chooses, while payments flow.

Afterwards: whatever the log acknowledged has executed, once, in all four databases, which are equal row for row; no
validator has contradicted itself in any topic or journal; a replay gives the same database.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from client import Client
from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import PROCESSES, LocalNode
from lab.demo.rebuild import rebuild
from tests.command_here import momus
from tests.patience import WAIT_S
from tests.recovery.kill_client import noted
from tests.recovery.killing import ClientProcess, Kill, kill_postgres, kill_process, kill_worker
from tests.recovery.outcome import check_payments
from tests.recovery.payments import Payments
from tests.recovery.statements import conflicts

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.soak]
SEED = 20261123
KILLS = ("order", "order", "order", "execute", "execute", "worker", "postgres", "everything")
PER_S = 60
BETWEEN_KILLS_MAX = 120


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own folder: for root the database server is another user, whom pytest keeps out."""
    with TemporaryDirectory(prefix="momus-kills-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_kills_in_a_committee_on_the_embedded_log_lose_nothing_and_fork_nothing(folder: Path) -> None:
    _run(folder, ())


@pytest.mark.kafka
def test_kills_in_a_committee_on_kafka_lose_nothing_and_fork_nothing(folder: Path, kafka_bootstrap: str) -> None:
    _run(folder, ("--backbone", "kafka", "--kafka", kafka_bootstrap))


def _run(folder: Path, options: tuple[str, ...]) -> None:
    chain = f"kills-{secrets.token_hex(4)}"
    told = momus("init", "--home", str(folder / "chain"), "--validators", "4", "--chain", chain, *options)
    homes = [Path(home) for home in told["homes"]]
    with LocalCommittee(homes) as committee:
        payments = _opened(homes[0])
        kills, count = _flow_under_kills(committee)
        assert len(kills) >= 30
        for node in committee.nodes:
            node.wait_running(PROCESSES, WAIT_S)
        for url in committee.urls:
            check_payments(url, payments, count, WAIT_S)
        assert committee.differences(WAIT_S) == []
    assert conflicts(homes) == []
    assert rebuild(homes[-1]).differing == ()


def _opened(home: Path) -> Payments:
    """The asset and everybody's funds are final, so what follows can be paid in any order."""
    with Client.at_home(home) as client:
        payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
        client.wait(client.submit_all(payments.opening()), WAIT_S)
    payments.write(home)
    return payments


def _flow_under_kills(committee: LocalCommittee) -> tuple[list[str], int]:
    """Who was killed, in order; and how many payments the log has acknowledged."""
    chance = Random(SEED)
    deck = [(what, node) for what in KILLS for node in committee.nodes]
    chance.shuffle(deck)
    kills = []
    with ExitStack() as stack:
        client = ClientProcess(committee.nodes[0].home.path, PER_S)
        stack.callback(client.end)
        for what, node in deck:
            client.until_acknowledged(client.acknowledged() + chance.randint(1, BETWEEN_KILLS_MAX))
            _killer(what, node, chance)()
            kills.append(f"{what} of {node.home.path.name}")
        client.until_acknowledged(client.acknowledged() + 1)
        client.finish()
        return kills, len(noted(client.notes))


def _killer(what: str, node: LocalNode, chance: Random) -> Kill:
    kills: dict[str, Kill] = {
        "order": partial(kill_process, node, "order"),
        "execute": partial(kill_process, node, "execute"),
        "worker": partial(kill_worker, node, chance),
        "postgres": partial(kill_postgres, node),
        "everything": partial(_kill_everything, node),
    }
    return kills[what]


def _kill_everything(node: LocalNode) -> None:
    """The whole validator at once, which somebody then starts again."""
    node.kill_9_all()
    node.launch()

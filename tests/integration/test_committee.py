"""Four validators as processes on the embedded log, each with a Postgres of its own: one is killed and comes back."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from client import Client, ClientSettings
from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import PROCESSES
from lab.demo.rebuild import rebuild
from tests.command_here import momus
from tests.patience import WAIT_S
from tests.recovery.outcome import check_payments
from tests.recovery.payments import Payments
from tests.recovery.statements import conflicts

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
PER_S = 100


@pytest.fixture
def homes() -> Iterator[list[Path]]:
    """Not below pytest's own folder: for root the database server is another user, whom pytest keeps out."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        told = momus("init", "--home", f"{folder}/chain", "--validators", "4", "--chain", "orchard")
        yield [Path(home) for home in told["homes"]]


def test_committee_goes_on_without_one_of_four_and_takes_it_back(homes: list[Path]) -> None:
    with LocalCommittee(homes) as committee, Client.at_home(homes[0], ClientSettings(batch_max=1)) as client:
        payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
        client.wait(client.submit_all(payments.opening()), WAIT_S)
        _pay(client, payments, range(300))
        committee.nodes[2].kill_9_all()
        _pay(client, payments, range(300, 600))
        committee.nodes[2].launch()
        committee.nodes[2].wait_running(PROCESSES, WAIT_S)
        _pay(client, payments, range(600, 900))
        assert committee.differences(WAIT_S) == []
        for url in committee.urls:
            check_payments(url, payments, 900, WAIT_S)
    assert conflicts(homes) == []
    assert rebuild(homes[2]).differing == ()


def _pay(client: Client, payments: Payments, numbers: Iterable[int]) -> None:
    """At a steady pace; until all are final."""
    submissions, start = [], time.monotonic()
    for at, number in enumerate(numbers):
        time.sleep(max(0.0, start + at / PER_S - time.monotonic()))
        submissions.append(client.submit(payments.payment(number)))
    client.wait(submissions, WAIT_S)

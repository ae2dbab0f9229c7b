"""A log that lost final records while one of four validators was down: that one has them from the others."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backbone.log.embedded import EmbeddedLog
from backbone.store import StoreReader
from client import Client, ClientSettings
from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import PROCESSES
from node.home.layout import Home
from node.wiring import make_log
from tests.command_here import momus
from tests.patience import WAIT_S
from tests.recovery.outcome import check_payments
from tests.recovery.payments import Payments
from tests.recovery.statements import conflicts

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
LATE = 3
"""The validator that is down meanwhile, by index."""


@pytest.fixture
def homes() -> Iterator[list[Path]]:
    """Not below pytest's own folder: for root the database server is another user, whom pytest keeps out."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        place = f"{folder}/chain"
        told = momus("init", "--home", place, "--validators", "4", "--chain", "orchard", "--partitions", "1")
        yield [Path(home) for home in told["homes"]]


def test_final_records_that_the_log_lost_come_from_other_validators(homes: list[Path]) -> None:
    with LocalCommittee(homes) as committee, Client.at_home(homes[0], ClientSettings(batch_max=1)) as client:
        payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
        client.wait(client.submit_all(payments.opening()), WAIT_S)
        _pay(client, payments, range(20))
        committee.differences(WAIT_S)
        committee.nodes[LATE].stop()
        held = _end(homes[LATE])
        _pay(client, payments, range(20, 60))
        assert _end(homes[0]) > held
        _cut(homes[0], held)
        _pay(client, payments, range(60, 80))
        committee.nodes[LATE].launch()
        committee.nodes[LATE].wait_running(PROCESSES, WAIT_S)
        assert committee.differences(WAIT_S) == []
        for url in committee.urls:
            check_payments(url, payments, 80, WAIT_S)
    assert conflicts(homes) == []
    assert _records(homes[LATE]) == _records(homes[0])


def _pay(client: Client, payments: Payments, numbers: Iterable[int]) -> None:
    """All at once; until all are final."""
    client.wait([client.submit(payments.payment(number)) for number in numbers], WAIT_S)


def _end(home: Path) -> int:
    """The end of what a store holds of the only partition."""
    with StoreReader(Home(home).store) as stored:
        return stored.suffix(0, 0)[-1].end_offset


def _records(home: Path) -> list[object]:
    """What a store holds of the incarnation that the log has cut."""
    with StoreReader(Home(home).store) as stored:
        return [*stored.held(0, 0, 1 << 40)]


def _cut(home: Path, end_offset: int) -> None:
    """The log loses what is at and above an offset."""
    place = Home(home)
    with closing(make_log(place, place.settings({}))) as log:
        assert isinstance(log, EmbeddedLog)
        log.truncate(place.genesis().topic, 0, end_offset)

"""What the order process takes over from the driver, the intake and the log each time that it writes its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backbone.intake.partition import Partition, Source
from backbone.log import LogUnavailable
from ledger.committee import Committees
from node.home.layout import Home
from node.metrics.ordering import OrderMetrics
from tests.builders import genesis

CHAIN = genesis(validators=2)
NAMES = [validator.name for validator in CHAIN.validators]


@dataclass
class SaidDriver:
    """A driver that says what a test has it say."""

    said: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    votes: list[tuple[int, int]] = field(default_factory=list)

    def status(self) -> Mapping[str, int]:
        return self.said

    def unavailable(self) -> Mapping[str, int]:
        return self.failed

    def voters(self) -> list[tuple[int, int]]:
        return self.votes


@dataclass
class SaidLog:
    """A log whose partition 0 ends where a test says; None: it does not answer."""

    end_offset: int | None

    def ends(self, topic: str) -> Mapping[int, int]:
        if self.end_offset is None:
            raise LogUnavailable
        return {0: self.end_offset}


@pytest.fixture
def metrics(tmp_path: Path) -> OrderMetrics:
    home = Home(tmp_path / "home")
    home.make_folders()
    home.journal_file.write_bytes(bytes(100))
    (home.store / "segments").mkdir()
    (home.store / "segments" / "one").write_bytes(bytes(7))
    (home.store / "two").write_bytes(bytes(5))
    return OrderMetrics(CHAIN, Committees.of(CHAIN).current, home, lambda: 0)


def running(**said: int) -> SaidDriver:
    return SaidDriver({"view": 9, "outbox_failed": 0, "outbox_dropped": 0, **said}, votes=[(0, 1), (0, 1)])


def partition(end_offset: int) -> Partition:
    return Partition(0, 0, Source("topic"), end_offset, bytes(32), 3, bytes(32))


def test_a_driver_that_boots_leaves_all_as_it_was(metrics: OrderMetrics) -> None:
    metrics.of_driver(SaidDriver())
    assert metrics.values.numbers("momus_consensus_view") == {(): 0}


def test_refusals_and_statements_count_by_kind(metrics: OrderMetrics) -> None:
    metrics.of_driver(running(refused_stale=4, refused_checkpoints_late=2, signed_nullify=3))
    refused = metrics.values.numbers("momus_consensus_refused_messages_total")
    assert (refused["stale",], refused["checkpoints_late",], refused["forged",]) == (4, 2, 0)
    assert metrics.values.numbers("momus_consensus_signed_total")["nullify",] == 3


def test_missed_votes_never_fall(metrics: OrderMetrics) -> None:
    driver = running()
    for missed in (5, 3, 6):
        driver.votes[1] = (missed, 40)
        metrics.of_driver(driver)
        told = metrics.values.numbers("momus_consensus_missed_votes_total")[(NAMES[1],)]
        assert told == max(5, missed)
    assert metrics.values.numbers("momus_consensus_behind_views") == {(NAMES[0],): 1, (NAMES[1],): 40}


def test_log_errors_are_named_by_topic_without_the_chain(metrics: OrderMetrics) -> None:
    driver = running()
    driver.failed = {"intake": 2, CHAIN.topic_name("consensus.alice"): 1}
    metrics.of_driver(driver)
    errors = metrics.values.numbers("momus_log_errors_total")
    assert errors == {("transactions",): 2, ("consensus.alice",): 1}


def test_partitions_show_where_they_are_and_which_are_in_trouble(metrics: OrderMetrics) -> None:
    at = partition(8)
    at.is_full = True
    metrics.of_intake({0: at})
    assert metrics.values.numbers("momus_log_read_offset") == {("0",): 8}
    assert metrics.values.numbers("momus_log_final_offset") == {("0",): 3}
    assert metrics.values.numbers("momus_log_partitions") == {("full",): 1, ("suspect",): 0, ("barred",): 0}


@pytest.mark.parametrize(("end_offset", "lag"), [(20, 12), (8, 0), (5, 0)])
def test_lag_is_what_the_log_holds_beyond_the_store(metrics: OrderMetrics, end_offset: int, lag: int) -> None:
    metrics.of_disk(SaidLog(end_offset), {0: partition(8)}, lambda: 4)
    assert metrics.values.numbers("momus_log_lag_records") == {("0",): lag}
    assert metrics.values.numbers("momus_execution_lag_records") == {(): 4}


def test_a_log_that_does_not_answer_costs_only_its_own_numbers(metrics: OrderMetrics) -> None:
    metrics.of_disk(SaidLog(None), {0: partition(8)}, lambda: 4)
    assert metrics.values.numbers("momus_log_lag_records") == {}
    assert metrics.values.numbers("momus_store_bytes") == {(): 12}
    assert metrics.values.numbers("momus_consensus_journal_bytes") == {(): 100}
    assert metrics.values.numbers("momus_disk_free_bytes")[()] > 0

"""Metrics: declared once, documented, counted in plain numbers, written and joined as Prometheus reads them."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consensus.core.voters import GRACE_VIEWS, Voters
from ledger.committee import Committees
from ledger.header import Epoch, Header
from node.home import status
from node.home.layout import Home
from node.home.status import StatusFile
from node.metrics.catalogue import LABELS, METRICS
from node.metrics.docs import page_with_tables
from node.metrics.metric import Metric
from node.metrics.ordering import OrderMetrics
from node.metrics.page import FILE_BYTES_MAX, metrics_page
from node.metrics.values import Values
from node.metrics.writing import text_of, writing
from node.settings.tree import MetricsSettings
from tests.builders import genesis as genesis_of

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
NO_SUCH_PID = 2**22 + 1


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make_folders()
    return home


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Value by name and labels, as Prometheus' own parser reads them."""
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metric_is_named_as_prometheus_users_expect(metric: Metric) -> None:
    assert re.fullmatch(r"(momus|process)_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert set(metric.labels) <= LABELS.keys()
    assert metric.text.endswith(".")
    if metric.unit in ("seconds", "bytes"):
        assert metric.name.removesuffix("_total").endswith(metric.unit)
    assert list(metric.bounds) == sorted(set(metric.bounds))


def test_no_two_metrics_have_one_name_and_every_label_is_used() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert {label for metric in METRICS for label in metric.labels} | {"process"} == LABELS.keys()


def test_documentation_lists_every_metric_as_it_is() -> None:
    page = PAGE.read_text()
    assert page == page_with_tables(page), "run `python -m node.metrics.docs`"


def test_histogram_counts_each_value_in_the_buckets_that_hold_it() -> None:
    values = Values("order", [Metric("x_seconds", "histogram", "X.", "seconds", "order", (), (0.5, 1.0))])
    for value in (0.5, 0.6, 7.0):
        values.observe("x_seconds", value)
    told = samples(text_of(values, "order"))
    own = ("process", "order")
    assert [told["x_seconds_bucket", (("le", le), own)] for le in ("0.5", "1.0", "+Inf")] == [1, 2, 3]
    assert (told["x_seconds_count", (own,)], told["x_seconds_sum", (own,)]) == (3, 8.1)


def test_label_values_of_any_spelling_are_read_as_they_were() -> None:
    values = Values("order", [Metric("x", "gauge", "X.", "", "order", ("topic",))])
    values.set("x", 1, 'a"b\\c\nd')
    assert samples(text_of(values, "order"))["x", (("process", "order"), ("topic", 'a"b\\c\nd'))] == 1


def test_undeclared_metric_cannot_be_counted() -> None:
    with pytest.raises(KeyError):
        Values("order").add("momus_invented_total")


def test_pages_of_all_living_processes_become_one_with_each_metric_once(home: Home) -> None:
    metric = Metric("x", "gauge", "X.", "", "any")
    for process in ("order", "execute"):
        StatusFile(home.status_file(process)).write(status.RUNNING)
        home.metrics_file(process).write_bytes(text_of(Values("any", [metric]), process))
    page = metrics_page(home, b"")
    told = samples(page)
    assert page.count(b"# TYPE x gauge\n") == 1
    assert {labels for name, labels in told if name == "x"} == {(("process", "execute"),), (("process", "order"),)}


@pytest.mark.parametrize("how", ["dead", "never", "torn", "large"])
def test_a_process_that_is_dead_or_writes_rubbish_does_not_spoil_the_page(home: Home, how: str) -> None:
    own = text_of(Values("any", [Metric("x", "gauge", "X.", "", "any")]), "supervisor")
    if how != "never":
        StatusFile(home.status_file("order")).write(status.RUNNING, pid=NO_SUCH_PID if how == "dead" else os.getpid())
    file = home.metrics_file("order")
    file.write_bytes(b"rubbish" if how == "torn" else own)
    if how == "large":
        os.truncate(file, FILE_BYTES_MAX + 1)
    assert samples(metrics_page(home, own)) == samples(own)


@pytest.mark.parametrize("port", [0, 9464])
def test_numbers_of_an_earlier_process_go_and_new_ones_come_only_where_they_are_wanted(home: Home, port: int) -> None:
    file = home.metrics_file("drills")
    file.write_bytes(b"old")
    settings = MetricsSettings(port=port)
    sampled: list[bool] = []
    with writing(home, "drills", settings, Values("drills"), lambda: sampled.append(True)):
        wait_until(lambda: file.exists() == bool(port))
    assert bool(sampled) == bool(port)
    assert file.exists() == bool(port)
    assert not port or b"process_cpu_seconds_total" in file.read_bytes()


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        os.sched_yield()


def test_final_block_counts_for_its_proposer_and_failed_views_for_their_leaders(home: Home) -> None:
    genesis = genesis_of(validators=4)
    metrics = OrderMetrics(genesis, Committees.of(genesis).current, home, lambda: 1_500)
    header = Header(1, Epoch(0), 1, 3, bytes(32), 7, 2, 1_000, genesis.empty_heads())
    metrics.on_final(header)
    blocks = metrics.values.numbers("momus_consensus_blocks_total")
    failed = metrics.values.numbers("momus_consensus_nullified_views_total")
    (finality,) = metrics.values.distributions("momus_consensus_finality_seconds").values()
    assert blocks[(genesis.validators[2].name,)] == sum(blocks.values()) == 1
    assert sum(failed.values()) == 3
    assert finality.total == 0.5


def test_validator_misses_the_views_that_its_votes_leave_out() -> None:
    voters = Voters(2, 10)
    for view in (10, 11, 14):
        voters.record_activity(0, view)
    assert (voters.missed(0, 15), voters.behind(0, 15)) == (2, 1)


def test_silent_validator_misses_every_view_that_is_over_for_a_while() -> None:
    voters = Voters(1, 10)
    voters.record_activity(0, 10)
    assert voters.missed(0, 11 + GRACE_VIEWS) == 0
    assert voters.missed(0, 31 + GRACE_VIEWS) == 20
    voters.record_activity(0, 31 + GRACE_VIEWS)
    assert voters.missed(0, 32 + GRACE_VIEWS) == 20 + GRACE_VIEWS

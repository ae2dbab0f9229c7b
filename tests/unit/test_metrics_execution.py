"""What the execute process counts of a group's effects and of what upkeep finds."""

from dataclasses import replace

import pytest

from ledger.rejection import Reason
from ledger.state import Effects, Wanted
from node.metrics.execution import NOT_LISTED, ExecutionMetrics
from projections.maintenance.measuring import Measured
from tests.execution_inputs import verdicts_of
from tests.flush_effects import block_row, first, rejection_row, second

WANTED = Wanted({b"a": (b"x", b"y"), b"b": (b"x",)}, (b"a",), (), (), ((1, b"d"),), (1,))


def executed(*groups: Effects) -> ExecutionMetrics:
    metrics = ExecutionMetrics()
    for effects in groups:
        metrics.executed(3, verdicts_of([]), WANTED, effects, 7)
    return metrics


def seen(metrics: ExecutionMetrics, name: str) -> dict[tuple[str, ...], float]:
    """The series that are not 0."""
    return {labels: value for labels, value in metrics.values.numbers(name).items() if value}


def test_transactions_count_by_result_and_reason() -> None:
    metrics = executed(first(), second())
    counts = seen(metrics, "momus_execution_transactions_total")
    assert counts == {("executed", "none"): 3, ("rejected", "insufficient_balance"): 1, ("rejected", NOT_LISTED): 1}


def test_rejections_beyond_the_bound_of_rows_count_without_a_reason() -> None:
    rows = tuple(rejection_row(1, index, Reason.DUPLICATE) for index in range(2))
    crowded = replace(first(), blocks=(replace(block_row(1), rejections=9),), rejections=rows)
    counts = seen(executed(crowded), "momus_execution_transactions_total")
    assert (counts["rejected", "duplicate"], counts["rejected", NOT_LISTED]) == (2, 7)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason])
def test_every_reason_shows_before_it_happens(reason: Reason) -> None:
    told = ExecutionMetrics().values.numbers("momus_execution_transactions_total")
    assert told["rejected", reason.name.lower()] == 0


def test_rows_count_by_table_whatever_was_done_to_them() -> None:
    rows = seen(executed(second()), "momus_flush_rows_total")
    assert (rows["balances",], rows["objects",], rows["assets",], rows["transfers",]) == (3, 1, 1, 2)


def test_misses_count_by_kind_and_the_batch_in_its_bucket() -> None:
    metrics = executed(first())
    misses = seen(metrics, "momus_execution_cache_misses_total")
    assert misses == {("balances",): 3, ("assets",): 1, ("digests",): 1, ("buckets",): 1}
    (batch,) = metrics.values.distributions("momus_execution_batch_records").values()
    assert (batch.counts[:3], batch.total) == ([0, 1, 0], 3)


def test_what_upkeep_finds_shows_as_it_is() -> None:
    metrics = ExecutionMetrics()
    connections = {"active": 2, "idle": 1, "idle_in_transaction": 0, "other": 0}
    metrics.measured(Measured(connections, 10, 20, 30, 40, 50, 60, 70), 80, (5, 90))
    shown = {name: number for name in metrics.values.metrics if (number := _single(metrics, name))}
    assert shown == {
        "momus_database_bytes": 10,
        "momus_tree_written_pieces_total": 20,
        "momus_tree_stale_pieces": 30,
        "momus_pruning_history_floor_blocks": 40,
        "momus_pruning_removed_partitions_total": 50,
        "momus_tree_removed_pieces_total": 60,
        "momus_pruning_removed_store_bytes_total": 70,
        "momus_checkpoint_certified_height_blocks": 80,
        "momus_snapshots": 2,
        "momus_snapshot_height_blocks": 90,
    }
    assert seen(metrics, "momus_database_connections") == {("active",): 2, ("idle",): 1}


def _single(metrics: ExecutionMetrics, name: str) -> float:
    """The number of a metric without labels; 0 for the others."""
    metric = metrics.values.metrics[name]
    return 0 if metric.kind == "histogram" or metric.labels else metrics.values.numbers(name)[()]

"""The bench on real processes, small: every figure is there and above nothing."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rich.console import Console

from lab.bench.ceilings import copy_rows_per_s
from lab.bench.committee import CommitteeBench, CommitteeSizes
from lab.bench.run import Bench, Sizes


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Not below pytest's own folder, which is closed to the other user that Postgres runs as for root."""
    with TemporaryDirectory(prefix="momus-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "bench"


@pytest.mark.processes
def test_every_figure_of_a_small_bench_is_there(scratch: Path) -> None:
    figures = Bench(scratch, ["embedded"], Sizes(single=300, batched=3, paced=60), Console(quiet=True)).run()
    found = figures.as_json()
    assert min(found["ceilings"].values()) > 0
    assert [load["load"] for load in found["throughput"]] == [
        "single",
        "batched, 10,000 accounts",
        "batched, 100,000 accounts",
    ]
    assert all(load["per_s"] > 0 < load["replay_per_s"] and load["replay_equal"] for load in found["throughput"])
    assert [timed["transactions"] for timed in found["finality_ms"]] == [60]
    assert len(found["marks"]) == 5


@pytest.mark.processes
def test_every_figure_of_a_small_committee_bench_is_there_and_the_databases_are_equal(scratch: Path) -> None:
    sizes = CommitteeSizes(single=200, batched=2, paced=50, kills=1, idle_s=0.5, wakes=2, pause_s=0.2, settle_s=0.2)
    (found,) = CommitteeBench(scratch, ["embedded"], 4, sizes, Console(quiet=True)).run().as_json()["logs"]
    assert found["differences"] == []
    assert found["finality_ms"]["transactions"] == 50
    assert 0 < found["finality_ms"]["p50"] <= found["finality_ms"]["p99"]
    assert [load["transfers"] for load in found["throughput"]] == [200, 2_000]
    assert all(load["final_per_s"] > 0 < load["executed_per_s"] for load in found["throughput"])
    assert found["views_per_s"] > 0 < found["between_finalizations_ms"]["p50"]
    dead = found["dead_leader_ms"]
    assert dead["kills"] == 1 <= dead["first"]["count"]
    assert dead["timeout"] <= dead["first"]["p99"]
    assert found["idle"]["wake_ms"]["count"] == 2


def test_the_copy_ceiling_leaves_nothing_behind(postgres_url: str) -> None:
    assert copy_rows_per_s(postgres_url) > 0
    assert copy_rows_per_s(postgres_url) > 0

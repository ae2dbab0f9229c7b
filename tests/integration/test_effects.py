"""The effects topic of a running node: one record for each transaction, whatever is killed."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from api.reading.streams import StreamPosition
from backbone.log.embedded import EmbeddedLog
from cli.main import run_line
from tests.effects_node import EffectsNode, effects_node, until
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
KILLS = 6
KILLS_MANY = 50
SOAK_S = 1_800
LOOK_S = 1.0
"""Between two readings of the whole topic."""
PAGE = Path(__file__).parents[2] / "docs" / "effects.md"


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="momus-effects-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def killed(folder: Path, kills: int, options: Sequence[str] = ()) -> None:
    """After so many kills the topic holds what SQL does, each once, in order."""
    with effects_node(folder, options) as running:
        ends = running.kill_often(kills, Random(kills))
        assert sum(after > before for before, after in pairwise(ends)) >= kills // 2, (
            "it was killed while it wrote nothing"
        )
        _check(running)


def _check(running: EffectsNode) -> None:
    expected = running.in_sql()
    _caught_up(running, expected[-1][0])
    found = running.in_topic()
    assert all(before[0] < after[0] for before, after in pairwise(found)), "a record is there twice, or out of order"
    assert found[: len(expected)] == expected
    assert {place.part for place, _ in found} == {0, 1}


def _caught_up(running: EffectsNode, place: StreamPosition) -> None:
    """However far behind the kills have left it: as long as the topic grows."""
    end, deadline = -1, 0.0
    while not running.has_come_to(place):
        if (now := running.ends()) != end:
            end, deadline = now, time.monotonic() + WAIT_S
        assert time.monotonic() < deadline, "the topic stopped before it came to where SQL was"
        time.sleep(LOOK_S)


def test_each_transaction_has_one_record_after_kills_on_the_embedded_log(folder: Path) -> None:
    killed(folder, KILLS)


@pytest.mark.kafka
def test_each_transaction_has_one_record_after_kills_on_kafka(folder: Path, kafka_bootstrap: str) -> None:
    killed(folder, KILLS, ("--backbone", "kafka", "--kafka", kafka_bootstrap))


@pytest.mark.soak
@pytest.mark.timeout(SOAK_S)
def test_each_transaction_has_one_record_after_50_kills_on_the_embedded_log(folder: Path) -> None:
    killed(folder, KILLS_MANY)


@pytest.mark.soak
@pytest.mark.kafka
@pytest.mark.timeout(SOAK_S)
def test_each_transaction_has_one_record_after_50_kills_on_kafka(folder: Path, kafka_bootstrap: str) -> None:
    killed(folder, KILLS_MANY, ("--backbone", "kafka", "--kafka", kafka_bootstrap))


@pytest.mark.kafka
def test_the_consumer_of_the_page_reads_what_sql_has(folder: Path, kafka_bootstrap: str) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with effects_node(folder, ("--backbone", "kafka", "--kafka", kafka_bootstrap)) as running:
        until(lambda: len(running.in_sql()) > 300, "nothing executes")
        environment = {**os.environ, "KAFKA": kafka_bootstrap, "TOPIC": running.topic}
        consumer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, text=True)
        try:
            assert consumer.stdout is not None
            lines = [consumer.stdout.readline().split() for _ in range(300)]
        finally:
            consumer.kill()
            consumer.communicate()
        rows = [
            [str(p.height), ("executed", "rejected")[p.part], str(p.index), digest] for p, digest in running.in_sql()
        ]
        assert lines == rows[:300]


def test_a_topic_that_is_missing_is_waited_for_and_one_made_anew_is_filled_from_the_beginning(folder: Path) -> None:
    with effects_node(folder) as running:
        until(lambda: len(running.in_topic()) > 100, "the topic is not written")
        running.node.kill_9("effects")
        EmbeddedLog(running.home.path / "log").delete([running.topic])

        def says(what: str) -> bool:
            said = running.node.status("effects")
            return said is not None and what in said.detail

        until(lambda: says("does not exist"), "nothing is said of the missing topic")
        assert run_line(["effects", "create", "--home", str(running.home.path)]) == 0
        _check(running)

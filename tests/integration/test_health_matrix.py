"""A real node whose log and database are stopped, slowed and refused in turn: everything that tells how it does says
the same, and the same again once they are back."""

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from lab.demo.local_node import momus
from tests.faults.proxy import afflicted
from tests.patience import WAIT_S
from tests.watched_node import (
    DEPENDENCIES,
    KINDS,
    Watched,
    is_ready_everywhere,
    is_told_everywhere,
    refused_flushes,
    stopped,
    watched_node,
)

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.processes]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, new_databases: Callable[[], str]) -> Iterator[Watched]:
    with watched_node(tmp_path_factory.mktemp("matrix"), new_databases()) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DEPENDENCIES)
def test_what_a_dependency_does_is_told_by_everything_alike_and_so_is_its_return(
    name: str, kind: str, watched: Watched
) -> None:
    with afflicted([getattr(watched, name)], KINDS[kind]):
        is_told_everywhere(watched, {name}, DEPENDENCIES[name])
    is_ready_everywhere(watched)


def test_processes_that_are_stopped_are_told_by_everything_alike(watched: Watched) -> None:
    with stopped(watched, "order"), stopped(watched, "execute"):
        is_told_everywhere(watched, {"silent"}, "order runs, and has said nothing", findings=2)
    is_ready_everywhere(watched)


def test_a_lock_that_a_flush_waits_for_is_said_with_who_holds_it(watched: Watched) -> None:
    with psycopg.connect(watched.database_url, application_name="a report") as other:
        other.execute("LOCK TABLE ledger.cursor IN EXCLUSIVE MODE")
        momus("submit", "create-object", "note", '"y"', "--no-wait", "--home", str(watched.node.home.path))
        held = (
            f"momus waits for a lock held by pid {other.info.backend_pid} of postgres (a report), idle in transaction"
        )
        deadline = time.monotonic() + WAIT_S
        while held not in (told := " ".join(watched.status()["reasons"])):
            assert time.monotonic() < deadline, told
            time.sleep(0.2)
        assert not watched.documents()["readyz of the node"]["ready"]
    is_ready_everywhere(watched)
    lines = [line for line in watched.node.log_file.read_text().splitlines() if "a session waits for a lock" in line]
    assert len(lines) == 1, "once, however long it lasts"
    assert held in lines[0]


def test_a_flush_that_is_refused_for_ever_is_no_sign_of_life(watched: Watched) -> None:
    with refused_flushes(watched.database_url):
        momus("submit", "create-object", "note", '"x"', "--no-wait", "--home", str(watched.node.home.path))
        deadline = time.monotonic() + WAIT_S
        while "execution" not in watched.codes():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for _ in range(20):
            assert not watched.documents()["readyz of the node"]["ready"]
            assert "execution" in watched.codes()
            time.sleep(0.1)
        status = watched.status()
        assert any("canceling statement due to statement timeout" in reason for reason in status["reasons"])
    is_ready_everywhere(watched)

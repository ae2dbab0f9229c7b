"""Three faults on a real Kafka, one after the other, while payments flow; `make soak` has all of them."""

from pathlib import Path

import pytest

from lab.demo.local_node import PROCESSES
from node.home import exits
from tests.faults.disk import no_room
from tests.faults.proxy import Link, afflicted
from tests.faults.signals import detail_of, pid_of, stopped
from tests.faults.world import NewDatabase, World, running_world
from tests.patience import WAIT_S

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.kafka]
PER_S = 40
VIEWS_MAX = 3


def test_a_committee_survives_a_cut_a_process_that_stands_still_and_a_full_disk(
    folder: Path, new_database: NewDatabase
) -> None:
    with running_world(folder, new_database, brokers=1) as world:
        world.flow.start(PER_S)
        world.flow.until_final(PER_S)
        _cut_two(world)
        _stop_one(world)
        _fill_disk(world)
        assert world.check() > 6 * PER_S


def _cut_two(world: World) -> None:
    """No side has a quorum: nothing is final until the heal, and soon after it."""
    before = world.watch.now()
    with afflicted(world.log_links(2, 3), Link.cut):
        world.watch.until_nullifying(before, WAIT_S)
        silence = world.watch.now()
        world.flow.until_submitted(PER_S)
        world.watch.until_nullifying(silence, WAIT_S)
        assert not world.watch.is_final_since(silence)
        heal = world.watch.now()
    assert world.watch.finalized_after(heal, WAIT_S).views <= VIEWS_MAX
    world.flow.until_final(PER_S)


def _stop_one(world: World) -> None:
    with stopped(pid_of(world.nodes[0], "order")):
        world.flow.until_final(2 * PER_S)
    world.flow.until_final(PER_S)


def _fill_disk(world: World) -> None:
    """The journal of one cannot be written: its node says so and ends, the others go on; with room it comes back."""
    node = world.nodes[1]
    with no_room(node):
        world.flow.until_final(2 * PER_S)
        assert node.wait_ended(WAIT_S) == exits.HALT
    assert "Free or replace the disk" in detail_of(node, "order")
    node.launch()
    node.wait_running(PROCESSES, WAIT_S)
    world.flow.until_final(PER_S)

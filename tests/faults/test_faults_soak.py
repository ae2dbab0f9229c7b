"""Every fault on real processes, one after the other, of validators that a seed chooses, while payments flow.

After each heal the next block is final within three views. In the end every payment is final, once, databases and final
blocks are equal, and no validator has contradicted himself in any topic or journal.
"""

import time
from pathlib import Path
from random import Random

import pytest

from lab.demo.local_node import LocalNode
from node.home import exits
from tests.faults.disk import SmallDisk
from tests.faults.faults import faults_of_brokers, faults_of_links, faults_of_processes
from tests.faults.measure import PER_S, Healed, suffer
from tests.faults.signals import detail_of
from tests.faults.world import NewDatabase, running_world
from tests.patience import WAIT_S

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.soak]
SEED = 20261123
VIEWS_MAX = 3
DISK_BYTES = 8 << 20


@pytest.mark.kafka
def test_a_committee_on_kafka_survives_every_fault_of_links_and_processes(
    folder: Path, new_database: NewDatabase
) -> None:
    chance = Random(SEED)
    with running_world(folder, new_database, brokers=1) as world:
        healed = suffer(world, faults_of_links(world, chance))
        healed += suffer(world, faults_of_processes(world, chance))
        world.check()
    assert _slow(healed) == []


@pytest.mark.kafka
def test_a_committee_on_three_brokers_survives_every_fault_of_brokers(folder: Path, new_database: NewDatabase) -> None:
    with running_world(folder, new_database, brokers=3) as world:
        healed = suffer(world, faults_of_brokers(world, Random(SEED)))
        world.check()
    assert _slow(healed) == []


def test_a_committee_on_the_embedded_log_survives_every_fault(folder: Path, new_database: NewDatabase) -> None:
    with running_world(folder, new_database, brokers=0) as world:
        healed = suffer(world, faults_of_processes(world, Random(SEED)))
        world.check()
    assert _slow(healed) == []


def test_a_node_whose_disk_is_full_says_so_and_has_everything_once_there_is_room(
    folder: Path, new_database: NewDatabase
) -> None:
    """A real disk without a byte left. Needs the right to mount one."""
    with SmallDisk(folder / "disk", DISK_BYTES) as disk, running_world(folder, new_database, brokers=0) as world:
        node = world.nodes[1]
        node.stop()
        for part in (node.home.store, node.home.journal):
            disk.take(part)
        node.start(WAIT_S)
        world.flow.start(PER_S)
        world.flow.until_final(PER_S)
        disk.fill()
        world.flow.until_final(2 * PER_S)
        _until_said(node, "No space left on device")
        disk.clear()
        if detail_of(node, "supervisor"):
            # The journal hit the wall first, which halts. Where the store did, the node tries again by itself.
            assert node.wait_ended(WAIT_S) == exits.HALT
            node.start(WAIT_S)
        world.check()


def _until_said(node: LocalNode, words: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while words not in detail_of(node, "order"):
        assert time.monotonic() < deadline, f"order never said {words!r}"
        time.sleep(0.02)


def _slow(healed: list[Healed]) -> list[Healed]:
    return [each for each in healed if each.recovered.views > VIEWS_MAX]

"""A log that loses what it acknowledged, or is replaced, under a running committee of real processes.

No final transaction is lost, what survived is executed once, the client sends the rest again, and the chain goes on.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from backbone.log import Log
from backbone.log.embedded import EmbeddedLog
from node.home.layout import Home
from node.wiring import make_log
from tests.faults.rewriting import UncleanElection, cut_end, lost, openings, recreate, shown
from tests.faults.world import NewDatabase, World, running_world

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.soak]
PER_S: Final = 40
PARTITION: Final = 0
LOST: Final = 15


@pytest.mark.kafka
def test_an_unclean_election_loses_nothing_that_is_final(folder: Path, new_database: NewDatabase) -> None:
    with running_world(folder, new_database, brokers=3, replicas=2) as world, _log(world) as (log, topic):
        # Other partitions whose replicas are on the same two brokers lose their ends too.
        assert world.kafka is not None
        world.flow.start(PER_S)
        world.flow.until_final(PER_S)
        election = UncleanElection(world.kafka, topic, PARTITION)
        election.lag()
        world.flow.until_final(3 * PER_S)
        world.flow.settle()
        partitions = range(Home(world.homes[0]).genesis().partitions)
        before = [shown(log, topic, partition) for partition in partitions]
        election.elect()
        rewritten = {partition for partition in partitions if lost(before[partition], shown(log, topic, partition))}
        assert PARTITION in rewritten
        _goes_on(world, rewritten)


@pytest.mark.kafka
def test_a_recreated_topic_on_kafka_loses_nothing_that_is_final(folder: Path, new_database: NewDatabase) -> None:
    with running_world(folder, new_database, brokers=1) as world, _log(world) as (log, _):
        _recreated(world, log)


def test_a_recreated_topic_of_the_embedded_log_loses_nothing_that_is_final(
    folder: Path, new_database: NewDatabase
) -> None:
    with running_world(folder, new_database, brokers=0) as world, _log(world) as (log, _):
        _recreated(world, log)


def test_a_cut_end_of_the_embedded_log_loses_nothing_that_is_final(folder: Path, new_database: NewDatabase) -> None:
    with running_world(folder, new_database, brokers=0) as world, _log(world) as (log, topic):
        assert isinstance(log, EmbeddedLog)
        world.flow.start(PER_S)
        world.flow.until_final(3 * PER_S)
        cut_end(log, topic, PARTITION, LOST)
        _goes_on(world, {PARTITION})


def _recreated(world: World, log: Log) -> None:
    """A client with nothing to send does not notice that there is no topic for a moment; one that sends is told so."""
    world.flow.start(PER_S)
    world.flow.until_final(2 * PER_S)
    world.flow.until_delivered()
    genesis = Home(world.homes[0]).genesis()
    recreate(log, genesis, replicas=1)
    _goes_on(world, set(range(genesis.partitions)))


def _goes_on(world: World, rewritten: set[int]) -> None:
    """More payments become final, in the next incarnation of what was rewritten."""
    world.flow.start(PER_S)
    world.flow.until_final(3 * PER_S)
    world.check()
    assert {opening.partition for opening in openings(Home(world.homes[0]))} == rewritten


@contextmanager
def _log(world: World) -> Iterator[tuple[Log, str]]:
    """A look at the log from outside, and the name of the transactions topic."""
    home = Home(world.homes[0])
    with closing(make_log(home, home.settings({}))) as log:
        yield log, home.genesis().topic

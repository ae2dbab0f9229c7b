"""What can go wrong around a committee, each as a block of time after which it is healed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from lab.demo.local_node import PROCESSES, LocalNode
from node.embedded.broker import LocalBroker
from node.home import exits
from tests.faults.disk import no_room
from tests.faults.proxy import Link, afflicted
from tests.faults.signals import pid_of, stopped
from tests.faults.world import World
from tests.patience import WAIT_S

DELAY_MS: Final = 200
BYTES_PER_S: Final = 20_000
SLOW_DATABASE_MS: Final = 50


@dataclass(frozen=True, slots=True)
class Fault:
    """`goes_on`: whether there is a quorum, a log and a database for it left, so that finality must go on meanwhile."""

    name: str
    block: Callable[[], AbstractContextManager[object]]
    goes_on: bool


def faults_of_processes(world: World, chance: Random) -> list[Fault]:
    """Of validators and their databases: whatever the log is."""
    one, other = chance.sample(range(len(world.nodes)), 2)
    node, database = world.nodes[one], [world.databases[one]]
    two = [pid_of(world.nodes[index], "order") for index in (one, other)]
    return [
        Fault("one order process paused", partial(stopped, two[0]), goes_on=True),
        Fault("two order processes paused", partial(stopped, *two), goes_on=False),
        Fault("one execute process paused", partial(stopped, pid_of(node, "execute")), goes_on=True),
        Fault("one validator is killed, all of it", partial(_killed, node), goes_on=True),
        Fault("the disk of one is full", partial(_full, world.nodes[other]), goes_on=True),
        Fault("Postgres of one is cut off", partial(afflicted, database, Link.cut), goes_on=True),
        Fault("Postgres of one refuses connections", partial(afflicted, database, Link.sever), goes_on=True),
        Fault(f"Postgres of one takes {2 * SLOW_DATABASE_MS} ms longer", partial(_slow, database), goes_on=True),
    ]


def faults_of_links(world: World, chance: Random) -> list[Fault]:
    """Of the network between validators and Kafka."""
    order = chance.sample(range(len(world.nodes)), len(world.nodes))
    one, two = world.log_links(order[0]), world.log_links(*order[:2])

    def delay(link: Link) -> None:
        link.delay(DELAY_MS)

    def throttle(link: Link) -> None:
        link.throttle(BYTES_PER_S)

    return [
        Fault("one is cut off from Kafka", partial(afflicted, one, Link.cut), goes_on=True),
        Fault("two are cut off from Kafka", partial(afflicted, two, Link.cut), goes_on=False),
        Fault("two are refused by Kafka", partial(afflicted, two, Link.sever), goes_on=False),
        Fault(f"Kafka is {2 * DELAY_MS} ms further from one", partial(afflicted, one, delay), goes_on=True),
        Fault(f"Kafka is {2 * DELAY_MS} ms further from two", partial(afflicted, two, delay), goes_on=True),
        Fault(f"one has {BYTES_PER_S // 1000} kB/s to Kafka", partial(afflicted, one, throttle), goes_on=True),
    ]


def faults_of_brokers(world: World, chance: Random) -> list[Fault]:
    """Of a cluster of three."""
    assert world.kafka is not None
    brokers = world.kafka.brokers
    one = chance.choice(brokers)
    assert one.pid is not None
    return [
        Fault("one broker is killed", partial(_brokers_killed, [one]), goes_on=True),
        Fault("one broker paused", partial(_broker_stopped, one), goes_on=True),
        Fault("all brokers are killed", partial(_brokers_killed, list(brokers)), goes_on=False),
    ]


@contextmanager
def _killed(node: LocalNode) -> Iterator[None]:
    node.kill_9_all()
    try:
        yield
    finally:
        node.launch()
        node.wait_running(PROCESSES, WAIT_S)


@contextmanager
def _full(node: LocalNode) -> Iterator[None]:
    """A full disk is a halt: somebody starts the node again when there is room."""
    with no_room(node):
        yield
        assert node.wait_ended(WAIT_S) == exits.HALT
    node.launch()
    node.wait_running(PROCESSES, WAIT_S)


@contextmanager
def _slow(links: list[Link]) -> Iterator[None]:
    with afflicted(links, lambda link: link.delay(SLOW_DATABASE_MS)):
        yield


@contextmanager
def _broker_stopped(broker: LocalBroker) -> Iterator[None]:
    assert broker.pid is not None
    with stopped(broker.pid):
        yield


@contextmanager
def _brokers_killed(brokers: list[LocalBroker]) -> Iterator[None]:
    for broker in brokers:
        broker.kill()
    try:
        yield
    finally:
        for broker in brokers:
            broker.launch()
        for broker in brokers:
            broker.wait()

"""What faults cost: from the heal to the first finalization, the change of a view, throughput with and without all."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lab.demo.local_node import PROCESSES
from tests.faults.faults import Fault
from tests.faults.flow import IN_FLIGHT_MAX
from tests.faults.watch import Recovered
from tests.faults.world import WITHOUT_LIMIT, World
from tests.patience import WAIT_S

PER_S: Final = 40
"""Payments a second while faults are measured."""
WITHOUT_QUORUM: Final = 3 * PER_S
"""Payments submitted while nothing can be final."""
SPAN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Healed:
    """What one fault did. `recovered` counts from its heal."""

    fault: Fault
    recovered: Recovered


@dataclass(frozen=True, slots=True)
class Rate:
    """With so many validators down: final transactions per second, and how long nullified views lasted."""

    down: int
    per_s: float
    view_changes_ms: tuple[int, ...]


def suffer(world: World, faults: Iterable[Fault]) -> list[Healed]:
    """One fault after the other while payments flow: where it must, finality goes on; after each heal it does."""
    found = []
    world.flow.start(PER_S)
    for fault in faults:
        world.flow.until_final(PER_S)
        with fault.block():
            if fault.goes_on:
                world.flow.until_final(PER_S)
            else:
                world.flow.until_submitted(WITHOUT_QUORUM)
        recovered = world.watch.finalized_after(world.watch.now(), WAIT_S)
        found.append(Healed(fault, recovered))
        print(f"{fault.name}: final {recovered.ms} ms and {recovered.views} views after the heal", flush=True)
    world.flow.until_final(PER_S)
    world.flow.pause()
    return found


def rates(world: World) -> list[Rate]:
    """With all validators, then with f = 1 down, which is back at the end."""
    world.flow.start(WITHOUT_LIMIT)
    found = [_rate(world, 0)]
    world.nodes[-1].kill_9_all()
    found.append(_rate(world, 1))
    world.flow.pause()
    world.nodes[-1].launch()
    world.nodes[-1].wait_running(PROCESSES, WAIT_S)
    return found


def _rate(world: World, down: int) -> Rate:
    """Over SPAN_S, from when all is final that was in flight before."""
    world.flow.until_final(IN_FLIGHT_MAX)
    start = world.watch.now()
    time.sleep(SPAN_S)
    end = world.watch.now()
    count = world.flow.final_between(start.at_s, end.at_s)
    return Rate(down, count / (end.at_s - start.at_s), tuple(world.watch.view_changes_ms(start, end)))

"""What goes wrong in a world, drawn from its seed. Probabilities are per mille; times in virtual milliseconds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of the bad time. When it is over the world heals: nothing is lost any more, everybody is up."""

    lose: int = 0
    """A record that is sent never reaches the log."""
    miss: int = 0
    """A reader never sees a record, though others do, unless it reads it again."""
    duplicate: int = 0
    """A record that is sent reaches the log twice."""
    delay_ms_max: int = 8
    """Of each sending and each reading, so that records overtake each other."""
    slow_intake_ms_max: int = 0
    """What reading clients' records takes on top, so that votes overtake the records that they are about."""
    mislead: int = 0
    """Per reading of clients' records: the log shows a validator another record than it shows everybody else.

    Only safety is owed in such a world: a validator keeps the records of what it voted for, so those who voted for
    what they were shown cannot agree until they can have each other's records.
    """
    truncate: int = 0
    """Per second: an unclean election, which cuts the end of a partition; often below what is final."""
    recreate: int = 0
    """Per second: the topic is deleted and made anew."""
    outage: int = 0
    """Per second: the brokers stop for everybody."""
    outage_ms_max: int = 0
    retain: int = 0
    """Per second: a topic in which validators speak loses its oldest records, as retention takes them."""
    remake: int = 0
    """Per second: such a topic, or that of blocks, is deleted and made anew."""
    rebuild: int = 0
    """Per second: the cluster is built anew. All these topics are empty, and all processes start again."""
    crash: int = 0
    """Per durable write: before it, after it, or in the middle of it."""
    down_ms_max: int = 0
    cut: int = 0
    """Per second and validator: cut off from the log for a while; half of what it sends meanwhile is lost."""
    cut_ms_max: int = 0
    split: int = 0
    """Per second: two groups of validators see nothing of each other for a while."""
    split_ms_max: int = 0
    stall: int = 0
    """Per second and validator: the process is paused for a while, and then continues as if nothing had happened."""
    stall_ms_max: int = 0
    lag: int = 0
    """Per second and validator: its executor falls behind or catches up."""
    clock_offset_ms_max: int = 0
    clock_drift_ppm_max: int = 0
    set_clock: int = 0
    """Per second: a time of day is set wrong, or all of them; or right again, as the heal sets them."""
    set_clock_ms_max: int = 0
    """How far ahead."""


CALM = Faults()
"""Nothing goes wrong; records take a few milliseconds."""


SET_CLOCK_MS_MAX: Final = 30_000
"""Far more than blocks may be ahead of a voter."""

FAULTS: Final[Mapping[str, Mapping[str, int]]] = {
    "lose": {"lose": 100},
    "miss": {"miss": 100},
    "duplicate": {"duplicate": 100},
    "delay": {"delay_ms_max": 400},
    "slow-intake": {"slow_intake_ms_max": 4_000},
    "mislead": {"mislead": 60},
    "truncate": {"truncate": 200},
    "recreate": {"recreate": 100},
    "outage": {"outage": 60, "outage_ms_max": 4_000},
    "retain": {"retain": 500},
    "remake": {"remake": 200},
    "rebuild": {"rebuild": 300, "down_ms_max": 2_000},
    "crash": {"crash": 30, "down_ms_max": 2_000},
    "cut": {"cut": 200, "cut_ms_max": 3_000},
    "split": {"split": 200, "split_ms_max": 4_000},
    "stall": {"stall": 100, "stall_ms_max": 5_000},
    "lag": {"lag": 100},
    "clock": {"clock_offset_ms_max": 2_000, "clock_drift_ppm_max": 20_000},
    "set-clock": {"set_clock": 400, "set_clock_ms_max": SET_CLOCK_MS_MAX},
}
"""Every fault by name, as harsh as it gets when it is asked for by that name."""


def only(names: Iterable[str]) -> Faults:
    """The faults of these names and no others."""
    fields = {field: value for name in names for field, value in FAULTS.get(name, {}).items()}
    return replace(CALM, **fields)


def draw(random: Random) -> Faults:
    """Faults of one seed: each kind is absent in some seeds and harsh in others."""

    def some(high: int) -> int:
        return random.choice((0, 0, high // 4, high))

    return Faults(
        lose=some(100),
        miss=some(100),
        duplicate=some(100),
        delay_ms_max=random.choice((5, 20, 100, 400)),
        slow_intake_ms_max=random.choice((0, 0, 300, 4_000)),
        mislead=random.choice((0, 0, 0, 0, 0, 0, 0, 60)),
        truncate=random.choice((0, 0, 0, 0, 0, 0, 100, 300)),
        recreate=random.choice((0, 0, 0, 0, 0, 0, 0, 100)),
        outage=some(60),
        outage_ms_max=random.choice((500, 4_000)),
        crash=some(30),
        down_ms_max=random.choice((200, 2_000, 20_000)),
        cut=some(200),
        cut_ms_max=3_000,
        split=some(200),
        split_ms_max=4_000,
        stall=some(100),
        stall_ms_max=random.choice((200, 5_000)),
        lag=some(100),
        clock_offset_ms_max=random.choice((0, 50, 2_000)),
        clock_drift_ppm_max=random.choice((0, 100, 20_000)),
        retain=random.choice((0, 0, 0, 500)),
        remake=random.choice((0, 0, 0, 0, 0, 0, 0, 200)),
        rebuild=random.choice((0, 0, 0, 0, 0, 0, 0, 300)),
    )


def draw_clocks(random: Random) -> dict[str, int]:
    """Of one seed: how clocks are set; of a chance of its own, like all that came to be drawn after others."""
    return {"set_clock": random.choice((0, 0, 0, 100, 400)), "set_clock_ms_max": SET_CLOCK_MS_MAX}


def chance(random: Random, per_mille: int) -> bool:
    """Whether a fault strikes; draws nothing where it cannot."""
    return per_mille > 0 and random.randrange(1000) < per_mille

"""What goes wrong in a world, drawn from its seed. Probabilities are per mille; times in virtual milliseconds."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of the bad time. When it is over the world heals: nothing is lost any more, everybody is up."""

    lose: int
    """A record that is sent never reaches the log."""
    miss: int
    """A reader never sees a record, though others do."""
    duplicate: int
    delay_ms_max: int
    """Of each sending and each reading, so that records overtake each other."""
    crash: int
    """Per durable write: before it, after it, or in the middle of it."""
    down_ms_max: int
    cut: int
    """Per second and validator: cut off from the log for a while."""
    cut_ms_max: int
    lag: int
    """Per second and validator: its executor falls behind or catches up."""


def calm() -> Faults:
    """Nothing goes wrong; records take a few milliseconds."""
    return Faults(0, 0, 0, 8, 0, 0, 0, 0, 0)


def draw(random: Random) -> Faults:
    """Faults of one seed: each kind is absent in some seeds and harsh in others."""

    def some(high: int) -> int:
        return random.choice((0, 0, high // 4, high))

    return Faults(
        lose=some(100),
        miss=some(100),
        duplicate=some(100),
        delay_ms_max=random.choice((5, 20, 100, 400)),
        crash=some(30),
        down_ms_max=random.choice((200, 2_000)),
        cut=some(200),
        cut_ms_max=3_000,
        lag=some(100),
    )

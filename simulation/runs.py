"""Which world a seed stands for."""

from collections.abc import Callable

from simulation.adversaries import Adversary
from simulation.adversaries.equivocator import DoubleVoter, Equivocator, Silent
from simulation.adversaries.forger import Forger
from simulation.world import World

KINDS: tuple[tuple[type[Adversary], ...], ...] = ((), (), (Equivocator,), (DoubleVoter,), (Silent,), (Forger,))


def adversaries_of(seed: int) -> tuple[type[Adversary], ...]:
    """Two worlds of six are honest; in the others one validator of four is not."""
    return KINDS[seed % len(KINDS)]


def run_seed(seed: int, trace: Callable[[str], None] | None = None) -> World:
    """Live through the world of a seed. Raises: Violation."""
    world = World(seed, 4, adversaries_of(seed), trace=trace)
    world.run()
    return world

"""Who lives in a world, and on which chain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from typing import Final

from consensus.runtime.errors import ValidatorHalt
from consensus.runtime.loop import Loop
from ledger.genesis import DEFAULT_LIMITS, Genesis, Validator, parse_genesis, render_genesis
from simulation.adversaries import Adversary
from simulation.parts.mishaps import Mishap
from simulation.parts.signatures import MemoKey

PARTITIONS: Final = 2


@dataclass(frozen=True, slots=True)
class Cast:
    """The last members of the committee are adversaries; those before them meet with mishaps; all others are honest."""

    validators: int = 4
    adversaries: tuple[type[Adversary], ...] = ()
    mishaps: tuple[Mishap, ...] = ()

    @property
    def honest(self) -> int:
        """How many are held to all rules."""
        return self.validators - self.unsafe

    @property
    def unsafe(self) -> int:
        """How many may contradict themselves."""
        return len(self.adversaries) + len(self.mishaps)

    @property
    def is_safe(self) -> bool:
        """Whether fewer than a third may contradict themselves; else there is no agreement to be expected."""
        return 3 * self.unsafe < self.validators


class ByzantineLoop(Loop):
    """The loop under an adversary: it never stops over what its key has signed behind its back."""

    def _halt(self, error: ValidatorHalt) -> None:
        return


def make_keys(validators: int) -> list[MemoKey]:
    """The same keys in every world."""
    return [MemoKey(sha256(b"simulated validator %d" % index).digest()) for index in range(validators)]


def make_genesis(random: Random, keys: Sequence[MemoKey], unsafe: int) -> Genesis:
    """A small chain: in some worlds few records or bytes a block; a checkpoint every seven heights or ten seconds."""
    powers = draw_powers(random, len(keys), unsafe)
    bytes_max = random.choice((96, DEFAULT_LIMITS.bytes_max, DEFAULT_LIMITS.bytes_max))
    limits = replace(DEFAULT_LIMITS, records_max=random.choice((2, 1_000)), bytes_max=bytes_max)
    return parse_genesis(
        render_genesis(
            chain="simulated",
            topic_id="simulated-topic",
            partitions=PARTITIONS,
            validators=[
                Validator(f"v{index}", key.address, key.public_key, power)
                for index, (key, power) in enumerate(zip(keys, powers, strict=True))
            ],
            limits=limits,
            checkpoint_heights=7,
            checkpoint_time_ms=10_000,
        )
    )


def draw_powers(random: Random, validators: int, unsafe: int) -> list[int]:
    """Equal ones in half of all worlds; the last `unsafe` never get to a third by it."""
    powers = [random.randint(1, 5) for _ in range(validators)]
    is_safe = 3 * sum(powers[validators - unsafe :]) < sum(powers)
    return powers if is_safe and random.randrange(2) else [1] * validators

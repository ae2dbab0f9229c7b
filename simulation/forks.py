"""Worlds in which a third or more contradict themselves and the log keeps the others apart: who made the forks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from consensus.runtime.errors import ForkFound
from consensus.wire.fork_evidence import culprits
from consensus.wire.messages import Statement
from ledger.committee import Committees
from simulation.cast import Cast
from simulation.checkers import Violation
from simulation.parts.faults import Faults
from simulation.parts.signatures import verify_memoised
from simulation.trace import Trace
from simulation.world import World

HEALED_MS: Final = 30_000
WATCHING: Final = ("Honesty", "Quorums", "Durability", "Certificates", "Memory", "CompleteEvidence", "RightHalts")
"""What still holds of honest validators when agreement does not."""


@dataclass(frozen=True, slots=True)
class ForkReport:
    """What two honest validators believe to be final, and whose signatures prove who made it so."""

    height: int | None
    """The lowest height at which two stores differ; None where a validator saw it coming and stopped."""
    halted: int
    """How many honest validators have stopped over it."""
    culprits: Mapping[int, tuple[Statement, Statement]]
    power: int
    """The culprits' share of the power, in per mille."""


class DividedWorld(World):
    """Honest validators of even and of odd seats hear nothing of each other until the heal; adversaries hear all."""

    def __init__(
        self,
        seed: int,
        cast: Cast | None = None,
        faults: Faults | None = None,
        checkers: Collection[str] = WATCHING,
        trace: Trace | None = None,
    ) -> None:
        """As `World`. Only what holds whoever has how much power is watched."""
        super().__init__(seed, cast, faults, checkers, trace)

    def run(self) -> None:
        """Raises: Violation, where an honest validator errs, or where a fork's culprits are wrong or too few."""
        self._live_badly()
        self._heal()
        self.agenda.run_until(self.agenda.now_ms + HEALED_MS)
        fork = self.fork()
        if fork is not None:
            self._judge(fork)

    def fork(self) -> ForkReport | None:
        """The fork, if there is one."""
        honest = self.validators[: self.cast.honest]
        finals = [[final.header_bytes for final in validator.store.finals] for validator in honest]
        heights = range(1, max(map(len, finals), default=0) + 1)
        apart = [at for at in heights if len({chain[at - 1] for chain in finals if len(chain) >= at}) > 1]
        halted = sum(isinstance(validator.halted, ForkFound) for validator in honest)
        if not apart and not halted:
            return None
        found = culprits(self.genesis, Committees.of(self.genesis), self.log.all_values(), verify_memoised)
        named = {index: pair for (_, index), pair in found.items()}
        powers = [validator.power for validator in self.genesis.validators]
        power = 1000 * sum(powers[index] for index in named) // sum(powers)
        return ForkReport(min(apart, default=None), halted, named, power)

    def _lose_topics(self) -> None:
        """Who made a fork is read from the topics."""

    def _judge(self, fork: ForkReport) -> None:
        innocent = [index for index in fork.culprits if index < self.cast.honest]
        powers = [validator.power for validator in self.genesis.validators]
        named, total = sum(powers[index] for index in fork.culprits), sum(powers)
        if innocent:
            raise Violation(f"v{innocent[0]} is named as a culprit, and is honest")
        if 3 * named <= total and 3 * sum(powers[self.cast.honest :]) < 2 * total:
            raise Violation(f"a fork at height {fork.height}, and only {named} of {total} is named: {[*fork.culprits]}")

    def _is_hidden(self, topic: str, writer: int, reader: int, value: bytes) -> bool:
        if not self.is_healed and self._is_between(topic, writer, reader):
            return True
        return super()._is_hidden(topic, writer, reader, value)

    def _is_between(self, topic: str, writer: int, reader: int) -> bool:
        """Whether a record would tell one side of the other. What adversaries publish tells of both."""
        honest = self.cast.honest
        if topic == self.genesis.topic_name("blocks") and writer >= honest:
            return reader < honest
        return max(writer, reader) < honest and writer % 2 != reader % 2

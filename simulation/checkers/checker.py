"""What every checker is given. It watches from outside and believes nobody's memory; nothing here may rest on
code of the core that decides: a checker that asked the core whether the core is right could not fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backbone.store import StoredFinal
from consensus.wire.checkpoint_messages import CheckpointMessage
from consensus.wire.messages import Block, Certificate, Message, Statement, Wire
from ledger.errors import Halt
from ledger.genesis import Genesis
from simulation.parts.log import SimLog
from simulation.parts.validator import SimValidator


class Violation(Halt):
    """Something that must never happen has happened."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is watched. Only honest validators are held to anything."""

    genesis: Genesis
    wire: Wire
    honest: Sequence[SimValidator]
    """Whoever is neither an adversary nor has met with a mishap: seats and members are the same numbers."""
    log: SimLog

    @property
    def honest_members(self) -> range:
        return range(len(self.honest))

    def is_honest(self, validator: SimValidator) -> bool:
        return validator.seat < len(self.honest)


@dataclass(frozen=True, slots=True)
class Stored:
    """A final block that an honest validator's store was given, taken apart."""

    final: StoredFinal
    block: Block
    finalization: Certificate
    descendants: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two messages of one view that are said to be the accused's."""

    accused: int
    first: Statement
    second: Statement


class Checker:
    """Each override raises Violation where it finds one."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        """These are final when the world begins, from height 1 on; views and heights are the same numbers. So many of
        them lie in `blocks` behind others that are above them."""

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        """An honest validator sends a message on its own topic; called when the record leaves it."""

    def on_appended(self, topic: str, value: bytes, message: Message) -> None:
        """A message that anybody at all wrote has come to the log; of a final block the finalization."""

    def on_checkpoint(self, validator: SimValidator, value: bytes, message: CheckpointMessage) -> None:
        """An honest validator says something of a checkpoint; called when the record leaves it."""

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        """An honest validator's store has been given a final block."""

    def on_evidence(self, validator: SimValidator, evidence: Evidence) -> None:
        """An honest validator accuses somebody."""

    def on_boot(self, validator: SimValidator, own_topic: Sequence[bytes]) -> None:
        """A process that runs honest code is about to start; `own_topic` is all that bears its name."""

    def on_up(self, validator: SimValidator) -> None:
        """It has started."""

    def on_blocks_read(self, validator: SimValidator, records: int) -> None:
        """It has read so many records of `blocks`."""

    def on_heard(self, validator: SimValidator, values: Sequence[bytes], view: int) -> None:
        """It has gone through a turn, begun in `view`, in which it read these records of consensus topics."""

    def on_load(
        self, validator: SimValidator, spent_us: Mapping[str, int], queued: Mapping[str, Sequence[object]]
    ) -> None:
        """In worlds of threads: what a turn has cost it, by input, in microseconds of a core of slowness 1; and what is
        left waiting there."""

    def on_first_taken(self, validator: SimValidator, topic: str, turns: int) -> None:
        """In worlds of threads, after the heal: its loop took a record before which none of its topic was waiting when
        it was read; so many turns have ended since."""

    def on_halt(self, validator: SimValidator) -> None:
        """It has stopped for good."""

    def on_death(self, validator: SimValidator, error: Exception) -> None:
        """An honest validator's code has raised what it never should."""

    def on_heal(self) -> None:
        """From now on nothing goes wrong any more; or something is pending again."""

    def on_end(self, when: str, views_max: int) -> None:
        """By now everything is to be final, and since `on_heal` no more than so many views were entered."""

    def on_executable(self) -> None:
        """All is final everywhere, and the records are transactions of the ledger."""

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        """So many records were written, by seat, in a time in which nothing was pending."""

    def on_second(self) -> None:
        """A second of virtual time is over."""

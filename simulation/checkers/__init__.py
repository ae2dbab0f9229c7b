"""What must hold in every world: one checker a property, each able to fail (tests/simulation/test_mutants.py)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from backbone.log import LogRecord
from backbone.store import StoredFinal
from consensus.wire.checkpoint_messages import CheckpointSignature, speaks_of_checkpoints
from consensus.wire.final_blocks import BlockReader, Proven, encode_block
from consensus.wire.messages import Block, Message, Proposal, Statement, Vote
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.rejection import Rejection
from simulation.checkers.agreement import Agreement
from simulation.checkers.availability import Availability, Holders, Keeping
from simulation.checkers.bounds import Gauges, Latency, Memory, NoFalseAlarm, Queued, Rest, Turns
from simulation.checkers.certificates import Certificates
from simulation.checkers.certification import Certification, checkpoint_wire
from simulation.checkers.checker import Checker, Evidence, Stored, Subject, Violation
from simulation.checkers.durability import Durability
from simulation.checkers.evidence import CompleteEvidence, Guilt
from simulation.checkers.execution import EqualState
from simulation.checkers.fairness import Fairness
from simulation.checkers.halts import RightHalts
from simulation.checkers.headers import Headers
from simulation.checkers.honesty import Honesty
from simulation.checkers.lag import Lag
from simulation.checkers.progress import CatchUp, Progress
from simulation.checkers.publication import Publication
from simulation.checkers.quorums import Quorums
from simulation.checkers.validity import Validity
from simulation.checkers.words.answers import Answers
from simulation.checkers.words.claims import Claims
from simulation.checkers.words.promises import Promises
from simulation.checkers.words.votes import Votes
from simulation.parts.log import SimLog
from simulation.parts.signatures import MemoWire, verify_memoised
from simulation.parts.validator import SimValidator

__all__ = ["CHECKERS", "Checkers", "Violation"]

_KINDS: Final[tuple[type[Checker], ...]] = (
    Agreement,
    Validity,
    Headers,
    Honesty,
    Quorums,
    Votes,
    Durability,
    Certificates,
    Availability,
    Holders,
    Lag,
    Keeping,
    Promises,
    Memory,
    Rest,
    NoFalseAlarm,
    CompleteEvidence,
    Guilt,
    RightHalts,
    EqualState,
    Certification,
    Claims,
    Publication,
    Fairness,
    Answers,
    Turns,
    Latency,
    Queued,
    Gauges,
    CatchUp,
    Progress,
)
CHECKERS: Final = tuple(kind.__name__ for kind in _KINDS)


class Checkers:
    """All of them, over the validators of one world that run honest code."""

    def __init__(
        self,
        genesis: Genesis,
        honest: Sequence[SimValidator],
        adversaries: int,
        log: SimLog,
        names: Collection[str] = CHECKERS,
    ) -> None:
        """`adversaries`: how many there are, the last of the committee; `names`: the checkers that watch."""
        subject = Subject(genesis, MemoWire(genesis), honest, log)
        self.wire = subject.wire
        self._checkpoint_wire = checkpoint_wire(genesis)
        self._reader = BlockReader(genesis, Committees.of(genesis), verify_memoised)
        self._adversaries_from = len(genesis.validators) - adversaries
        self._is_honest = subject.is_honest
        self._blocks_topic = genesis.topic_name("blocks")
        self.agreement = Agreement(subject)
        self.progress = Progress(subject)
        ours: dict[type[Checker], Checker] = {type(checker): checker for checker in (self.agreement, self.progress)}
        self._all = tuple(ours.get(kind) or kind(subject) for kind in _KINDS if kind.__name__ in names)
        self._of_a_turn = {name: self._overriding(name) for name in ("on_heard", "on_blocks_read", "on_load")}
        """Who looks at the end of each turn: the others need not be asked."""

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        """These are final when the world begins; so many of them were published late."""
        for checker in self._all:
            checker.on_history(blocks, late)

    def on_send(self, validator: SimValidator, topic: str, value: bytes) -> None:
        """A record leaves a validator."""
        if not self._is_honest(validator) or topic == self._blocks_topic:
            return
        if speaks_of_checkpoints(value):
            self._on_checkpoint(validator, value)
            return
        message = self.wire.decode(value)
        if isinstance(message, Rejection):
            raise Violation(f"v{validator.index} sends what nobody can read: {message}")
        for checker in self._all:
            checker.on_send(validator, value, message)

    def on_appended(self, topic: str, value: bytes) -> None:
        """A record of anybody has come to the log."""
        message: Message | Rejection
        if topic == self._blocks_topic:
            proven = self._reader.read(value)
            message = proven.finalization if isinstance(proven, Proven) else proven
        else:
            message = self.wire.decode(value)
        if not isinstance(message, Rejection):
            for checker in self._all:
                checker.on_appended(topic, value, message)

    def _on_checkpoint(self, validator: SimValidator, value: bytes) -> None:
        message = self._checkpoint_wire.decode(value)
        if isinstance(message, Rejection):
            raise Violation(f"v{validator.index} says of a checkpoint what nobody can read: {message}")
        for checker in self._all:
            checker.on_checkpoint(validator, value, message)

    def on_stored(self, validator: SimValidator, final: StoredFinal) -> None:
        """A store has been given a final block."""
        if not self._is_honest(validator):
            return
        proven = self._reader.read(encode_block(final.header_bytes, final.proof))
        if not isinstance(proven, Proven):
            raise Violation(f"v{validator.index} stores height {final.height} with no readable proof: {proven}")
        stored = Stored(final, proven.block, proven.finalization, proven.descendants)
        for checker in self._all:
            checker.on_stored(validator, stored)

    def on_report(self, validator: SimValidator, what: str, facts: Mapping[str, object]) -> None:
        """A validator has something to show to its operator."""
        if not self._is_honest(validator) or what != "evidence":
            return
        if isinstance(facts["first"], bytes) and speaks_of_checkpoints(facts["first"]):
            self._on_two_states(validator, facts)
            return
        accused, first, second = facts["validator"], facts["first"], facts["second"]
        assert isinstance(accused, int)
        evidence = Evidence(accused, self._statement(validator, first), self._statement(validator, second))
        for checker in self._all:
            checker.on_evidence(validator, evidence)

    def _on_two_states(self, validator: SimValidator, facts: Mapping[str, object]) -> None:
        """Two checkpoints of a height, said to be signed by one validator."""
        accused, values = facts["validator"], (facts["first"], facts["second"])
        messages = [self._checkpoint_wire.decode(value) for value in values if isinstance(value, bytes)]
        for message in messages:
            if not isinstance(message, CheckpointSignature) or message.validator != accused:
                raise Violation(f"{validator.name} accuses v{accused} with what it did not sign")
            if not self._checkpoint_wire.is_authentic(message):
                raise Violation(f"{validator.name} accuses v{accused} with a forged checkpoint")
        if isinstance(accused, int) and accused < self._adversaries_from:
            raise Violation(f"{validator.name} accuses v{accused}, which runs honest code, of two states")

    def _statement(self, validator: SimValidator, value: object) -> Statement:
        message = self.wire.decode(value) if isinstance(value, bytes) else None
        if not isinstance(message, Proposal | Vote):
            raise Violation(f"{validator.name} shows evidence that is no vote or proposal")
        return message

    def on_boot(self, validator: SimValidator, own_topic: Sequence[bytes]) -> None:
        """A process is about to start; `own_topic` is all that bears its name."""
        for checker in self._of_honest_code(validator):
            checker.on_boot(validator, own_topic)

    def on_up(self, validator: SimValidator) -> None:
        """It has started."""
        for checker in self._of_honest_code(validator):
            checker.on_up(validator)

    def on_heard(self, validator: SimValidator, records: Sequence[LogRecord], view: int) -> None:
        """It has gone through a turn, begun in `view`, in which it read these."""
        values = [record.value for record in records if record.topic != self._blocks_topic and record.value is not None]
        from_blocks = sum(record.topic == self._blocks_topic for record in records)
        if self._of_honest_code(validator):
            for checker in self._of_a_turn["on_heard"]:
                checker.on_heard(validator, values, view)
            for checker in self._of_a_turn["on_blocks_read"]:
                checker.on_blocks_read(validator, from_blocks)

    def on_load(
        self, validator: SimValidator, spent_us: Mapping[str, int], queued: Mapping[str, Sequence[object]]
    ) -> None:
        """A turn is over that cost so much, by input; so much waits."""
        if self._of_honest_code(validator):
            for checker in self._of_a_turn["on_load"]:
                checker.on_load(validator, spent_us, queued)

    def on_first_taken(self, validator: SimValidator, topic: str, turns: int) -> None:
        """The first record of a topic was taken, so many turns after it was read."""
        for checker in self._of_honest_code(validator):
            checker.on_first_taken(validator, topic, turns)

    def on_halt(self, validator: SimValidator) -> None:
        """It has stopped for good."""
        for checker in self._of_honest_code(validator):
            checker.on_halt(validator)

    def on_death(self, validator: SimValidator, error: Exception) -> None:
        """Production code has raised what it never should."""
        for checker in self._of_honest_code(validator):
            checker.on_death(validator, error)

    def _overriding(self, name: str) -> Sequence[Checker]:
        return [checker for checker in self._all if getattr(type(checker), name) is not getattr(Checker, name)]

    def _of_honest_code(self, validator: SimValidator) -> Sequence[Checker]:
        """An adversary's validator may do what it likes."""
        return () if validator.index >= self._adversaries_from else self._all

    def on_heal(self) -> None:
        """From now on nothing goes wrong any more; or something is pending again."""
        for checker in self._all:
            checker.on_heal()

    def on_end(self, when: str, views_max: int) -> None:
        """By now everything is to be final, and since `on_heal` no more than so many views were entered."""
        for checker in self._all:
            checker.on_end(when, views_max)

    def on_executable(self) -> None:
        """All is final everywhere, and the records are transactions of the ledger."""
        for checker in self._all:
            checker.on_executable()

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        """So many records were written, by seat, in a time in which nothing was pending."""
        for checker in self._all:
            checker.on_quiet(appended)

    def on_second(self) -> None:
        """A second of virtual time is over."""
        for checker in self._all:
            checker.on_second()

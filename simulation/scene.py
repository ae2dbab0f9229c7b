"""The scene of a world: validators' processes that read, write, crash and halt over a log, in virtual time."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from random import Random
from typing import ClassVar, Final

from backbone.log import LogRecord
from backbone.store import StoredFinal, StoredRecord
from consensus.core.chain import BlockFork
from consensus.core.events import Fetch, Probe, Reread
from consensus.core.timers import ConsensusSettings
from consensus.runtime.errors import ValidatorHalt
from consensus.runtime.loop import Loop
from consensus.runtime.ports import Request
from consensus.runtime.range_check import leads
from consensus.wire.topics import consensus_topics
from ledger.committee import Committees
from ledger.header import Head
from simulation.adversaries import Adversary
from simulation.cast import PARTITIONS, ByzantineLoop, Cast, make_genesis, make_keys
from simulation.checkers import Checkers
from simulation.parts.agenda import START_MS, Agenda, DriftingClock
from simulation.parts.disk import Crashed
from simulation.parts.faults import Faults, chance
from simulation.parts.intake import SeatLog
from simulation.parts.log import SimLog, Told
from simulation.parts.signatures import MemoWire
from simulation.parts.validator import SimValidator
from simulation.trace import Trace, sentence

TURN_MS_MAX: Final = 3
SETTINGS: Final = ConsensusSettings(timeout_max_ms=8_000, resend_max_ms=4_000, lag_max=10)


class Scene:
    """Processes are known by their seat: a validator's index; behind those, second processes with the same key."""

    validator_class: ClassVar[type[SimValidator]] = SimValidator

    def __init__(
        self, cast: Cast, random: Random, faults: Faults, checkers: Collection[str], trace: Trace | None
    ) -> None:
        self.cast: Final = cast
        self.faults = faults
        self.counts: dict[str, int] = {}
        self.is_healed = False
        self.agenda: Final = Agenda()
        self._random = random
        self._trace = trace
        self._keys = make_keys(cast.validators)
        self.genesis: Final = make_genesis(random, self._keys, cast.unsafe)
        self._wire = MemoWire(self.genesis)
        self._shared = (self.genesis.topic_name("blocks"), self.genesis.topic_name("checkpoints"))
        self._topics = consensus_topics(self.genesis, Committees.of(self.genesis).current)
        topics = dict.fromkeys(self._topics, True)
        self.log: Final = SimLog(self.agenda, random, faults, {**topics, **dict.fromkeys(self._shared, False)})
        self.log.open_partitions(self.genesis.topic_id, PARTITIONS)
        self.validators: Final[list[SimValidator]] = []
        """By seat."""
        self.adversaries: Final[dict[int, Adversary]] = {}
        """By seat."""
        self._busy_until_ms: list[int] = []
        self._turn_at_ms: list[int | None] = []
        for index in range(cast.validators):
            self._enter(index)
        self._enter_copies()
        self.checkers: Final = Checkers(
            self.genesis, self.validators[: cast.honest], len(cast.adversaries), self.log, checkers
        )
        self._listen()

    def _enter(self, index: int) -> SimValidator:
        """Seat one more process for a validator; it boots later."""
        random, seat, first = self._random, len(self.validators), self.cast.validators - len(self.cast.adversaries)
        if index >= first:
            kind = self.cast.adversaries[index - first]
            adversary = self.adversaries[seat] = kind(self.genesis, index, self._keys[index], random)
            adversary.copy = int(seat != index)
            adversary.send_to = partial(self._send, seat)
            adversary.send = partial(self._send, seat, self._topics[index])
            adversary.records = lambda partition: self.validators[seat].store.kept[partition]
            adversary.side_of = self._side_of
        offset_ms, drift_ppm = self.faults.clock_offset_ms_max, self.faults.clock_drift_ppm_max
        clock = DriftingClock(random.randint(-offset_ms, offset_ms), random.randint(-drift_ppm, drift_ppm))
        loop_class = ByzantineLoop if index >= first else Loop
        key = self._keys[index]
        make = self.validator_class
        validator = make(self.genesis, self._wire, index, seat, key, SETTINGS, clock, random, self, loop_class)
        self.validators.append(validator)
        self._busy_until_ms.append(0)
        self._turn_at_ms.append(None)
        return validator

    def _enter_copies(self) -> None:
        for adversary in list(self.adversaries.values()):
            for _ in range(adversary.copies - 1):
                self._enter(adversary.index)

    def _side_of(self, seat: int) -> int | None:
        adversary = self.adversaries.get(seat)
        if adversary is None:
            return self.validators[seat].index % 2
        return adversary.copy if adversary.copies > 1 else None

    def _listen(self) -> None:
        """Let adversaries hear the log, and keep records from readers."""

        def on_append(topic: str, value: bytes) -> None:
            self.checkers.on_appended(topic, value)
            for adversary in self.adversaries.values():
                adversary.on_record(topic, value)

        self.log.on_append, self.log.is_hidden = on_append, self._is_hidden
        self.log.is_withheld = self._is_withheld

    def _is_hidden(self, topic: str, writer: int, reader: int, value: bytes) -> bool:
        """Of what all write no honest reader is deprived for good: what one reads, nobody else publishes again."""
        if writer == reader:
            return False
        author, listener = self.adversaries.get(writer), self.adversaries.get(reader)
        is_own = topic not in self._shared
        is_kept = is_own and author is not None and author.hides(value, reader)
        return is_kept or (listener is not None and listener.is_deaf_to(writer))

    def _is_withheld(self, topic_id: str, partition: int, offset: int, reader: int) -> bool:
        if self.is_healed:
            return False
        return any(it.withholds(topic_id, partition, offset, reader) for it in self.adversaries.values())

    # --- what a validator sees (Surroundings) ---

    def own_values(self, seat: int, topic: str, position: int) -> list[bytes]:
        """An adversary is not to be stopped by what it said behind its validator's back."""
        return [] if seat in self.adversaries else self.log.values(topic, position)

    def brokers(self, seat: int) -> SeatLog:
        return self.log.brokers(seat)

    def now_ms(self) -> int:
        return self.agenda.now_ms

    def request(self, seat: int, request: Request) -> None:
        subject = self.validators[seat]
        life = subject.life

        def act(request: Reread | Fetch) -> None:
            if subject.is_up and subject.life == life:
                found = self.held_by_others(subject, request.before, request.target)
                self._run(subject, lambda: subject.carry_out(request, found))
                self._wake(subject, self.agenda.now_ms)
                self._fetch_records(subject)

        if isinstance(request, Probe):
            assert subject.intake is not None, "only a loop that lives asks"
            subject.intake.probe(request.partition, request.end_offset)
            self._fetch_records(subject)
        else:
            self.log.carry_out(act, request)

    def held_by_others(
        self, subject: SimValidator, before: Head | None, target: Head | None
    ) -> list[StoredRecord] | None:
        """What a validator finds when it asks itself and then the others, in turn, for records."""
        if before is None or target is None:
            return None
        for other in self.sources_of(subject):
            found = other.store.above(before, target)
            if found is not None and leads(before, found, target):
                return found
        return None

    def sources_of(self, subject: SimValidator) -> list[SimValidator]:
        """Who is asked: itself first, then everybody whom it reaches."""
        others = [it for it in self.validators if it is not subject and it.is_up]
        return [subject, *(it for it in others if not self.log.is_cut(subject.seat, it.seat))]

    def send(self, seat: int, topic: str, value: bytes) -> None:
        validator, adversary = self.validators[seat], self.adversaries.get(seat)
        life = validator.life
        for word in (value,) if adversary is None else adversary.outgoing(topic, value):
            self._note(seat, "sends", word)
            late_ms = 0 if adversary is None else adversary.holds_back_ms(word)
            self.log.send(seat, topic, word, lambda: validator.life == life, late_ms)
        self.checkers.on_send(validator, topic, value)

    def _send(self, seat: int, topic: str, value: bytes) -> None:
        """An adversary says something that its validator never said."""
        self._note(seat, "sends", value)
        self.log.send(seat, topic, value, lambda: True)

    def on_durable(self, seat: int, name: str) -> None:
        if not chance(self._random, self.faults.crash):
            return
        self._note(seat, "crashes at", name)
        if name == "journal.before" and self._random.randrange(2):
            self.validators[seat].journal.tears = True
            return
        raise Crashed

    def on_stored(self, seat: int, final: StoredFinal) -> None:
        self._note(seat, "stores", final)
        self.checkers.on_stored(self.validators[seat], final)

    def on_report(self, seat: int, what: str, facts: Mapping[str, object]) -> None:
        self._note(seat, "reports", (what, facts))
        self.checkers.on_report(self.validators[seat], what, facts)

    def _note(self, seat: int, what: str, facts: object) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        if self._trace is not None:
            at_ms = self.agenda.now_ms - START_MS
            self._trace(f"{at_ms:7d} ms  {self.validators[seat].name:<3} {sentence(self.genesis, what, facts)}")

    # --- reading ---

    def _fetch_records(self, validator: SimValidator) -> None:
        life = validator.life

        def take() -> None:
            if validator.is_up and validator.life == life:
                self._run(validator, validator.read_records)
                self._wake(validator, self.agenda.now_ms)

        if validator.is_up:
            self.log.fetch_records(validator.seat, take)

    def _deliver(self, validator: SimValidator, record: Told) -> None:
        if validator.loop is not None:
            validator.waiting.append(record)
            self._wake(validator, self.agenda.now_ms)

    # --- life and death ---

    def _boot(self, validator: SimValidator) -> None:
        if validator.is_up or validator.halted is not None or validator.died is not None:
            return
        seat, own_topic = (
            validator.seat,
            self._topics[validator.index],
        )
        self.checkers.on_boot(validator, self.log.values(own_topic, 0))
        if not self._run(validator, lambda: validator.boot(self.agenda.now_ms)):
            return
        loop = validator.loop
        assert loop is not None
        self._note(seat, "boots in view", loop.core.state.view)
        self.checkers.on_up(validator)
        is_deaf_to_itself = seat in self.adversaries
        self.log.read(
            seat,
            validator.positions,
            lambda record: (
                None if is_deaf_to_itself and record.topic == own_topic else self._deliver(validator, record)
            ),
            lambda topic: validator.loop is not None and not validator.loop.has_room_for(topic),
        )
        self._fetch_records(validator)
        self._wake(validator, self.agenda.now_ms)

    def _run(self, validator: SimValidator, act: Callable[[], None]) -> bool:
        """Let a validator do something; whether it outlived it."""
        try:
            act()
        except Crashed:
            self._bury(validator)
            down_ms = self._random.randrange(1, self.faults.down_ms_max + 2)
            self.agenda.plan(self.agenda.now_ms + down_ms, self._boot, validator)
            return False
        except ValidatorHalt as halt:
            validator.halted = halt
            self._bury(validator)
            self._note(validator.seat, "halts", halt)
            self.checkers.on_halt(validator)
            return False
        except BlockFork as fork:
            assert validator.seat in self.adversaries, "honest loops stop at once"
            validator.died = fork
            self._bury(validator)
            return False
        except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            validator.died = error
            self._bury(validator)
            self.checkers.on_death(validator, error)
            return False
        return True

    def _bury(self, validator: SimValidator) -> None:
        validator.crash()
        self.log.stop(validator.seat)
        self._turn_at_ms[validator.seat] = None

    def _wake(self, validator: SimValidator, at_ms: int) -> None:
        """See to it that a turn begins then, or as soon as the one before is over."""
        if not validator.is_up:
            return
        seat = validator.seat
        at_ms = max(at_ms, self._busy_until_ms[seat], self.agenda.now_ms)
        planned_ms = self._turn_at_ms[seat]
        if planned_ms is None or at_ms < planned_ms:
            self._turn_at_ms[seat] = at_ms
            self.agenda.plan(at_ms, self._turn, validator, validator.life, at_ms)

    def turn_ms_max(self, seat: int) -> int:
        """How long a turn of a process may last."""
        return TURN_MS_MAX

    def _turn(self, validator: SimValidator, life: int, planned_ms: int) -> None:
        seat = validator.seat
        if life != validator.life or self._turn_at_ms[seat] != planned_ms:
            return
        self._turn_at_ms[seat] = None
        if self._busy_until_ms[seat] > self.agenda.now_ms:
            self._wake(validator, planned_ms)
            return
        if validator.loop is None:
            return
        taken, view = validator.waiting, validator.loop.core.state.view
        if not self._run(validator, lambda: validator.turn(self.agenda.now_ms)):
            return
        self.checkers.on_heard(validator, [item for item in taken if isinstance(item, LogRecord)], view)
        self._busy_until_ms[seat] = self.agenda.now_ms + self._random.randint(1, self.turn_ms_max(seat))
        if validator.loop.blocks_reread_from is not None:
            self.log.read_again(seat, self.genesis.topic_name("blocks"), validator.loop.blocks_reread_from)
            validator.loop.blocks_reread_from = None
        wake_ms = validator.wake_ms()
        if wake_ms is not None:
            self._wake(validator, max(wake_ms, self.agenda.now_ms + 1))

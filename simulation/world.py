"""The world: validators that live, crash and stall over a log that misbehaves, in virtual time.

Three times: a bad one, in which the faults of the seed rage while clients produce; a healed one, in which everything
produced must become final everywhere; a quiet one, in which nothing may be said, until one record wakes the chain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Final

from backbone.log import LogRecord
from backbone.store import Entry, StoredFinal
from consensus import events
from consensus.errors import Halt
from consensus.loop import Loop, consensus_topics
from consensus.pace import Settings
from ledger.genesis import DEFAULT_LIMITS, Genesis, Validator, parse_genesis, render_genesis
from simulation.adversaries import Adversary
from simulation.agenda import START_MS, Agenda, DriftingClock
from simulation.checkers import Checkers
from simulation.disk import Crashed
from simulation.faults import CALM, Faults, chance, draw
from simulation.log import SimLog
from simulation.signatures import MemoKey
from simulation.trace import sentence
from simulation.validator import SimValidator

BAD_MS: Final = 15_000
HEAL_MS_MAX: Final = 120_000
SETTLE_MS: Final = 40_000
QUIET_MS: Final = 60_000
WAKE_MS_MAX: Final = 4_000
TURN_MS_MAX: Final = 3
RECORDS: Final = 40
PARTITIONS: Final = 2
LAGGING: Final = 100
SETTINGS: Final = Settings(timeout_max_ms=8_000, resend_max_ms=4_000, lag_max=10)

Trace = Callable[[str], None]


class ByzantineLoop(Loop):
    """The loop under an adversary: it never stops over what its key has signed behind its back."""

    def _carry_out(self, action: events.Action) -> None:
        if not isinstance(action, events.Stop):
            super()._carry_out(action)


class World:
    """One run of one seed."""

    def __init__(
        self,
        seed: int,
        validators: int = 4,
        adversaries: Sequence[type[Adversary]] = (),
        faults: Faults | None = None,
        checker: str | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._random = random = Random(seed)
        self._trace = trace
        self.counts: dict[str, int] = {}
        self.faults = draw(random) if faults is None else faults
        self.agenda: Final = Agenda()
        keys = [MemoKey(sha256(b"simulated validator %d" % index).digest()) for index in range(validators)]
        self.genesis: Final = make_genesis(random, keys, len(adversaries))
        topics: dict[str, int | None] = {topic: index for index, topic in enumerate(consensus_topics(self.genesis))}
        self.log: Final = SimLog(self.agenda, random, self.faults, {**topics, self.genesis.topic_name("blocks"): None})
        self.log.open_partitions(self.genesis.digest, PARTITIONS)
        first = validators - len(adversaries)
        self.adversaries: Final = {
            first + number: adversary(self.genesis, first + number, keys[first + number], random)
            for number, adversary in enumerate(adversaries)
        }
        self.validators: Final = [self._validator(index, key) for index, key in enumerate(keys)]
        self._busy_until_ms = [0] * validators
        self._turn_at_ms: list[int | None] = [None] * validators
        self.checkers: Final = Checkers(self.genesis, self.honest(), self.log.partitions, checker)
        self._listen()

    def honest(self) -> list[SimValidator]:
        """The validators that are held to the rules."""
        return [validator for validator in self.validators if validator.index not in self.adversaries]

    def _validator(self, index: int, key: MemoKey) -> SimValidator:
        offset_ms, drift_ppm = self.faults.clock_offset_ms_max, self.faults.clock_drift_ppm_max
        clock = DriftingClock(self._random.randint(-offset_ms, offset_ms), self._random.randint(-drift_ppm, drift_ppm))
        loop_class = ByzantineLoop if index in self.adversaries else Loop
        return SimValidator(self.genesis, index, key, SETTINGS, clock, self._random, self, loop_class)

    def _listen(self) -> None:
        """Let adversaries hear the log, and hide from readers."""

        def on_append(topic: str, value: bytes) -> None:
            for adversary in self.adversaries.values():
                adversary.hears(topic, value)

        def is_hidden(writer: int, reader: int) -> bool:
            adversary = self.adversaries.get(writer)
            return adversary is not None and writer != reader and adversary.hides_from(reader)

        self.log.on_append, self.log.is_hidden = on_append, is_hidden

    # --- the three times ---

    def run(self) -> None:
        """Live through all of them. Raises: Violation."""
        is_misleading = self.faults.mislead > 0
        self._live_badly()
        self._heal()
        if is_misleading:
            self.agenda.run_until(self.agenda.now_ms + HEAL_MS_MAX)
            return
        checkers, is_all_final = self.checkers, self.checkers.progress.is_all_final
        views_max = self.views_max()
        self.agenda.run_until(self.agenda.now_ms + HEAL_MS_MAX, is_all_final)
        checkers.on_end("after the heal", views_max)
        self.agenda.run_until(self.agenda.now_ms + SETTLE_MS)
        before = self.log.appended
        self.agenda.run_until(self.agenda.now_ms + QUIET_MS)
        checkers.on_quiet(self.log.appended - before)
        checkers.on_heal()
        self._produce(RECORDS)
        views_max = self.views_max()
        self.agenda.run_until(self.agenda.now_ms + WAKE_MS_MAX, is_all_final)
        checkers.on_end("after the chain was woken", views_max)

    def views_max(self) -> int:
        """How many views it may take to make final what is pending, once nothing goes wrong any more."""
        blocks = self.checkers.progress.records_pending() // self.genesis.limits.records_max
        return 2 * len(self.validators) + 2 * blocks + 2

    def _live_badly(self) -> None:
        for validator in self.validators:
            self._boot(validator)
        for number in range(RECORDS):
            self.agenda.plan(START_MS + self._random.randrange(BAD_MS), self._produce, number)
        for second in range(BAD_MS // 1000):
            self.agenda.plan(START_MS + second * 1000, self._strike)
        self._each_second()
        self.agenda.run_until(START_MS + BAD_MS)

    def _each_second(self) -> None:
        self.checkers.on_second()
        self.agenda.plan(self.agenda.now_ms + 1000, self._each_second)

    def _strike(self) -> None:
        """Once a second in the bad time: cut somebody off, split all, stop a process, let an executor fall behind."""
        now_ms, faults, random = self.agenda.now_ms, self.faults, self._random
        if chance(random, faults.split):
            side = frozenset(random.sample(range(len(self.validators)), random.randrange(1, len(self.validators))))
            self.log.split(side, now_ms + random.randrange(faults.split_ms_max))
            self._note(min(side), "is split off with", sorted(side))
        for validator in self.validators:
            if chance(random, faults.cut):
                self.log.cut(validator.index, now_ms + random.randrange(faults.cut_ms_max))
                self._note(validator.index, "is cut off", None)
            if chance(random, faults.stall):
                self._busy_until_ms[validator.index] = now_ms + random.randrange(faults.stall_ms_max)
                self._note(validator.index, "stands still", None)
            if chance(random, faults.lag):
                validator.lag = 0 if validator.lag else LAGGING
                self._note(validator.index, "has a lag of", validator.lag)
            self._wake(validator, now_ms)

    def _heal(self) -> None:
        self._note(0, "sees the world heal", None)
        self.faults = CALM
        self.log.heal(CALM)
        for validator in self.validators:
            validator.lag = 0
            validator.journal.tears = False
            self._busy_until_ms[validator.index] = 0
            self._boot(validator)
            self._fetch_records(validator)
            self._wake(validator, self.agenda.now_ms)
        self.checkers.on_heal()

    # --- what a validator sees (Surroundings) ---

    def values(self, topic: str, position: int) -> list[bytes]:
        return self.log.values(topic, position)

    def shown(self, validator: int, partition: int, held: Sequence[Entry], records: int) -> Sequence[Entry]:
        entries, is_misled = self.log.shown(validator, partition, held, records)
        if is_misled:
            self._note(validator, "is misled about partition", partition)
        return entries

    def reread(self, validator: int, partition: int, from_offset: int) -> None:
        subject = self.validators[validator]
        life = subject.life

        def act(partition: int, from_offset: int) -> None:
            if subject.is_up and subject.life == life:
                subject.read_again(partition, from_offset)
                self._wake(subject, self.agenda.now_ms)
                self._fetch_records(subject)

        self.log.reread(validator, act, partition, from_offset)

    def send(self, sender: int, topic: str, value: bytes) -> None:
        validator, adversary = self.validators[sender], self.adversaries.get(sender)
        life = validator.life
        for word in (value,) if adversary is None else adversary.says(topic, value):
            self._note(sender, "sends", word)
            self.log.send(sender, topic, word, lambda: validator.life == life)
        self.checkers.on_send(validator, topic, value)

    def on_durable(self, validator: int, name: str) -> None:
        if not chance(self._random, self.faults.crash):
            return
        self._note(validator, "crashes at", name)
        if name == "journal.before" and self._random.randrange(2):
            self.validators[validator].journal.tears = True
            return
        raise Crashed

    def on_stored(self, validator: int, final: StoredFinal) -> None:
        self._note(validator, "stores", final)
        self.checkers.on_stored(self.validators[validator], final)

    def on_report(self, validator: int, what: str, facts: Mapping[str, object]) -> None:
        self._note(validator, "reports", (what, facts))
        self.checkers.on_report(self.validators[validator], what, facts)

    def _note(self, validator: int, what: str, facts: object) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        if self._trace is not None:
            at_ms = self.agenda.now_ms - START_MS
            self._trace(f"{at_ms:7d} ms  v{validator}  {sentence(self.genesis, what, facts)}")

    # --- reading ---

    def _produce(self, number: int) -> None:
        self.log.produce(self._random.randrange(PARTITIONS), b"record %d" % number)
        for validator in self.validators:
            self._fetch_records(validator)

    def _fetch_records(self, validator: SimValidator) -> None:
        life = validator.life

        def take(partition: int, records: int) -> None:
            if validator.is_up and validator.life == life:
                self._run(validator, lambda: validator.read_records(partition, records))
                self._wake(validator, self.agenda.now_ms)

        if validator.is_up:
            self.log.fetch_records(validator.index, take)

    def _deliver(self, validator: SimValidator, record: LogRecord) -> None:
        if validator.loop is None:
            return
        if record.topic == self.genesis.topic_name("blocks") and not validator.loop.has_room_for_blocks():
            life = validator.life
            self.agenda.plan(self.agenda.now_ms + 10, self._deliver_later, validator, life, record)
            return
        validator.waiting.append(record)
        self._wake(validator, self.agenda.now_ms)

    def _deliver_later(self, validator: SimValidator, life: int, record: LogRecord) -> None:
        if validator.life == life:
            self._deliver(validator, record)

    # --- life and death ---

    def _boot(self, validator: SimValidator) -> None:
        if validator.is_up or validator.halted is not None:
            return
        if not self._run(validator, lambda: validator.boot(self.agenda.now_ms)):
            return
        loop = validator.loop
        assert loop is not None
        self._note(validator.index, "boots in view", loop.core.state.view)
        own_topic = consensus_topics(self.genesis)[validator.index]
        is_deaf_to_itself = validator.index in self.adversaries
        self.log.read(
            validator.index,
            validator.positions,
            lambda record: (
                None if is_deaf_to_itself and record.topic == own_topic else self._deliver(validator, record)
            ),
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
        except Halt as halt:
            validator.halted = str(halt)
            self._bury(validator)
            self._note(validator.index, "halts", str(halt))
            self.checkers.on_halt(validator)
            return False
        except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.checkers.on_death(validator, error)
            validator.halted = repr(error)
            self._bury(validator)
            return False
        return True

    def _bury(self, validator: SimValidator) -> None:
        validator.crash()
        self.log.stop(validator.index)
        self._turn_at_ms[validator.index] = None

    def _wake(self, validator: SimValidator, at_ms: int) -> None:
        """See to it that a turn begins then, or as soon as the one before is over."""
        if not validator.is_up:
            return
        index = validator.index
        at_ms = max(at_ms, self._busy_until_ms[index], self.agenda.now_ms)
        planned_ms = self._turn_at_ms[index]
        if planned_ms is None or at_ms < planned_ms:
            self._turn_at_ms[index] = at_ms
            self.agenda.plan(at_ms, self._turn, validator, validator.life, at_ms)

    def _turn(self, validator: SimValidator, life: int, planned_ms: int) -> None:
        index = validator.index
        if life != validator.life or self._turn_at_ms[index] != planned_ms:
            return
        self._turn_at_ms[index] = None
        if self._busy_until_ms[index] > self.agenda.now_ms:
            self._wake(validator, planned_ms)
            return
        if not self._run(validator, lambda: validator.turn(self.agenda.now_ms)) or validator.loop is None:
            return
        self._busy_until_ms[index] = self.agenda.now_ms + self._random.randint(1, TURN_MS_MAX)
        if validator.loop.blocks_again_from is not None:
            self.log.read_again(index, self.genesis.topic_name("blocks"), validator.loop.blocks_again_from)
            validator.loop.blocks_again_from = None
        wake_ms = validator.wake_ms()
        if wake_ms is not None:
            self._wake(validator, max(wake_ms, self.agenda.now_ms + 1))


def make_genesis(random: Random, keys: Sequence[MemoKey], byzantine: int) -> Genesis:
    """A small chain: in some worlds few records a block; a checkpoint every seven heights or ten seconds."""
    powers = draw_powers(random, len(keys), byzantine)
    limits = replace(DEFAULT_LIMITS, records_max=random.choice((2, 1_000)))
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


def draw_powers(random: Random, validators: int, byzantine: int) -> list[int]:
    """Equal ones in half of all worlds; the last `byzantine` never get to a third by it."""
    powers = [random.randint(1, 5) for _ in range(validators)]
    is_safe = 3 * sum(powers[validators - byzantine :]) < sum(powers)
    return powers if is_safe and random.randrange(2) else [1] * validators

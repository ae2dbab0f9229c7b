"""The world: a heap of events in virtual time, a log that may lie, and validators that crash.

Three times: a bad one, in which the faults of the seed rage while clients produce; a healed one, in which everything
produced must become final everywhere; a quiet one, in which nothing may be said, until one record wakes the chain.
"""

import heapq
from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from typing import Final

from backbone.log import LogRecord
from backbone.store import Entry
from consensus.errors import Halt
from consensus.loop import Loop, consensus_topics
from consensus.pace import Settings
from ledger import digests
from ledger.genesis import DEFAULT_LIMITS, Genesis, Validator, parse_genesis, render_genesis
from simulation.adversaries import Adversary
from simulation.checkers import Checkers, Violation
from simulation.disk import Crashed
from simulation.faults import Faults, calm, draw
from simulation.signatures import MemoKey
from simulation.trace import sentence
from simulation.validator import SimValidator

START_MS: Final = 1_700_000_000_000
BAD_MS: Final = 15_000
HEAL_MS_MAX: Final = 120_000
SETTLE_MS: Final = 40_000
QUIET_MS: Final = 60_000
WAKE_MS_MAX: Final = 4_000
RECORDS: Final = 40
PARTITIONS: Final = 2
SETTINGS: Final = Settings(timeout_max_ms=8_000, resend_max_ms=4_000, lag_max=10)


class World:
    """One run of one seed."""

    def __init__(
        self,
        seed: int,
        validators: int = 4,
        adversaries: Sequence[type[Adversary]] = (),
        loop_class: type[Loop] = Loop,
        faults: Faults | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._random = Random(seed)
        self._trace = trace
        self._faults = draw(self._random) if faults is None else faults
        keys = [MemoKey(sha256(b"simulated validator %d" % index).digest()) for index in range(validators)]
        self.genesis: Final = make_genesis(keys)
        self.now_ms = START_MS
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._topics: dict[str, list[bytes]] = {
            topic: [] for topic in (*consensus_topics(self.genesis), self.genesis.topic_name("blocks"))
        }
        self._log: list[list[Entry]] = [[] for _ in range(PARTITIONS)]
        self._ready: dict[tuple[int, str], int] = {}
        self._cursor: dict[tuple[int, str], int] = {}
        self._life = [0] * validators
        self._busy_until = [0] * validators
        self._cut_until = [0] * validators
        self._turn_at: list[int | None] = [None] * validators
        self.validators: Final = [
            SimValidator(self.genesis, index, key, SETTINGS, self, loop_class) for index, key in enumerate(keys)
        ]
        first = validators - len(adversaries)
        self.adversaries: Final = {
            first + number: adversary(self.genesis, first + number, keys[first + number], self._random)
            for number, adversary in enumerate(adversaries)
        }
        self.checkers: Final = Checkers(self.genesis, set(self.adversaries))
        self.appended = 0

    # --- running ---

    def run(self) -> None:
        """Live through all times. Raises: Violation."""
        for validator in self.validators:
            self._boot(validator)
        for number in range(RECORDS):
            self._at(self.now_ms + self._random.randrange(BAD_MS), self._produce, number)
        for second in range(BAD_MS // 1000):
            self._at(self.now_ms + second * 1000, self._strike)
        self._run_until(START_MS + BAD_MS)
        self._heal()
        self._run_until(self.now_ms + HEAL_MS_MAX, self._all_is_final)
        self.checkers.check_progress(self.honest(), sum(map(len, self._log)), self.now_ms)
        self._run_until(self.now_ms + SETTLE_MS)
        before = self.appended
        self._run_until(self.now_ms + QUIET_MS)
        self.checkers.check_quiet(self.appended - before, self.now_ms)
        self._produce(RECORDS)
        self._run_until(self.now_ms + WAKE_MS_MAX, self._all_is_final)
        self.checkers.check_progress(self.honest(), sum(map(len, self._log)), self.now_ms)
        self.checkers.check_memory(self.honest())

    def honest(self) -> list[SimValidator]:
        return [validator for validator in self.validators if validator.index not in self.adversaries]

    def _run_until(self, end_ms: int, is_over: Callable[[], bool] = lambda: False) -> None:
        while self._events and self._events[0][0] <= end_ms and not is_over():
            at_ms, _, act = heapq.heappop(self._events)
            self.now_ms = max(self.now_ms, at_ms)
            act()
        if not is_over():
            self.now_ms = end_ms

    def _all_is_final(self) -> bool:
        return all(
            validator.loop is not None
            and [head.end_offset for head in validator.loop.core.state.chain.delivered.header.heads]
            == [len(entries) for entries in self._log]
            for validator in self.honest()
        )

    def _at(self, at_ms: int, act: Callable[..., None], *facts: object) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (at_ms, self._sequence, lambda: act(*facts)))

    def _chance(self, per_mille: int) -> bool:
        return per_mille > 0 and self._random.randrange(1000) < per_mille

    def _delay(self) -> int:
        return self._random.randrange(1, self._faults.delay_ms_max + 2)

    # --- what a validator sees (Surroundings) ---

    def values(self, topic: str, position: int) -> list[bytes]:
        return self._topics[topic][position:]

    def entries(self, partition: int, start: int, end: int) -> list[Entry]:
        return self._log[partition][start:end]

    def send(self, sender: int, topic: str, value: bytes) -> None:
        self.checkers.on_send(self.validators[sender], topic, value, self.now_ms)
        adversary = self.adversaries.get(sender)
        for copy in (value,) if adversary is None else adversary.says(topic, value):
            self._send(sender, topic, copy)

    def at_durable(self, validator: int, name: str) -> None:
        if not self._chance(self._faults.crash):
            return
        self.note(validator, "crashes", name)
        if name == "journal.before" and self._random.randrange(2):
            self.validators[validator].journal.torn_at = self._random.randrange(1, 400)
            return
        raise Crashed

    def note(self, validator: int, what: str, facts: object) -> None:
        if what == "final":
            self.checkers.on_final(self.validators[validator], facts, self.now_ms)
        if what == "evidence":
            self.checkers.on_evidence(facts, self.now_ms)
        if self._trace is not None:
            self._trace(f"{self.now_ms - START_MS:7d} ms  v{validator}  {sentence(self.genesis, what, facts)}")

    # --- the log ---

    def _send(self, sender: int, topic: str, value: bytes) -> None:
        self.note(sender, "sends", value)
        held_up = max(0, self._cut_until[sender] - self.now_ms)
        if self._chance(self._faults.lose) or (held_up and self._random.randrange(2)):
            return
        for _ in range(2 if self._chance(self._faults.duplicate) else 1):
            self._at(self.now_ms + held_up + self._delay(), self._append, topic, value)

    def _append(self, topic: str, value: bytes) -> None:
        self._topics[topic].append(value)
        self.appended += 1
        for validator in self.validators:
            self._schedule_reading(validator, topic)

    def _schedule_reading(self, validator: SimValidator, topic: str) -> None:
        if not validator.is_up:
            return
        index, life = validator.index, self._life[validator.index]
        if index in self.adversaries and topic == consensus_topics(self.genesis)[index]:
            return
        while (offset := self._cursor[index, topic]) < len(self._topics[topic]):
            self._cursor[index, topic] = offset + 1
            if self._chance(self._faults.miss):
                continue
            at_ms = max(self._ready.get((index, topic), 0), self.now_ms + self._delay(), self._cut_until[index])
            self._ready[index, topic] = at_ms
            self._at(at_ms, self._deliver, validator, life, topic, offset)

    def _deliver(self, validator: SimValidator, life: int, topic: str, offset: int) -> None:
        if life != self._life[validator.index] or validator.loop is None:
            return
        if topic.endswith(".blocks") and not validator.loop.has_room_for_blocks():
            self._at(self.now_ms + 10, self._deliver, validator, life, topic, offset)
            return
        validator.inbox.append(LogRecord(topic, 0, offset, None, self._topics[topic][offset]))
        self._wake(validator, self.now_ms)

    def _produce(self, number: int) -> None:
        partition = self._random.randrange(PARTITIONS)
        entries = self._log[partition]
        before = entries[-1].chain_digest if entries else digests.chain_start(self.genesis.digest, partition)
        value = digests.value_digest(b"record %d" % number)
        digest = digests.chain_next(before, 0, len(entries), value)
        entries.append(Entry(len(entries) + 1, digest, 100))
        for validator in self.validators:
            self._schedule_intake(validator)

    def _schedule_intake(self, validator: SimValidator) -> None:
        life = self._life[validator.index]
        at_ms = max(self.now_ms + self._delay(), self._cut_until[validator.index])
        for partition, entries in enumerate(self._log):
            self._at(at_ms, self._read_records, validator, life, partition, len(entries))

    def _read_records(self, validator: SimValidator, life: int, partition: int, end: int) -> None:
        if life == self._life[validator.index] and validator.is_up:
            validator.read_records(partition, end)
            self._wake(validator, self.now_ms)

    # --- life and death ---

    def _wake(self, validator: SimValidator, at_ms: int) -> None:
        index = validator.index
        if not validator.is_up:
            return
        at_ms = max(at_ms, self._busy_until[index], self.now_ms)
        planned = self._turn_at[index]
        if planned is None or at_ms < planned:
            self._turn_at[index] = at_ms
            self._at(at_ms, self._turn, validator, self._life[index], at_ms)

    def _turn(self, validator: SimValidator, life: int, planned_ms: int) -> None:
        index = validator.index
        if life != self._life[index] or self._turn_at[index] != planned_ms:
            return
        self._turn_at[index] = None
        if validator.loop is None:
            return
        try:
            validator.turn(self.now_ms)
        except Crashed:
            self._crash(validator)
            return
        except Halt as halt:
            self._halt(validator, halt)
            return
        self._busy_until[index] = self.now_ms + self._random.randrange(1, 4)
        if validator.loop.blocks_again_from is not None:
            topic = self.genesis.topic_name("blocks")
            self._cursor[index, topic], validator.loop.blocks_again_from = validator.loop.blocks_again_from, None
            self._schedule_reading(validator, topic)
        wake_ms = validator.loop.wake_ms()
        if wake_ms is not None:
            self._wake(validator, max(wake_ms, self.now_ms + 1))

    def _crash(self, validator: SimValidator) -> None:
        validator.crash()
        self._life[validator.index] += 1
        self._turn_at[validator.index] = None
        down_ms = self._random.randrange(1, self._faults.down_ms_max + 2)
        self._at(self.now_ms + down_ms, self._boot, validator)

    def _halt(self, validator: SimValidator, halt: Halt) -> None:
        validator.halted = str(halt)
        validator.crash()
        self._life[validator.index] += 1
        self.note(validator.index, "halts", str(halt))
        self.checkers.on_halt(validator, self.now_ms)

    def _boot(self, validator: SimValidator) -> None:
        if validator.is_up or validator.halted is not None:
            return
        index = validator.index
        try:
            validator.boot(self.now_ms)
        except Crashed:
            self._crash(validator)
            return
        except Halt as halt:
            self._halt(validator, halt)
            return
        assert validator.loop is not None
        self.note(index, "boots", validator.loop.core.state.view)
        for topic in self._topics:
            self._cursor[index, topic] = min(validator.positions[topic], len(self._topics[topic]))
            self._ready[index, topic] = 0
            self._schedule_reading(validator, topic)
        self._schedule_intake(validator)
        self._wake(validator, self.now_ms)

    def _strike(self) -> None:
        """Once a second in the bad time: cut somebody off, or let an executor fall behind."""
        for validator in self.validators:
            if self._chance(self._faults.cut):
                self._cut_until[validator.index] = self.now_ms + self._random.randrange(self._faults.cut_ms_max)
                self.note(validator.index, "is cut off until", self._cut_until[validator.index] - START_MS)
            if self._chance(self._faults.lag):
                validator.lag = 0 if validator.lag else 100
            self._wake(validator, self.now_ms)

    def _heal(self) -> None:
        self._faults = calm()
        for validator in self.validators:
            validator.lag = 0
            validator.journal.torn_at = None
            self._cut_until[validator.index] = 0
            self._boot(validator)
            self._wake(validator, self.now_ms)


def make_genesis(keys: Sequence[MemoKey]) -> Genesis:
    """A small chain: few records a block, a checkpoint every seven heights or ten seconds."""
    return parse_genesis(
        render_genesis(
            chain="simulated",
            topic_id="simulated-topic",
            partitions=PARTITIONS,
            validators=[Validator(f"v{index}", key.address, key.public_key, 1) for index, key in enumerate(keys)],
            limits=DEFAULT_LIMITS,
            checkpoint_heights=7,
            checkpoint_time_ms=10_000,
        )
    )


__all__ = ["Violation", "World"]

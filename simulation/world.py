"""The world: validators that live, crash and stall over a log that misbehaves, in virtual time.

Three times: a bad one, in which the faults of the seed rage while clients produce; a healed one, in which everything
produced must become final everywhere; a quiet one, in which nothing may be said, until one record wakes the chain.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from random import Random
from typing import ClassVar, Final

from backbone.store import StoredFinal
from simulation.cast import PARTITIONS, Cast
from simulation.checkers import CHECKERS
from simulation.checkers.validity import GAP_MAX
from simulation.parts.agenda import START_MS
from simulation.parts.clients import Clients
from simulation.parts.faults import CALM, Faults, chance, draw, draw_clocks
from simulation.parts.mishaps import Mishap, damaged
from simulation.parts.partitions import SimRecord
from simulation.parts.store import SimStore
from simulation.parts.validator import SimValidator
from simulation.scene import Scene
from simulation.trace import Trace

BAD_MS: Final = 15_000
HEAL_MS_MAX: Final = 120_000
SETTLE_MS: Final = 40_000
QUIET_MS: Final = 60_000
WAKE_MS_MAX: Final = 4_000
RECORDS: Final = 40
SMALL: Final = 2
"""Records of a block, in a world where one turn of a partition is not all it needs."""
BURST_BLOCKS: Final = 16
LAGGING: Final = 100


class World(Scene):
    """One run of one seed."""

    settle_ms: ClassVar[int] = SETTLE_MS
    quiet_ms: ClassVar[int] = QUIET_MS

    def __init__(
        self,
        seed: int,
        cast: Cast | None = None,
        faults: Faults | None = None,
        checkers: Collection[str] = CHECKERS,
        trace: Trace | None = None,
    ) -> None:
        """`faults`: None: drawn from the seed. `checkers`: those that watch."""
        random = Random(seed)
        self._later = Random(f"faults of {seed}")
        """Of faults that worlds did not have when their seeds were first drawn."""
        drawn = replace(draw(random), **draw_clocks(self._later)) if faults is None else faults
        super().__init__(cast or Cast(), random, drawn, checkers, trace)
        self._clients = Clients(self.genesis, random) if random.randrange(8) == 0 else None
        """Whether records are transactions; else they are rubbish, and as good as any to agree on."""
        self._healed_ms = 0
        self.first_ms: list[int] = []
        """After each heal with something pending: virtual milliseconds until the next block was final."""

    def run(self) -> None:
        """Live through all of them. Raises: Violation."""
        self._live_badly()
        self._heal()
        self._note_heal()
        checkers, is_all_final = self.checkers, self.is_all_final
        views_max = self.views_max()
        self.agenda.run_until(self.agenda.now_ms + HEAL_MS_MAX, is_all_final)
        checkers.on_end("after the heal", views_max)
        ahead_ms = max(validator.furthest_ms for validator in self.validators)
        self.agenda.run_until(self.agenda.now_ms + self.settle_ms + ahead_ms)
        before = self.log.appended.copy()
        self.agenda.run_until(self.agenda.now_ms + self.quiet_ms)
        checkers.on_quiet(self.log.appended - before)
        self._wake_chain()
        self._note_heal()
        views_max = self.views_max()
        patience_ms = (1 + checkers.progress.blocks_pending()) * self._patience_ms()
        self.agenda.run_until(self.agenda.now_ms + WAKE_MS_MAX + patience_ms, is_all_final)
        checkers.on_end("after the chain was woken", views_max)
        if self._clients is not None:
            checkers.on_executable()

    def _wake_chain(self) -> None:
        """One record; or, where blocks are small, one, and in front of it so many of another partition that only its
        turn brings it into a block soon."""
        self._produce(RECORDS)
        if self.genesis.limits.records_max == SMALL and self._random.randrange(4) == 0:
            busy = self._random.randrange(PARTITIONS)
            for number in range(SMALL * (BURST_BLOCKS + len(self.validators) * PARTITIONS)):
                self._produce(RECORDS + 1 + number, busy)
            self._produce(RECORDS - 1, 1 - busy)

    def is_all_final(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.checkers.progress.is_all_final()

    def _patience_ms(self) -> int:
        """What leaders that say nothing may cost: a timer each, of the length in force."""
        loops = [validator.loop for validator in self.validators[: self.cast.honest] if validator.loop is not None]
        timeout_ms = max((loop.core.state.timers.timeout_ms() for loop in loops), default=0)
        return timeout_ms * len(self.cast.adversaries)

    def on_stored(self, seat: int, final: StoredFinal) -> None:
        super().on_stored(seat, final)
        if len(self.checkers.progress.first_views) > len(self.first_ms):
            self.first_ms.append(self.agenda.now_ms - self._healed_ms)

    def views_max(self) -> int:
        """How many views it may take to make final what is pending, once nothing goes wrong any more."""
        blocks = self.checkers.progress.blocks_pending()
        return 2 * len(self.validators) + 2 * blocks + 2

    def _live_badly(self) -> None:
        for validator in self.validators:
            self._boot(validator)
        self._plan_mishaps()
        for number in range(RECORDS):
            self.agenda.plan(START_MS + self._random.randrange(BAD_MS), self._produce, number)
        for second in range(BAD_MS // 1000):
            self.agenda.plan(START_MS + second * 1000, self._strike)
        self._each_second()
        self.agenda.run_until(START_MS + BAD_MS)

    def _each_second(self) -> None:
        """An intake reads all the time: what it meant to look at again must not wait for the next record."""
        self.checkers.on_second()
        for validator in self.validators:
            self._fetch_records(validator)
        for validator in self.validators:
            self._fetch_records(validator)
        self.agenda.plan(self.agenda.now_ms + 1000, self._each_second)

    def _strike(self) -> None:
        """Once a second in the bad time: cut somebody off, split all, stop a process, let an executor fall behind."""
        now_ms, faults, random = self.agenda.now_ms, self.faults, self._random
        if len(self.validators) > 1 and chance(random, faults.split):
            side = frozenset(random.sample(range(len(self.validators)), random.randrange(1, len(self.validators))))
            self.log.split(side, now_ms + random.randrange(faults.split_ms_max))
            self._note(min(side), "is split off with", sorted(side))
        self._rewrite_log()
        self._lose_topics()
        if chance(random, faults.outage):
            until_ms = now_ms + random.randrange(faults.outage_ms_max)
            for validator in self.validators:
                self.log.cut(validator.seat, until_ms)
            self._note(0, "sees the log stop", None)
        if chance(self._later, faults.set_clock):
            self._set_clocks()
        for validator in self.validators:
            if chance(random, faults.cut):
                self.log.cut(validator.seat, now_ms + random.randrange(faults.cut_ms_max))
                self._note(validator.seat, "is cut off", None)
            if chance(random, faults.stall):
                self._busy_until_ms[validator.seat] = now_ms + random.randrange(faults.stall_ms_max)
                self._note(validator.seat, "is paused", None)
            if chance(random, faults.lag):
                validator.lag = 0 if validator.lag else LAGGING
                self._note(validator.seat, "has a lag of", validator.lag)
            self._wake(validator, now_ms)

    def _set_clocks(self) -> None:
        """Somebody sets one time of day, or a server of time sets all of them: ahead, or right again."""
        chosen = self._later.choice((self.validators, [self._later.choice(self.validators)]))
        ahead_ms = self._later.choice((0, 1, 1)) * self._later.randrange(self.faults.set_clock_ms_max)
        for validator in chosen:
            validator.ahead_ms, validator.furthest_ms = ahead_ms, max(ahead_ms, validator.furthest_ms)
            self._note(validator.seat, "has its clock set ahead by", ahead_ms)

    def _rewrite_log(self) -> None:
        """The brokers lose the end of a partition, or the whole topic."""
        random, views = self._random, self.log.views
        if chance(random, self.faults.truncate):
            partition = random.randrange(PARTITIONS)
            view = views[partition]
            before = view.records
            view.truncate(max(0, view.end_offset - random.choice((1, 2, 5, 20))))
            self._note(0, "sees the log truncated, partition and offset", (partition, view.end_offset))
            self._send_again(partition, before[len(view.records) :])
        if chance(random, self.faults.recreate):
            topic_id = f"topic-{len(views[0].topic_ids) + 1}"
            for view in views:
                view.recreate(topic_id)
            self._note(0, "sees the topic recreated as", topic_id)

    def _send_again(self, partition: int, lost: Sequence[SimRecord]) -> None:
        """Their clients may notice, and send what was lost in whatever order; its last record may lie where it lay."""
        if not lost or self._later.randrange(2):
            return
        others, last = [*lost[:-1]], lost[-1]
        self._later.shuffle(others)
        for record in others:
            self.log.append_again(partition, record.value, 0)
        gap = last.offset - self.log.views[partition].end_offset
        self.log.append_again(partition, last.value, gap if 0 <= gap <= GAP_MAX else 0)

    def _lose_topics(self) -> None:
        """Safety never rests on what validators said to each other; here it is gone."""
        random, spoken = self._random, (*self._topics, self._shared[1])
        if chance(random, self.faults.retain):
            topic = random.choice(spoken)
            self.log.retain(topic, random.choice((0.5, 0.9, 1.0)))
            self._note(0, "sees records retained no longer, and the topic", topic)
        if chance(random, self.faults.remake):
            topic = random.choice((*spoken, self._shared[0], self._shared[0]))
            self.log.remake(topic)
            self._note(0, "sees a topic made anew", topic)
        if chance(random, self.faults.rebuild):
            self._note(0, "sees the cluster built anew", None)
            for topic in (*spoken, self._shared[0]):
                self.log.remake(topic)
            for validator in self.validators:
                if validator.is_up:
                    self._bury(validator)
                    self.agenda.plan(self.agenda.now_ms + random.randrange(1, 2_000), self._boot, validator)

    def _heal(self) -> None:
        self._note(0, "sees the world heal", None)
        self.faults = CALM
        self.is_healed = True
        self.log.heal(CALM)
        for adversary in self.adversaries.values():
            adversary.on_heal()
        for validator in self.validators:
            validator.lag = validator.ahead_ms = 0
            validator.journal.tears = False
            self._busy_until_ms[validator.seat] = 0
            self._boot(validator)
            self._fetch_records(validator)
            self._wake(validator, self.agenda.now_ms)

    def _note_heal(self) -> None:
        """From now on progress is owed."""
        self._healed_ms = self.agenda.now_ms
        self.checkers.on_heal()

    def _produce(self, number: int, partition: int | None = None) -> None:
        rubbish = b"record %d %s" % (number, b"x" * self._random.choice((0, 20, 40, 120)))
        value = rubbish if self._clients is None else self._clients.draw(self.agenda.now_ms)
        self.log.produce(self._random.randrange(PARTITIONS) if partition is None else partition, value)
        for validator in self.validators:
            self._fetch_records(validator)

    # --- mishaps ---

    def _plan_mishaps(self) -> None:
        """Let each come at some time, in which the validator has said something already."""
        for number, mishap in enumerate(self.cast.mishaps):
            validator = self.validators[self.cast.honest + number]
            times = sorted(START_MS + 1_000 + self._random.randrange(BAD_MS - 2_000) for _ in range(2))
            if mishap in (Mishap.OLD, Mishap.TWICE, Mishap.OLD_STORE):
                self.agenda.plan(times[0], self._copy_home, validator, mishap, times[1])
            else:
                self.agenda.plan(times[1], self._suffer, validator, mishap, validator.journal.data)

    def _copy_home(self, validator: SimValidator, mishap: Mishap, then_ms: int) -> None:
        """Somebody takes a copy of a validator's disk, to use it later."""
        data = validator.journal.data
        if mishap is Mishap.OLD:
            self.agenda.plan(then_ms, self._suffer, validator, mishap, data)
        elif mishap is Mishap.OLD_STORE:
            store = SimStore(self.genesis, lambda final: None)
            store.copy_from(validator.store)
            self.agenda.plan(then_ms, self._suffer, validator, mishap, store)
        else:
            second = self._enter(validator.index)
            second.journal.data = data
            second.store.copy_from(validator.store)
            self.agenda.plan(then_ms, self._start_second, validator, second)

    def _suffer(self, validator: SimValidator, mishap: Mishap, old: bytes | SimStore | None) -> None:
        """A process ends; when it starts again its journal, store or state is not what it was."""
        self._note(validator.seat, "meets with a mishap:", mishap.value)
        self._bury(validator)
        if mishap is Mishap.LOST:
            validator.journal.data = None
        elif isinstance(old, SimStore):
            validator.store.copy_from(old)
        elif mishap is Mishap.DIVERGED:
            validator.executor.twist = b"not what others have"
        elif mishap is Mishap.OLD:
            validator.journal.data = old
        else:
            assert validator.journal.data is not None
            validator.journal.data = damaged(validator.journal.data, self._random)
        self.agenda.plan(self.agenda.now_ms + self._random.randrange(1, 1_000), self._boot, validator)

    def _start_second(self, validator: SimValidator, second: SimValidator) -> None:
        self._note(validator.seat, "meets with a mishap:", Mishap.TWICE.value)
        self._boot(second)

"""Worlds in which each validator is a process of virtual threads: production's driver as it is, under a scheduler."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from os import W_OK, access
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

from backbone.log import LogRecord
from backbone.store import StoredFinal, StoreFailed
from consensus.core.chain import BlockFork
from consensus.runtime.errors import JournalFailed, ValidatorHalt
from ledger.errors import Unavailable
from simulation.cast import Cast
from simulation.checkers import CHECKERS, Violation
from simulation.parts.disk import Crashed
from simulation.parts.faults import Faults, chance
from simulation.parts.validator import SimValidator
from simulation.threads.ports import PortFaults, draw_ports, healed
from simulation.threads.processor import VERIFY_US
from simulation.threads.scheduler import Deadlock, Livelock, Scheduler
from simulation.threads.validator import ThreadedValidator
from simulation.threads.watched import Turn
from simulation.trace import Trace
from simulation.world import World

SYNC_MS: Final = 2
"""What half of a durable write takes at most."""
VIEW_STEPS: Final = 3
"""From a proposal over its notarization to its finalization."""
_MEMORY: Final = "/dev/shm"
"""A file system in memory, where there is one: what is synced there for real costs nothing."""
AGAIN_MS: Final = 1_000
"""How soon a process is started again that ended by itself."""


class ThreadedWorld(World):
    """As `World`; what a seed draws of the world is the same, and the schedule has a chance of its own."""

    validator_class: ClassVar[type[SimValidator]] = ThreadedValidator
    settle_ms: ClassVar[int] = 20_000
    quiet_ms: ClassVar[int] = 6_000

    def __init__(
        self,
        seed: int,
        cast: Cast | None = None,
        faults: Faults | None = None,
        checkers: Collection[str] = CHECKERS,
        trace: Trace | None = None,
        port_faults: PortFaults | None = None,
    ) -> None:
        """`port_faults`: None: drawn from the seed."""
        self._chance = Random(f"schedule of {seed}")
        self.port_faults = draw_ports(self._chance) if port_faults is None else port_faults
        super().__init__(seed, cast, faults, checkers, trace)
        self.scheduler: Final = Scheduler(self.agenda, self._chance, self.port_faults.share)
        self.scheduler.preempt = self._preempt
        for validator in self._threaded():
            validator.enter(self, self._chance)

    def run(self) -> None:
        """Raises: Violation."""
        try:
            with self.disks():
                super().run()
        except (Deadlock, Livelock) as error:
            raise Violation(str(error)) from error

    @contextmanager
    def disks(self) -> Iterator[None]:
        """While validators live: a folder for their stores. All that is left of them is killed at the end."""
        with TemporaryDirectory(prefix="momus-world-", dir=_MEMORY if access(_MEMORY, W_OK) else None) as folder:
            self.folder = Path(folder)
            try:
                yield
            finally:
                self.counts["switches"] = self.scheduler.switches
                self.scheduler.close()
                for validator in self._threaded():
                    validator.close()

    def is_all_final(self) -> bool:
        """See `World`; a process that has just ended by itself is waited for."""
        return all(it.is_up for it in self.validators[: self.cast.honest]) and super().is_all_final()

    def _patience_ms(self) -> int:
        """See `World`; and what slow cores need for a view: all votes, and so again at each step of it."""
        votes = len(self.validators) * VIEW_STEPS
        return super()._patience_ms() + self.port_faults.slowness * votes * VIEW_STEPS * VERIFY_US // 1_000

    def _threaded(self) -> list[ThreadedValidator]:
        return [validator for validator in self.validators if isinstance(validator, ThreadedValidator)]

    def _enter(self, index: int) -> SimValidator:
        validator = super()._enter(index)
        if isinstance(validator, ThreadedValidator) and hasattr(self, "scheduler"):
            validator.enter(self, self._chance)
        return validator

    def _preempt(self) -> int:
        faults = self.port_faults
        if not faults.preempt or not chance(self._chance, faults.preempt):  # asked at each switch point
            return 0
        return self._chance.randrange(1, faults.slow_ms_max + 2)

    # --- what processes reach ---

    def busy_until_ms(self, seat: int) -> int:
        """Until when a process is paused."""
        return self._busy_until_ms[seat]

    def is_deaf_to(self, seat: int, topic: str) -> bool:
        """An adversary does not hear what it says."""
        return seat in self.adversaries and topic == self._topics[self.validators[seat].index]

    def sources_of(self, subject: SimValidator) -> list[SimValidator]:
        """Others only: its process looks among its own records by itself."""
        return super().sources_of(subject)[1:]

    def send_record(self, seat: int, topic: str, value: bytes, on_done: Callable[[bool], None]) -> None:
        """A record leaves its process."""
        validator, adversary = self.validators[seat], self.adversaries.get(seat)
        life = validator.life
        words = [value] if adversary is None else adversary.outgoing(topic, value)
        for at, word in enumerate(words):
            self._note(seat, "sends", word)
            late_ms = 0 if adversary is None else adversary.holds_back_ms(word)
            done = on_done if at == 0 else _nobody
            self.log.send(seat, topic, word, lambda: validator.life == life, late_ms, done)
        if not words:
            on_done(True)

    def on_said(self, validator: ThreadedValidator, topic: str, value: bytes) -> None:
        """The loop has let something out; it leaves when the log takes it."""
        self._watch(lambda: self.checkers.on_send(validator, topic, value))

    def on_durable(self, seat: int, name: str) -> None:
        """A durable write begins or is over: it takes time, and the process may die in it."""
        try:
            super().on_durable(seat, name)
        except Crashed:
            self.scheduler.die(lambda: self._restart(self.validators[seat]))
        self.scheduler.switch(name)
        if self.scheduler.is_in_thread:
            self.scheduler.sleep(self._chance.randrange(SYNC_MS + 1))

    def on_file_step(self, seat: int, name: str) -> None:
        """A write to the store's files begins or is over: the process may die in it. Its locks are real ones, so that
        nobody else comes to run here."""
        if self.scheduler.is_in_thread:
            try:
                super().on_durable(seat, name)
            except Crashed:
                self.scheduler.die(lambda: self._restart(self.validators[seat]))

    def on_torn(self, validator: ThreadedValidator) -> None:
        """It died in the middle of a write to its journal."""
        self.scheduler.die(lambda: self._restart(validator))

    def on_stored(self, seat: int, final: StoredFinal) -> None:
        """See `Surroundings`."""
        self._watch(lambda: super(ThreadedWorld, self).on_stored(seat, final))

    def on_report(self, seat: int, what: str, facts: Mapping[str, object]) -> None:
        """See `Surroundings`."""
        self._watch(lambda: super(ThreadedWorld, self).on_report(seat, what, facts))

    def on_own_topic(self, validator: ThreadedValidator) -> None:
        """A process that boots opens its own topic: what lies there by now is what it must go by."""
        self._watch(lambda: self.checkers.on_boot(validator, self._own_topic(validator)))

    def on_up(self, validator: ThreadedValidator) -> None:
        """A process has booted."""
        assert validator.loop is not None
        self._note(validator.seat, "boots in view", validator.loop.core.state.view)
        self._watch(lambda: self.checkers.on_up(validator))

    def on_turn(self, validator: ThreadedValidator, turn: Turn) -> None:
        """A turn is over."""
        self._watch(lambda: self.checkers.on_heard(validator, turn.records, turn.view))
        self._watch(lambda: self.checkers.on_load(validator, turn.spent_us, validator.queued()))

    def on_first_taken(self, validator: ThreadedValidator, topic: str, turns: int) -> None:
        """A loop was given what was the first of its topic; so many turns have ended since it was read."""
        self._watch(lambda: self.checkers.on_first_taken(validator, topic, turns))

    def on_lost_on_way(self, validator: ThreadedValidator, record: LogRecord, read: int) -> None:
        """A loop was given another record than the next that was read."""
        what = f"{validator.name} read offset {read} of {record.topic}, and its loop took {record.offset}"
        self.scheduler.fail(Violation(f"{what}: something was lost between them"))

    def note_port(self, seat: int, what: str, call: str) -> None:
        """A fault of a port struck."""
        self._note(seat, what, call)

    def _watch(self, check: Callable[[], None]) -> None:
        """A checker looks; what it finds ends the world at once, wherever the thread is."""
        try:
            check()
        except Violation as violation:
            self.scheduler.fail(violation)

    # --- life and death ---

    def _boot(self, validator: SimValidator) -> None:
        assert isinstance(validator, ThreadedValidator)
        if validator.is_running or validator.halted is not None or validator.died is not None:
            return
        self.checkers.on_boot(validator, self._own_topic(validator))
        validator.start()

    def _own_topic(self, validator: SimValidator) -> list[bytes]:
        return self.log.values(self._topics[validator.index], 0)

    def _restart(self, validator: SimValidator) -> None:
        self._bury(validator)
        down_ms = self._random.randrange(1, self.faults.down_ms_max + 2)
        self.agenda.plan(self.agenda.now_ms + down_ms, self._boot, validator)

    def on_process_end(self, validator: ThreadedValidator, error: Exception | None) -> None:
        """A process has ended by itself: asked to, of what starting again may heal, or for good."""
        self._bury(validator)
        match error:
            case None | Unavailable() | StoreFailed() | JournalFailed():
                self._note(validator.seat, "ends:", "asked to" if error is None else error)
                again_ms = self.agenda.now_ms + self._chance.randrange(1, AGAIN_MS)
                self.agenda.plan(again_ms, self._boot, validator)
            case ValidatorHalt():
                validator.halted = error
                self._note(validator.seat, "halts", error)
                self.checkers.on_halt(validator)
            case _:
                assert not isinstance(error, BlockFork) or validator.seat in self.adversaries
                validator.died = error
                self.checkers.on_death(validator, error)

    def _fetch_records(self, validator: SimValidator) -> None:
        """Its intake reads all the time: here it only hears that there is something."""
        if isinstance(validator, ThreadedValidator):
            validator.news.ring()

    def _wake(self, validator: SimValidator, at_ms: int) -> None:
        """Its threads wake by themselves."""

    def _strike(self) -> None:
        super()._strike()
        for validator in self._threaded():
            if validator.driver is not None and chance(self._chance, self.port_faults.stop):
                self._note(validator.seat, "is asked to end", None)
                validator.driver.stop()

    def _heal(self) -> None:
        self.port_faults = healed(self.port_faults)
        super()._heal()
        self.scheduler.rouse()


def _nobody(is_there: bool) -> None:
    """Of what an adversary says besides, nobody waits for a delivery."""

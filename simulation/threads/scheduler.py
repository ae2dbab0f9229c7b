"""Greenlets of which one runs at a time: who goes on at each switch point, the scheduler draws from its seed.

Real threads that hand one baton on do the same twenty times more slowly (docs/decisions/0030).
"""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from math import ceil
from random import Random
from typing import Final, NoReturn

from greenlet import getcurrent, greenlet

from ledger.errors import Halt
from simulation.parts.agenda import Agenda

STEPS_MAX: Final = 200_000
"""Of one moment of virtual time."""
_TIME: Final = "time to pass"
PAUSE_MS: Final = 50
"""How often it is looked whether a paused process may go on."""


class Killed(BaseException):
    """The thread's process is gone. Nothing of production code handles it, and nothing it does on its way out counts:
    every operation raises it again."""


class Deadlock(Halt):
    """Threads wait for each other, or for what nobody will do; each is named with what it waits for."""


class Livelock(Halt):
    """Threads run on and on, and no time passes."""


class Process:
    """Threads that live and die together."""

    def __init__(self, name: str, on_end: Callable[["VirtualThread"], None] = lambda thread: None) -> None:
        """`on_end`: told of each thread that has ended, unless the process was killed."""
        self.name = name
        self.on_end = on_end
        self.is_dead = False
        self.paused_until_ms: Callable[[], int] = lambda: 0
        self.threads: list[VirtualThread] = []


class VirtualThread:
    """See `backbone.threads.Thread`."""

    def __init__(self, scheduler: "Scheduler", process: Process, target: Callable[[], None], name: str) -> None:
        self.name: Final = name
        self.process: Final = process
        self.error: BaseException | None = None
        """What it ended by, if by an error."""
        self.waits_for = ""
        self.wakes = 0
        """How often it was woken: a time-out of an earlier waiting is void."""
        self.was_woken = False
        self.joiners: list[VirtualThread] = []
        self.wanted: object = None
        """The lock that it waits for."""
        self._is_started = self._is_over = False
        self._scheduler = scheduler
        self._target = target
        self.greenlet: Final = greenlet(self._run, scheduler.hub)
        process.threads.append(self)

    def start(self) -> None:
        """See `Thread`."""
        self._is_started = True
        self._scheduler.begin(self)
        self._scheduler.switch("start")

    def join(self) -> None:
        """See `Thread`."""
        self._scheduler.switch("join")
        while not self._is_over:
            self.joiners.append(self._scheduler.running())
            self._scheduler.block(f"the end of {self.name}")

    def is_alive(self) -> bool:
        """See `Thread`."""
        return self._is_started and not self._is_over

    def __str__(self) -> str:
        return f"{self.process.name} {self.name}"

    def _run(self) -> None:
        with ExitStack() as stack:
            stack.push(self._note_end)
            self._target()

    def _note_end(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Whatever it ended by is the world's to judge."""
        self.error = None if isinstance(error, Killed) else error
        self._is_over = True
        return True

    def end(self) -> None:
        """Its process was killed: leave, whatever is on the way."""
        if self.greenlet:  # it has run, and is somewhere
            self.greenlet.throw(Killed())
        self._is_over = True


class Scheduler:
    """Runs threads out of the agenda of a world: whenever one is ready, before time goes on."""

    def __init__(self, agenda: Agenda, random: Random, share: float = 1.0) -> None:
        """`share`: of the switch points, how many are one; which ones is drawn."""
        self.agenda: Final = agenda
        self.random: Final = random
        self.hub: Final = getcurrent()
        self.points: Final[Counter[str]] = Counter()
        """Switch points that were passed, by what was to be done there."""
        self.switches = 0
        self.preempt: Callable[[], int] = lambda: 0
        """For how many ms the thread at a switch point is put aside; 0: not at all."""
        self._share = share
        self._current: VirtualThread | None = None
        self._ready: list[VirtualThread] = []
        self._blocked: dict[VirtualThread, None] = {}
        self._processes: list[Process] = []
        self._dying: list[tuple[Process, Callable[[], None]]] = []
        self._failure: BaseException | None = None
        self._is_draining = False

    # --- from the world ---

    def process(self, name: str, on_end: Callable[[VirtualThread], None] = lambda thread: None) -> Process:
        """A new one, without threads."""
        self._processes = [it for it in self._processes if not it.is_dead]
        self._processes.append(Process(name, on_end))
        return self._processes[-1]

    def kill(self, process: Process) -> None:
        """Its threads are gone, each where it is. Not from one of them."""
        process.is_dead = True
        self._ready = [thread for thread in self._ready if thread.process is not process]
        for thread in process.threads:
            self._blocked.pop(thread, None)
        for thread in process.threads:
            self._current = thread
            thread.end()
        self._current = None

    def close(self) -> None:
        """Kill all that is left."""
        for process in self._processes:
            self.kill(process)

    def run(self) -> None:
        """Until every thread has ended. Raises: Deadlock, Livelock."""
        self.agenda.run_until(1 << 62, lambda: not (self._ready or self._blocked))
        if self._blocked:
            raise Deadlock("Nothing goes on: " + self._standing())

    def waiting(self) -> dict[str, str]:
        """What each thread waits for that waits."""
        return {str(thread): thread.waits_for for thread in self._blocked}

    # --- from threads ---

    def running(self) -> VirtualThread:
        """The thread that asks."""
        assert self._current is not None, "only threads wait"
        return self._current

    @property
    def is_in_thread(self) -> bool:
        """Whether a thread asks, and not the world."""
        return self._current is not None

    def switch(self, what: str) -> None:
        """A switch point: others may go on before the thread does what it is about to do. The world itself goes on.

        Raises: Killed.
        """
        thread = self._current
        if thread is None:
            return
        self._check(thread)
        self.points[what] += 1
        aside_ms = self.preempt()
        if aside_ms:
            self.sleep(aside_ms)
        elif self.random.random() < self._share:
            self._ready.append(thread)
            self._leave(thread)

    def sleep(self, ms: int) -> None:
        """Let time pass. Raises: Killed."""
        if ms > 0:
            self.block(_TIME, ms / 1000)

    def rouse(self) -> None:
        """Let time have passed for all who let it pass."""
        for thread in list(self._blocked):
            if thread.waits_for == _TIME:
                self.wake(thread)

    def block(self, what: str, timeout_s: float | None = None) -> bool:
        """Wait to be woken; whether that came before the time was over. Raises: Killed."""
        thread = self.running()
        self._check(thread)
        thread.waits_for, thread.was_woken = what, False
        self._blocked[thread] = None
        if timeout_s is not None:
            at_ms = self.agenda.now_ms + max(0, ceil(round(timeout_s * 1000, 3)))
            self.agenda.plan(at_ms, self._time_out, thread, thread.wakes)
        self._leave(thread)
        return thread.was_woken

    def wake(self, thread: VirtualThread) -> None:
        """Let it go on, if it waits."""
        if thread in self._blocked:
            thread.was_woken = True
            self._release(thread)

    def is_blocked(self, thread: VirtualThread) -> bool:
        """Whether it waits and was not woken yet."""
        return thread in self._blocked

    def begin(self, thread: VirtualThread) -> None:
        """A thread that was started is ready."""
        if thread.process.is_dead:
            raise Killed
        self._make_ready(thread)

    def die(self, then: Callable[[], None]) -> NoReturn:
        """The process of this thread is gone; `then` is called when it is."""
        self._dying.append((self.running().process, then))
        self._leave(self.running())
        raise AssertionError("the dead do not go on")

    def fail(self, error: BaseException) -> NoReturn:
        """The world is over: `error` is raised out of it."""
        if self._current is None:
            raise error
        self._failure = error
        self._leave(self._current)
        raise AssertionError("the world is over")

    # --- the hub ---

    def _check(self, thread: VirtualThread) -> None:
        if thread.process.is_dead:
            raise Killed

    def _leave(self, thread: VirtualThread) -> None:
        self.hub.switch()
        self._check(thread)

    def _time_out(self, thread: VirtualThread, wakes: int) -> None:
        if thread in self._blocked and thread.wakes == wakes:
            self._release(thread)

    def _release(self, thread: VirtualThread) -> None:
        del self._blocked[thread]
        thread.wakes += 1
        self._make_ready(thread)

    def _make_ready(self, thread: VirtualThread) -> None:
        self._ready.append(thread)
        if not self._is_draining:
            self._is_draining = True
            self.agenda.plan(self.agenda.now_ms, self._drain)

    def _drain(self) -> None:
        """Run threads until none is ready."""
        steps = 0
        while self._ready:
            steps += 1
            if steps > STEPS_MAX:
                raise Livelock(f"{steps} steps, and no time passes: " + self._standing())
            at = self.random.randrange(len(self._ready))
            self._ready[at], self._ready[-1] = self._ready[-1], self._ready[at]
            self._run(self._ready.pop())
        self._is_draining = False

    def _run(self, thread: VirtualThread) -> None:
        paused_ms = thread.process.paused_until_ms() - self.agenda.now_ms
        if paused_ms > 0:
            self.agenda.plan(self.agenda.now_ms + min(paused_ms, PAUSE_MS), self._unpause, thread)
            return
        self.switches += 1
        self._current = thread
        thread.greenlet.switch()
        self._current = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        while self._dying:
            process, then = self._dying.pop()
            self.kill(process)
            then()
        if not thread.is_alive() and not thread.process.is_dead:
            self._end(thread)

    def _unpause(self, thread: VirtualThread) -> None:
        if thread.is_alive():
            self._make_ready(thread)

    def _end(self, thread: VirtualThread) -> None:
        if thread.error is not None and not isinstance(thread.error, Exception):
            raise thread.error
        for joiner in thread.joiners:
            self.wake(joiner)
        thread.process.on_end(thread)

    def _standing(self) -> str:
        waiting = [f"{name} waits for {what}" for name, what in self.waiting().items()]
        return "; ".join([*waiting, *(f"{thread} runs" for thread in self._ready)])

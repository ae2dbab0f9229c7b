"""Locks, conditions, events and threads of one virtual process, as `backbone.threads` asks for them."""

from collections.abc import Callable
from types import TracebackType
from typing import Final

from backbone.threads import Condition, Event, Lock, Thread
from simulation.threads.scheduler import Deadlock, Process, Scheduler, VirtualThread


class VirtualThreads:
    """See `backbone.threads.Threads`: those of one process."""

    def __init__(self, scheduler: Scheduler, process: Process) -> None:
        self._scheduler = scheduler
        self._process = process
        self._locks = 0

    def lock(self) -> Lock:
        """See `Threads`."""
        self._locks += 1
        return VirtualLock(self._scheduler, f"lock {self._locks}")

    def conditions(self, count: int) -> tuple[Condition, ...]:
        """See `Threads`."""
        self._locks += 1
        lock = VirtualLock(self._scheduler, f"lock {self._locks}")
        return tuple(VirtualCondition(self._scheduler, lock) for _ in range(count))

    def event(self) -> Event:
        """See `Threads`."""
        return VirtualEvent(self._scheduler)

    def thread(self, target: Callable[[], None], name: str) -> Thread:
        """See `Threads`."""
        return VirtualThread(self._scheduler, self._process, target, name)


class Bell:
    """Those who wait, and are woken all at once. No switch point of its own."""

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self._scheduler = scheduler
        self._name = name
        self._waiting: dict[VirtualThread, None] = {}

    def wait(self, timeout_s: float | None) -> bool:
        """Until it rings; whether it did in time. Raises: Killed."""
        thread = self._scheduler.running()
        self._waiting[thread] = None
        try:
            return self._scheduler.block(self._name, timeout_s)
        finally:
            self._waiting.pop(thread, None)

    def ring(self) -> None:
        """Wake all who wait. From anywhere."""
        for thread in list(self._waiting):
            self._scheduler.wake(thread)

    def ring_for_one(self) -> None:
        """Wake one of those who wait and were not woken yet, whichever."""
        waiting = [thread for thread in self._waiting if self._scheduler.is_blocked(thread)]
        if waiting:
            self._scheduler.wake(self._scheduler.random.choice(waiting))


class VirtualLock:
    """See `Lock`. Whoever comes first after its release has it, not whoever waited longest."""

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.name: Final = name
        self._scheduler = scheduler
        self._owner: VirtualThread | None = None
        self._free = Bell(scheduler, name)

    def __enter__(self) -> bool:
        self._scheduler.switch("lock")
        self.acquire()
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        if self._scheduler.is_in_thread:
            self._scheduler.switch("unlock")

    def acquire(self) -> None:
        """Wait until it is free. Raises: Killed."""
        if not self._scheduler.is_in_thread:
            assert self._owner is None, "the world itself does not wait"
            return
        thread = self._scheduler.running()
        thread.wanted = self
        while self._owner is not None:
            self._check(thread)
            self._free.wait(None)
        thread.wanted = None
        self._owner = thread

    def release(self) -> None:
        """Of a thread that was killed while it waited nothing is released."""
        if not self._scheduler.is_in_thread or self._owner is self._scheduler.running():
            self._owner = None
            self._free.ring_for_one()

    def is_owned(self) -> bool:
        """By the thread that asks."""
        return self._owner is self._scheduler.running()

    def _check(self, thread: VirtualThread) -> None:
        """Whether whoever has it waits, over any number of locks, for the thread that wants it."""
        chain, lock = [f"{thread} waits for {self.name}"], self
        while lock._owner is not None:
            owner, wanted = lock._owner, lock._owner.wanted
            chain.append(f"which {owner} holds")
            if owner is thread:
                self._scheduler.fail(Deadlock(", ".join(chain)))
            if not isinstance(wanted, VirtualLock):
                return
            chain.append(f"which waits for {wanted.name}")
            lock = wanted


class VirtualCondition:
    """See `Condition`. Which of several waiting threads `notify` wakes is drawn."""

    def __init__(self, scheduler: Scheduler, lock: VirtualLock) -> None:
        self._scheduler = scheduler
        self._lock = lock
        self._bell = Bell(scheduler, f"news under {lock.name}")

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    def wait(self, timeout: float | None = None) -> bool:
        """See `Condition`. Raises: Killed."""
        assert self._lock.is_owned(), "only who has the lock waits"
        self._scheduler.switch("wait")
        self._lock.release()
        was_woken = self._bell.wait(timeout)
        self._lock.acquire()
        return was_woken

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> object:
        """See `Condition`. Raises: Killed."""
        agenda = self._scheduler.agenda
        begin_ms = agenda.now_ms
        while not (found := predicate()):
            left_s = None if timeout is None else timeout - (agenda.now_ms - begin_ms) / 1000
            if left_s is not None and left_s <= 0:
                break
            self.wait(left_s)
        return found

    def notify(self) -> None:
        """See `Condition`."""
        assert self._lock.is_owned(), "only who has the lock wakes others"
        self._scheduler.switch("notify")
        self._bell.ring_for_one()

    def notify_all(self) -> None:
        """See `Condition`."""
        assert self._lock.is_owned(), "only who has the lock wakes others"
        self._scheduler.switch("notify")
        self._bell.ring()


class VirtualEvent:
    """See `Event`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_set = False
        self._bell = Bell(scheduler, "an event")

    def is_set(self) -> bool:
        """See `Event`."""
        self._scheduler.switch("is set")
        return self._is_set

    def set(self) -> None:
        """See `Event`. From anywhere."""
        self._is_set = True
        self._bell.ring()
        self._scheduler.switch("set")

    def clear(self) -> None:
        """See `Event`."""
        self._scheduler.switch("clear")
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """See `Event`. Raises: Killed."""
        self._scheduler.switch("wait")
        if not self._is_set:
            self._bell.wait(timeout)
        return self._is_set

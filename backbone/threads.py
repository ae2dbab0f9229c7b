"""Threads as a port: the real ones of `threading`, or virtual ones whose scheduler says at each operation who goes on.

What runs in threads asks for them here, so that the simulator runs it as it is (docs/decisions/0030).
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol


class Lock(Protocol):
    """As `threading.Lock`, as far as `with` uses it."""

    def __enter__(self) -> bool: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Condition(Lock, Protocol):
    """As `threading.Condition`."""

    def wait(self, timeout: float | None = None) -> bool: ...
    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> object: ...
    def notify(self) -> None: ...
    def notify_all(self) -> None: ...


class Event(Protocol):
    """As `threading.Event`."""

    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Thread(Protocol):
    """As `threading.Thread`."""

    @property
    def name(self) -> str: ...
    def start(self) -> None: ...
    def join(self) -> None: ...
    def is_alive(self) -> bool: ...


class Threads(Protocol):
    """Makes them. Timeouts are in seconds."""

    def lock(self) -> Lock: ...
    def conditions(self, count: int) -> tuple[Condition, ...]:
        """So many, over one lock."""

    def event(self) -> Event: ...
    def thread(self, target: Callable[[], None], name: str) -> Thread:
        """Not started; it does not keep the process alive."""


class RealThreads:
    """Those of the operating system."""

    def lock(self) -> Lock:
        """See `Threads`."""
        return threading.Lock()

    def conditions(self, count: int) -> tuple[Condition, ...]:
        """See `Threads`."""
        lock = threading.Lock()
        return tuple(threading.Condition(lock) for _ in range(count))

    def event(self) -> Event:
        """See `Threads`."""
        return threading.Event()

    def thread(self, target: Callable[[], None], name: str) -> Thread:
        """See `Threads`."""
        return threading.Thread(target=target, name=name, daemon=True)


REAL: Final = RealThreads()

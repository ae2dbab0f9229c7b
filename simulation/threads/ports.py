"""Ports of one process: every call may be put off, fail before it did anything, or do all and never answer.

A call is a switch point before and after, so that other threads may come between the halves of what is not atomic.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from simulation.parts.faults import chance
from simulation.threads.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class PortFaults:
    """Of each call, per mille; times in virtual milliseconds."""

    fail: int = 0
    """It raises, and has done nothing."""
    cut_off: int = 0
    """It has done all, and raises."""
    slow: int = 0
    slow_ms_max: int = 0
    preempt: int = 0
    """Per switch point: the thread is put aside for up to `slow_ms_max`."""
    stop: int = 0
    """Per second and validator: the process is asked to end, and does so as it does in production."""
    queue_max: int = 10_000
    """Records that a producer takes between two polls. Nothing heals that."""
    share: float = 1.0
    """Of the switch points, how many are one."""
    slowness: int = 1
    """How many times as long as a core of today the processors of the world take; 0: no time. Nothing heals that."""


NO_PORT_FAULTS: Final = PortFaults()

PORT_FAULTS: Final[Mapping[str, Mapping[str, int]]] = {
    "port-fail": {"fail": 20},
    "port-cut-off": {"cut_off": 20},
    "port-slow": {"slow": 20, "slow_ms_max": 2_000},
    "preempt": {"preempt": 3, "slow_ms_max": 2_000},
    "stop": {"stop": 100},
    "back-pressure": {"queue_max": 2},
    "slow-cores": {"slowness": 30},
}
"""Every fault by name, as harsh as it gets when it is asked for by that name."""


def draw_ports(random: Random) -> PortFaults:
    """Faults of one seed: each kind is absent in some seeds and harsh in others."""

    def some(high: int) -> int:
        return random.choice((0, 0, high // 4, high))

    return PortFaults(
        fail=some(20),
        cut_off=some(20),
        slow=some(20),
        slow_ms_max=random.choice((20, 500, 2_000)),
        preempt=random.choice((0, 0, 1, 3)),
        stop=some(60),
        queue_max=random.choice((2, 100, 10_000)),
        share=random.choice((0.3, 0.1, 0.03)),
        slowness=random.choice((0, 1, 10, 30)),
    )


def only_ports(names: Iterable[str]) -> PortFaults:
    """The faults of these names and no others."""
    fields = {field: value for name in names for field, value in PORT_FAULTS.get(name, {}).items()}
    return replace(NO_PORT_FAULTS, **fields)


def healed(faults: PortFaults) -> PortFaults:
    """What is left of them when the world heals."""
    return replace(NO_PORT_FAULTS, slowness=faults.slowness, queue_max=faults.queue_max)


class Points:
    """What befalls the port calls of one process."""

    def __init__(
        self,
        scheduler: Scheduler,
        random: Random,
        faults: Callable[[], PortFaults],
        note: Callable[[str, str], None],
    ) -> None:
        """`note`: told of each fault that struck, and in which call."""
        self._scheduler = scheduler
        self._random = random
        self._faults = faults
        self._note = note

    def before(self, call: str, error: type[Exception] | None = None) -> None:
        """A call begins. Raises: `error`, Killed."""
        self._scheduler.switch(call)
        if not self._scheduler.is_in_thread:
            return
        faults = self._faults()
        if chance(self._random, faults.slow):
            self._note("waits long for", call)
            self._scheduler.sleep(self._random.randrange(1, faults.slow_ms_max + 2))
        if error is not None and chance(self._random, faults.fail):
            self._note("is failed by", call)
            raise error(f"{call} fails")

    def after(self, call: str, error: type[Exception] | None = None) -> None:
        """It has done what it does. Raises: `error`, Killed."""
        self._scheduler.switch(call)
        if error is not None and self._scheduler.is_in_thread and chance(self._random, self._faults().cut_off):
            self._note("hears nothing of", call)
            raise error(f"{call} was cut off")

    def sleep(self, ms_max: int) -> None:
        """What a call takes at most."""
        if self._scheduler.is_in_thread:
            self._scheduler.sleep(self._random.randrange(ms_max + 1))


class Port:
    """A part of a validator, its methods wrapped. `errors`: what a method raises where it fails; others never fail.

    `durable`: the methods that are a durable step each, for which `on_durable` is called.
    """

    def __init__(
        self,
        part: object,
        name: str,
        points: Points,
        errors: Mapping[str, type[Exception]],
        durable: Collection[str] = (),
        on_durable: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._part = part
        self._name = name
        self._points = points
        self._errors = errors
        self._durable = durable
        self._on_durable = on_durable

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._part, attribute)
        if not callable(found):
            return found
        call, error = f"{self._name}.{attribute}", self._errors.get(attribute)

        told = self._on_durable if attribute in self._durable else _tell_nobody

        def wrapped(*arguments: Any, **named: Any) -> Any:
            told(f"{call}.before")
            self._points.before(call, error)
            result = found(*arguments, **named)
            told(f"{call}.after")
            self._points.after(call, error)
            return result

        setattr(self, attribute, wrapped)
        return wrapped


def _tell_nobody(name: str) -> None:
    """No durable step."""

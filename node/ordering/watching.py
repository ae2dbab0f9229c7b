"""What the order process finds of the log and of consensus, for its pulse."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Final, Protocol

from backbone.log import Log, LogUnavailable, TopicMissing
from node import wiring
from node.home.context import NodeContext
from node.home.pulse import Part, monotonic_ms
from node.ordering.checks import topic_problems
from node.process.watching import SLOW_MS, Dependency, Failing, Work, asking, part_before, pulsing

SETTINGS_S: Final = 10.0
"""How often the topics' settings are asked for."""
GRACE_MS: Final = 5_000
"""A validator that runs says something again in a stall, at most so long after `order.resend_max_ms`."""


class Watched(Protocol):
    """`consensus.runtime.driver.Driver`, as far as it is watched."""

    def status(self) -> Mapping[str, int]: ...
    def writing(self) -> tuple[int, int, str]: ...
    def reading_errors(self) -> Mapping[str, str]: ...
    def unavailable(self) -> Mapping[str, int]: ...
    def heard(self) -> Sequence[int]: ...


class OrderWatch:
    """Looks at the driver once a second; by one thread."""

    def __init__(
        self, names: Sequence[str], own_name: str, resend_max_ms: int, driver: Watched, before: Part | None,
        now_ms: Callable[[], int] = monotonic_ms,
    ) -> None:  # fmt: skip
        """`names`: of the committee, in its order; `before`: what was said last of consensus."""
        self._driver = driver
        self._now_ms = now_ms
        self._names = names
        self._own_name = own_name
        self._silent_ms = resend_max_ms + GRACE_MS
        self._consensus = Work(before, now_ms)
        self._writing = Work(None, now_ms)
        self._reading: dict[str, Failing] = {}
        self._heard: list[tuple[int, int]] = []
        """By member: (records, when there were more than before)."""

    def parts(self) -> Mapping[str, Part]:
        """Of consensus, of reading the log and of writing to it; nothing before the boot is over."""
        status = self._driver.status()
        if not status:
            return {}
        on_their_way, acknowledged, error = self._driver.writing()
        return {
            "consensus": self._consensus.part(status["height"], status["records_waiting"]),
            "log_write": self._writing.part(acknowledged, on_their_way, error),
            "log_read": self._read(),
        }

    def silent(self) -> list[str]:
        """Validators that said nothing for longer than one that runs would in a stall. While nothing is to be agreed
        on nobody says anything: it means something only where consensus has stopped."""
        now_ms, heard = self._now_ms(), self._driver.heard()
        if not heard:
            return []  # the boot is not over
        before = self._heard or [(-1, now_ms)] * len(heard)
        self._heard = [last if count == last[0] else (count, now_ms) for count, last in zip(heard, before, strict=True)]
        if now_ms - self._consensus.well_ms < GRACE_MS:
            return []
        limit = max(self._consensus.well_ms, now_ms - self._silent_ms)
        named = zip(self._names, self._heard, strict=True)
        return [name for name, (_, at_ms) in named if name != self._own_name and at_ms < limit]

    def _read(self) -> Part:
        """That reader which has failed for longest."""
        errors = self._driver.reading_errors()
        parts = []
        for name, count in self._driver.unavailable().items():
            failing = self._reading.setdefault(name, Failing(self._now_ms))
            parts.append(failing.part(count, f"{name}: {errors.get(name, '')}"))
        return min(parts, key=lambda part: part.well_ms, default=Part(self._now_ms()))


class LogWatch:
    """Asks the log where its transactions end, and now and then whether its topics are as they must be."""

    def __init__(self, log: Log, context: NodeContext) -> None:
        self._log = log
        self._context = context
        self._settings_due_s = time.monotonic()
        self.problems: tuple[str, ...] = ()

    def ask(self) -> None:
        """Raises: LogUnavailable, TopicMissing."""
        self._log.ends(self._context.genesis.topic)
        if time.monotonic() >= self._settings_due_s:
            self._settings_due_s = time.monotonic() + SETTINGS_S
            genesis, committee = self._context.genesis, self._context.committees.current
            self.problems = tuple(topic_problems(self._log, genesis, committee))


@contextmanager
def order_watched(context: NodeContext, driver: Watched) -> Iterator[None]:
    """Watch and tell while the body runs."""
    home, settings = context.home, context.settings
    file = home.pulse_file("order")
    names = context.committees.current.names
    watch = OrderWatch(names, settings.validator, settings.order.resend_max_ms, driver, part_before(file, "consensus"))
    log = Dependency()
    # Of its own: a question that waits for an answer, or for its time to be over, must hold up no other.
    with closing(wiring.make_log(home, settings, SLOW_MS)) as asked:
        log_watch = LogWatch(asked, context)
        with (
            asking("the log", log_watch.ask, log, (LogUnavailable, TopicMissing)),
            pulsing(file, lambda: {"log": log.part(), **watch.parts()}, lambda: log_watch.problems, watch.silent),
        ):
            yield

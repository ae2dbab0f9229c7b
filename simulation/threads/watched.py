"""What of a process is watched, or torn: loop, outbox, driver and journal as they are, and who is told what they do."""

from collections.abc import Callable, Sequence
from typing import Any

from backbone.log import LogRecord
from consensus.core.timers import ConsensusSettings
from consensus.runtime.boot import Boot
from consensus.runtime.driver import Driver
from consensus.runtime.errors import JournalFailed
from consensus.runtime.loop import Loop
from consensus.runtime.ports import LoopPorts, OutboxPort, Ports
from simulation.cast import ByzantineLoop
from simulation.parts.disk import Crashed, JournalDisk
from simulation.threads.ports import Points


class WatchedLoop(Loop):
    """The loop as it is; it says what each turn took."""

    def __init__(
        self, watch: Callable[[Sequence[LogRecord], int], None], on_take: Callable[[LogRecord], None], *arguments: Any
    ) -> None:
        self._watch, self._on_take = watch, on_take
        self._taken: list[LogRecord] = []
        super().__init__(*arguments)
        self._view = self.core.state.view

    def take(self, item: object, now_ms: int) -> None:
        """See `Loop`."""
        if isinstance(item, LogRecord):
            self._taken.append(item)
            self._on_take(item)
        super().take(item, now_ms)

    def end_turn(self, now_ms: int) -> None:
        """See `Loop`."""
        super().end_turn(now_ms)
        taken, self._taken = self._taken, []
        self._watch(taken, self._view)
        self._view = self.core.state.view


class WatchedByzantineLoop(WatchedLoop, ByzantineLoop):
    """That of an adversary's validator."""


class WatchedOutbox:
    """The outbox as it is; the world is told of what it is given, at that moment."""

    def __init__(self, outbox: OutboxPort, watch: Callable[[str, bytes], None]) -> None:
        self._outbox = outbox
        self._watch = watch

    def send(self, topic: str, value: bytes) -> None:
        """See `OutboxPort`."""
        self._watch(topic, value)
        self._outbox.send(topic, value)


class SimDriver(Driver):
    """The driver as it is; its loop is watched."""

    def __init__(self, ports: Ports, settings: ConsensusSettings, make_loop: Callable[[LoopPorts, Boot], Loop]) -> None:
        super().__init__(ports, settings)
        self._watched = make_loop

    def _make_loop(self, ports: LoopPorts, boot: Boot) -> Loop:
        return self._watched(ports, boot)


class JournalPort:
    """See `JournalFile`. A torn write is the end of the process at that moment; a disk may refuse, or say so late."""

    def __init__(self, disk: JournalDisk, points: Points, on_torn: Callable[[], None]) -> None:
        self._disk = disk
        self._points = points
        self._on_torn = on_torn

    def read(self) -> bytes | None:
        """See `JournalFile`."""
        self._points.before("journal.read")
        return self._disk.read()

    def append(self, data: bytes) -> None:
        """See `JournalFile`."""
        self._points.before("journal.append", JournalFailed)
        try:
            self._disk.append(data)
        except Crashed:
            self._on_torn()
        self._points.after("journal.append", JournalFailed)

    def cut(self, size_bytes: int) -> None:
        """See `JournalFile`."""
        self._disk.cut(size_bytes)
        self._points.after("journal.cut", JournalFailed)

    def replace(self, data: bytes) -> None:
        """See `JournalFile`."""
        self._points.before("journal.replace", JournalFailed)
        self._disk.replace(data)
        self._points.after("journal.replace", JournalFailed)

    def size_bytes(self) -> int:
        """See `JournalFile`."""
        return self._disk.size_bytes()

    def close(self) -> None:
        """See `JournalFile`."""
        self._points.before("journal.close")

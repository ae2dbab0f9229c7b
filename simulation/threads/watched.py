"""What of a process is watched, or torn: loop, outbox, driver and journal as they are, and who is told what they do."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from simulation.threads.processor import RECORD_US, Processor, record_us


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn of a loop took, and what that cost it."""

    view: int
    """In which it began."""
    records: list[LogRecord] = field(default_factory=list)
    spent_us: Counter[str] = field(default_factory=Counter)
    """By input: microseconds of a core of slowness 1."""


class WatchedLoop(Loop):
    """The loop as it is; what it takes costs time, and it says what each turn took."""

    def __init__(
        self,
        watch: Callable[[Turn], None],
        on_take: Callable[[LogRecord], None],
        processor: Processor,
        *arguments: Any,
    ) -> None:
        self._watch, self._on_take, self._processor = watch, on_take, processor
        self._turn = Turn(0)
        super().__init__(*arguments)
        self._turn = Turn(self.core.state.view)

    def take(self, item: object, now_ms: int) -> None:
        """See `Loop`."""
        name, us, verified_us = "intake", RECORD_US, self._processor.verified_us
        if isinstance(item, LogRecord):
            self._turn.records.append(item)
            self._on_take(item)
            name, us = item.topic, record_us(item.value)
        super().take(item, now_ms)
        self._turn.spent_us[name] += us + self._processor.verified_us - verified_us
        self._processor.spend(us)
        self._processor.pay()

    def end_turn(self, now_ms: int) -> None:
        """See `Loop`."""
        super().end_turn(now_ms)
        turn, self._turn = self._turn, Turn(self.core.state.view)
        self._watch(turn)
        self._processor.pay()


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

    def queued(self) -> Mapping[str, Sequence[object]]:
        """What waits for the loop, by input."""
        return {name: [item for item, _ in queue] for name, queue in self._queues._queues.items()}

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

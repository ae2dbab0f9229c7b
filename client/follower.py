"""The thread that reads `blocks` and verifies what it finds there."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing

from backbone.log import Log, LogReader, LogRecord, LogUnavailable, PositionLost, TopicMissing
from consensus.wire.final_blocks import BlockReader
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Header
from ledger.rejection import Rejection

_READ_MS = 100
_RETRY_S = 0.5
_RECORDS_MAX = 1_000
_LOOK_BACK = 16
_LOOK_BACK_MAX = 4_096


class Follower:
    """Hands out the headers of `blocks` whose proof of finality verifies: first the newest that is there, then all that
    come after it, in the order of the topic.

    Each record proves itself to whoever knows the committee, and its heads say all that those before it said. So the
    newest one is found from the topic's end backwards, however long the chain is; where the log hides newer ones, those
    of `height_min` and above are waited for. Anybody can write to a topic, so a record that does not verify is counted
    and skipped. While nothing `is_awaited`, only the newest of the records read at once is verified. That misses
    nothing, since what is submitted afterwards lies past every header read before.

    `on_tip` is called once, when the newest header that is there was handed out, and the topic's end is reached.
    """

    def __init__(
        self,
        log: Log,
        genesis: Genesis,
        committees: Committees,
        height_min: int,
        is_awaited: Callable[[], bool],
        on_header: Callable[[Header], None],
        on_stopped: Callable[[str], None],
        on_tip: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._blocks = BlockReader(genesis, committees)
        self._topic = genesis.topic_name("blocks")
        self._height_min = height_min
        self._offset: int | None = None
        """Of the next record to read; None: the newest header is not looked for yet."""
        self._is_awaited = is_awaited
        self._on_header = on_header
        self._on_stopped = on_stopped
        self._on_tip = on_tip
        self._was_at_tip = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="momus-follower", daemon=True)
        self.forged = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._offset is None:
                    self._offset = self._begin()
                with closing(self._log.reader(self._topic, {0: self._offset})) as reader:
                    self._follow(reader)
            except LogUnavailable:
                self._stopping.wait(_RETRY_S)
            except (PositionLost, TopicMissing) as error:
                self._on_stopped(f"{self._topic} cannot be followed from offset {self._offset}: {error}")
                return

    def _begin(self) -> int:
        """Hand out the newest header that is there; the offset after all that was looked at."""
        first, end = self._log.begin(self._topic, 0), self._log.ends(self._topic).get(0, 0)
        above, back = end, _LOOK_BACK
        while above > first and not self._stopping.is_set():
            start = max(first, above - back)
            for header in filter(None, map(self._verified, reversed(self._between(start, above)))):
                self._on_header(header)
                return end
            above, back = start, min(2 * back, _LOOK_BACK_MAX)
        return end

    def _between(self, start: int, above: int) -> list[LogRecord]:
        found: list[LogRecord] = []
        with closing(self._log.reader(self._topic, {0: start})) as reader:
            while not (found and found[-1].offset + 1 >= above) and not self._stopping.is_set():
                read = reader.read(_RECORDS_MAX, _READ_MS)
                found += read
                if not read and reader.at_end():
                    break
        return [record for record in found if record.offset < above]

    def _follow(self, reader: LogReader) -> None:
        while not self._stopping.is_set():
            self._take(reader.read(_RECORDS_MAX, _READ_MS))
            if not self._was_at_tip and reader.at_end():
                self._was_at_tip = True
                self._on_tip()

    def _take(self, records: Sequence[LogRecord]) -> None:
        headers = map(self._verified, records if self._is_awaited() else reversed(records))
        for header in filter(None, headers):
            self._on_header(header)
            if not self._is_awaited():
                break
        if records:
            self._offset = records[-1].offset + 1

    def _verified(self, record: LogRecord) -> Header | None:
        block = self._blocks.verify(record.value)
        if isinstance(block, Rejection):
            self.forged += 1
            return None
        return block.header if block.header.height >= self._height_min else None

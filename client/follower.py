"""The thread that reads `blocks` and verifies what it finds there."""

import threading
from collections.abc import Callable, Sequence

from backbone.log import Log, LogReader, LogRecord, LogUnavailable, PositionLost, TopicMissing
from consensus.wire.final_blocks import BlockReader
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Header
from ledger.rejection import Rejection

_READ_MS = 100
_RETRY_S = 0.5
_RECORDS_MAX = 1_000


class Follower:
    """Hands out the headers of `blocks` whose proof of finality verifies, in the order of the topic.

    Anybody can write to a topic, so a record that does not verify is counted and skipped. While nothing `is_awaited`,
    only the newest of the records read at once is verified: a client that starts late does not check a year of
    signatures. That misses nothing, since what is submitted afterwards lies past every header read before.

    `on_tip` is called once, when the topic's end, as it was after the start, is reached.
    """

    def __init__(
        self,
        log: Log,
        genesis: Genesis,
        from_offset: int,
        is_awaited: Callable[[], bool],
        on_header: Callable[[Header], None],
        on_stopped: Callable[[str], None],
        on_tip: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._blocks = BlockReader(genesis, Committees.of(genesis))
        self._topic = genesis.topic_name("blocks")
        self._offset = from_offset
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
                reader = self._log.reader(self._topic, {0: self._offset})
                try:
                    self._follow(reader)
                finally:
                    reader.close()
            except LogUnavailable:
                self._stopping.wait(_RETRY_S)
            except (PositionLost, TopicMissing) as error:
                self._on_stopped(f"{self._topic} cannot be followed from offset {self._offset}: {error}")
                return

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
        return block.header

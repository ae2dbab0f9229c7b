"""The reading side of the store: any number of processes, none of which the writer knows.

A reader bounded by the heads of a final block always finds its records whole, because they were synced before the
block was appended. An incomplete end is no error: it has not been written yet.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType

from backbone.store.files import certificate_folder, final_folder, partition_folder, segment_path
from backbone.store.format import CERTIFICATE_LOG, FINAL_LOG, Position, certificate_of, entry_of, final_of, record_of
from backbone.store.scan import SegmentReader
from backbone.store.values import Entry, StoredCertificate, StoredFinal, StoredRecord

POLL_MS = 3
_END: Position = (1 << 32, 0)
_Look = tuple[int, int] | None
"""(size in bytes, time of the last write) of a file that is there."""


class StoreReader:
    """Reads a store that need not be there yet. One thread at a time.

    Raises (all): StoreDamaged.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._partitions: dict[int, SegmentReader] = {}
        self._final = SegmentReader(final_folder(directory), FINAL_LOG)
        self._certificates = SegmentReader(certificate_folder(directory), CERTIFICATE_LOG)
        self._tip = SegmentReader(final_folder(directory), FINAL_LOG)
        self._last_height = 0
        self._returned = 0
        self._looked_at: tuple[_Look, _Look] | None = None
        self._following: tuple[int, Path] | None = None

    @property
    def directory(self) -> Path:
        """Where the store lies."""
        return self._directory

    def records(self, partition: int, from_offset: int, end_offset: int, incarnation: int = 0) -> list[StoredRecord]:
        """The data records of an incarnation with from_offset <= offset < end_offset; gaps are normal.

        `end_offset` is that of a final head or below. Fewer where the store ends earlier. Ranges that follow each
        other cost what they hold; any other range also costs the reading of up to a segment.
        """
        scan = self._log(partition).scan((incarnation, from_offset), (incarnation, end_offset), remember=True)
        return [record_of(buffer, frame) for buffer, frame in scan]

    def held(self, partition: int, from_offset: int, end_offset: int, incarnation: int = 0) -> Iterator[StoredRecord]:
        """As `records`, one at a time and also above the final heads, where another call may find other ones."""
        scan = self._log(partition).scan((incarnation, from_offset), (incarnation, end_offset), remember=False)
        return (record_of(buffer, frame) for buffer, frame in scan)

    def find(self, partition: int, offset: int, incarnation: int = 0) -> StoredRecord | None:
        """The record at exactly that offset, also above the final heads."""
        scan = self._log(partition).scan((incarnation, offset), (incarnation, offset + 1), remember=False)
        return next((record_of(buffer, frame) for buffer, frame in scan), None)

    def first(self, partition: int, from_offset: int, incarnation: int = 0) -> StoredRecord | None:
        """The first record of an incarnation at or above `from_offset`, also above the final heads."""
        scan = self._log(partition).scan((incarnation, from_offset), (incarnation + 1, 0), remember=False)
        return next((record_of(buffer, frame) for buffer, frame in scan), None)

    def suffix(self, partition: int, from_offset: int, incarnation: int = 0) -> list[Entry]:
        """The entries of every record at or above `from_offset`, also above the final heads."""
        scan = self._log(partition).scan((incarnation, from_offset), (incarnation + 1, 0), remember=False)
        return [entry_of(buffer, frame) for buffer, frame in scan]

    def final_after(self, height: int, blocks_max: int) -> list[StoredFinal]:
        """The final blocks above `height`, lowest first, at most `blocks_max`; as tuples (height, header, proof)."""
        scan = self._final.scan((0, height + 1), _END, remember=True)
        found = [final_of(buffer, frame) for buffer, frame in islice(scan, blocks_max)]
        self._returned = found[-1].height if found else height
        return found

    def certificates_after(self, height: int, count_max: int) -> list[StoredCertificate]:
        """The certificates of checkpoints above `height`, lowest first, at most `count_max`."""
        scan = self._certificates.scan((0, height + 1), _END, remember=True)
        return [certificate_of(buffer, frame) for buffer, frame in islice(scan, count_max)]

    def last_height(self) -> int:
        """The height of the newest final block; 0 while there is none."""
        first = self._last_height + 1 if self._last_height else self._tip.first_of_newest()
        for _, frame in self._tip.scan((0, first), _END, remember=True):
            self._last_height = frame.offset
        return self._last_height

    def newest_final(self) -> StoredFinal | None:
        """The newest final block; None while there is none. For a look: costs the reading of up to a segment."""
        scan = self._final.scan((0, self._final.first_of_newest()), _END, remember=False)
        newest = deque(scan, maxlen=1)
        return final_of(*newest[0]) if newest else None

    def wait(self, timeout_ms: int) -> bool:
        """Whether a final block is there above where `final_after` stopped; waits for one up to `timeout_ms`."""
        deadline = monotonic() + timeout_ms / 1000
        while True:
            if self._last_height > self._returned or (self._has_changed() and self.last_height() > self._returned):
                return True
            left = deadline - monotonic()
            if left <= 0:
                return False
            sleep(min(POLL_MS / 1000, left))

    def __enter__(self) -> "StoreReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to give back: files are open only while they are read."""

    def _has_changed(self) -> bool:
        """Whether the final log is not as it was at the last look; two calls of stat."""
        cursor = self._tip.cursor
        if cursor is None:
            return True
        (_, height), segment, _ = cursor
        if self._following is None or self._following[0] != height:
            self._following = (height, segment_path(final_folder(self._directory), 0, height))
        looked_at, self._looked_at = self._looked_at, (_look(segment.path), _look(self._following[1]))
        return self._looked_at != looked_at

    def _log(self, partition: int) -> SegmentReader:
        log = self._partitions.get(partition)
        if log is None:
            log = SegmentReader(partition_folder(self._directory, partition), partition)
            self._partitions[partition] = log
        return log


def _look(path: Path) -> _Look:
    try:
        now = path.stat()
    except FileNotFoundError:
        return None
    return now.st_size, now.st_mtime_ns

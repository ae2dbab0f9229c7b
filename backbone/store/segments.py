"""Writing one log of the store: its segments, the repair of what a crash left, and the cutting of a suffix.

Only the newest segment can hold bytes that were never synced, because rolling syncs the one before. So opening reads
that one alone, cuts what a crash tore, and syncs what it kept: what an opened log shows is durable.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from backbone.store.files import AppendFile, OpenFile, Segment, make_folder, segment_path, segments, sync_folder
from backbone.store.format import (
    HEADER_SIZE,
    SYNCED_BEFORE,
    BadFrame,
    Frame,
    Position,
    encode_segment_header,
    frames,
    refused_format,
    salt_of,
    was_synced,
)
from backbone.store.values import StoreFailed, damaged, other_format


class _Scan(NamedTuple):
    """A segment as it lies on disk: its last good frame, how many bytes are good, and its salt."""

    last: Frame | None
    size_bytes: int
    salt: int


class SegmentLog:
    """The writing side of one log. One thread at a time; one process at a time (the store's lock).

    After StoreFailed it refuses all writes: open the store anew, which cuts what was torn.
    Raises (all): StoreFailed; at opening also StoreDamaged.
    """

    def __init__(self, folder: Path, log: int, segment_bytes: int, open_file: OpenFile) -> None:
        self._folder = folder
        self._log = log
        self._segment_bytes = segment_bytes
        self._open_file = open_file
        self._file: AppendFile | None = None
        self._incarnation = 0
        self._size = 0
        self._dirty = False
        self._failed = False
        self.salt = 0
        """That of the segment now written, for the encoding of frames; `make_room` may change it."""
        self.last: Position | None = None
        self.last_frame = b""
        """The bytes of the newest frame; empty if the log is."""
        with self._guarded():
            make_folder(folder)
            self._open_newest()

    @property
    def is_dirty(self) -> bool:
        """Whether something was written and not yet synced."""
        return self._dirty

    def make_room(self, incarnation: int, offset: int) -> int:
        """Roll to a new segment, beginning at that position, if it is time; the flag of the next frame."""
        with self._guarded():
            if self._file is None or self._size >= self._segment_bytes or incarnation != self._incarnation:
                self._roll(incarnation, offset)
        return 0 if self._dirty else SYNCED_BEFORE

    def write(self, encoded: list[bytes], last: Position) -> None:
        """Append frames, of which the last is at `last`. `make_room` has been called for the first."""
        with self._guarded():
            assert self._file is not None
            data = b"".join(encoded)
            self._file.write(data)
            self._dirty = True
            self._size += len(data)
            self.last, self.last_frame = last, encoded[-1]

    def sync(self) -> None:
        """Make all that was written durable."""
        with self._guarded():
            if self._dirty and self._file is not None:
                self._file.sync()
                self._dirty = False

    def cut(self, position: Position) -> None:
        """Drop every frame at or above `position`. After a crash on the way, a prefix that holds the rest is left."""
        with self._guarded():
            self._close_file()
            for segment in reversed(segments(self._folder)):
                if (segment.incarnation, segment.first) < position:
                    self._cut_within(segment, position)
                    break
                self._remove(segment)
            self._open_newest()

    def close(self) -> None:
        """Close the file without a sync."""
        self._close_file()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        if self._failed:
            raise StoreFailed(f"An earlier write to {self._folder} failed; open the store anew.")
        try:
            yield
        except OSError as error:
            self._failed = True
            raise StoreFailed(f"Writing to the store in {self._folder} failed: {error}.") from error

    def _roll(self, incarnation: int, offset: int) -> None:
        """Begin a segment. Its header is durable before any frame is written, so a bad one is damage."""
        if self._dirty and self._file is not None:
            self._file.sync()
        self._close_file()
        self.salt = secrets.randbits(32)
        self._file = self._open_file(segment_path(self._folder, incarnation, offset))
        self._file.write(encode_segment_header(self._log, incarnation, offset, self.salt))
        self._file.sync()
        sync_folder(self._folder)
        self._incarnation, self._size = incarnation, HEADER_SIZE

    def _open_newest(self) -> None:
        """Repair and open the newest segment that holds a frame; remove newer ones, which a crash left empty."""
        self._incarnation, self._size, self.last, self.last_frame = 0, 0, None, b""
        for segment in reversed(segments(self._folder)):
            buffer = segment.path.read_bytes()
            scan = self._scan(segment, buffer)
            if scan.last is None:
                self._remove(segment)
                continue
            self._file = self._open_file(segment.path)
            if scan.size_bytes < len(buffer):
                self._file.truncate(scan.size_bytes)
            self._file.sync()
            sync_folder(self._folder)
            self._incarnation, self._size, self.salt = segment.incarnation, scan.size_bytes, scan.salt
            self.last = (segment.incarnation, scan.last.offset)
            self.last_frame = buffer[scan.last.start : scan.last.end]
            return

    def _scan(self, segment: Segment, buffer: bytes) -> _Scan:
        """Raises: StoreDamaged where something behind the first bad byte proves that it had been synced."""
        if len(buffer) <= HEADER_SIZE:
            return _Scan(None, 0, 0)
        salt = self._salt_of(segment, buffer)
        last: Frame | None = None
        with suppress(BadFrame):
            for frame in frames(buffer, HEADER_SIZE, salt):
                if frame.incarnation != segment.incarnation or (last and frame.offset <= last.offset):
                    raise damaged(segment.path, frame.start, "its offsets do not rise")
                last = frame
        size = last.end if last else HEADER_SIZE
        if was_synced(buffer, size, segment.incarnation, salt):
            raise damaged(segment.path, size, "bytes that had been synced do not read back")
        return _Scan(last, size, salt)

    def _salt_of(self, segment: Segment, buffer: bytes) -> int:
        salt = salt_of(buffer, self._log, segment.incarnation, segment.first)
        if salt is None:
            if refused := refused_format(buffer):
                raise other_format(segment.path, refused)
            raise damaged(segment.path, 0, "its header does not read back")
        return salt

    def _cut_within(self, segment: Segment, position: Position) -> None:
        buffer = segment.path.read_bytes()
        try:
            for frame in frames(buffer, HEADER_SIZE, self._salt_of(segment, buffer)):
                if (frame.incarnation, frame.offset) >= position:
                    break
            else:
                return
        except BadFrame as error:
            raise damaged(segment.path, error.position, "a record does not read back") from error
        file = self._open_file(segment.path)
        file.truncate(frame.start)
        file.sync()
        file.close()

    def _remove(self, segment: Segment) -> None:
        """Remove a segment durably, before anything older changes."""
        segment.path.unlink()
        sync_folder(self._folder)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._dirty = None, False

"""Reading one log of the store while another process may be appending to it."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from backbone.store.files import Segment, segments
from backbone.store.format import (
    FRAME_MAX,
    HEADER_SIZE,
    PREFIX_SIZE,
    BadFrame,
    Frame,
    Position,
    frame_size,
    frames,
    is_frame,
    refused_format,
    salt_of,
    was_synced,
)
from backbone.store.values import damaged, other_format

CHUNK_BYTES = 64 << 10
CHUNK_BYTES_MAX = 2 << 20
INDEX_STEP_BYTES = 256 << 10
INDEX_SEGMENTS_MAX = 256


class _Index:
    """Where some frames begin: in each segment that was read, one about every INDEX_STEP_BYTES."""

    def __init__(self) -> None:
        self._places: dict[Segment, list[tuple[int, int]]] = {}

    def before(self, segment: Segment, offset: int) -> int:
        """A place in `segment` from which reading on meets the first frame at or above `offset`."""
        places = self._places.get(segment, [])
        found = bisect_right(places, offset, key=lambda entry: entry[0]) - 1
        return places[found][1] if found >= 0 else HEADER_SIZE

    def learn(self, segment: Segment, offset: int, place: int) -> None:
        """The first frame at or above `offset` begins at `place`."""
        places = self._places.setdefault(segment, [])
        if place >= (places[-1][1] if places else HEADER_SIZE) + INDEX_STEP_BYTES:
            places.append((offset, place))
        if len(self._places) > INDEX_SEGMENTS_MAX:
            del self._places[next(iter(self._places))]


class SegmentReader:
    """Reads one log by position. What it remembers of places makes tailing cost only what is new.

    Raises (all): StoreDamaged.
    """

    def __init__(self, folder: Path, log: int) -> None:
        self._folder = folder
        self._log = log
        self._segments: list[Segment] = []
        self._index = _Index()
        self._cursor: tuple[Position, Segment, int] | None = None

    def scan(self, position: Position, end: Position, remember: bool) -> Iterator[tuple[bytes, Frame]]:
        """The frames from `position` on and below `end`, each with the buffer it lies in; it ends where the log does.

        `remember` the places only of frames that stay, that is, below a final head.
        """
        at = self._seek(position)
        while at is not None:
            segment, place = at
            here = position
            try:
                for buffer, base, frame in self._frames_from(segment, place):
                    key = (frame.incarnation, frame.offset)
                    if key >= end:
                        return
                    place = base + frame.end
                    if key >= position:
                        here = (key[0], key[1] + 1)
                        yield buffer, frame
                        if here == end:
                            return
            finally:
                if remember and here != position:
                    self._cursor = (here, segment, place)
                    self._index.learn(segment, here[1], place)
            at = self._following(segment, place)

    def first_of_newest(self) -> int:
        """The first offset of the newest segment that surely holds a frame, to skip what is older; 0 without one."""
        found = segments(self._folder)[-2:]
        return found[0].first if found else 0

    @property
    def cursor(self) -> tuple[Position, Segment, int] | None:
        """Where the last remembered scan stopped: the next position, the segment, the place in it."""
        return self._cursor

    def _seek(self, position: Position) -> tuple[Segment, int] | None:
        if self._cursor is not None and self._cursor[0] == position:
            return self._cursor[1], self._cursor[2]
        found = self._rank(position)
        is_known = 0 <= found < len(self._segments) - 1
        if not is_known or not self._segments[found].path.exists():  # the writer may have cut it off, and begun others
            self._segments = segments(self._folder)
            found = self._rank(position)
        if not self._segments:
            return None
        segment = self._segments[max(found, 0)]
        return segment, self._index.before(segment, position[1])

    def _rank(self, position: Position) -> int:
        """Which known segment holds `position`; -1 if it lies before all."""
        return bisect_right(self._segments, position, key=lambda segment: (segment.incarnation, segment.first)) - 1

    def _following(self, segment: Segment, place: int) -> tuple[Segment, int] | None:
        """Where to read on behind the last whole frame of `segment`; None at the end of the log."""
        self._segments = segments(self._folder)
        later = self._rank((segment.incarnation, segment.first)) + 1
        if later >= len(self._segments) or self._segments[later - 1] != segment:
            return None
        if place == segment.path.stat().st_size:
            return self._segments[later], HEADER_SIZE
        # The writer rolled after our read: what it appended before that is here now, and whole.
        if next(self._frames_from(segment, place), None) is None:
            raise damaged(segment.path, place, "a record does not read back, and there are newer segments")
        return segment, place

    def _frames_from(self, segment: Segment, place: int) -> Iterator[tuple[bytes, int, Frame]]:
        """(buffer, its place in the segment, frame in it) for every whole frame from `place` on."""
        try:
            file = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # the writer removed a newest segment that a crash had left empty
            return
        try:
            salt = self._salt_of(file, segment)
            if salt is None:
                return
            size = CHUNK_BYTES
            while buffer := os.pread(file, size, place):
                end = 0
                with suppress(BadFrame):
                    for frame in frames(buffer, 0, salt):
                        yield buffer, place, frame
                        end = frame.end
                needed = min(frame_size(buffer[end : end + PREFIX_SIZE]), FRAME_MAX)
                if end == 0 and (len(buffer) < size or needed <= size):
                    return _raise_if_synced(file, segment, place, salt)
                size = max(min(2 * size, CHUNK_BYTES_MAX), needed)
                place += end
        finally:
            os.close(file)

    def _salt_of(self, file: int, segment: Segment) -> int | None:
        """None while the segment has no whole header: torn by a crash, unless something was written behind it."""
        size = os.fstat(file).st_size  # before the header is read: the writer may be writing it now
        header = os.pread(file, HEADER_SIZE, 0)
        salt = salt_of(header, self._log, segment.incarnation, segment.first)
        if salt is None and size > HEADER_SIZE:
            if refused := refused_format(header):
                raise other_format(segment.path, refused)
            raise damaged(segment.path, 0, "its header does not read back")
        return salt


def _raise_if_synced(file: int, segment: Segment, place: int, salt: int) -> None:
    """What begins at `place` is no whole frame: not there yet, or torn by a crash, unless what follows denies it."""
    rest = os.pread(file, os.fstat(file).st_size - place, place)
    if not is_frame(rest, 0, salt) and was_synced(rest, 0, segment.incarnation, salt):
        raise damaged(segment.path, place, "a record that had been synced does not read back")

"""The bytes of a range of records on their way between two nodes. Pure.

A body is frames, each ``length 4 | offset 8 | value``, big-endian, offsets rising; `length` counts the value. A null
value has the length NULL, the end of the range the length END, and END is four bytes alone: so a body that was cut off
is known from one that is whole. Incarnation and chain digests are not sent: who asks knows the one and computes the
others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from backbone.store import VALUE_BYTES_MAX, StoredRecord
from ledger import digests
from ledger.header import Head

MEDIA_TYPE: Final = "application/vnd.momus.records.v1"
NULL: Final = 0xFFFF_FFFE
END: Final = 0xFFFF_FFFF

_LENGTH: Final = Struct(">I")
_FRAME: Final = Struct(">IQ")
END_FRAME: Final = _LENGTH.pack(END)


@dataclass(frozen=True, slots=True)
class RangeLimits:
    """Bounds of one range: its records, and the bytes of its body."""

    records_max: int = 200_000
    bytes_max: int = 128 << 20

    def above_a_block(self, records_max: int, bytes_max: int) -> "RangeLimits":
        """These bounds, raised to twice what one block may take, and to the largest record, where they are below."""
        body_bytes_max = 2 * (bytes_max + _FRAME.size * records_max) + _LENGTH.size
        largest = VALUE_BYTES_MAX + _FRAME.size + _LENGTH.size
        return RangeLimits(max(self.records_max, 2 * records_max), max(self.bytes_max, body_bytes_max, largest))


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a body is not the range that was asked for. `is_too_large`: it may be, but it is beyond our bounds."""

    why: str
    is_too_large: bool = False


def body_bytes(record: StoredRecord) -> int:
    """The size of a record's frame."""
    return _FRAME.size + len(record.value or b"")


def encode_frames(records: Iterable[StoredRecord]) -> bytes:
    """The frames of records, without the end."""
    parts = []
    for record in records:
        if record.value is None:
            parts.append(_FRAME.pack(NULL, record.offset))
        else:
            parts += (_FRAME.pack(len(record.value), record.offset), record.value)
    return b"".join(parts)


class RangeReader:
    """Takes a body piece by piece and hashes it from `before` on; keeps at most one frame that is not whole.

    `before` and `target` are heads of one partition and incarnation, the second beyond the first.
    """

    def __init__(self, before: Head, target: Head, limits: RangeLimits) -> None:
        self._target = target
        self._limits = limits
        self._next = before.end_offset
        self._digest = before.chain_digest
        self._records: list[StoredRecord] = []
        self._taken = 0
        self._rest = bytearray()
        self._needed = 0
        """Bytes that the frame at the start of the rest takes, as far as known."""
        self._is_over = False

    def feed(self, data: bytes) -> Wrong | None:
        """Take the next piece. After a `Wrong` nothing more of the body may be read."""
        if self._is_over:
            return Wrong("bytes behind the end") if data else None
        self._taken += len(data)
        if self._taken > self._limits.bytes_max:
            return Wrong(f"more than {self._limits.bytes_max} bytes", is_too_large=True)
        self._rest += data
        if len(self._rest) < self._needed:
            return None
        # One copy for all whole frames; what is left is at most one frame.
        buffer, position = bytes(self._rest), 0
        while not self._is_over:
            step = self._frame(buffer, position)
            if isinstance(step, Wrong):
                return step
            if step == position:
                break
            position = step
        del self._rest[:position]
        return Wrong("bytes behind the end") if self._is_over and self._rest else None

    def finish(self) -> list[StoredRecord] | Wrong:
        """The records of a body that has been fed whole."""
        if not self._is_over:
            return Wrong("it stops before its end")
        return self._records

    def _frame(self, buffer: bytes, position: int) -> int | Wrong:
        """Take the frame at `position`; where the next one begins, or `position` again where this one is not whole."""
        self._needed = 0
        if position + _LENGTH.size > len(buffer):
            return position
        length = int(_LENGTH.unpack_from(buffer, position)[0])
        if length == END:
            self._is_over = True
            return self._wrong_end() or position + _LENGTH.size
        size = 0 if length == NULL else length
        if size > VALUE_BYTES_MAX:
            return Wrong(f"a value of {size} bytes")
        if self._taken - (len(buffer) - position) + _FRAME.size + size > self._limits.bytes_max:
            return Wrong(f"more than {self._limits.bytes_max} bytes", is_too_large=True)
        start = position + _FRAME.size
        self._needed = _FRAME.size + size
        if start + size > len(buffer):
            return position
        offset = int(_FRAME.unpack_from(buffer, position)[1])
        return self._take(offset, None if length == NULL else buffer[start : start + size]) or start + size

    def _take(self, offset: int, value: bytes | None) -> Wrong | None:
        if not self._next <= offset < self._target.end_offset:
            return Wrong(f"offset {offset} where one from {self._next} to {self._target.end_offset - 1} is due")
        if len(self._records) >= self._limits.records_max:
            return Wrong(f"more than {self._limits.records_max} records", is_too_large=True)
        incarnation = self._target.incarnation
        self._digest = digests.chain_next(self._digest, incarnation, offset, digests.value_digest(value))
        self._records.append(StoredRecord(offset, incarnation, value, self._digest))
        self._next = offset + 1
        return None

    def _wrong_end(self) -> Wrong | None:
        if not self._records or (self._next, self._digest) != (self._target.end_offset, self._target.chain_digest):
            return Wrong(f"its records hash to another head than that at offset {self._target.end_offset}")
        return None

"""The bytes of the store. All integers are big-endian.

A log (one per partition, that of final blocks, that of certificates of checkpoints) is a folder of segment files, each
named by the incarnation and the offset (or height) of its first frame. A segment is a header and then frames:

    header  ``magic 8 | format 4 | log 4 | incarnation 4 | first offset 8 | salt 4 | crc 4``
    frame   ``length 4 | crc 4 | kind 1 | incarnation 4 | offset 8 | payload``
    record  payload ``chain digest 32 | value``               kind DATA, or NULL without a value
    final   payload ``header length 4 | header | proof``      kind FINAL, offset = height, incarnation 0
    certificate  payload ``certificate``                      kind CERTIFICATE, offset = height, incarnation 0

`length` counts what follows the crc; the crc is CRC-32 of that, started from `length` xor the segment's salt, so that
it covers both. A kind with the bit SYNCED_BEFORE was written when everything before it in its segment had been synced.
So of a frame that does not read, one can tell whether it may be missing (a crash before its sync) or not (damage). The
salt is random, so that no client can put bytes into a value that pass for such a frame.

The header of any later format keeps its size, and has magic, format and crc where this one has them: so a file of
another format is told from a damaged one.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from backbone.store.values import VALUE_BYTES_MAX, Entry, StoredCertificate, StoredFinal, StoredRecord
from ledger.errors import Halt
from ledger.formats import STORE

MAGIC: Final = b"momusseg"
FINAL_LOG: Final = 0xFFFF_FFFF
"""The log number of final blocks; a partition's is the partition itself."""
CERTIFICATE_LOG: Final = 0xFFFF_FFFE
"""That of the certificates of checkpoints."""

DATA: Final = 1
NULL: Final = 2
FINAL: Final = 3
CERTIFICATE: Final = 4
SYNCED_BEFORE: Final = 0x80

_SEGMENT_HEADER: Final = Struct(">8sIIIQI")
_CRC: Final = Struct(">I")
HEADER_SIZE: Final = _SEGMENT_HEADER.size + _CRC.size
_PREFIX: Final = Struct(">IIBIQ")
PREFIX_SIZE: Final = _PREFIX.size
_LENGTH_AND_CRC: Final = Struct(">II")
_KEY: Final = Struct(">BIQ")
_RECORD: Final = Struct(">BIQ32s")
_HEADER_LENGTH: Final = Struct(">I")
DIGEST_SIZE: Final = 32
_LENGTH_MIN: Final = _KEY.size
LENGTH_MAX: Final = VALUE_BYTES_MAX + 1024
FRAME_MAX: Final = LENGTH_MAX + 8

Position = tuple[int, int]
"""(incarnation, offset): the order in which the frames of a log lie."""


class BadFrame(Halt):
    """The bytes at `position` of a segment are no frame. Internal: it becomes StoreDamaged, or a tail to cut."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class Frame(NamedTuple):
    """A frame found in a buffer: where it begins, its payload begins, and it ends."""

    start: int
    kind: int
    incarnation: int
    offset: int
    payload: int
    end: int


def encode_segment_header(log: int, incarnation: int, first: int, salt: int) -> bytes:
    """The first HEADER_SIZE bytes of a segment."""
    header = _SEGMENT_HEADER.pack(MAGIC, STORE.version, log, incarnation, first, salt)
    return header + _CRC.pack(crc32(header))


def salt_of(buffer: bytes, log: int, incarnation: int, first: int) -> int | None:
    """The salt in the header with which `buffer` begins; None if it does not begin with that segment's header."""
    if len(buffer) < HEADER_SIZE:
        return None
    salt = int(_SEGMENT_HEADER.unpack_from(buffer)[5])
    return salt if buffer[:HEADER_SIZE] == encode_segment_header(log, incarnation, first, salt) else None


def refused_format(buffer: bytes) -> str:
    """What is wrong with a file of ours that begins so and is of another format; empty where it is not."""
    header, crc = buffer[: _SEGMENT_HEADER.size], buffer[_SEGMENT_HEADER.size : HEADER_SIZE]
    if not header.startswith(MAGIC) or crc != _CRC.pack(crc32(header)):
        return ""
    return STORE.refusal(int(_SEGMENT_HEADER.unpack(header)[1]))


def encode_record(record: StoredRecord, flag: int, salt: int) -> bytes:
    """The frame of a record whose size was checked; `flag` is 0 or SYNCED_BEFORE."""
    offset, incarnation, value, chain_digest = record
    if value is None:
        body = _RECORD.pack(NULL | flag, incarnation, offset, chain_digest)
    else:
        body = _RECORD.pack(DATA | flag, incarnation, offset, chain_digest) + value
    length = len(body)
    return _LENGTH_AND_CRC.pack(length, crc32(body, length ^ salt)) + body


def encode_final(final: StoredFinal, flag: int, salt: int) -> bytes:
    """The frame of a final block whose size was checked; `flag` is 0 or SYNCED_BEFORE."""
    key = _KEY.pack(FINAL | flag, 0, final.height)
    body = b"".join((key, _HEADER_LENGTH.pack(len(final.header_bytes)), final.header_bytes, final.proof))
    length = len(body)
    return _LENGTH_AND_CRC.pack(length, crc32(body, length ^ salt)) + body


def encode_certificate(stored: StoredCertificate, flag: int, salt: int) -> bytes:
    """The frame of a certificate whose size was checked; `flag` is 0 or SYNCED_BEFORE."""
    body = _KEY.pack(CERTIFICATE | flag, 0, stored.height) + stored.certificate
    length = len(body)
    return _LENGTH_AND_CRC.pack(length, crc32(body, length ^ salt)) + body


def frames(buffer: bytes, start: int, salt: int) -> Iterator[Frame]:
    """The complete frames of `buffer` from `start` on; ends at the first that `buffer` does not hold whole.

    Raises: BadFrame (position in `buffer`) at one whose length is impossible or whose crc does not match.
    """
    view = memoryview(buffer)
    size = len(buffer)
    unpack = _PREFIX.unpack_from
    position = start
    while position + PREFIX_SIZE <= size:
        length, crc, kind, incarnation, offset = unpack(buffer, position)
        end = position + 8 + length
        if not _LENGTH_MIN <= length <= LENGTH_MAX:
            raise BadFrame(position)
        if end > size:
            return
        if crc32(view[position + 8 : end], length ^ salt) != crc:
            raise BadFrame(position)
        yield Frame(position, kind & ~SYNCED_BEFORE, incarnation, offset, position + PREFIX_SIZE, end)
        position = end


def frame_size(buffer: bytes) -> int:
    """How many bytes the frame at the start of `buffer` takes; PREFIX_SIZE if not even that is known."""
    return PREFIX_SIZE if len(buffer) < PREFIX_SIZE else 8 + int(_PREFIX.unpack_from(buffer)[0])


def record_of(buffer: bytes, frame: Frame) -> StoredRecord:
    """The record in a frame of kind DATA or NULL."""
    value_start = frame.payload + DIGEST_SIZE
    value = None if frame.kind == NULL else buffer[value_start : frame.end]
    return StoredRecord(frame.offset, frame.incarnation, value, buffer[frame.payload : value_start])


def entry_of(buffer: bytes, frame: Frame) -> Entry:
    """The entry of a frame of kind DATA or NULL."""
    value_start = frame.payload + DIGEST_SIZE
    return Entry(frame.offset + 1, buffer[frame.payload : value_start], frame.end - value_start)


def final_of(buffer: bytes, frame: Frame) -> StoredFinal:
    """The final block in a frame of kind FINAL."""
    header = frame.payload + _HEADER_LENGTH.size
    proof = header + int(_HEADER_LENGTH.unpack_from(buffer, frame.payload)[0])
    return StoredFinal(frame.offset, buffer[header:proof], buffer[proof : frame.end])


def certificate_of(buffer: bytes, frame: Frame) -> StoredCertificate:
    """The certificate in a frame of kind CERTIFICATE."""
    return StoredCertificate(frame.offset, buffer[frame.payload : frame.end])


def was_synced(buffer: bytes, position: int, incarnation: int, salt: int) -> bool:
    """Whether something behind `position` proves that the bytes there had been synced: then they are damage."""
    for kind in (DATA, NULL, FINAL, CERTIFICATE):
        mark = bytes((kind | SYNCED_BEFORE,)) + incarnation.to_bytes(4, "big")
        found = buffer.find(mark, position + 9)
        while found >= 0:
            if is_frame(buffer, found - 8, salt):
                return True
            found = buffer.find(mark, found + 1)
    return False


def is_frame(buffer: bytes, position: int, salt: int) -> bool:
    """Whether a whole frame begins at `position`."""
    try:
        return next(frames(buffer, position, salt), None) is not None
    except BadFrame:
        return False

"""What befalls journal, store or database of a validator that is otherwise honest, between two lives of its process.

Such a validator may contradict itself, so its power counts as Byzantine: the kit holds it to one thing only, to halt.
"""

from collections.abc import Iterator
from enum import Enum
from random import Random
from struct import Struct
from typing import Final
from zlib import crc32

_BATCH: Final = Struct(">4sII")


class Mishap(Enum):
    """The value is its name among the faults of the command line."""

    LOST = "lost-journal"
    OLD = "old-journal"
    DAMAGED = "damaged-journal"
    TWICE = "second-instance"
    OLD_STORE = "old-store"
    DIVERGED = "diverged-state"


def damaged(data: bytes, random: Random) -> bytes:
    """A journal with one wrong bit before its last whole batch: no power cut leaves that behind."""
    *_, (start, _) = batches(data)
    place = random.randrange(start or len(data))
    flipped = data[place] ^ 1 << random.randrange(8)
    return data[:place] + bytes([flipped]) + data[place + 1 :]


def batches(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each whole batch of a journal starts and ends, up to the first that is not whole.

    Reads docs/formats.md, not the code that it helps to check.
    """
    start = 0
    while start + _BATCH.size <= len(data):
        magic, length, crc = _BATCH.unpack_from(data, start)
        end = start + _BATCH.size + length
        if magic != b"mjb1" or end > len(data) or crc32(data[start + _BATCH.size : end]) != crc:
            return
        yield start, end
        start = end


def entries(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and bytes of every entry of a journal's whole batches."""
    for start, end in batches(data):
        at = start + _BATCH.size
        while at < end:
            length = int.from_bytes(data[at + 1 : at + 5], "big")
            yield data[at], data[at + 5 : at + 5 + length]
            at += 5 + length

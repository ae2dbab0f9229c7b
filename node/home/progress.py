"""How far the execute process is, in 16 bytes that the order process reads: `height u64 | sum of end offsets u64`.

With the height, the sum says how many records were executed (`node.ordering.ordered`). One aligned write of 16 bytes
into one page: a reader sees all of it or none.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from struct import Struct

from ledger.header import Head

_PROGRESS = Struct(">QQ")


def records_of(heads: Sequence[Head]) -> int:
    """The sum of end offsets, the measure of progress within one incarnation of each partition."""
    return sum(head.end_offset for head in heads)


class ProgressFile:
    """Written by the execute process after each flush; not durable, it is only a hint for `lag_max`."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def write(self, height: int, heads: Sequence[Head]) -> None:
        """Publish the height and heads that are committed in the database."""
        os.pwrite(self._descriptor, _PROGRESS.pack(height, records_of(heads)), 0)

    def read(self) -> tuple[int, int]:
        """(height, sum of end offsets); zeros before the first write."""
        raw = os.pread(self._descriptor, _PROGRESS.size, 0)
        return _PROGRESS.unpack(raw) if len(raw) == _PROGRESS.size else (0, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

"""Removing old segments of a store that others write and read.

Only whole segments go, never the newest of a log, and the oldest first: whoever reads meanwhile finds a store that
begins later. Removing needs no lock, since the writer has only newest segments open.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from backbone.store.files import certificate_folder, final_folder, partition_folder, segments, sync_folder


class PartitionEnd(Protocol):
    """Where the records of a partition end that somebody has read."""

    @property
    def partition(self) -> int: ...
    @property
    def incarnation(self) -> int: ...
    @property
    def end_offset(self) -> int: ...


def prune_store(store: Path, height: int, heads: Sequence[PartitionEnd]) -> int:
    """Remove what lies at or below the block of a height, whose heads are given; how many bytes. Raises: OSError."""
    removed = _prune(final_folder(store), (0, height + 1)) + _prune(certificate_folder(store), (0, height + 1))
    for head in heads:
        removed += _prune(partition_folder(store, head.partition), (head.incarnation, head.end_offset))
    return removed


def _prune(folder: Path, position: tuple[int, int]) -> int:
    """Remove the segments behind each of which one begins at or below `position`."""
    found = segments(folder)
    removed = 0
    for segment, following in pairwise(found):
        if (following.incarnation, following.first) > position:
            break
        size = segment.path.stat().st_size
        segment.path.unlink()
        removed += size
    if removed:
        sync_folder(folder)
    return removed

"""How much room a home has: its folders may lie on disks of their own, by a mount or a link."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from node.home.layout import Home

BYTES_MIN: Final = 256 << 20
FILES_MIN: Final = 1_000
"""With less room, writing ends soon, or has ended."""


@dataclass(frozen=True, slots=True)
class Room:
    """On one disk, for this node. `of`: what lies there. `free_files` None: its file system does not count them."""

    of: str
    free_bytes: int
    free_files: int | None = None
    is_read_only: bool = False

    def what_is_wrong(self) -> str | None:
        """A sentence without its full stop; None where it can be written."""
        if self.is_read_only:
            return f"The disk of {self.of} can only be read"
        if self.free_bytes < BYTES_MIN:
            return f"The disk of {self.of} is full: {self.free_bytes >> 20:,} MiB are free"
        if self.free_files is not None and self.free_files < FILES_MIN:
            return f"The disk of {self.of} is full: {self.free_files:,} more files fit (df -i)"
        return None


def rooms(home: Home) -> Iterator[Room]:
    """Of each disk once, named after the first folder that lies there. What does not answer is left out."""
    folders = {
        "the home": home.path,
        "the store": home.store,
        "the journal": home.journal,
        "the embedded Postgres": home.postgres,
        "the state files": home.run,
    }
    seen: set[int] = set()
    for name, folder in folders.items():
        with suppress(OSError):
            disk, device = os.statvfs(folder), folder.stat().st_dev
            if device not in seen:
                seen.add(device)
                files = disk.f_favail if disk.f_files else None
                yield Room(name, disk.f_bavail * disk.f_frsize, files, bool(disk.f_flag & os.ST_RDONLY))

"""Disks without room: one that the kernel keeps small (needs the right to mount), one that anybody can have."""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.demo.local_node import LocalNode
from tests.faults.signals import pid_of

_BALLAST_BYTES = 1 << 16


@contextmanager
def no_room(node: LocalNode) -> Iterator[None]:
    """No file of the order process, nor of one that its supervisor starts, grows beyond the journal's size of now.

    The kernel refuses such a write (EFBIG), in whole or in part, as a full disk does (ENOSPC).
    """
    pids = [pid_of(node, "supervisor"), pid_of(node, "order")]
    size_bytes = node.home.journal_file.stat().st_size
    try:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
        yield
    finally:
        status = node.status("order")
        for pid in {*pids, *([] if status is None else [status.pid])}:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class SmallDisk:
    """A file system of `size_bytes` in memory, mounted in `folder` for as long. Needs the right to mount."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.folder = folder
        self._size_bytes = size_bytes

    def __enter__(self) -> "SmallDisk":
        self.folder.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={self._size_bytes}", "tmpfs", str(self.folder))
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "--lazy", str(self.folder))

    def take(self, home_folder: Path) -> None:
        """Move a folder of a home onto it; a link stays in its place. The node must be stopped."""
        shutil.move(home_folder, self.folder / home_folder.name)
        home_folder.symlink_to(self.folder / home_folder.name)

    def fill(self) -> None:
        """Leave not a byte."""
        with suppress(OSError), (self.folder / "ballast").open("wb") as ballast:
            while True:
                ballast.write(bytes(_BALLAST_BYTES))

    def clear(self) -> None:
        """Give back what `fill` took."""
        (self.folder / "ballast").unlink()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"`{' '.join(command)}`: {done.stderr.strip()} (this test mounts a disk: run it as root)"
    )

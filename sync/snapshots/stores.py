"""Where snapshots are kept: a folder, or an object store. One folder (prefix) per snapshot, named by its height.

A snapshot is there when its manifest is, which is written last and removed first. What lies in a folder without one is
the beginning of a snapshot, or the end of a removed one, and never offered.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from backbone.store.files import sync_folder, write_durably
from ledger.errors import PeerError, Unavailable
from sync.snapshots import manifest

_DIGITS: Final = 20


class SnapshotStoreUnavailable(Unavailable):
    """What keeps the snapshots did not answer, or said no. The message is its own."""


class PartMissing(PeerError):
    """A file of a snapshot is not there, or is larger than it should be. The message names it."""


class SnapshotStore(Protocol):
    """Keeps snapshots by height. All raise: SnapshotStoreUnavailable."""

    def heights(self) -> list[int]:
        """Of whole snapshots, rising."""

    def read(self, height: int, name: str, size_max: int) -> bytes:
        """A file. Raises: PartMissing."""

    def staging(self, height: int) -> Path:
        """An empty folder of this machine in which to make the files of a snapshot."""

    def publish(self, height: int, document: bytes) -> None:
        """Offer what was made in `staging`, with its manifest. May be called again after it was broken off."""

    def go_on(self) -> None:
        """Offer what was to be offered when `publish` was broken off."""

    def remove(self, height: int) -> None:
        """Offer a snapshot no more, then remove it; also what is left of one, or was begun."""

    def begun(self) -> list[int]:
        """Heights of what lies there without being offered."""


class Folder:
    """A folder of this machine, or of a file system that it has mounted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def heights(self) -> list[int]:
        """As `SnapshotStore`."""
        return [height for height, is_whole in self._found() if is_whole]

    def begun(self) -> list[int]:
        """As `SnapshotStore`."""
        return [height for height, is_whole in self._found() if not is_whole]

    def read(self, height: int, name: str, size_max: int) -> bytes:
        """As `SnapshotStore`."""
        try:
            with (self.folder(height) / name).open("rb") as file:
                data = file.read(size_max + 1)
        except FileNotFoundError as error:
            raise PartMissing(f"{name} of the snapshot of height {height} is missing.") from error
        except OSError as error:
            raise SnapshotStoreUnavailable(str(error)) from error
        if len(data) > size_max:
            raise PartMissing(f"{name} of the snapshot of height {height} is larger than {size_max} bytes.")
        return data

    def staging(self, height: int) -> Path:
        """As `SnapshotStore`: the snapshot's own folder."""
        self.remove(height)
        try:
            self.folder(height).mkdir(parents=True)
            sync_folder(self._path)
        except OSError as error:
            raise SnapshotStoreUnavailable(str(error)) from error
        return self.folder(height)

    def publish(self, height: int, document: bytes) -> None:
        """As `SnapshotStore`: files are durable before the manifest is."""
        folder = self.folder(height)
        try:
            sync_folder(folder)
            write_durably(folder / manifest.NAME, document)
        except OSError as error:
            raise SnapshotStoreUnavailable(str(error)) from error

    def go_on(self) -> None:
        """As `SnapshotStore`: publishing is one step here."""

    def remove(self, height: int) -> None:
        """As `SnapshotStore`."""
        folder = self.folder(height)
        try:
            if (folder / manifest.NAME).exists():
                (folder / manifest.NAME).unlink()
                sync_folder(folder)
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise SnapshotStoreUnavailable(str(error)) from error

    def folder(self, height: int) -> Path:
        """That of a snapshot."""
        return self._path / name_of(height)

    def _found(self) -> Iterator[tuple[int, bool]]:
        try:
            names = sorted(path.name for path in self._path.iterdir()) if self._path.exists() else []
        except OSError as error:
            raise SnapshotStoreUnavailable(str(error)) from error
        for name in names:
            height = height_of(name)
            if height is not None:
                yield height, (self._path / name / manifest.NAME).is_file()


def name_of(height: int) -> str:
    """Twenty digits, so that names sort as heights do."""
    return f"{height:0{_DIGITS}}"


def height_of(name: str) -> int | None:
    """Back from `name_of`."""
    return int(name) if len(name) == _DIGITS and name.isascii() and name.isdigit() else None

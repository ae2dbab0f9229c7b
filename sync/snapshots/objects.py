"""Snapshots in an object store (S3 and what speaks like it, GCS, Azure), through obstore.

Credentials and endpoints are the environment's, as each store's own tools have them (AWS_*, GOOGLE_*, AZURE_*).
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from sync.snapshots import manifest
from sync.snapshots.stores import Folder, PartMissing, SnapshotStoreUnavailable, height_of, name_of

_TIMEOUT: Final = "30s"
_PART_BYTES: Final = 1 << 20
T = TypeVar("T")


class Objects:
    """A bucket, or a prefix of one, as a `SnapshotStore`. Files are made in a folder of this machine, and stay until
    all of them are in the store: so putting them there goes on where it was broken off."""

    def __init__(self, store: ObjectStore, staging: Path) -> None:
        self._store = store
        self._staging = Folder(staging)

    @classmethod
    def at(cls, url: str, staging: Path, options: Mapping[str, str] | None = None) -> "Objects":
        """Of a URL such as ``s3://bucket/prefix``. Raises: SnapshotStoreUnavailable where it is none."""
        config: Any = dict(options or {})
        client: Any = {"timeout": _TIMEOUT, "connect_timeout": _TIMEOUT, "allow_http": True}
        try:
            store: Any = from_url(url, config=config, client_options=client)
        except (BaseError, ValueError, OSError) as error:
            raise SnapshotStoreUnavailable(f"{url} is no object store: {_first_line(error)}") from error
        return cls(store, staging)

    def heights(self) -> list[int]:
        """As `SnapshotStore`."""
        return [height for height in self._folders() if self._size(height, manifest.NAME) is not None]

    def begun(self) -> list[int]:
        """As `SnapshotStore`."""
        whole = self.heights()
        return [height for height in self._folders() if height not in whole]

    def read(self, height: int, name: str, size_max: int) -> bytes:
        """As `SnapshotStore`."""
        try:
            return b"".join(self._parts(height, name, size_max))
        except FileNotFoundError as error:
            raise PartMissing(f"{name} of the snapshot of height {height} is missing.") from error
        except (BaseError, OSError) as error:
            raise SnapshotStoreUnavailable(_first_line(error)) from error

    def _parts(self, height: int, name: str, size_max: int) -> Iterator[bytes]:
        """Whatever the store says of the size, no more is taken than was asked for. Raises: PartMissing, BaseError,
        OSError."""
        size = 0
        for part in obstore.get(self._store, _key(height, name)).stream(_PART_BYTES):
            size += len(part)
            if size > size_max:
                raise PartMissing(f"{name} of the snapshot of height {height} is larger than {size_max} bytes.")
            yield bytes(part)

    def staging(self, height: int) -> Path:
        """As `SnapshotStore`: a folder of this machine."""
        return self._staging.staging(height)

    def publish(self, height: int, document: bytes) -> None:
        """As `SnapshotStore`. What is there in the right size is not put there again."""
        self._staging.publish(height, document)
        self._put(height, document)

    def go_on(self) -> None:
        """As `SnapshotStore`: what is whole in the folder of this machine."""
        for height in self._staging.heights():
            self._put(height, self._staging.read(height, manifest.NAME, manifest.SIZE_MAX))

    def _put(self, height: int, document: bytes) -> None:
        folder = self._staging.folder(height)
        for file in sorted(folder.glob("*.avro")):
            if self._size(height, file.name) != file.stat().st_size:
                _asked(lambda file=file: obstore.put(self._store, _key(height, file.name), file))  # type: ignore[misc]
        _asked(lambda: obstore.put(self._store, _key(height, manifest.NAME), document))
        self._staging.remove(height)

    def remove(self, height: int) -> None:
        """As `SnapshotStore`."""
        if self._size(height, manifest.NAME) is not None:
            _asked(lambda: obstore.delete(self._store, _key(height, manifest.NAME)))
        for batch in _asked(lambda: list(obstore.list(self._store, name_of(height) + "/"))):
            paths = [item["path"] for item in batch]
            _asked(lambda paths=paths: obstore.delete(self._store, paths))  # type: ignore[misc]
        self._staging.remove(height)

    def _folders(self) -> list[int]:
        found = _asked(lambda: obstore.list_with_delimiter(self._store, None))
        names = (prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"])
        return sorted(height for height in map(height_of, names) if height is not None)

    def _size(self, height: int, name: str) -> int | None:
        """In bytes; None: it is not there."""
        try:
            return int(obstore.head(self._store, _key(height, name))["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise SnapshotStoreUnavailable(_first_line(error)) from error


def _key(height: int, name: str) -> str:
    return f"{name_of(height)}/{name}"


def _asked(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (BaseError, OSError) as error:
        raise SnapshotStoreUnavailable(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

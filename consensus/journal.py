"""The journal: every statement of this validator, durable before it is sent; and the last final block.

A file of its own, made once by `create` (that is, by `momus init`) and never by opening. Big-endian:

    file    a batch of one HEADER entry, then batches
    batch   ``magic 4 | length 4 | crc 4 | entries``     one write and one fsync; crc-32 over the entries
    entry   ``kind 1 | length 4 | bytes``
    HEADER  ``format 4 | genesis digest 32 | public key 32``
    OWN     ``view 8 | the message as it is sent``
    FINAL   ``finalization's view 8 | the record of the blocks topic``
    CHECKPOINT  the header of the last final checkpoint block, empty for genesis
    POSITION    ``offset 8 | topic``     read up to here

A batch that the machine did not finish is the last one and was never sent: it is cut. Any other damage is a lost
journal: the key must not sign again.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from struct import Struct
from typing import Final
from zlib import crc32

from consensus.errors import JournalFailed, JournalLocked, JournalLost

_MAGIC: Final = b"mjb1"
_BATCH: Final = Struct(">4sII")
_ENTRY: Final = Struct(">BI")
_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_FORMAT: Final = 1
_HEADER, _OWN, _FINAL, _CHECKPOINT, _POSITION = range(5)

COMPACT_BYTES: Final = 1 << 20
"""A file above this size is written anew when nothing stands against it."""


class JournalExists(Exception):
    """There is a journal already; it is never overwritten."""


class Journal:
    """Open, locked and repaired. One thread uses it.

    Nothing of ours is sent but what `commit` returns, and that is durable.
    Raises (all writing): JournalFailed.
    """

    def __init__(
        self,
        path: Path,
        genesis_digest: bytes,
        public_key: bytes,
        on_durable: Callable[[str], None] = lambda name: None,
        compact_bytes: int = COMPACT_BYTES,
    ) -> None:
        """Raises: JournalLost, JournalLocked."""
        self._path = path
        self._header = _header(genesis_digest, public_key)
        self._on_durable = on_durable
        self._compact_bytes = compact_bytes
        self._pending: list[tuple[int, bytes]] = []
        self._own: list[tuple[int, bytes]] = []
        self._finals: list[tuple[int, bytes]] = []
        self._checkpoint = b""
        self.positions: dict[str, int] = {}
        """Topic -> offset of the next record to read, as last written."""
        self._lock = _lock(path)
        try:
            self._fd = self._open()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def own(self) -> tuple[bytes, ...]:
        """Our statements above the last final block's finalization, in the order in which they were signed."""
        return tuple(value for _, value in self._own)

    @property
    def finals(self) -> tuple[bytes, ...]:
        """The newest final blocks as records of `blocks`, by rising height; at least the last one, if there is one."""
        return tuple(value for _, value in self._finals)

    @property
    def checkpoint(self) -> bytes:
        """The header of the last checkpoint block up to the last final one; empty: genesis."""
        return self._checkpoint

    def add_own(self, view: int, value: bytes) -> None:
        """A signed statement, to be durable and then sent."""
        self._pending.append((_OWN, _U64.pack(view) + value))

    def add_final(self, view: int, value: bytes, checkpoint: bytes) -> None:
        """A final block and the view of its finalization, to be durable before the store is given it."""
        self._pending.append((_FINAL, _U64.pack(view) + value))
        if checkpoint != self._checkpoint:
            self._pending.append((_CHECKPOINT, checkpoint))

    def add_positions(self, positions: Mapping[str, int]) -> None:
        """How far topics have been read: offsets of the next record, by topic."""
        self._pending.extend((_POSITION, _U64.pack(offset) + topic.encode()) for topic, offset in positions.items())

    def commit(self) -> tuple[bytes, ...]:
        """Make all that was added durable with one sync; our statements of it, free to be sent now."""
        if not self._pending:
            return ()
        entries, self._pending = self._pending, []
        self._on_durable("journal.before")
        try:
            _write(self._fd, _batch(entries))
            os.fdatasync(self._fd)
        except OSError as error:
            raise JournalFailed(f"Writing the journal {self._path} failed: {error}.") from error
        self._on_durable("journal.after")
        for kind, data in entries:
            self._apply(kind, data)
        return tuple(data[_U64.size :] for kind, data in entries if kind == _OWN)

    @property
    def is_grown(self) -> bool:
        """Whether it is time to `compact`."""
        return bool(self._finals) and os.fstat(self._fd).st_size >= self._compact_bytes

    def compact(self, positions: Mapping[str, int]) -> None:
        """Write the file anew: the last final block, what is above it, how far topics were read.

        The store must hold every final block by now. Safe at any moment: a rename replaces the file.
        """
        assert not self._pending
        self.positions = dict(positions)
        entries = [(_CHECKPOINT, self._checkpoint), (_FINAL, _joined(self._finals[-1]))]
        entries += [(_OWN, _joined(own)) for own in self._own]
        entries += [(_POSITION, _U64.pack(offset) + topic.encode()) for topic, offset in positions.items()]
        self._on_durable("compact.before")
        try:
            _replace(self._path, [self._header, _batch(entries)])
            os.close(self._fd)
            self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise JournalFailed(f"Writing the journal {self._path} anew failed: {error}.") from error
        self._on_durable("compact.after")
        del self._finals[:-1]

    def close(self) -> None:
        """Give up the lock. What was added and not committed is gone, and was never sent."""
        os.close(self._fd)
        os.close(self._lock)

    def _open(self) -> int:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError as error:
            raise _lost(self._path, "it is not there") from error
        if not data.startswith(self._header):
            raise _lost(self._path, "it begins with another chain, another key, or damage")
        end = 0
        for entries, batch_end in _batches(self._path, data):
            end = batch_end
            for kind, body in entries:
                self._apply(kind, body)
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND)
        if end < len(data):
            os.ftruncate(fd, end)
        os.fsync(fd)
        return fd

    def _apply(self, kind: int, data: bytes) -> None:
        if kind == _OWN:
            self._own.append(_parted(data))
        elif kind == _FINAL:
            final = _parted(data)
            self._finals.append(final)
            self._own = [own for own in self._own if own[0] > final[0]]
        elif kind == _CHECKPOINT:
            self._checkpoint = data
        elif kind == _POSITION:
            offset, topic = _parted(data)
            self.positions[topic.decode()] = offset


def create(path: Path, genesis_digest: bytes, public_key: bytes) -> None:
    """Make the journal of a key that has never signed. Raises: JournalExists."""
    if path.exists():
        raise JournalExists(f"There is a journal at {path} already.")
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, [_header(genesis_digest, public_key)])


def _header(genesis_digest: bytes, public_key: bytes) -> bytes:
    return _batch([(_HEADER, _U32.pack(_FORMAT) + genesis_digest + public_key)])


def _batch(entries: list[tuple[int, bytes]]) -> bytes:
    body = b"".join(_ENTRY.pack(kind, len(data)) + data for kind, data in entries)
    return _BATCH.pack(_MAGIC, len(body), crc32(body)) + body


def _batches(path: Path, data: bytes) -> Iterator[tuple[list[tuple[int, bytes]], int]]:
    """Each whole batch and where it ends. Raises: JournalLost where a bad one is not the last."""
    at = 0
    while at < len(data):
        end = _batch_end(data, at)
        if end is None:
            if _any_batch_behind(data, at + 1):
                raise _lost(path, f"a batch at byte {at} does not read back, though others follow it")
            return
        yield list(_entries(data[at + _BATCH.size : end])), end
        at = end


def _batch_end(data: bytes, at: int) -> int | None:
    """Where the batch at `at` ends; None if there is no whole and good one."""
    if at + _BATCH.size > len(data):
        return None
    magic, length, crc = _BATCH.unpack_from(data, at)
    start = at + _BATCH.size
    good = magic == _MAGIC and start + length <= len(data) and crc32(data[start : start + length]) == crc
    return start + length if good else None


def _any_batch_behind(data: bytes, at: int) -> bool:
    found = data.find(_MAGIC, at)
    while found >= 0:
        if _batch_end(data, found) is not None:
            return True
        found = data.find(_MAGIC, found + 1)
    return False


def _entries(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        kind, length = _ENTRY.unpack_from(body, at)
        at += _ENTRY.size + length
        yield kind, body[at - length : at]


def _joined(numbered: tuple[int, bytes]) -> bytes:
    return _U64.pack(numbered[0]) + numbered[1]


def _parted(data: bytes) -> tuple[int, bytes]:
    return int(_U64.unpack_from(data)[0]), data[_U64.size :]


def _lost(path: Path, what: str) -> JournalLost:
    return JournalLost(
        f"The journal {path} is lost: {what}. Without its complete journal this key must never sign again, or it could "
        "contradict what it said: put the file back as it was, or give this validator a fresh key."
    )


def _lock(path: Path) -> int:
    if not path.parent.is_dir():
        raise _lost(path, "its folder is not there")
    fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise JournalLocked(f"Another process runs with the journal {path}. One process per key.") from error
    return fd


def _replace(path: Path, parts: list[bytes]) -> None:
    """Write a file beside `path`, make it durable, and put it in its place."""
    beside = path.with_name(path.name + ".new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write(fd, b"".join(parts))
        os.fsync(fd)
    finally:
        os.close(fd)
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

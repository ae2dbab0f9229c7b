"""The files of one topic of the embedded log.

``<topic>.topic`` holds the topic's id; ``<topic>.<id>.sqlite`` its records. A recreated topic has files of another
name: SQLite deletes files beside a database by their name, and a late reader of the old topic must not do that to the
new one.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from backbone.log import (
    LogRecord,
    LogUnavailable,
    LogUnusable,
    TopicExists,
    TopicInfo,
    TopicMissing,
    TopicSpec,
    sentences,
)
from ledger.formats import EMBEDDED_LOG

OFFSET_BITS: Final = 48
"""A record's rowid is `partition << 48 | offset`: a partition is one range of one b-tree."""
BUSY_TIMEOUT_MS: Final = 10_000

_SCHEMA: Final = """
CREATE TABLE topic (id TEXT NOT NULL, partitions INTEGER NOT NULL, settings TEXT NOT NULL) STRICT;
CREATE TABLE ends (partition INTEGER PRIMARY KEY, first INTEGER NOT NULL, next INTEGER NOT NULL) STRICT;
CREATE TABLE records (id INTEGER PRIMARY KEY, key BLOB, value BLOB) STRICT;
"""
_PATIENCE: Final = f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}"
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=4000",
)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class TopicFile:
    """An open connection to a topic; any thread may use it, one at a time.

    Raises: TopicMissing, LogUnavailable, LogUnusable.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._pointer = pointer(folder, name)
        try:
            self._path = _records(folder, name, self._pointer.read_text())
        except OSError as error:
            raise TopicMissing(sentences.missing(name)) from error
        except ValueError as error:
            raise damaged(self._pointer, error) from error
        if not self.is_current():
            raise TopicMissing(sentences.missing(name))
        with self.unavailable():
            self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                topic_id, partitions, settings = self._opened()
            except BaseException:
                self._connection.close()
                raise
        self.info = TopicInfo(name, topic_id, partitions, 1, json.loads(settings))

    def _opened(self) -> Any:
        """The topic's row. A file that is refused is left as it is."""
        self._connection.execute(_PATIENCE)
        refused = EMBEDDED_LOG.refusal(_format(self._connection))
        if refused:
            raise LogUnusable(f"The embedded log's file {self._path} {refused}.")
        if not self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'topic'").fetchone():
            raise damaged(self._path, "it has no tables")  # they are made before the topic is there
        for pragma in _PRAGMAS:
            self._connection.execute(pragma)
        return self._connection.execute("SELECT * FROM topic").fetchone()

    def is_current(self) -> bool:
        """Whether this is still the topic of its name."""
        return self._path.exists()

    def is_replaced(self) -> bool:
        """Whether there is one of this name now, for a topic that is not current."""
        return self._pointer.exists()

    def version(self) -> int:
        """Changes whenever another connection has written."""
        with self.unavailable():
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    @contextmanager
    def transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        """IMMEDIATE: durable when the block is left, nothing of it where it raises. DEFERRED: one view of all."""
        with self.unavailable():
            self._connection.execute(f"BEGIN {kind}")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """SQLite's errors, as the port names them."""
        try:
            yield
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in _DAMAGED:
                raise damaged(self._path, error) from error
            raise LogUnavailable(f"The embedded log's topic {self.name} does not answer: {error}.") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def damaged(path: Path, why: object) -> LogUnusable:
    """The error that names the file and the remedy."""
    return LogUnusable(
        f"The embedded log's file {path} is damaged: {why}. Put it back from a copy; what is final is in every "
        "node's store."
    )


def pointer(folder: Path, name: str) -> Path:
    """The file that says which records are the topic's. Raises: TopicMissing where that is no name of a topic."""
    if not name or not name.isascii() or any(mark in name for mark in "/\\\0") or name.startswith("."):
        raise TopicMissing(f"{name!r} is no name of a topic.")
    return folder / f"{name}.topic"


def _format(connection: sqlite3.Connection) -> int:
    """The first one was not written down."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0]) or 1


def _records(folder: Path, name: str, topic_id: str) -> Path:
    return folder / f"{name}.{topic_id}.sqlite"


def create(folder: Path, spec: TopicSpec) -> None:
    """The records first, then the pointer: a topic is there whole or not at all. Raises: TopicExists, OSError."""
    topic_id = secrets.token_hex(16)
    path = _records(folder, spec.name, topic_id)
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version={EMBEDDED_LOG.version}")
        row = (topic_id, spec.partitions, json.dumps(dict(spec.settings)))
        connection.execute("INSERT INTO topic VALUES (?, ?, ?)", row)
        connection.executemany("INSERT INTO ends VALUES (?, 0, 0)", [(p,) for p in range(spec.partitions)])
    connection.close()
    try:
        put_new(pointer(folder, spec.name), topic_id)
    except FileExistsError as error:
        path.unlink()
        raise TopicExists(sentences.exists(spec.name)) from error


def delete(folder: Path, name: str) -> None:
    """The pointer first. Raises: TopicMissing."""
    where = pointer(folder, name)
    try:
        path = _records(folder, name, where.read_text())
        where.unlink()
    except OSError as error:
        raise TopicMissing(sentences.missing(name)) from error
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def put_new(path: Path, content: str) -> None:
    """Write a small file that nobody ever sees half-written, durably. Raises: FileExistsError, OSError."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with fresh.open("w") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        path.hardlink_to(fresh)
    finally:
        fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def ends(connection: sqlite3.Connection) -> dict[int, tuple[int, int]]:
    """First and next offset of every partition."""
    rows = connection.execute("SELECT partition, first, next FROM ends").fetchall()
    return {partition: (first, end) for partition, first, end in rows}


def append(
    connection: sqlite3.Connection, records: Sequence[tuple[int, bytes | None, bytes]], next_offsets: Mapping[int, int]
) -> list[int]:
    """Write (partition, key, value) behind the ends `next_offsets`; their offsets."""
    after = dict(next_offsets)
    offsets, rows = [], []
    for partition, key, value in records:
        offset = after[partition]
        after[partition] = offset + 1
        offsets.append(offset)
        rows.append((_rowid(partition, offset), key, value))
    connection.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
    connection.executemany("UPDATE ends SET next = ? WHERE partition = ?", [(end, p) for p, end in after.items()])
    return offsets


def compact(connection: sqlite3.Connection, newest: Mapping[tuple[int, bytes], int]) -> None:
    """Delete what is older than `newest`, (partition, key) -> offset, and has the same key."""
    ranges = [(_rowid(partition, 0), _rowid(partition, offset), key) for (partition, key), offset in newest.items()]
    connection.executemany("DELETE FROM records WHERE id >= ? AND id < ? AND key = ?", ranges)


def read(
    connection: sqlite3.Connection, name: str, partition: int, position: int, records_max: int, bytes_max: int
) -> list[LogRecord]:
    """Records from `position` on, in order; one at least, if there are any, whatever its size."""
    rows = connection.execute(
        "SELECT id, key, value FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (_rowid(partition, position), _rowid(partition + 1, 0), records_max),
    )
    found: list[LogRecord] = []
    base = _rowid(partition, 0)
    for rowid, key, value in rows:
        found.append(LogRecord(name, partition, rowid - base, key, value))
        bytes_max -= len(value or b"")
        if bytes_max <= 0:
            break
    return found


def cut(connection: sqlite3.Connection, partition: int, from_offset: int, to_offset: int | None) -> None:
    """Delete a range of a partition's records; None: to its end."""
    stop = _rowid(partition + 1, 0) if to_offset is None else _rowid(partition, to_offset)
    connection.execute("DELETE FROM records WHERE id >= ? AND id < ?", (_rowid(partition, from_offset), stop))


def _rowid(partition: int, offset: int) -> int:
    return partition << OFFSET_BITS | offset

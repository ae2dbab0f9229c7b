"""The log on one machine without a server: one SQLite file (WAL, synced on commit) per topic in a folder.

Several processes read and write it at once. A record's rowid is `partition << 48 | offset`, so a partition is one
range of one b-tree. What a producer was sent is written by its `poll` and `flush`, all of it in one transaction.
"""

import json
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from backbone.log import (
    Delivery,
    LogBackPressure,
    LogReader,
    LogRecord,
    LogUnavailable,
    PositionLost,
    TopicExists,
    TopicInfo,
    TopicMissing,
    TopicSpec,
)

OFFSET_BITS: Final = 48
VALUE_BYTES_DEFAULT_MAX: Final = 1_048_588
"""Kafka's default of `max.message.bytes`."""
QUEUE_RECORDS_MAX: Final = 100_000
QUEUE_BYTES_MAX: Final = 256 << 20
READ_BYTES_MAX: Final = 32 << 20
POLL_S: Final = 0.002
BUSY_TIMEOUT_MS: Final = 10_000

_SCHEMA: Final = """
CREATE TABLE topic (id TEXT NOT NULL, partitions INTEGER NOT NULL, settings TEXT NOT NULL) STRICT;
CREATE TABLE ends (partition INTEGER PRIMARY KEY, first INTEGER NOT NULL, next INTEGER NOT NULL) STRICT;
CREATE TABLE records (id INTEGER PRIMARY KEY, key BLOB, value BLOB) STRICT;
"""


class EmbeddedLog:
    """A log in `folder`, which is made if it is not there."""

    def __init__(self, folder: Path, queue_records_max: int = QUEUE_RECORDS_MAX) -> None:
        self._folder = folder
        self._queue_records_max = queue_records_max
        folder.mkdir(parents=True, exist_ok=True)
        self._cluster_id = _cluster_id(folder / "cluster-id")

    def cluster_id(self) -> str:
        """See `Log`."""
        return self._cluster_id

    def describe(self, topic: str) -> TopicInfo:
        """See `Log`."""
        return _Topic(self._path(topic), topic).info

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """See `Log`."""
        for spec in specs:
            if self._path(spec.name).exists():
                raise TopicExists(f"The topic {spec.name} exists already; it is not overwritten.")
        for spec in specs:
            self._create(spec)

    def delete(self, topics: Sequence[str]) -> None:
        """See `Log`."""
        for topic in topics:
            path = self._path(topic)
            if not path.exists():
                raise TopicMissing(_missing(topic))
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def alter(self, topic: str, settings: Mapping[str, str]) -> None:
        """Change settings, as an operator may. For tools and tests."""
        opened = _Topic(self._path(topic), topic)
        changed = json.dumps({**opened.info.settings, **settings})
        with _unavailable(topic), opened.transaction() as connection:
            connection.execute("UPDATE topic SET settings = ?", (changed,))

    def truncate(self, topic: str, partition: int, end_offset: int) -> None:
        """Lose the records from `end_offset` on, as an unclean election does. For tools and tests."""
        self._cut(topic, "DELETE FROM records WHERE id >= ? AND id < ?", partition, end_offset, partition + 1, 0)
        self._set_end(topic, "UPDATE ends SET next = min(next, ?) WHERE partition = ?", end_offset, partition)

    def prune(self, topic: str, partition: int, first_offset: int) -> None:
        """Delete the records below `first_offset`, as retention does. For tools and tests."""
        self._cut(topic, "DELETE FROM records WHERE id >= ? AND id < ?", partition, 0, partition, first_offset)
        self._set_end(topic, "UPDATE ends SET first = max(first, ?) WHERE partition = ?", first_offset, partition)

    def producer(self) -> "EmbeddedProducer":
        """See `Log`."""
        return EmbeddedProducer(self._path, self._queue_records_max)

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        """See `Log`."""
        return EmbeddedReader(_Topic(self._path(topic), topic), positions)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _path(self, topic: str) -> Path:
        if not topic or "/" in topic or topic.startswith("."):
            raise TopicMissing(f"{topic!r} is no name of a topic.")
        return self._folder / f"{topic}.sqlite"

    def _create(self, spec: TopicSpec) -> None:
        """Under another name first: a topic is there whole or not at all."""
        path = self._path(spec.name)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with _unavailable(spec.name):
            connection = sqlite3.connect(fresh)
            connection.executescript(_SCHEMA)
            row = (secrets.token_hex(16), spec.partitions, json.dumps(dict(spec.settings)))
            connection.execute("INSERT INTO topic VALUES (?, ?, ?)", row)
            connection.executemany("INSERT INTO ends VALUES (?, 0, 0)", [(p,) for p in range(spec.partitions)])
            connection.commit()
            connection.close()
            try:
                path.hardlink_to(fresh)
            except FileExistsError as error:
                raise TopicExists(f"The topic {spec.name} exists already; it is not overwritten.") from error
            finally:
                fresh.unlink()

    def _cut(self, topic: str, statement: str, from_p: int, from_o: int, to_p: int, to_o: int) -> None:
        with _unavailable(topic), _Topic(self._path(topic), topic).transaction() as connection:
            connection.execute(statement, (_rowid(from_p, from_o), _rowid(to_p, to_o)))

    def _set_end(self, topic: str, statement: str, offset: int, partition: int) -> None:
        with _unavailable(topic), _Topic(self._path(topic), topic).transaction() as connection:
            connection.execute(statement, (offset, partition))


class EmbeddedProducer:
    """See `LogProducer`. What was sent is in memory until `poll` or `flush` has written it."""

    def __init__(self, path_of: Callable[[str], Path], queue_records_max: int) -> None:
        self._path_of = path_of
        self._queue_records_max = queue_records_max
        self._topics: dict[str, _Topic] = {}
        self._queue: deque[_Sent] = deque()
        self._queued_bytes = 0

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        """See `LogProducer`."""
        if len(self._queue) >= self._queue_records_max or self._queued_bytes + len(value) > QUEUE_BYTES_MAX:
            raise LogBackPressure("The producer's queue is full: call poll and send again.")
        self._topic(topic)
        self._queue.append((topic, partition, key, value, on_delivery))
        self._queued_bytes += len(value)

    def poll(self, timeout_ms: int) -> int:
        """See `LogProducer`; there is nothing to wait for."""
        return self._write_all()

    def flush(self, timeout_ms: int) -> int:
        """See `LogProducer`."""
        self._write_all()
        return len(self._queue)

    def close(self) -> None:
        """What was not flushed is gone."""
        for topic in self._topics.values():
            topic.close()
        self._topics.clear()

    def _topic(self, name: str) -> "_Topic":
        known = self._topics.get(name)
        if known is None or not known.is_current():
            known = self._topics[name] = _Topic(self._path_of(name), name)
        return known

    def _write_all(self) -> int:
        queue, self._queue, self._queued_bytes = self._queue, deque(), 0
        served = 0
        for name in dict.fromkeys(sent[0] for sent in queue):
            sent_here = [sent for sent in queue if sent[0] == name]
            deliveries = self._write(name, sent_here)
            for sent, delivery in zip(sent_here, deliveries, strict=True):
                served += 1
                if sent[4] is not None:
                    sent[4](delivery)
        return served

    def _write(self, name: str, sent: "list[_Sent]") -> list[Delivery]:
        try:
            topic = self._topic(name)
            with _unavailable(name), topic.transaction() as connection:
                return _insert(connection, topic.info, sent)
        except (LogUnavailable, TopicMissing) as error:
            return [Delivery(name, partition, -1, str(error)) for _, partition, _, _, _ in sent]


class EmbeddedReader:
    """See `LogReader`."""

    def __init__(self, topic: "_Topic", positions: Mapping[int, int]) -> None:
        self._topic = topic
        self._next = dict(positions)
        self._targets = {p: end for p, (_, end) in topic.ends().items() if p in self._next}
        if unknown := self._next.keys() - self._targets.keys():
            raise TopicMissing(f"The topic {topic.name} has no partition {min(unknown)}.")
        self._version = -1

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`."""
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            if not self._topic.is_current():
                self._fail_replaced()
            if found := self._read_changed(records_max):
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            time.sleep(min(POLL_S, left))

    def at_end(self) -> bool:
        """See `LogReader`."""
        return all(self._next[partition] >= end for partition, end in self._targets.items())

    def close(self) -> None:
        """Close the file."""
        self._topic.close()

    def _fail_replaced(self) -> None:
        if self._topic.path.exists():
            raise PositionLost(f"The topic {self._topic.name} was recreated: what was read of it is gone from the log.")
        raise TopicMissing(_missing(self._topic.name))

    def _read_changed(self, records_max: int) -> list[LogRecord]:
        """Nothing if no other connection has committed since everything there was had been read."""
        with _unavailable(self._topic.name):
            version = self._topic.connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:
                return []
            found = self._read_now(records_max)
            if len(found) < records_max and sum(len(record.value or b"") for record in found) < READ_BYTES_MAX:
                self._version = version
            return found

    def _read_now(self, records_max: int) -> list[LogRecord]:
        ends = self._topic.ends()
        found: list[LogRecord] = []
        for partition, position in self._next.items():
            first, end = ends[partition]
            if not first <= position <= end:
                raise PositionLost(
                    f"Offset {position} of {self._topic.name}, partition {partition}, is not in the log any more, "
                    f"which holds {first} to {end}: it was truncated or pruned."
                )
            if position < end and len(found) < records_max:
                found += self._read_partition(partition, position, records_max - len(found))
        return found

    def _read_partition(self, partition: int, position: int, records_max: int) -> list[LogRecord]:
        rows = self._topic.connection.execute(
            "SELECT id, key, value FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (_rowid(partition, position), _rowid(partition + 1, 0), records_max),
        )
        found: list[LogRecord] = []
        size = 0
        base, name = _rowid(partition, 0), self._topic.name
        for rowid, key, value in rows:
            found.append(LogRecord(name, partition, rowid - base, key, value))
            size += len(value or b"")
            if size >= READ_BYTES_MAX:
                break
        if found:
            self._next[partition] = found[-1].offset + 1
        return found


_Sent = tuple[str, int, bytes | None, bytes | None, Callable[[Delivery], None] | None]


class _Topic:
    """An open file of a topic. Raises: TopicMissing."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        try:
            self._inode = path.stat().st_ino
        except OSError as error:
            raise TopicMissing(_missing(name)) from error
        with _unavailable(name):
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL"):
                self.connection.execute(f"PRAGMA {pragma}")
            self.connection.execute("PRAGMA wal_autocheckpoint=4000")
            topic_id, partitions, settings = self.connection.execute("SELECT * FROM topic").fetchone()
        self.info = TopicInfo(name, topic_id, partitions, 1, json.loads(settings))

    def is_current(self) -> bool:
        """Whether the topic's file is still the one that was opened."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def ends(self) -> dict[int, tuple[int, int]]:
        """First and next offset of every partition."""
        with _unavailable(self.name):
            rows = self.connection.execute("SELECT partition, first, next FROM ends").fetchall()
        return {partition: (first, end) for partition, first, end in rows}

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: durable when the block is left, nothing of it when it raises."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def close(self) -> None:
        self.connection.close()


def _insert(connection: sqlite3.Connection, info: TopicInfo, sent: list[_Sent]) -> list[Delivery]:
    """Write the records behind the ends of their partitions; a delivery for each, in order."""
    size_max = int(info.settings.get("max.message.bytes", VALUE_BYTES_DEFAULT_MAX))
    ends = dict(connection.execute("SELECT partition, next FROM ends").fetchall())
    rows: list[tuple[int, bytes | None, bytes | None]] = []
    deliveries = []
    for name, partition, key, value, _ in sent:
        if partition not in ends:
            deliveries.append(Delivery(name, partition, -1, f"The topic {name} has no partition {partition}."))
        elif value is not None and len(value) > size_max:
            deliveries.append(Delivery(name, partition, -1, f"A value of {len(value)} bytes is over {size_max}."))
        else:
            offset = ends[partition]
            ends[partition] = offset + 1
            rows.append((_rowid(partition, offset), key, value))
            deliveries.append(Delivery(name, partition, offset, None))
    connection.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
    connection.executemany("UPDATE ends SET next = ? WHERE partition = ?", [(end, p) for p, end in ends.items()])
    return deliveries


def _rowid(partition: int, offset: int) -> int:
    return partition << OFFSET_BITS | offset


def _missing(topic: str) -> str:
    return f"The topic {topic} does not exist. `momus init` creates the topics of a chain."


@contextmanager
def _unavailable(topic: str) -> Iterator[None]:
    """SQLite's errors, as the port names them."""
    try:
        yield
    except sqlite3.Error as error:
        raise LogUnavailable(f"The embedded log's topic {topic} does not answer: {error}.") from error


def _cluster_id(path: Path) -> str:
    """The folder's identity, drawn by whoever comes first."""
    fresh = path.with_name(f".cluster-id.{secrets.token_hex(4)}")
    fresh.write_text(secrets.token_hex(16))
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text()

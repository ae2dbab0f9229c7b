"""The log on one machine without a server: one SQLite database (WAL, synced on commit) per topic in a folder.

Several processes read and write it at once. What a producer was sent is written by its `poll` and `flush`, all of it
for one topic in one transaction; a reader looks for news every few milliseconds.
"""

import json
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from backbone.log import (
    READ_BYTES_MAX,
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
    embedded_file,
    sentences,
)
from backbone.log.embedded_fenced import EmbeddedFencedWriter
from backbone.log.embedded_file import TopicFile, ends

VALUE_BYTES_DEFAULT_MAX: Final = 1_048_588
"""Kafka's default of `max.message.bytes`."""
QUEUE_RECORDS_MAX: Final = 100_000
QUEUE_BYTES_MAX: Final = 256 << 20
PAUSE_S: Final = 0.001
PAUSE_S_MAX: Final = 0.02
PAUSE_SHARE: Final = 20
"""Between two looks for news: a 20th of the time since the last news, within bounds. Waking is what an idle node pays
for, so its readers look rarely; in a busy one they look often."""

_Sent = tuple[str, int, bytes | None, bytes, Callable[[Delivery], None] | None]


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
        file = TopicFile(self._folder, topic)
        file.close()
        return file.info

    def begin(self, topic: str, partition: int) -> int:
        """See `Log`."""
        found = self._ends(topic)
        if partition not in found:
            raise TopicMissing(sentences.no_partition(topic, partition))
        return found[partition][0]

    def ends(self, topic: str) -> Mapping[int, int]:
        """See `Log`."""
        return {partition: end for partition, (_, end) in self._ends(topic).items()}

    def _ends(self, topic: str) -> dict[int, tuple[int, int]]:
        file = TopicFile(self._folder, topic)
        try:
            with file.transaction("DEFERRED") as connection:
                return ends(connection)
        finally:
            file.close()

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """See `Log`."""
        for spec in specs:
            if embedded_file.pointer(self._folder, spec.name).exists():
                raise TopicExists(sentences.exists(spec.name))
        made: list[str] = []
        try:
            for spec in specs:
                embedded_file.create(self._folder, spec)
                made.append(spec.name)
        except (TopicExists, OSError, sqlite3.Error) as error:
            self.delete(made)
            if isinstance(error, TopicExists):
                raise
            raise LogUnavailable(f"The topic {spec.name} cannot be created: {error}.") from error

    def delete(self, topics: Sequence[str]) -> None:
        """See `Log`."""
        for topic in topics:
            embedded_file.delete(self._folder, topic)

    def alter(self, topic: str, settings: Mapping[str, str]) -> None:
        """Change settings, as an operator may. For tools and tests."""
        file = TopicFile(self._folder, topic)
        with file.transaction("IMMEDIATE") as connection:
            connection.execute("UPDATE topic SET settings = ?", (json.dumps({**file.info.settings, **settings}),))
        file.close()

    def truncate(self, topic: str, partition: int, end_offset: int) -> None:
        """Lose the records from `end_offset` on, as an unclean election does. For tools and tests."""
        self._cut(topic, partition, end_offset, None, "UPDATE ends SET next = min(next, ?) WHERE partition = ?")

    def prune(self, topic: str, partition: int, first_offset: int) -> None:
        """Delete the records below `first_offset`, as retention does. For tools and tests."""
        self._cut(topic, partition, 0, first_offset, "UPDATE ends SET first = max(first, ?) WHERE partition = ?")

    def producer(self) -> "EmbeddedProducer":
        """See `Log`."""
        return EmbeddedProducer(self._folder, self._queue_records_max)

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        """See `Log`."""
        return EmbeddedReader(TopicFile(self._folder, topic), positions)

    def fenced_writer(self, topic: str, name: str) -> EmbeddedFencedWriter:
        """See `FencingLog`."""
        return EmbeddedFencedWriter(self._folder, topic)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _cut(self, topic: str, partition: int, from_offset: int, to_offset: int | None, mark: str) -> None:
        file = TopicFile(self._folder, topic)
        with file.transaction("IMMEDIATE") as connection:
            embedded_file.cut(connection, partition, from_offset, to_offset)
            connection.execute(mark, (from_offset if to_offset is None else to_offset, partition))
        file.close()


class EmbeddedProducer:
    """See `LogProducer`. What was sent is in memory until `poll` or `flush` has written it."""

    def __init__(self, folder: Path, queue_records_max: int) -> None:
        self._folder = folder
        self._queue_records_max = queue_records_max
        self._files: dict[str, TopicFile] = {}
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
        """See `LogProducer`. Raises also: LogUnavailable."""
        if len(self._queue) >= self._queue_records_max or self._queued_bytes + len(value) > QUEUE_BYTES_MAX:
            raise LogBackPressure(sentences.FULL)
        if topic not in self._files:
            self._file(topic)
        self._queue.append((topic, partition, key, value, on_delivery))
        self._queued_bytes += len(value)

    def poll(self, timeout_ms: int) -> int:
        """See `LogProducer`; there is nothing to wait for."""
        queue, self._queue, self._queued_bytes = self._queue, deque(), 0
        for topic in dict.fromkeys(sent[0] for sent in queue):
            here = [sent for sent in queue if sent[0] == topic]
            for sent, delivery in zip(here, self._write(topic, here), strict=True):
                if sent[4] is not None:
                    sent[4](delivery)
        return len(queue)

    def flush(self, timeout_ms: int) -> int:
        """See `LogProducer`. What deliveries send is left for another call."""
        self.poll(timeout_ms)
        return len(self._queue)

    def close(self) -> None:
        """What was not flushed is gone."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._queue.clear()

    def _file(self, topic: str) -> TopicFile:
        """The topic as it is now. Raises: TopicMissing, LogUnavailable."""
        file = self._files.get(topic)
        if file is not None and not file.is_current():
            self._files.pop(topic).close()
            file = None
        if file is None:
            file = self._files[topic] = TopicFile(self._folder, topic)
        return file

    def _write(self, topic: str, sent: list[_Sent]) -> list[Delivery]:
        try:
            file = self._file(topic)
            with file.transaction("IMMEDIATE") as connection:
                return _append(connection, file.info, sent)
        except (LogUnavailable, TopicMissing) as error:
            return [Delivery(topic, partition, -1, str(error)) for _, partition, _, _, _ in sent]


class EmbeddedReader:
    """See `LogReader`."""

    def __init__(self, file: TopicFile, positions: Mapping[int, int]) -> None:
        self._file = file
        self._next = dict(positions)
        self._not_at_end = set(positions)
        self._version = -1
        self._news_at = time.monotonic()
        if unknown := [partition for partition in positions if not 0 <= partition < file.info.partitions]:
            file.close()
            raise TopicMissing(sentences.no_partition(file.name, unknown[0]))
        with file.transaction("DEFERRED") as connection:
            self._mark_ends(ends(connection))

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`. Partitions take turns in being first."""
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            self._check_current()
            found = self._read_news(records_max)
            now = time.monotonic()
            if found:
                self._news_at = now
            if found or now >= deadline:
                return found
            pause = min(max((now - self._news_at) / PAUSE_SHARE, PAUSE_S), PAUSE_S_MAX)
            time.sleep(min(pause, deadline - now))

    def at_end(self) -> bool:
        """See `LogReader`."""
        return not self._not_at_end

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check_current(self) -> None:
        if not self._file.is_current():
            if self._file.is_replaced():
                raise PositionLost(sentences.recreated(self._file.name), self._file.name)
            raise TopicMissing(sentences.missing(self._file.name))

    def _read_news(self, records_max: int) -> list[LogRecord]:
        """Nothing where nobody has written since everything was read."""
        version = self._file.version()
        if version == self._version:
            return []
        with self._file.transaction("DEFERRED") as connection:
            now = ends(connection)
            found = self._read(connection, now, records_max)
        self._mark_ends(now)
        if all(position >= now[partition][1] for partition, position in self._next.items()):
            self._version = version
        return found

    def _read(
        self, connection: sqlite3.Connection, now: Mapping[int, tuple[int, int]], records_max: int
    ) -> list[LogRecord]:
        for partition, position in self._next.items():
            self._check_position(partition, position, *now[partition])
        found: list[LogRecord] = []
        bytes_left = READ_BYTES_MAX
        for partition, position in list(self._next.items()):
            wanted = records_max - len(found)
            if position >= now[partition][1] or wanted <= 0 or bytes_left <= 0:
                continue
            taken = embedded_file.read(connection, self._file.name, partition, position, wanted, bytes_left)
            bytes_left -= sum(len(record.value or b"") for record in taken)
            found += taken
            del self._next[partition]
            self._next[partition] = taken[-1].offset + 1 if taken else now[partition][1]
        return found

    def _check_position(self, partition: int, position: int, first: int, end: int) -> None:
        if not first <= position <= end:
            holds = sentences.lost(self._file.name, partition, position, f"holds {first} to {end}")
            raise PositionLost(holds, self._file.name, partition)

    def _mark_ends(self, now: Mapping[int, tuple[int, int]]) -> None:
        self._not_at_end -= {partition for partition in self._not_at_end if self._next[partition] >= now[partition][1]}


def _append(connection: sqlite3.Connection, info: TopicInfo, sent: list[_Sent]) -> list[Delivery]:
    """Write what the topic takes; a delivery for each, in order."""
    size_max = int(info.settings.get("max.message.bytes", VALUE_BYTES_DEFAULT_MAX))
    refused = {}
    for index, (_, partition, _, value, _) in enumerate(sent):
        if not 0 <= partition < info.partitions:
            refused[index] = sentences.no_partition(info.name, partition)
        elif len(value) > size_max:
            refused[index] = sentences.oversize(info.name, len(value), size_max)
    taken = [(item[1], item[2], item[3]) for index, item in enumerate(sent) if index not in refused]
    written = embedded_file.append(connection, taken, {p: end for p, (_, end) in ends(connection).items()})
    if "compact" in info.settings.get("cleanup.policy", ""):
        keyed = zip(taken, written, strict=True)
        embedded_file.compact(connection, {(p, key): offset for (p, key, _), offset in keyed if key is not None})
    offsets = iter(written)
    return [
        Delivery(info.name, item[1], -1, refused[index], is_too_large=len(item[3]) > size_max)
        if index in refused
        else Delivery(info.name, item[1], next(offsets), None)
        for index, item in enumerate(sent)
    ]


def _cluster_id(path: Path) -> str:
    """The folder's identity, drawn by whoever comes first. Raises: LogUnusable."""
    if not path.exists():
        with suppress(FileExistsError):
            embedded_file.put_new(path, secrets.token_hex(16))
    try:
        found = path.read_text()
    except ValueError as error:
        raise embedded_file.damaged(path, error) from error
    if not found.strip():
        raise embedded_file.damaged(path, "it is empty")
    return found

"""The fenced writer on the embedded log: it appends only while the topic ends where it knows it to end."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from backbone.log import READ_BYTES_MAX, LogRecord, LogUnavailable, embedded_file, sentences
from backbone.log.embedded_file import TopicFile, ends
from backbone.log.fenced import Fenced, Item, windows


class EmbeddedFencedWriter:
    """See `FencedWriter`. A later writer fences this one with its first record."""

    def __init__(self, folder: Path, topic: str) -> None:
        """Raises: TopicMissing, LogUnavailable."""
        self._file = TopicFile(folder, topic)
        with self._file.transaction("DEFERRED") as connection:
            self._begin, self._end = ends(connection)[0]

    def newest_first(self) -> Iterator[LogRecord]:
        """See `FencedWriter`."""
        for low, high in windows(self._begin, self._end):
            found: list[LogRecord] = []
            while (position := found[-1].offset + 1 if found else low) < high:
                with self._file.transaction("DEFERRED") as connection:
                    more = embedded_file.read(connection, self._file.name, 0, position, high - position, READ_BYTES_MAX)
                if not more:
                    break
                found += more
            yield from (record for record in reversed(found) if record.offset < high)

    def append(self, items: Sequence[Item]) -> None:
        """See `FencedWriter`."""
        if not self._file.is_current():
            raise LogUnavailable(sentences.recreated(self._file.name))
        with self._file.transaction("IMMEDIATE") as connection:
            now = ends(connection)
            if now[0][1] != self._end:
                raise Fenced(f"Another process writes the topic {self._file.name}.")
            embedded_file.append(connection, [(0, key, value) for key, value in items], {0: self._end})
        self._end += len(items)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

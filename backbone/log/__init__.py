"""The log as a port: topics of partitions of records, in the manner of Kafka, and no more of it than we need.

Three adapters pass one contract test: `kafka` (confluent-kafka), `embedded` (SQLite), `simulated` (memory).
Nothing above this port may rest on the log's order, completeness or keeping: the digest chain does that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ledger.errors import CallerError, Halt, Unavailable

READ_BYTES_MAX: Final = 2 << 20
"""Value bytes of one read: the record that reaches them is its last. What readers hold is bounded, whoever writes."""


class LogUnavailable(Unavailable):
    """The log did not answer. Try again later; nothing is known of what was in flight."""


class LogBackPressure(Unavailable):
    """The producer's queue is full, so the record was NOT taken. Call `poll`, then send it again."""


class LogUnusable(Halt):
    """A file of the embedded log is damaged, or of another version of this program. The message names it."""


class PositionLost(Halt):
    """The log no longer holds the position that was asked for: it was truncated, pruned or recreated.

    `partition` None: all of the topic's.
    """

    def __init__(self, message: str, topic: str = "", partition: int | None = None) -> None:
        super().__init__(message)
        self.topic = topic
        self.partition = partition


class TopicMissing(Halt):
    """The topic does not exist. `momus init` creates topics; running nodes never do."""


class TopicExists(CallerError):
    """The topic is there already; it is never overwritten."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create. `settings` are Kafka topic settings; adapters without such a setting keep and show it."""

    name: str
    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """What the log says of a topic. `topic_id` differs between a topic and its recreation under the same name."""

    name: str
    topic_id: str
    partitions: int
    replicas: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One data record. Control records of the log never show; they leave gaps in the offsets."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a record that was sent: its offset once the log has acknowledged it durably, else an error.

    `is_too_large`: the topic does not take a record of this size, however often it is sent.
    """

    topic: str
    partition: int
    offset: int
    error: str | None
    is_too_large: bool = False


class LogProducer(Protocol):
    """Sends records; acks=all, idempotent. One thread at a time uses it."""

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        """Queue a record. `on_delivery` is called from within `poll` or `flush`, exactly once.

        Raises: LogBackPressure (not queued), TopicMissing.
        """

    def poll(self, timeout_ms: int) -> int:
        """Serve deliveries, waiting up to `timeout_ms` for the first one; how many were served."""

    def flush(self, timeout_ms: int) -> int:
        """Serve deliveries until none is outstanding or the time is over; how many are still outstanding."""

    def close(self) -> None: ...


class LogReader(Protocol):
    """Reads assigned partitions from given offsets on, in offset order per partition. No group, no commit."""

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """Up to `records_max` records and READ_BYTES_MAX; as soon as there are any, empty after `timeout_ms`.

        Raises: PositionLost, TopicMissing, LogUnavailable.
        """

    def at_end(self) -> bool:
        """Whether every assigned partition's end, as it was at some moment since the reader was made, was reached."""

    def close(self) -> None: ...


class ReadableLog(Protocol):
    """A log, as far as readers need it."""

    def begin(self, topic: str, partition: int) -> int:
        """The first offset that the log still has, or will give next where it is empty.

        Raises: TopicMissing, LogUnavailable.
        """

    def describe(self, topic: str) -> TopicInfo:
        """Raises: TopicMissing, LogUnavailable."""

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        """A reader of `topic` from `positions` (partition -> offset of the next record to read).

        Raises: TopicMissing, LogUnavailable. A position that is gone shows at the first `read`.
        """


class Log(ReadableLog, Protocol):
    """A connection to one log."""

    def cluster_id(self) -> str:
        """The identity of the cluster, which changes when it is replaced. Raises: LogUnavailable."""

    def ends(self, topic: str) -> Mapping[int, int]:
        """The offset that each partition will give next. Raises: TopicMissing, LogUnavailable."""

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create topics. Raises: TopicExists (nothing is overwritten), LogUnavailable."""

    def delete(self, topics: Sequence[str]) -> None:
        """Delete topics; for tools and tests, a running node never does. Raises: TopicMissing, LogUnavailable."""

    def producer(self) -> LogProducer: ...

    def close(self) -> None: ...

"""Discovery in the order process: says where this node is, and hears where the others are. A thread of its own.

Consensus knows nothing of it, and waits for it in nothing: whatever is in the topic, the thread takes `1 /
COST_DIVISOR` of a processor at most, and what fails is tried again later. The key signs a record under a tag that no
other message has; a record is no vote, so the journal has no part in it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog

from backbone.log import Log, LogBackPressure, LogUnavailable, PositionLost, TopicMissing
from ledger.backoff import Backoff
from ledger.committee import Committee
from ledger.genesis import Genesis
from ledger.keys import PrivateKey
from node.home.context import NodeContext
from node.home.known_peers import FRESH, STATES, Known, peers_of, read_known, write_known
from node.home.layout import Home
from node.metrics.values import Values
from node.ordering.own_record import Own, own_of
from node.ordering.registry_topic import RegistryTopic
from sync.node_record import SEQUENCE_MAX, NodeRecords
from sync.registry import Registry

TICK_S: Final = 1.0
CATCH_UP_S: Final = 0.1
CATCH_UP_MS_MAX: Final = 10_000
"""So long the first announcement waits until what is in the topic has been read."""
WRITE_MS: Final = 5_000
RETRY_S_MAX: Final = 30.0
_RETRY: Final = Backoff(TICK_S, RETRY_S_MAX)
COST_DIVISOR: Final = 50
JOIN_S: Final = 2.0

_log = structlog.get_logger()

Status = Callable[[], Mapping[str, int]]
"""`Driver.status`: `height` and `certified_height` among others; empty before the boot is over."""


class Announcer:
    """One tick at a time; by one thread. What it hears goes to the home's file and to the metrics."""

    def __init__(
        self,
        home: Home,
        genesis: Genesis,
        committee: Committee,
        own: Own,
        topic: RegistryTopic,
        status: Status,
        values: Values,
        now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._home = home
        self._genesis = genesis
        self._own = own
        self._topic = topic
        self._status = status
        self._values = values
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self._records = NodeRecords(genesis.digest)
        known = read_known(home, now_ms())
        self._committee = committee
        keys = [member.consensus_key for member in self._committee.members]
        self._registry = Registry(self._records, keys, known.heard)
        self._sent_sequence = known.sent_sequence
        self._first_due_ms = now_ms() + CATCH_UP_MS_MAX
        self._due_ms = self._write_due_ms = now_ms()
        self._knows_own_past = self._has_sent = False
        self._failures_in_a_row = 0
        self._failures = self._foreign = 0
        self._count()

    def tick(self) -> float:
        """Read what is there, say what is due; seconds until the next one."""
        try:
            wait_s = self._tick()
        except (LogUnavailable, TopicMissing, PositionLost, LogBackPressure) as error:
            wait_s = self._failed(error)
        else:
            self._failures_in_a_row = 0
        self._count()
        return wait_s

    def known(self) -> Known:
        """What is known now."""
        return Known(self._registry.heard(), self._sent_sequence)

    def close(self) -> None:
        """Keep what is known, and let go of the topic."""
        self._write()
        self._topic.close()

    def _tick(self) -> float:
        now_ms, status = self._now_ms(), self._status()
        self._topic.serve()
        taken = self._registry.take(self._topic.read(), now_ms, status.get("height", 0))
        if self._own.key.public_key in taken:
            self._on_own_record()
        self._announce(now_ms, status)
        if taken or now_ms >= self._write_due_ms:
            self._write_due_ms = now_ms + WRITE_MS
            self._write()
        return TICK_S if self._topic.at_end() else CATCH_UP_S

    def _announce(self, now_ms: int, status: Mapping[str, int]) -> None:
        """Send an own record where one is due, and what the topic holds of this key is known or was waited for."""
        is_known = self._topic.at_end()
        if not status or self._topic.is_sending or now_ms < self._due_ms:
            return
        if not (is_known or self._has_sent or now_ms >= self._first_due_ms):
            return
        if not self._has_sent:
            self._knows_own_past, self._has_sent = is_known, True
        own = self._own
        before = max(self._sent_sequence, self._registry.sequence_of(own.key.public_key))
        record = own.record(min(max(self._wall_ms(), before + 1), SEQUENCE_MAX), status)
        value = self._records.signed(record, own.key.public_key, own.key.sign)
        self._topic.send(own.key.public_key.hex().encode(), value)
        self._topic.serve()
        self._sent_sequence = record.sequence
        self._due_ms = now_ms + own.every_ms

    def _on_own_record(self) -> None:
        """A newer record of this validator's key than the last one that this process sent is somebody else's."""
        sequence = self._registry.sequence_of(self._own.key.public_key)
        if self._has_sent and self._knows_own_past and sequence > self._sent_sequence:
            self._foreign += 1
            _log.error("another process signs with the key of this validator", sequence=sequence)

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        self._failures_in_a_row += 1
        wait_s = _RETRY.wait(self._failures_in_a_row)
        if self._failures_in_a_row == 1:
            _log.warning("discovery", reason=str(error), again_in_s=wait_s)
        self._topic.close()
        return wait_s

    def _write(self) -> None:
        """Where the disk refuses, others learn later: nothing must hang on telling."""
        try:
            write_known(self._home, self.known(), self._now_ms())
        except OSError as error:
            _log.warning("what is known of peers is not written", reason=str(error))

    def _count(self) -> None:
        put, topic = self._values.set, self._topic
        rows = peers_of(self._committee, self.known(), self._own.name, self._now_ms())
        for state in STATES:
            put("momus_discovery_peers", sum(row.state == state for row in rows), state.replace(" ", "_"))
        for row in rows:
            put("momus_discovery_fresh", int(row.state == FRESH), row.validator)
        for reason, count in self._registry.refused.items():
            put("momus_discovery_refused_records_total", count, reason)
        put("momus_discovery_announced_records_total", topic.acknowledged)
        put("momus_discovery_skipped_records_total", topic.skipped)
        put("momus_discovery_failures_total", self._failures + topic.refused)
        put("momus_discovery_foreign_records_total", self._foreign)


@contextmanager
def announcing(context: NodeContext, key: PrivateKey, log: Log, status: Status, values: Values) -> Iterator[None]:
    """Announce and listen while the body runs, if the settings say so."""
    home, settings, genesis = context.home, context.settings, context.genesis
    if not settings.discovery.every_ms:
        yield
        return
    topic = RegistryTopic(log, genesis.topic_name("registry"))
    announcer = Announcer(home, genesis, context.committees.current, own_of(settings, key), topic, status, values)
    stop = threading.Event()
    thread = threading.Thread(target=partial(_run, announcer, stop), name="discovery", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # It may be asking a log that does not answer.
        thread.join(JOIN_S)


def _run(announcer: Announcer, stop: threading.Event) -> None:
    """Until `stop`, at no more than a share of a processor."""
    wait_s = 0.0
    while not stop.wait(wait_s):
        began = time.thread_time()
        wait_s = announcer.tick()
        wait_s = max(wait_s, COST_DIVISOR * (time.thread_time() - began))
    announcer.close()

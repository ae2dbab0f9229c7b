"""The numbers of the order process."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

from backbone.intake.partition import Partition
from backbone.log import LogUnavailable, TopicMissing
from consensus.core.inbox import Refusal
from ledger.committee import Committee
from ledger.genesis import Genesis
from ledger.header import Header
from node.home.layout import Home
from node.metrics.values import Values
from node.process.room import rooms

ENDS_S: Final = 5.0
"""How often the log is asked where its partitions end, and the store how large it is."""
_EVENTS: Final = (
    "bad_blocks", "blocks_read_again", "evidence", "fetches", "probes", "rereads", "topics_restarted",
)  # fmt: skip
_SIGNED: Final = ("propose", "notarize", "nullify", "finalize")
_GAUGES: Final = {
    "view": "momus_consensus_view",
    "final_view": "momus_consensus_final_view",
    "height": "momus_consensus_height_blocks",
    "records_waiting": "momus_consensus_waiting_records",
    "queue": "momus_consensus_queued_items",
    "queue_bytes": "momus_consensus_queued_bytes",
    "outbox": "momus_consensus_outbox_records",
    "certified_height": "momus_certified_height_blocks",
}
"""What the driver's status says, and its metric."""


class Driven(Protocol):
    """`consensus.runtime.driver.Driver`, as far as it is watched."""

    def status(self) -> Mapping[str, int]: ...
    def unavailable(self) -> Mapping[str, int]: ...
    def voters(self) -> Iterable[tuple[int, int]]: ...


class Told(Protocol):
    """`node.ordering.clock.ToldClock`, as far as it is watched."""

    block_time_ms: int
    doubted_ms: int


class Ends(Protocol):
    """`backbone.log.Log`, as far as it is watched."""

    def ends(self, topic: str) -> Mapping[int, int]: ...


class OrderMetrics:
    """Counts final blocks as the driver tells of them; what others keep it takes over when numbers are written."""

    def __init__(self, genesis: Genesis, committee: Committee, home: Home, now_ms: Callable[[], int]) -> None:
        self.values: Final = Values("order")
        self._home = home
        self._now_ms = now_ms
        self._committee = committee
        self._topic = genesis.topic
        self._topic_prefix = f"momus.{genesis.chain}."
        self._missed = [0] * len(committee)
        self._asked_at = float("-inf")
        self._begin()

    def on_final(self, header: Header) -> None:
        """Of a final block that the store holds; by the driver's thread."""
        add = self.values.add
        self.values.observe("momus_consensus_finality_seconds", max(0, self._now_ms() - header.time_ms) / 1000)
        add("momus_consensus_blocks_total", 1, self._committee.names[header.proposer])
        for view in _nullified(header):
            add("momus_consensus_nullified_views_total", 1, self._leader(view))

    def of_driver(self, driver: Driven) -> None:
        """What the driver keeps of itself."""
        status = driver.status()
        if not status:
            return
        put = self.values.set
        for name, metric in _GAUGES.items():
            put(metric, status.get(name, 0))
        for kind in ("failed", "dropped"):
            put("momus_consensus_outbox_failures_total", status[f"outbox_{kind}"], kind)
        for kind in _EVENTS:
            put("momus_consensus_events_total", status.get(kind, 0), kind)
        for kind in _SIGNED:
            put("momus_consensus_signed_total", status.get(f"signed_{kind}", 0), kind)
        for name, count in status.items():
            if name.startswith("refused_"):
                put("momus_consensus_refused_messages_total", count, name.removeprefix("refused_"))
        self._of_voters(driver)
        for reader, count in driver.unavailable().items():
            put("momus_log_errors_total", count, self._topic_label(reader))

    def of_clock(self, clock: Told) -> None:
        """Whether the chain's time, the machine's clock and the time that is followed agree."""
        ahead_ms = clock.block_time_ms - time.time_ns() // 1_000_000
        self.values.set("momus_consensus_time_ahead_seconds", max(0, ahead_ms) / 1000)
        self.values.set("momus_consensus_clock_doubted_seconds", clock.doubted_ms / 1000)

    def of_intake(self, partitions: Mapping[int, Partition]) -> None:
        """Where the reading of the transactions stands."""
        put = self.values.set
        states = {"full": 0, "suspect": 0, "barred": 0}
        for number, at in partitions.items():
            label = str(number)
            put("momus_log_read_offset", at.end_offset, label)
            put("momus_log_final_offset", at.final_offset, label)
            put("momus_log_suffix_records", len(at.suffix), label)
            put("momus_log_suffix_bytes", at.suffix_bytes, label)
            put("momus_log_read_records_total", at.taken_records, label)
            put("momus_log_read_bytes_total", at.taken_bytes, label)
            states["full"] += at.is_full
            states["suspect"] += at.is_suspect
            states["barred"] += at.is_barred
        for state, count in states.items():
            put("momus_log_partitions", count, state)

    def of_disk(self, log: Ends, partitions: Mapping[int, Partition], execution_lag: Callable[[], int]) -> None:
        """What costs a question to the log or the disk: every few seconds."""
        self.values.set("momus_execution_lag_records", execution_lag())
        if time.monotonic() < self._asked_at + ENDS_S:
            return
        self._asked_at = time.monotonic()
        self.values.set("momus_store_bytes", size_bytes(self._home.store))
        self.values.set("momus_consensus_journal_bytes", self._home.journal_file.stat().st_size)
        self.values.set("momus_disk_free_bytes", min((room.free_bytes for room in rooms(self._home)), default=0))
        try:
            ends = log.ends(self._topic)
        except (LogUnavailable, TopicMissing):
            return
        for number, at in partitions.items():
            end_offset = ends.get(number, 0)
            self.values.set("momus_log_end_offset", end_offset, str(number))
            # Of another history that is not opened yet nothing is read: all of it waits.
            read_to = at.end_offset if at.shown is None else at.shown[1]
            self.values.set("momus_log_lag_records", max(0, end_offset - read_to), str(number))

    def _of_voters(self, driver: Driven) -> None:
        for member, (missed, behind) in enumerate(driver.voters()):
            # A counter only rises, also where a silent validator turns out to have voted late.
            self._missed[member] = max(self._missed[member], missed)
            self.values.set("momus_consensus_missed_votes_total", self._missed[member], self._committee.names[member])
            self.values.set("momus_consensus_behind_views", behind, self._committee.names[member])

    def _begin(self) -> None:
        """Series that are known show from the start, at 0: a first event is a rise then."""
        for validator in self._committee.members:
            self.values.set("momus_consensus_power", validator.power, validator.name)
            self.values.set("momus_consensus_missed_votes_total", 0, validator.name)
            self.values.add("momus_consensus_blocks_total", 0, validator.name)
            self.values.add("momus_consensus_nullified_views_total", 0, validator.name)
        for refusal in Refusal:
            self.values.set("momus_consensus_refused_messages_total", 0, refusal.name.lower())
        self.values.set("momus_log_errors_total", 0, "transactions")

    def _leader(self, view: int) -> str:
        return self._committee.names[self._committee.leader(view)]

    def _topic_label(self, reader: str) -> str:
        return "transactions" if reader == "intake" else reader.removeprefix(self._topic_prefix)


def _nullified(header: Header) -> range:
    """The views between a block and its parent: each was nullified, or the block would not be valid."""
    return range(header.parent_view + 1, header.view)


def size_bytes(folder: Path) -> int:
    """Of all files below a folder; those that go away meanwhile do not count."""
    total = 0
    for entry in os.scandir(folder):
        try:
            total += size_bytes(Path(entry.path)) if entry.is_dir() else entry.stat().st_size
        except FileNotFoundError:
            continue
    return total

"""What the driver and its loop run over: protocols that the real parts and the simulated ones meet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backbone.intake.intake import Advance, Differs, Shown
from backbone.log import Log
from backbone.store import StoredFinal, StoredRecord
from backbone.threads import REAL, Threads
from consensus.core import events
from consensus.runtime.journal import Journal
from consensus.wire.messages import Verify
from ledger.block import FinalBlock
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Head, Opening
from ledger.keys import PrivateKey, verify


class IntakePort(Protocol):
    """`backbone.intake.intake.Intake`, as far as consensus uses it."""

    def backlog(self) -> Sequence[Advance]: ...
    def pump(self, records_max: int, timeout_ms: int) -> Sequence[Advance | Shown]: ...
    def on_final(self, heads: Sequence[Head], openings: Sequence[Opening]) -> None: ...
    def probe(self, partition: int, end_offset: int | None) -> None: ...
    def reread(
        self,
        partition: int,
        incarnation: int,
        from_offset: int,
        keep_end: int,
        before: Head | None,
        records: Sequence[StoredRecord],
    ) -> Sequence[Advance]: ...
    def adopt(self, before: Head, records: Sequence[StoredRecord]) -> Sequence[Advance | Differs]: ...


class RecordSource(Protocol):
    """Where records are that the log does not show: what was set aside here, what other validators hold."""

    def fetch(self, before: Head, target: Head) -> Sequence[StoredRecord] | None:
        """The records of one incarnation of a partition above `before`, re-hashed to `target`; None: nobody has them.

        Blocks for seconds at most.
        """


class StorePort(Protocol):
    """`backbone.store.StoreWriter`, as far as consensus uses it."""

    def append_final(self, height: int, header_bytes: bytes, proof: bytes) -> None: ...
    def last_height(self) -> int: ...
    def append_certificate(self, height: int, certificate: bytes) -> None: ...
    def last_certificate(self) -> bytes | None: ...


class FinalsPort(Protocol):
    """`backbone.store.StoreReader`, as far as consensus uses it."""

    def final_after(self, height: int, blocks_max: int) -> list[StoredFinal]: ...


class OutboxPort(Protocol):
    """Where records leave: `consensus.runtime.outbox.Outbox`."""

    def send(self, topic: str, value: bytes) -> None: ...


Request = events.Reread | events.Fetch | events.Probe

Report = Callable[[str, Mapping[str, object]], None]
"""Told of what an operator should see: what ("evidence", "reread", "fork"), and its facts."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the driver runs over. `node.ordering.process` builds these, and closes them after `run` has returned."""

    genesis: Genesis
    committees: Committees
    key: PrivateKey
    log: Log
    store: StorePort
    store_reader: FinalsPort
    intake: IntakePort
    source: RecordSource
    open_journal: Callable[[], Journal]
    """First of all at boot. Raises: as `consensus.runtime.journal_file.open_journal`."""
    lag: Callable[[], int]
    """Records that the executor is behind the last final block; asked about ten times a second."""
    claims: Callable[[], Sequence[Checkpoint]]
    """The newest checkpoints of the executor, by rising height; asked about ten times a second."""
    now_ms: Callable[[], int]
    """Milliseconds since the Unix epoch that never go back (`consensus.runtime.clock.SteadyClock().now_ms`)."""
    ahead_ms: Callable[[], int] = field(default=lambda: 0)
    """How far the time of day is ahead of that (`SteadyClock().ahead_ms`); asked about ten times a second."""
    on_durable: Callable[[str], None] = field(default=lambda name: None)
    """Fault point of tests: "journal.before", "journal.after", "compact.before", "store.before", "store.after", .."""
    report: Report = field(default=lambda what, facts: None)
    on_final: Callable[[FinalBlock], None] = field(default=lambda final: None)
    """Told of a final block after the store has it and the intake knows."""
    settled_height: int = 0
    """Up to here contradictions of the state were settled by who runs this validator; 0: none ever was."""
    verify: Verify = verify
    """What it has answered is remembered."""
    threads: Threads = REAL


@dataclass(frozen=True, slots=True)
class LoopPorts:
    """What one validator's loop runs over."""

    genesis: Genesis
    committees: Committees
    key: PrivateKey
    index: int
    journal: Journal
    store: StorePort
    finals: FinalsPort
    outbox: OutboxPort
    on_final: Callable[[events.Finalize], None]
    """Told of a final block after the store has it."""
    request: Callable[[Request], None]
    """Asks the intake. `Restarted` answers a Reread, `Shown` a Probe, at best an `Advance` a Fetch."""
    on_durable: Callable[[str], None]
    report: Report
    verify: Verify
    settled_height: int = 0
    """See `Ports`."""

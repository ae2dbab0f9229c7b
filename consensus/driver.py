"""Runs the core over real ports: reads, steps, makes durable, then sends. One loop thread decides everything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backbone.intake import Advance
from backbone.log import Log
from backbone.store import StoreReader, StoreWriter
from ledger.genesis import Genesis
from ledger.header import Head
from ledger.keys import PrivateKey


class Halt(Exception):
    """Base of what must stop the node for good (exit code 3). The message names the remedy."""


class Intake(Protocol):
    """Reads the transactions topic into the store; `backbone.intake.Intake` is one. Threads may share it."""

    def backlog(self) -> Sequence[Advance]:
        """What the store holds above the final heads at boot, to be announced before the first `pump`."""

    def pump(self, records_max: int, timeout_ms: int) -> Sequence[Advance]:
        """Read, append, sync; what has become durable. Raises: PositionLost, LogUnavailable, StoreFailed.

        Called in a loop by one thread of the driver.
        """

    def on_final(self, heads: Sequence[Head]) -> None:
        """Called after each final block: its bounds are on what lies above, so it stops reading without this."""

    def reread(self, partition: int, from_offset: int) -> None:
        """Drop a partition above `from_offset`, not below its final head; `pump` announces anew what the log shows."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Local settings of a validator: timers and bounds. None of them is part of validity. Times in ms."""

    timeout_ms: int = 1_000
    timeout_max_ms: int = 20_000
    timeout_growth_percent: int = 150
    idle_ms: int = 50
    drift_ms: int = 5_000
    lag_max: int = 200_000
    blocks_delay_ms: int = 500


@dataclass(frozen=True, slots=True)
class Ports:
    """What the driver runs over. `node.order` builds these and closes them after `run` has returned."""

    genesis: Genesis
    key: PrivateKey
    log: Log
    store: StoreWriter
    store_reader: StoreReader
    intake: Intake
    journal_path: Path
    lag: Callable[[], int]
    """Records that the executor is behind the last final block; asked about ten times a second."""
    now_ms: Callable[[], int]
    """Milliseconds since the Unix epoch that never go back (`consensus.clock.SteadyClock().now_ms`)."""
    on_durable: Callable[[str], None] = field(default=lambda name: None)
    """Fault point of tests: called with "journal.before", "journal.after", "store.before", "store.after", ..."""


class Driver:
    """One validator's consensus, from boot to stop.

    `run` returns after `stop` (from any thread or a signal handler). Raises from `run`: Halt (do not restart: lost or
    rolled-back journal, second instance, unknown key), PositionLost, StoreDamaged, StoreFailed (halt as well);
    LogUnavailable (try again: build new ports and run again).
    """

    def __init__(self, ports: Ports, settings: Settings) -> None:
        raise NotImplementedError

    def run(self) -> None:
        """Boot, then decide until `stop`."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask the loop to drain and return: what was signed is durable and sent, what is final is stored."""
        raise NotImplementedError

    def status(self) -> dict[str, int]:
        """Gauges for the page and the metrics: view, height, votes, rejected messages, queue length."""
        raise NotImplementedError

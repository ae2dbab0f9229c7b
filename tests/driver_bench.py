"""A driver in a thread: its turns, threads and files are the real ones; its loop only notes what it is given."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from backbone.intake.intake import Advance
from backbone.store import StoreFailed, StoreReader, StoreWriter
from consensus.core.timers import ConsensusSettings
from consensus.runtime.clock import SteadyClock
from consensus.runtime.driver import Driver
from consensus.runtime.journal_file import create, open_journal
from consensus.runtime.loop import Loop
from consensus.runtime.ports import Ports
from ledger.committee import Committees
from ledger.genesis import Genesis
from tests.builders import validator_key
from tests.flaky_log import FlakyLog
from tests.patience import WAIT_S


class QuietIntake:
    """An intake of which nobody asks more than what it reads."""

    def pump(self, records_max: int, timeout_ms: int) -> Sequence[Advance]:
        raise NotImplementedError

    def backlog(self) -> Sequence[Advance]:
        return ()

    def on_final(self, heads: object, openings: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody asks for {name}")


class DriverBench:
    """Runs from the start until `close`. `note` is called with each item that the loop is given, `lag` by the loop's
    thread in each turn that measures it. `error`: the StoreFailed that ended the driver."""

    def __init__(
        self,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        chain: Genesis,
        log: FlakyLog,
        intake: QuietIntake,
        note: Callable[[object], None],
        lag: Callable[[], int],
    ) -> None:
        self.error: Exception | None = None

        class Noting(Loop):
            def take(self, item: object, now_ms: int) -> None:
                note(item)

        monkeypatch.setattr("consensus.runtime.driver.Loop", Noting)
        create(home / "journal", chain.digest, validator_key(0).public_key)
        self._store = StoreWriter(home / "store")
        ports = Ports(
            genesis=chain,
            committees=Committees.of(chain),
            key=validator_key(0),
            log=log,
            store=self._store,
            store_reader=StoreReader(home / "store"),
            intake=intake,
            source=intake,
            open_journal=partial(open_journal, home / "journal", chain.digest, validator_key(0).public_key),
            lag=lag,
            claims=lambda: (),
            now_ms=SteadyClock().now_ms,
        )
        self._driver = Driver(ports, ConsensusSettings())
        self.thread = Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._driver.run()
        except StoreFailed as error:
            self.error = error
        finally:
            self._store.close()

    def close(self) -> None:
        self._driver.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()

"""A drill: recovery from a lost database, rehearsed beside the live node into a scratch database, and compared.

The live database is imaged as of one height; recovery must come to exactly that height, to a state root that a
quorum has certified, and to the same rows. With an injection the copy is damaged first: then the drill must name the
damage, and come back all the same where anything is left to come back from.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from random import Random
from typing import Final

from backbone.store import StoreReader
from consensus.wire.checkpoint_messages import CheckpointCertificate
from ledger.errors import CallerError
from node import wiring
from node.home.context import NodeContext
from node.home.final_heads import gap_above
from node.home.locks import drill_lock, recovering
from node.recovery.audit import audited
from node.recovery.audit_store import StoreAudit
from node.recovery.damage import OF_DATABASE, OF_STORE, Injection, damage_database, damage_snapshot, damage_store
from node.recovery.drill_report import DETECTED, FAILED, HEALED, PASSED, DrillReport
from node.recovery.rebuild import SNAPSHOT, SOURCES, Rebuilt, RecoveryFailed, RecoverySources, newest_snapshot, rebuild
from node.recovery.replay import OnStep
from node.wiring.databases import beside, drop_database, renew_database
from projections.audit.findings import Findings
from projections.audit.fingerprint import Fingerprint, Image, compare, image
from projections.database import Database, DatabaseUnusable
from projections.flush.cursor import read_cursor
from projections.maintenance.pruning import oldest_height
from projections.session.connect import connect
from projections.session.errors import translated
from sync.snapshots.restore import copy_snapshot, open_snapshot
from sync.snapshots.stores import Folder

SCRATCH: Final = "momus_drill"
_WATCH_S: Final = 0.05
_CERTIFICATES: Final = 1_000

_INSERT: Final = "INSERT INTO ledger.drills (started_at, report) VALUES (%s, %s)"


class Drill:
    """One drill of a home. Nothing of the live node is written but the row in `ledger.drills`."""

    def __init__(
        self,
        context: NodeContext,
        injection: Injection | None,
        seed: int,
        allowed: Sequence[str] = SOURCES,
        on_step: OnStep = lambda step: None,
    ) -> None:
        self._context = context
        self._home = home = context.home
        self._injection = injection
        self._random = Random(seed)
        self._folder = home.path / "drill"
        self._live = wiring.database_url(home, context.settings)
        self._url = beside(self._live, SCRATCH)
        spare = self._folder / "log-store"
        with StoreReader(home.store) as store:
            self._is_pruned = gap_above(store, 0) is not None
        if injection in OF_STORE and not self._is_pruned:
            # What lies below a snapshot is not read on the way up from it, so damage there would not be seen.
            allowed = [source for source in allowed if source != SNAPSHOT]
        self._sources = RecoverySources.of_home(context, spare, allowed, on_step=on_step)
        self._detected: list[str] = []
        self._is_named: bool | None = None
        """Of a damage that is looked for by itself; None: what recovery reports names it."""
        self._above = 0

    def run(self) -> DrillReport:
        """Recover, compare, record.

        Raises: DrillUnderWay, NothingToDamage, DatabaseUnavailable, DatabaseUnusable, OSError.
        """
        with drill_lock(self._home), recovering(self._home):
            return self._run_alone()

    def _run_alone(self) -> DrillReport:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._renew()
        started_at = datetime.now(UTC)
        try:
            report = self._run(started_at.isoformat(timespec="seconds"))
        finally:
            drop_database(self._live, SCRATCH)
            shutil.rmtree(self._folder, ignore_errors=True)
        with translated(), connect(self._live) as connection:
            connection.execute(_INSERT, [started_at, report.to_json()])
        return report

    def _run(self, started_at: str) -> DrillReport:
        with translated(), connect(self._live) as connection:
            cursor, floor = read_cursor(connection), oldest_height(connection)
        newest = newest_snapshot(self._sources, 0 if cursor is None else cursor.height)
        self._sources = replace(self._sources, snapshot_max=newest)
        # What began at a snapshot has no history below it, and of what was pruned the live one has none.
        self._above = max(newest, floor)
        live = image(self._live, self._above)
        injected = self._damaged_store(live) if self._injection in OF_STORE else self._damage_snapshot(newest)
        began = time.monotonic()
        try:
            if self._injection is Injection.KILL:
                injected = self._killed_half_way(live.height)
            rebuilt = self._rebuilt(live.height)
            if self._injection in OF_DATABASE:
                assert self._injection is not None
                injected = damage_database(self._url, self._injection, self._random)
                # What was executed upon since the newest checkpoint its root does not cover: the comparison does.
                self._detected += [*audited(self._url, self._context.genesis), *self._differences(live.tables)]
                self._renew()
                rebuilt = self._rebuilt(live.height)
        except RecoveryFailed as error:
            return self._report(started_at, injected, None, live.height, time.monotonic() - began, [str(error)])
        seconds = time.monotonic() - began
        return self._report(started_at, injected, rebuilt, live.height, seconds, self._differences(live.tables))

    def _damage_snapshot(self, height: int) -> str | None:
        if self._injection is not Injection.CHUNK:
            return None
        if not height:
            raise NothingToDamage("There is no snapshot yet.")
        assert self._sources.place is not None
        copy = Folder(self._folder / "snapshots")
        copy_snapshot(open_snapshot(self._sources.place, height, self._context.genesis, self._context.committees), copy)
        self._sources = replace(self._sources, place=copy)
        return damage_snapshot(copy.folder(height), self._random)

    def _damaged_store(self, live: Image) -> str:
        injected = self._damage_store()
        if self._is_pruned:
            # From genesis it cannot be read, damaged or not: an audit must name the damage.
            findings = Findings()
            genesis, verify = self._context.genesis, self._context.block_reader().verify
            StoreAudit(self._sources.store, genesis, verify, True, findings, _untold).run(iter(()), live.height)
            self._is_named = findings.count > 0
            self._detected += [f"{found.where}, {found.key}: {found.what}" for found in findings.kept]
        return injected

    def _damage_store(self) -> str:
        assert self._injection is not None
        copy = self._folder / "store"
        shutil.copytree(self._home.store, copy, ignore=shutil.ignore_patterns("lock", "aside"))
        self._sources = replace(self._sources, store=copy)
        return damage_store(copy, self._injection, self._random)

    def _rebuilt(self, height: int) -> Rebuilt:
        rebuilt = rebuild(self._sources, self._url, height, self._renew)
        self._detected += rebuilt.tried
        return rebuilt

    def _renew(self) -> None:
        renew_database(self._live, SCRATCH)

    def _differences(self, live: Mapping[str, Fingerprint]) -> list[str]:
        try:
            return compare(image(self._url, self._above).tables, live)
        except DatabaseUnusable as error:
            return [str(error)]

    def _killed_half_way(self, height: int) -> str:
        """Replay in a process of its own, which is killed when half of the blocks are there."""
        arguments = (replace(self._sources, on_step=_untold), self._url, height)
        child = get_context("spawn").Process(target=_rebuild, args=arguments, daemon=False)
        child.start()
        reached = self._watched(child.is_alive, self._above + (height - self._above) // 2)
        if child.pid is not None and child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        self._sources = replace(self._sources, is_begun=True)
        return f"Recovery was killed at height {reached} of {height}."

    def _watched(self, is_alive: Callable[[], bool], height: int) -> int:
        """Until the scratch database has come to a height, or the process has ended; the height."""
        reached = 0
        while is_alive() and reached < height:
            time.sleep(_WATCH_S)
            try:
                with Database(self._url) as database:
                    cursor = database.cursor()
            except DatabaseUnusable:
                continue
            reached = 0 if cursor is None else cursor.height
        return reached

    def _report(
        self,
        started_at: str,
        injected: str | None,
        rebuilt: Rebuilt | None,
        height: int,
        seconds: float,
        differing: list[str],
    ) -> DrillReport:
        certified_height, is_certified = self._certified(height) if rebuilt is not None else (0, None)
        records = 0 if rebuilt is None else rebuilt.records
        is_back = rebuilt is not None and not differing and is_certified is not False
        tables = image(self._url, self._above).tables.values() if rebuilt is not None else ()
        return DrillReport(
            started_at=started_at,
            verdict=self._verdict(is_back, injected is not None, rebuilt is None and bool(differing)),
            injected=injected,
            source=None if rebuilt is None else rebuilt.source,
            height=height,
            above=0 if rebuilt is None else rebuilt.above,
            certified_height=certified_height,
            records=records,
            seconds=round(seconds, 3),
            records_per_s=round(records / seconds, 1) if seconds else 0.0,
            is_root_certified=is_certified,
            rows_compared=sum(table.rows for table in tables),
            differing=tuple(differing if rebuilt is not None else ()),
            detected=tuple(self._detected if rebuilt is not None else [*self._detected, *differing]),
        )

    def _verdict(self, is_back: bool, is_damaged: bool, is_refused: bool) -> str:
        if not is_damaged:
            return PASSED if is_back else FAILED
        is_named = bool(self._detected) or is_refused or self._injection is Injection.KILL
        if self._is_named is not None:
            is_named = self._is_named
        if not is_named:
            return FAILED
        return HEALED if is_back else DETECTED if is_refused else FAILED

    def _certified(self, height: int) -> tuple[int, bool | None]:
        """The newest certified checkpoint up to a height, and whether the rebuilt database has the same there."""
        with Database(self._url) as database, StoreReader(self._home.store) as store:
            own = {it.checkpoint.height: it.digest for it in database.newest_checkpoints(_CERTIFICATES)}
            lowest = min(own, default=height)
            found = [it for it in store.certificates_after(lowest - 1, _CERTIFICATES) if it.height <= height]
        if not found:
            return 0, None
        wire = self._context.checkpoint_wire()
        message = wire.decode(found[-1].certificate)
        is_good = isinstance(message, CheckpointCertificate) and wire.is_certified(message)
        return found[-1].height, is_good and own.get(found[-1].height) == _digest(message)


class NothingToDamage(CallerError):
    """The home does not have what the injection is to damage."""


def _rebuild(sources: RecoverySources, url: str, height: int) -> None:
    rebuild(sources, url, height, _untold)


def _untold(*_: object) -> None:
    """Nobody listens."""


def _digest(message: object) -> bytes | None:
    return message.claim.digest if isinstance(message, CheckpointCertificate) else None

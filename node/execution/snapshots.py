"""Snapshots while the node runs: when one is due, who makes it, which are kept.

The execute process exports its database's view right after the flush that reached a checkpoint and goes on executing;
a process of its own, with the lowest priority, reads the view, writes the files, waits for the certificate, and only
then offers the snapshot.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from typing import Final

import structlog

from backbone.store import StoreDamaged, StoreReader
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from node import wiring
from node.home.context import NodeContext
from node.home.control import ControlFile
from node.home.locks import removing
from node.process.logging import start_logging
from node.process.parent_death import die_with_parent
from node.settings.tree import SnapshotSettings
from projections.flush.checkpoints import StoredCheckpoint
from projections.session.connect import connect
from projections.session.errors import DatabaseUnavailable, DatabaseUnusable, StateDiffers, translated
from projections.snapshots.exporting import ExportedView, imported_view
from sync.snapshots.export import Exported, export
from sync.snapshots.manifest import encode_manifest
from sync.snapshots.restore import BadSnapshot, open_snapshot
from sync.snapshots.stores import SnapshotStore, SnapshotStoreUnavailable

CERTIFICATE_WAIT_S: Final = 600.0
_POLL_S: Final = 0.2
_LOOK_S: Final = 1.0
_NICENESS: Final = 19
_BEFORE: Final = "SELECT max(time_ms) FROM ledger.checkpoints WHERE height < %s"
_TROUBLE: Final = (
    DatabaseUnavailable,
    DatabaseUnusable,
    StateDiffers,
    StoreDamaged,
    SnapshotStoreUnavailable,
    OSError,
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Kept:
    """A snapshot that is offered."""

    height: int
    time_ms: int


class Snapshots:
    """Of one execute process. Used by its main thread only."""

    def __init__(self, context: NodeContext, place: SnapshotStore) -> None:
        self._context = context
        self._settings = context.settings
        self._genesis = context.genesis
        self._place = place
        self._url = wiring.database_url(context.home, context.settings)
        self._is_owed = False
        """Whether one that was due is still to be begun."""
        self._making: threading.Thread | None = None
        self._control = ControlFile(context.home.control_file)
        self._made_from = 0
        self._last: StoredCheckpoint | None = None
        self._look_at = 0.0

    def run_once(self) -> None:
        """Between flushes: begin the snapshot that an operator has wanted since the last checkpoint was reached."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            if self._last is not None and self._control.read().snapshot_from > self._made_from:
                self.reached(self._last)

    def reached(self, checkpoint: StoredCheckpoint) -> None:
        """The flush of a checkpoint has committed, the next has not begun. Begins a snapshot if one is due; a failure
        to do so is logged, and the next checkpoint is as good."""
        before, self._last = self._last, checkpoint
        try:
            self._is_owed = self._is_owed or self._is_due(checkpoint, before)
            if self._making is not None and self._making.is_alive():
                return
            if not self._is_owed and not self._is_wanted(checkpoint):
                return
            view = self._view(checkpoint.checkpoint.height)
        except _TROUBLE as error:
            _log.warning("snapshot postponed", reason=str(error))
            return
        if view is None:
            return
        self._is_owed = False
        self._make(view, checkpoint.checkpoint.height)

    def _is_due(self, checkpoint: StoredCheckpoint, before: StoredCheckpoint | None) -> bool:
        """By block time: nodes with the same setting make theirs at the same heights, so that one peer can go on where
        another one stopped. `before`: the checkpoint before, where this process has seen it."""
        every_ms = self._settings.snapshots.every_ms
        if not every_ms:
            return False
        before_ms = self._time_before(checkpoint.checkpoint.height) if before is None else before.time_ms
        return before_ms is not None and checkpoint.time_ms // every_ms > before_ms // every_ms

    def _is_wanted(self, checkpoint: StoredCheckpoint) -> bool:
        """By an operator; until one is offered, each checkpoint tries."""
        wanted = self._control.read().snapshot_from
        if wanted <= self._made_from:
            return False
        kept = offered(self._place, self._context)
        if kept and kept[-1].height >= wanted:
            self._made_from = wanted
        return wanted > self._made_from and checkpoint.checkpoint.height >= wanted

    def _view(self, height: int) -> ExportedView | None:
        """Of the database; None, if that is beyond the checkpoint by now."""
        view = ExportedView(self._url)
        is_there = False
        try:
            is_there = view.height == height
        finally:
            if not is_there:
                view.close()
        return view if is_there else None

    def _time_before(self, height: int) -> int | None:
        """The time of the newest checkpoint below a height; None if there is none."""
        with translated(), connect(self._url) as connection:
            row = connection.execute(_BEFORE, (height,)).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def _make(self, view: ExportedView, height: int) -> None:
        """By a process that dies with this one. Must be called by the main thread."""
        ours, theirs = get_context("spawn").Pipe()
        arguments = self._context, self._url, height, view.id, os.getpid(), theirs
        process = get_context("spawn").Process(target=_run, args=arguments, name="snapshot", daemon=True)
        process.start()
        theirs.close()

        def watch() -> None:
            with view, ours:
                try:
                    ours.recv()
                except EOFError:
                    _log.warning("snapshot was not begun", height=height)
            process.join()

        self._making = threading.Thread(target=watch, name="snapshot", daemon=True)
        self._making.start()


def _run(context: NodeContext, url: str, height: int, view: str, parent_pid: int, pipe: Pipe) -> None:
    """The process that makes one."""
    home, settings = context.home, context.settings
    die_with_parent(parent_pid)
    os.nice(_NICENESS)
    start_logging(settings.logging, home.path, "snapshot")
    place = wiring.snapshot_place(home, settings)
    try:
        make_snapshot(context, place, url, height, view, lambda: pipe.send(None))
        with removing(home) as may_remove:
            # What is to go now goes after the next snapshot as well.
            if may_remove:
                tidy(place, context, settings.snapshots)
    except _TROUBLE as error:
        _log.warning("no snapshot was made", height=height, reason=str(error))


def make_snapshot(
    context: NodeContext,
    place: SnapshotStore,
    url: str,
    height: int,
    view: str,
    on_imported: Callable[[], None],
    wait_s: float = CERTIFICATE_WAIT_S,
) -> bool:
    """Make the snapshot of an exported view, unless it is there; whether it is offered: its certificate came in time.

    Raises: StateDiffers, DatabaseUnavailable, DatabaseUnusable, StoreDamaged, SnapshotStoreUnavailable, OSError.
    """
    genesis = context.genesis
    place.go_on()
    if height in place.heights() and is_offered(place, height, context):
        return True
    for abandoned in place.begun():
        place.remove(abandoned)
    began = time.monotonic()
    folder = place.staging(height)
    with imported_view(url, view, height) as connection:
        on_imported()
        exported = export(connection, height, folder)
    took_s = time.monotonic() - began
    with StoreReader(context.home.store) as store:
        certificate = _certificate(store, context.checkpoint_wire(), exported, wait_s)
        if certificate is None:
            _log.warning("no certificate of this state came for a snapshot", height=height)
            place.remove(height)
            return False
        header = store.final_after(height - 1, 1)[0].header_bytes
    manifest = exported.manifest(genesis, header, certificate)
    place.publish(height, encode_manifest(manifest))
    rows = sum(part.count for part in manifest.parts)
    _log.info("snapshot made", height=height, rows=rows, bytes=manifest.size_bytes, export_s=round(took_s, 2))
    return True


def tidy(place: SnapshotStore, context: NodeContext, settings: SnapshotSettings) -> list[int]:
    """Remove what is not kept: more than `keep_count`, older than `keep_ms` before the newest, or unreadable. Never
    the newest. The heights removed. Raises: SnapshotStoreUnavailable."""
    kept = offered(place, context)
    if not kept:
        return []
    good = [it for it in kept if not settings.keep_ms or it.time_ms >= kept[-1].time_ms - settings.keep_ms]
    stay = {it.height for it in good[-settings.keep_count :]}
    gone = [height for height in place.heights() if height not in stay and height < kept[-1].height]
    for height in gone:
        place.remove(height)
        _log.info("snapshot removed", height=height)
    return gone


def offered(place: SnapshotStore, context: NodeContext) -> Sequence[_Kept]:
    """Those whose manifest and certificate are good, by rising height. Raises: SnapshotStoreUnavailable."""
    found = []
    for height in place.heights():
        try:
            snapshot = open_snapshot(place, height, context.genesis, context.committees)
        except BadSnapshot as error:
            _log.warning("a snapshot cannot be used", height=height, reason=str(error))
        else:
            found.append(_Kept(height, snapshot.certified.header.time_ms))
    return found


def is_offered(place: SnapshotStore, height: int, context: NodeContext) -> bool:
    """Whether the manifest and the certificate of a snapshot are good. Raises: SnapshotStoreUnavailable."""
    try:
        open_snapshot(place, height, context.genesis, context.committees)
    except BadSnapshot:
        return False
    return True


def _certificate(store: StoreReader, wire: CheckpointWire, exported: Exported, wait_s: float) -> bytes | None:
    """That of the exported checkpoint, from the own store; None: none came in time, or it is of another state."""
    height = exported.checkpoint.height
    until = time.monotonic() + wait_s
    while True:
        found = store.certificates_after(height - 1, 1)
        if found and found[0].height == height:
            message = wire.decode(found[0].certificate)
            is_of_it = isinstance(message, CheckpointCertificate) and message.claim.checkpoint == exported.checkpoint
            return found[0].certificate if is_of_it else None
        if time.monotonic() > until:
            return None
        time.sleep(_POLL_S)

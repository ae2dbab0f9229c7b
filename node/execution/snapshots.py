"""Snapshots while the node runs: when one is due. The execute process exports its database's view right after the flush
that reached a checkpoint, starts who makes the snapshot (`node.execution.snapshot_making`), and goes on executing."""

import os
import threading
import time
from multiprocessing import get_context
from typing import Final

import structlog

from node import wiring
from node.execution.snapshot_making import TROUBLE, make_in_process, offered
from node.home.context import NodeContext
from node.home.control import ControlFile
from projections.flush.checkpoints import StoredCheckpoint
from projections.session.connect import connect
from projections.session.errors import translated
from projections.snapshots.exporting import ExportedView
from sync.snapshots.stores import SnapshotStore

_LOOK_S: Final = 1.0
_BEFORE: Final = "SELECT max(time_ms) FROM ledger.checkpoints WHERE height < %s"

_log = structlog.get_logger()


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
        except TROUBLE as error:
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
        process = get_context("spawn").Process(target=make_in_process, args=arguments, name="snapshot", daemon=True)
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

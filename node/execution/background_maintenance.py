"""Beside execution, on a connection of its own: certificates are compared and kept, closed partitions get their
indexes, `api.status` its lag.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from backbone.store import StoreDamaged, StoreReader
from consensus.runtime.certification import fork_facts
from consensus.wire.checkpoint_messages import CheckpointCertificate
from ledger.checkpoint import Checkpoint
from node.execution.session import CHECKPOINTS_MAX
from node.execution.snapshot_making import is_offered
from node.execution.store_pruning import prune_below
from node.home.context import NodeContext
from node.home.control import Control
from node.home.evidence import FORK, EvidenceFolder
from node.home.locks import removing
from node.home.store_base import StoreUnusable
from projections.database import Database, DatabaseUnavailable, DatabaseUnusable
from projections.maintenance.measuring import Measured
from projections.maintenance.pruning import STALE_AT_ONCE, Keep
from projections.maintenance.readers import TRANSACTION_S_MAX
from sync.snapshots.stores import SnapshotStore, SnapshotStoreUnavailable

TELL_S: Final = 1.0
MAINTAIN_EVERY: Final = 5
"""Maintenance is due once in so many tellings."""
CERTIFICATES_MAX: Final = 256
"""Taken at once."""

OnMeasured = Callable[[Measured, int, Sequence[int]], None]
"""Told of the database's sizes, the certified height, the heights of the kept snapshots."""

_log = structlog.get_logger()


class BackgroundMaintenance:
    """A thread that ends when `stop` is set, which it does itself on a fork.

    Nothing else that it does or fails to do changes what is executed.
    """

    def __init__(
        self,
        database_url: str,
        context: NodeContext,
        keep: Keep,
        place: SnapshotStore,
        stop: threading.Event,
        on_measured: OnMeasured | None = None,
        wanted: Callable[[], Control] = Control,
    ) -> None:
        """`wanted`: what operators want, of which `prune_to` concerns it."""
        self._url = database_url
        self._home = context.home
        self._store = StoreReader(context.home.store)
        self._keep = keep
        self._place = place
        self._context = context
        self._genesis = context.genesis
        self._on_measured = on_measured
        self._wanted = wanted
        self._pruned = 0
        self._kept_good: dict[int, bool] = {}
        self._stop = stop
        self._told = -1
        self._wire = context.checkpoint_wire()
        self.fork: str | None = None
        """Why execution must not go on."""
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """After `stop` was set: wait a moment for the thread. An index that is half built is built anew next time."""
        self._thread.join(timeout=2 * TELL_S)

    def _run(self) -> None:
        turn = 0
        try:
            while not self._stop.wait(TELL_S):
                self.run_once(is_thorough=turn % MAINTAIN_EVERY == 0)
                turn += 1
        finally:
            # Of an end that nobody has foreseen the whole process learns, and is started again.
            self._stop.set()

    def run_once(self, is_thorough: bool) -> None:
        """One turn; thorough ones also maintain, prune and measure. What one task cannot do does not keep the others
        from theirs."""
        tasks: list[Callable[[Database], object]] = [self._tell, self._take_certificates]
        if is_thorough:
            tasks += [self._end_old_readers, Database.maintain, self._prune, self._measure]
        try:
            with Database(self._url) as database:
                for task in tasks:
                    self._try(task, database)
        except (DatabaseUnavailable, DatabaseUnusable) as error:
            _log.warning("upkeep postponed", reason=str(error))

    def _try(self, task: Callable[[Database], object], database: Database) -> None:
        """Raises: DatabaseUnavailable, DatabaseUnusable."""
        try:
            task(database)
        except (StoreDamaged, SnapshotStoreUnavailable, StoreUnusable, OSError) as error:
            _log.warning("upkeep postponed", reason=str(error))

    def _end_old_readers(self, database: Database) -> None:
        ended = database.end_old_readers()
        if ended:
            _log.warning("readers ended", sessions=ended, older_than_s=TRANSACTION_S_MAX)

    def _take_certificates(self, database: Database) -> None:
        """Those of the order process, as far as execution has come; each must be of the checkpoint that we have."""
        newest = database.newest_checkpoints(CHECKPOINTS_MAX)
        height = database.certified_height()
        found = self._store.certificates_after(height, CERTIFICATES_MAX) if newest else []
        reached = [stored for stored in found if stored.height <= newest[-1].checkpoint.height]
        own = {stored.checkpoint.height: stored for stored in newest}
        for height, certificate in reached:
            message = self._wire.decode(certificate)
            assert isinstance(message, CheckpointCertificate), "the store holds certificates that were verified"
            if height in own and own[height].digest != message.claim.digest:
                self._halt(own[height].checkpoint, message)
                return
        database.take_certificates(reached)

    def _prune(self, database: Database) -> None:
        """What is certified is not to be looked up any more below."""
        certified_height, keep = database.certified_height(), self._kept(database)
        while certified_height and not self._stop.is_set():
            if database.prune(keep, certified_height).pieces < STALE_AT_ONCE:
                break
        self._prune_store(database, certified_height, keep)

    def _kept(self, database: Database) -> Keep:
        """By the settings; less, where an operator wants that."""
        cursor, prune_to = database.cursor(), self._wanted().prune_to
        if cursor is None or not 0 < prune_to < cursor.height:
            return self._keep
        heights = cursor.height - prune_to
        return replace(self._keep, heights=min(heights, self._keep.heights or heights))

    def _measure(self, database: Database) -> None:
        if self._on_measured is not None:
            self._on_measured(database.measured(), database.certified_height(), self._place.heights())

    def _prune_store(self, database: Database, certified_height: int, keep: Keep) -> None:
        """As far as history goes, but not what executing on from the oldest snapshot takes; nothing without one, and
        nothing during a recovery."""
        kept = [] if keep.is_all else self._snapshots()
        if not kept:
            return
        floor = min(kept[0], certified_height, database.history_floor(keep))
        with removing(self._home) as may_remove:
            if floor <= self._pruned or not may_remove:
                return
            removed = prune_below(self._store, self._genesis, floor)
            if removed:
                database.note_pruned_store(removed)
            self._pruned = floor

    def _snapshots(self) -> list[int]:
        """Heights of the snapshots whose manifest and certificate are good: others are nothing to come back from."""
        heights = self._place.heights()
        self._kept_good = {
            height: self._kept_good.get(height) or is_offered(self._place, height, self._context) for height in heights
        }
        return [height for height in heights if self._kept_good[height]]

    def _halt(self, own: Checkpoint, certificate: CheckpointCertificate) -> None:
        """The order process may be the one that lies, or not have come so far: this one reports, too."""
        facts = fork_facts(self._wire, self._wire.claim(own), (certificate,))
        EvidenceFolder(self._home.evidence).report(FORK, {"why": "the database holds another state", **facts})
        height, root = certificate.claim.height, certificate.claim.checkpoint.state_root
        self.fork = (
            f"A quorum has certified another state of height {height} than this database holds: the root {root.hex()}. "
            "What was signed lies in the home's folder `evidence`, and beside it, once this node has compared, the "
            "rows that differ. `momus recover` builds the database anew."
        )
        self._stop.set()

    def _tell(self, database: Database) -> None:
        height = self._store.last_height()
        if height != self._told:
            database.tell_final(height)
            self._told = height

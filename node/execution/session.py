"""Bringing one database up to a store: live execution, replay and drill are this, with other arguments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backbone.store import StoreReader
from ingest.pool import VerdictPool
from ledger.checkpoint_rule import genesis_mark
from ledger.formats import refusal
from ledger.genesis import Genesis
from ledger.state import Cursor
from node.execution.blocks import BlockSource, StoreInconsistent
from node.execution.pipeline import Pipeline, PipelineLimits
from node.execution.watch import ExecutionWatch, Unwatched
from node.home.final_heads import gap_above
from projections.database import Database
from projections.flush.checkpoints import StoredCheckpoint

CHECKPOINTS_MAX: Final = 64
"""Newest checkpoints that a session tells of when it starts."""

OnFlushed = Callable[[Cursor, Sequence[StoredCheckpoint]], None]
"""Told where a session starts, with the newest checkpoints there; then of each flush, with the one that it wrote."""


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """What the cursor keeps of the log that its first records came from. Where later ones came from the headers say."""

    cluster_id: str
    topic_id: str


@dataclass(frozen=True, slots=True)
class Session:
    """All that executing a store into a database needs. `rehash`: do not believe the store's own digests."""

    genesis: Genesis
    identity: LogIdentity
    store: Path
    database_url: str
    limits: PipelineLimits = field(default_factory=PipelineLimits)
    rehash: bool = False
    watch: ExecutionWatch = field(default_factory=Unwatched)

    def run(
        self,
        pool: VerdictPool,
        on_flushed: OnFlushed,
        stop: Callable[[], bool],
        until_height: int | None = None,
    ) -> Cursor:
        """Execute until `stop()` or, if given, until exactly `until_height` is committed; the cursor reached.

        Raises: CursorMoved, DatabaseUnavailable, StoreInconsistent, StoreDamaged.
        """
        with Database(self.database_url) as reading, Database(self.database_url) as writing:
            cursor = self._cursor(writing)
            newest = writing.newest_checkpoints(CHECKPOINTS_MAX)
            on_flushed(cursor, newest)
            self.watch.flushed(cursor.height, cursor.time_ms, newest[-1] if newest else None)
            with StoreReader(self.store) as store:
                self._check_store(store, cursor)
                source = BlockSource(
                    store, self.genesis, cursor.height, cursor.block_digest, cursor.heads, self.rehash, until_height
                )
                reached = [cursor]

                def flushed(at: Cursor, checkpoint: StoredCheckpoint | None) -> None:
                    reached[0] = at
                    on_flushed(at, [] if checkpoint is None else [checkpoint])

                checkpoint = newest[-1] if newest else genesis_mark(self.genesis)
                pipeline = Pipeline(
                    self.genesis, source, pool, reading, writing, cursor, checkpoint, self.limits, flushed, self.watch
                )
                try:
                    while not stop() and (until_height is None or reached[0].height < until_height):
                        pipeline.advance(wait_ms=20)
                finally:
                    pipeline.drain()
                return reached[0]

    def _cursor(self, database: Database) -> Cursor:
        """The database's cursor; a fresh database gets its first one. Raises: StoreInconsistent."""
        start = Cursor(
            genesis_digest=self.genesis.digest,
            chain=self.genesis.chain,
            cluster_id=self.identity.cluster_id,
            topic_id=self.identity.topic_id,
            protocol_version=self.genesis.protocol_version,
            height=0,
            block_digest=self.genesis.digest,
            time_ms=0,
            heads=self.genesis.empty_heads(),
        )
        cursor = database.cursor()
        if cursor is None:
            if database.is_restoring():
                raise StoreInconsistent(
                    "The database is half filled from a snapshot: finish it with `momus recover` (or `momus at`)."
                )
            database.initialise(start)
            return start
        if start.genesis_digest != cursor.genesis_digest:
            raise StoreInconsistent(
                f"The database was built with genesis_digest {cursor.genesis_digest.hex()[:16]}, this node has "
                f"{start.genesis_digest.hex()[:16]}. It belongs to another chain: use its own database, or build a "
                "fresh one with `momus replay`."
            )
        mine, theirs = start.protocol_version, cursor.protocol_version
        if mine != theirs:
            words = refusal("protocol", str(theirs), str(mine), theirs > mine)
            raise StoreInconsistent(f"The database of the chain {cursor.chain} {words}.")
        return cursor

    def _check_store(self, store: StoreReader, cursor: Cursor) -> None:
        begins = gap_above(store, cursor.height)
        if begins is not None:
            raise StoreInconsistent(
                f"The database is at height {cursor.height}, the store begins at {begins}: what lies between was "
                "pruned. `momus recover` goes on from a snapshot above, `momus replay --from log` from the log."
            )
        if store.last_height() < cursor.height:
            raise StoreInconsistent(
                f"The store ends at height {store.last_height()}, the database is at {cursor.height}: the store or "
                "the journal was rolled back. Put the node's own store back, or rebuild the database from the log "
                "with `momus replay --from log`."
            )

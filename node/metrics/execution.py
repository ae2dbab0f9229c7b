"""The numbers of the execute process."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from ingest.pool import VerdictPool
from ledger.columns import Verdicts
from ledger.rejection import Reason
from ledger.state import Effects, Wanted
from node.metrics.values import Values
from projections.flush.checkpoints import StoredCheckpoint
from projections.maintenance.measuring import CONNECTION_STATES, Measured

NOT_LISTED: Final = "not_listed"
"""The reason of rejections past `rejections_max` of a block, which are only counted."""
_STAGES: Final = ("read", "verdicts", "prefetch", "execute", "flush_wait", "flush")
_REASONS: Final = {int(reason): reason.word for reason in Reason if reason}


class ExecutionMetrics:
    """Counts what the pipeline and the upkeep tell, each from its own thread."""

    def __init__(self) -> None:
        self.values: Final = Values("execute")
        self._begin()

    # --- of the pipeline ---

    def stage_finished(self, stage: str, seconds: float) -> None:
        """See `ExecutionWatch`, as all of these."""
        self.values.observe("momus_execution_stage_seconds", seconds, stage)

    def ahead(self, records: int) -> None:
        self.values.set("momus_execution_ahead_records", records)

    def executed(self, records: int, verdicts: Verdicts, wanted: Wanted, effects: Effects, entries: int) -> None:
        add = self.values.add
        add("momus_execution_blocks_total", len(effects.blocks))
        add("momus_execution_records_total", records)
        add("momus_execution_transfers_total", len(effects.transfers))
        self.values.observe("momus_execution_batch_records", records)
        self._count_results(effects)
        for kind, count in _missed(wanted).items():
            add("momus_execution_cache_misses_total", count, kind)
        # One for each recipient and one for each command's sender.
        add("momus_execution_balance_lookups_total", len(verdicts.recipients) + len(verdicts.commands))
        self.values.set("momus_execution_cache_bytes", entries)
        for table, count in _rows(effects).items():
            add("momus_flush_rows_total", count, table)

    def flushed(self, height: int, time_ms: int, checkpoint: StoredCheckpoint | None) -> None:
        self.values.set("momus_execution_height_blocks", height)
        self.values.set("momus_execution_block_time_seconds", time_ms / 1000)
        if checkpoint is not None:
            self.values.set("momus_checkpoint_height_blocks", checkpoint.checkpoint.height)
            self.values.set("momus_checkpoint_time_seconds", checkpoint.time_ms / 1000)

    def unavailable(self) -> None:
        self.values.add("momus_database_failures_total")

    # --- of others ---

    def measured(self, found: Measured, certified_height: int, snapshots: Sequence[int]) -> None:
        """What the upkeep has found in the database; the heights of the kept snapshots, by rising height."""
        put = self.values.set
        put("momus_database_bytes", found.database_bytes)
        for state, count in found.connections.items():
            put("momus_database_connections", count, state)
        put("momus_checkpoint_certified_height_blocks", certified_height)
        put("momus_snapshots", len(snapshots))
        put("momus_snapshot_height_blocks", snapshots[-1] if snapshots else 0)
        put("momus_pruning_history_floor_blocks", found.history_floor)
        put("momus_pruning_removed_partitions_total", found.partitions_removed)
        put("momus_pruning_removed_store_bytes_total", found.store_bytes_removed)
        put("momus_tree_removed_pieces_total", found.pieces_removed)
        put("momus_tree_written_pieces_total", found.pieces_written)
        put("momus_tree_stale_pieces", found.pieces_stale)

    def of_pool(self, pool: VerdictPool) -> None:
        """What the pool says now."""
        self.values.set("momus_execution_pool_workers", len(pool.pids()))
        self.values.set("momus_execution_pool_waiting_chunks", pool.waiting())
        self.values.set("momus_execution_pool_deaths_total", pool.deaths())

    def _begin(self) -> None:
        """Series that are known show from the start, at 0: a first event is a rise then."""
        self.values.add("momus_execution_transactions_total", 0, "executed", "none")
        for reason in (*_REASONS.values(), NOT_LISTED):
            self.values.add("momus_execution_transactions_total", 0, "rejected", reason)
        for stage in _STAGES:
            self.values.begin("momus_execution_stage_seconds", stage)
        for kind in _KINDS:
            self.values.add("momus_execution_cache_misses_total", 0, kind)
        for table in _TABLES:
            self.values.add("momus_flush_rows_total", 0, table)
        for state in CONNECTION_STATES:
            self.values.set("momus_database_connections", 0, state)

    def _count_results(self, effects: Effects) -> None:
        name, add = "momus_execution_transactions_total", self.values.add
        add(name, len(effects.transactions), "executed", "none")
        for reason, count in Counter(row.reason for row in effects.rejections).items():
            add(name, count, "rejected", _REASONS[int(reason)])
        unlisted = sum(block.rejections for block in effects.blocks) - len(effects.rejections)
        add(name, unlisted, "rejected", NOT_LISTED)


_KINDS: Final = ("balances", "assets", "objects", "digests", "buckets")


def _missed(wanted: Wanted) -> dict[str, int]:
    balances = sum(map(len, wanted.balances.values()))
    counts = (balances, len(wanted.assets), len(wanted.objects), len(wanted.digests), len(wanted.buckets))
    return dict(zip(_KINDS, counts, strict=True))


_TABLES: Final = (
    "blocks", "transactions", "rejections", "transfers", "object_versions", "balances", "assets", "objects",
    "remembered", "expiry_buckets",
)  # fmt: skip


def _rows(effects: Effects) -> dict[str, int]:
    """Rows inserted, updated and deleted, by table."""
    balances = (effects.balances_inserted, effects.balances_updated, effects.balances_deleted)
    objects = (effects.objects_inserted, effects.objects_updated, effects.objects_deleted)
    counts = (
        len(effects.blocks),
        len(effects.transactions),
        len(effects.rejections),
        len(effects.transfers),
        len(effects.object_versions),
        sum(map(len, balances)),
        len(effects.assets_inserted) + len(effects.assets_updated),
        sum(map(len, objects)),
        len(effects.remembered),
        len(effects.buckets),
    )
    return dict(zip(_TABLES, counts, strict=True))

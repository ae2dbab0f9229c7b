"""The execute process' inside: final blocks -> verdicts (worker processes) -> effects -> one transaction per flush.

Three stages run at once, with bounds between them: verdicts are worked out ahead by the pool, the main thread
prefetches and executes, a thread flushes the group before. Under load the groups grow by themselves: what has become
ready during one flush goes into the next.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from executor.execute import BlockInput, execute
from executor.state import State
from ingest.pool import VerdictPool
from ingest.verdicts import join
from ledger.checkpoint_rule import CheckpointRule, Mark
from ledger.columns import Verdicts
from ledger.genesis import Genesis
from ledger.state import Cursor, Effects
from node.execution.blocks import BlockRecords, BlockSource
from node.execution.watch import ExecutionWatch, Unwatched
from projections.database import Database
from projections.flush.checkpoints import StoredCheckpoint

_BLOCKS_AT_ONCE: Final = 256
_JOBS_A_FLUSH: Final = 4
"""A job has at most such a part of a flush's bytes, or one block."""


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """Bounds of one pipeline. They decide speed and memory, never effects."""

    ahead_records_max: int = 40_000
    ahead_bytes_max: int = 4 << 20
    job_records_max: int = 2_000
    flush_records_max: int = 20_000
    flush_transfers_max: int = 200_000
    flush_bytes_max: int = 4 << 20
    state_bytes_max: int = 64 << 20


@dataclass(frozen=True, slots=True)
class _Job:
    """A run of blocks whose verdicts are being worked out together; the records are the workers'."""

    blocks: tuple[BlockInput, ...]
    verdicts: Future[Verdicts]
    records: int
    size_bytes: int
    is_checkpoint: bool  # its last block is one; no other is


class Pipeline:
    """Executes a store's final blocks into one database, from that database's cursor on.

    After any error it is thrown away and a new one starts from the cursor: nothing of it must survive.
    Raises (from `advance`): CursorMoved, DatabaseUnavailable, StoreInconsistent, StoreDamaged.
    """

    def __init__(
        self,
        genesis: Genesis,
        source: BlockSource,
        pool: VerdictPool,
        reader: Database,
        writer: Database,
        cursor: Cursor,
        checkpoint: Mark,
        limits: PipelineLimits,
        on_flushed: Callable[[Cursor, StoredCheckpoint | None], None],
        watch: ExecutionWatch | None = None,
    ) -> None:
        self._genesis = genesis
        self._source = source
        self._pool = pool
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._on_flushed = on_flushed
        self._watch = watch or Unwatched()
        self._state = State()
        self._jobs: deque[_Job] = deque()
        self._ahead_records = 0
        self._ahead_bytes = 0
        self._executed = cursor
        self._rule = CheckpointRule(genesis)
        self._checkpoint = checkpoint  # the last one up to what was read ahead
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="flush")
        self._flush: tuple[Cursor, Future[StoredCheckpoint | None]] | None = None

    def advance(self, wait_ms: int) -> bool:
        """Do what can be done now; wait up to `wait_ms` for work. Whether anything was executed or flushed."""
        self._read_ahead()
        if not self._jobs:
            return self._idle(wait_ms)
        began = perf_counter()
        group = self._ready_group(wait_ms)
        if not group:
            return self._flush_finished(0)
        self._watch.stage_finished("verdicts", perf_counter() - began)
        self._start_flush(*self._execute(group), group[-1].is_checkpoint)
        return True

    def drain(self) -> None:
        """Finish the flush in flight and stop the thread. What was not executed stays for the next start."""
        try:
            self._flush_finished(None)
        finally:
            for job in self._jobs:
                job.verdicts.cancel()
            self._flusher.shutdown(wait=True)

    @property
    def is_idle(self) -> bool:
        """Nothing read is waiting and nothing is in flight."""
        return not self._jobs and self._flush is None

    def _idle(self, wait_ms: int) -> bool:
        if self._flush is not None:
            return self._flush_finished(wait_ms)
        self._source.wait(wait_ms)
        return False

    def _read_ahead(self) -> None:
        limits = self._limits
        while self._ahead_records < limits.ahead_records_max and self._ahead_bytes < limits.ahead_bytes_max:
            began = perf_counter()
            blocks = self._source.read(
                _BLOCKS_AT_ONCE,
                limits.ahead_bytes_max - self._ahead_bytes,
                limits.ahead_records_max - self._ahead_records,
            )
            if not blocks:
                return
            run: list[BlockRecords] = []
            records = size = 0
            for block in blocks:
                run.append(block)
                records, size = records + len(block.records), size + block.size_bytes
                is_checkpoint = self._rule.holds(block.block.header, self._checkpoint)
                if is_checkpoint:
                    self._checkpoint = block.block.header
                is_full = records >= limits.job_records_max or size >= limits.flush_bytes_max // _JOBS_A_FLUSH
                if is_full or is_checkpoint:
                    self._submit(run, is_checkpoint)
                    run, records, size = [], 0, 0
            if run:
                self._submit(run, False)
            self._watch.stage_finished("read", perf_counter() - began)

    def _submit(self, run: list[BlockRecords], is_checkpoint: bool) -> None:
        rows = [
            (partition, record.offset, item.block.header.time_ms, record.value)
            for item in run
            for partition, record in item.records
        ]
        size = sum(item.size_bytes for item in run)
        blocks = tuple(BlockInput(item.block, len(item.records)) for item in run)
        self._jobs.append(_Job(blocks, self._pool.submit(rows), len(rows), size, is_checkpoint))
        self._ahead_records += len(rows)
        self._ahead_bytes += size
        self._watch.ahead(self._ahead_records)

    def _ready_group(self, wait_ms: int) -> list[_Job]:
        """The oldest jobs whose verdicts are there, up to the bounds of a flush; never past a checkpoint."""
        try:
            transfers = len(self._jobs[0].verdicts.result(wait_ms / 1000).amounts)
        except FutureTimeout:
            return []
        group = [self._take()]
        records, size = group[0].records, group[0].size_bytes
        while self._jobs and self._jobs[0].verdicts.done() and not group[-1].is_checkpoint:
            following = self._jobs[0]
            transfers += len(following.verdicts.result().amounts)
            records, size = records + following.records, size + following.size_bytes
            limits = self._limits
            if (
                records > limits.flush_records_max
                or transfers > limits.flush_transfers_max
                or size > limits.flush_bytes_max
            ):
                break
            group.append(self._take())
        return group

    def _take(self) -> _Job:
        job = self._jobs.popleft()
        self._ahead_records -= job.records
        self._ahead_bytes -= job.size_bytes
        return job

    def _execute(self, group: list[_Job]) -> tuple[Effects, Cursor]:
        verdicts = join([job.verdicts.result() for job in group])
        blocks = [block for job in group for block in job.blocks]
        self._bound_state()
        with self._timed("prefetch"):
            wanted = self._state.wanted(verdicts)
            self._state.learn(wanted, self._reader.prefetch(wanted))
        with self._timed("execute"):
            effects = execute(self._genesis, self._state, blocks, verdicts)
        records = sum(job.records for job in group)
        self._watch.executed(records, verdicts, wanted, effects, self._state.size_bytes)
        self._watch.ahead(self._ahead_records)
        last = blocks[-1].block
        cursor = replace(
            self._executed,
            height=last.header.height,
            block_digest=last.digest,
            time_ms=last.header.time_ms,
            heads=last.header.heads,
        )
        return effects, cursor

    def _bound_state(self) -> None:
        """Drop the cache when it is full; only when nothing is in flight, since what is in flight is only there."""
        if self._state.size_bytes > self._limits.state_bytes_max:
            self._flush_finished(None)
            self._state.forget()

    def _start_flush(self, effects: Effects, cursor: Cursor, is_checkpoint: bool) -> None:
        with self._timed("flush_wait"):
            self._flush_finished(None)
        expected, self._executed = self._executed.height, cursor
        genesis = self._genesis if is_checkpoint else None
        self._flush = (cursor, self._flusher.submit(self._write, effects, expected, cursor, genesis))

    def _write(
        self, effects: Effects, expected: int, cursor: Cursor, genesis: Genesis | None
    ) -> StoredCheckpoint | None:
        with self._timed("flush"):
            return self._writer.flush(effects, expected, cursor, genesis)

    def _flush_finished(self, wait_ms: int | None) -> bool:
        """Take the result of the flush in flight, if it is there within `wait_ms` (None: however long it takes)."""
        if self._flush is None:
            return False
        cursor, future = self._flush
        try:
            checkpoint = future.result(None if wait_ms is None else wait_ms / 1000)
        except FutureTimeout:
            return False
        self._flush = None
        self._state.committed()
        self._watch.flushed(cursor.height, cursor.time_ms, checkpoint)
        self._on_flushed(cursor, checkpoint)
        return True

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = perf_counter()
        yield
        self._watch.stage_finished(stage, perf_counter() - began)

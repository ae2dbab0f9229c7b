"""Judges records in worker processes, in chunks. A worker that dies is replaced, and its chunks are judged again.

A thread per worker feeds it, two chunks ahead when there is enough for all, so that a worker does not wait for a
busy main thread. Judging is pure, so judging a chunk twice changes nothing.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from threading import Condition, Lock, Thread
from typing import Final

from ingest.verdicts import Record, join
from ingest.workers import Worker, WorkerDied
from ledger.columns import Verdicts
from ledger.errors import Unavailable
from ledger.genesis import Limits

CHUNK_RECORDS_MAX: Final = 1024
CHUNK_RECORDS_LEAST: Final = 16
CHUNK_BYTES_MAX: Final = 2**20
_AHEAD_MAX: Final = 2
_DEATHS_MAX: Final = 3


class VerdictWorkersLost(Unavailable):
    """Workers died again and again over the same records, or could not be started, or the pool was closed."""


class VerdictPool:
    """`workers` processes that judge. The caller bounds how much it submits before it takes results."""

    def __init__(self, workers: int, genesis_digest: bytes, limits: Limits) -> None:
        """Start the processes; the first results wait until they are up (about half a second)."""
        self._queue = _Queue()
        self._feeders = [_Feeder(self._queue, genesis_digest, limits) for _ in range(workers)]
        for feeder in self._feeders:
            feeder.start()

    def submit(self, records: Sequence[Record]) -> "Future[Verdicts]":
        """`judge(records)`, later. The future raises VerdictWorkersLost where no worker could judge them."""
        job = _Job(list(_chunks(records, len(self._feeders))))
        self._queue.put([_Chunk(job, index, part) for index, part in enumerate(job.parts)])
        return job.future

    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that run now."""
        return tuple(feeder.pid for feeder in self._feeders if feeder.pid)

    def waiting(self) -> int:
        """How many chunks no worker has yet."""
        return len(self._queue)

    def deaths(self) -> int:
        """How often a worker has died."""
        return sum(feeder.deaths for feeder in self._feeders)

    def close(self) -> None:
        """End the workers after the chunks they hold; what is still queued fails with VerdictWorkersLost."""
        self._queue.close()
        for feeder in self._feeders:
            feeder.join()


class _Job:
    """One `submit`: its chunks, and the future that is done when all of them are."""

    def __init__(self, parts: list[Sequence[Record]]) -> None:
        self.parts = parts
        self.future: Future[Verdicts] = Future()
        self.future.set_running_or_notify_cancel()
        self._verdicts: list[Verdicts | None] = [None] * len(parts)
        self._left = len(parts)
        self._lock = Lock()

    def done(self, index: int, verdicts: Verdicts) -> None:
        self._verdicts[index] = verdicts
        with self._lock:
            self._left -= 1
            is_last = self._left == 0
        if is_last and not self.future.done():
            self.future.set_result(join([part for part in self._verdicts if part is not None]))

    def failed(self, why: str) -> None:
        with self._lock:
            if not self.future.done():
                self.future.set_exception(VerdictWorkersLost(why))


class _Chunk:
    def __init__(self, job: _Job, index: int, records: Sequence[Record]) -> None:
        self.job = job
        self.index = index
        self.records = records
        self.deaths = 0


class _Queue:
    """Chunks that no worker has yet."""

    def __init__(self) -> None:
        self._chunks: deque[_Chunk] = deque()
        self._changed = Condition()
        self._waiting = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._chunks)

    def put(self, chunks: list[_Chunk]) -> None:
        with self._changed:
            if not self._closed:
                self._chunks.extend(chunks)
                self._changed.notify_all()
                return
        for chunk in chunks:
            chunk.job.failed("the pool is closed")

    def take(self, wait: bool) -> _Chunk | None:
        """The next chunk; None: the queue was closed, or (without `wait`) the rest is left to idle workers."""
        with self._changed:
            if not wait:
                return self._chunks.popleft() if len(self._chunks) > self._waiting else None
            self._waiting += 1
            while not self._chunks and not self._closed:
                self._changed.wait()
            self._waiting -= 1
            return self._chunks.popleft() if self._chunks else None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            left = list(self._chunks)
            self._chunks.clear()
            self._changed.notify_all()
        for chunk in left:
            chunk.job.failed("the pool was closed")


class _Feeder(Thread):
    """Keeps one worker running and fed until the queue closes."""

    def __init__(self, queue: _Queue, genesis_digest: bytes, limits: Limits) -> None:
        super().__init__(name="verdict-feeder", daemon=True)
        self._queue = queue
        self._genesis = (genesis_digest, limits)
        self._held: deque[_Chunk] = deque()
        self._sent = 0
        self._worker: Worker | None = None
        self.deaths = 0

    @property
    def pid(self) -> int:
        """The worker's process id; 0: none is running."""
        worker = self._worker
        return worker.pid if worker else 0

    def run(self) -> None:
        try:
            self._attempt(self._start)
            while self._take():
                self._attempt(self._exchange)
        finally:
            self._drop_worker()

    def _attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (WorkerDied, OSError) as error:
            self._on_death(str(error))

    def _start(self) -> Worker:
        if self._worker is None:
            self._worker = Worker(*self._genesis)
            self._sent = 0
        return self._worker

    def _take(self) -> bool:
        """Take chunks until there are enough; whether there are any. False: the queue was closed."""
        while len(self._held) < _AHEAD_MAX:
            chunk = self._queue.take(wait=not self._held)
            if chunk is None:
                break
            self._held.append(chunk)
        return bool(self._held)

    def _exchange(self) -> None:
        """Send what the worker does not have yet (a new one: all), take one answer. Raises: WorkerDied, OSError."""
        worker = self._start()
        while self._sent < len(self._held):
            worker.send(self._held[self._sent].records)
            self._sent += 1
        verdicts = worker.receive()
        chunk = self._held.popleft()
        self._sent -= 1
        chunk.job.done(chunk.index, verdicts)

    def _on_death(self, why: str) -> None:
        self._drop_worker()
        self.deaths += 1
        if self._held:
            self._held[0].deaths += 1
            if self._held[0].deaths >= _DEATHS_MAX:
                self._held.popleft().job.failed(f"{_DEATHS_MAX} workers died over the same records: {why}")

    def _drop_worker(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


def _chunks(records: Sequence[Record], workers: int) -> Iterator[Sequence[Record]]:
    """Cut into runs of about equal count for every worker, within the chunk bounds; a run has a record at least."""
    records_max = min(CHUNK_RECORDS_MAX, max(CHUNK_RECORDS_LEAST, -(-len(records) // workers)))
    start = size = 0
    for index, (_, _, _, value) in enumerate(records):
        value_size = len(value or b"")
        if index > start and (index - start >= records_max or size + value_size > CHUNK_BYTES_MAX):
            yield records[start:index]
            start, size = index, 0
        size += value_size
    yield records[start:]

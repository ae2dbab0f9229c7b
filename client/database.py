"""What a node has executed, seen through SQL: how far it is, and what became of a transaction."""

import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg

from ledger.rejection import INCONCLUSIVE
from projections.session.connect import connect

_CHANNEL = "momus_flush"
_LISTEN_S = 0.25
_RETRY_S = 0.25
_SEEN_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Executed:
    """The transaction had its effects, at this height."""

    height: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The transaction had no effect; `sentence` says why."""

    height: int
    reason: str
    sentence: str


def outcome(database: psycopg.Connection[tuple[object, ...]], digest: bytes) -> Executed | Rejected | None:
    """What became of a transaction, by its digest; None: nothing yet, as far as this node is.

    A digest that executed and then came again counts as executed, and a record that was rejected for what holds of it
    alone (somebody's copy with a bad signature, one that came too early) decides nothing. Quick while the chain
    remembers the digest (until a minute after its expiry); after that history is searched.
    """
    asked = {"digest": digest.hex(), "of_records": list(map(int, INCONCLUSIVE))}
    for where in ("height = api.height_of(%(digest)s) and digest = %(digest)s", "digest = %(digest)s"):
        found = database.execute(f"select height from api.transactions where {where} limit 1", asked).fetchone()
        if found is not None:
            return Executed(int(str(found[0])))
        query = (
            f"select height, reason, sentence from api.rejections where {where} and code <> all (%(of_records)s) "
            "order by height, index limit 1"
        )
        found = database.execute(query, asked).fetchone()
        if found is not None:
            return Rejected(int(str(found[0])), str(found[1]), str(found[2]))
    return None


class HeightWatch:
    """Follows the height that a node's database has reached, by its notifications; survives restarts of Postgres.

    One thread with one connection. `seen_at` tells when each height could first be read, to about a millisecond.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._heights: list[int] = []
        self._times: list[float] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="momus-heights", daemon=True)
        self._thread.start()

    @property
    def height(self) -> int:
        """The newest height seen; 0 before the first."""
        with self._changed:
            return self._heights[-1] if self._heights else 0

    def wait(self, height: int, timeout_s: float) -> bool:
        """Whether the database has reached `height`, waiting for it up to `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._heights) and self._heights[-1] >= height, timeout_s)

    def seen_at(self, height: int) -> float | None:
        """When (`time.monotonic`, seconds) rows of `height` were first seen to be there; None: not yet."""
        with self._changed:
            at = bisect_left(self._heights, height)
            return self._times[at] if at < len(self._heights) else None

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with connect(self._url, "momus client") as database:
                    self._follow(database)
            except psycopg.Error:
                self._stopping.wait(_RETRY_S)

    def _follow(self, database: psycopg.Connection[tuple[object, ...]]) -> None:
        database.execute(f"listen {_CHANNEL}")
        while not self._stopping.is_set():
            found = database.execute("select height from api.status").fetchone()
            if found is not None:
                self._saw(int(str(found[0])), time.monotonic())
            for _ in database.notifies(timeout=_LISTEN_S, stop_after=1):
                pass

    def _saw(self, height: int, at: float) -> None:
        with self._changed:
            if self._heights and height <= self._heights[-1]:
                return
            if len(self._heights) >= _SEEN_MAX:
                del self._heights[: _SEEN_MAX // 2], self._times[: _SEEN_MAX // 2]
            self._heights.append(height)
            self._times.append(at)
            self._changed.notify_all()

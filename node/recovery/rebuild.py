"""Recovery paths of a database, light to heavy: a snapshot and what the store has above it; the own store from genesis;
a store filled anew from the log.

Each path verifies all that it uses, so one that cannot work says why, and the next is tried.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from backbone.log import LogUnavailable, PositionLost, TopicMissing
from backbone.store import StoreDamaged, StoreFailed, StoreReader
from ledger.errors import Halt
from node.execution.blocks import StoreInconsistent
from node.home.context import NodeContext
from node.home.store_base import StoreUnusable
from node.recovery.follow import FollowError
from node.recovery.replay import OnStep, ReplayTargetNotFresh, Step, replay, store_from_log
from node.wiring import snapshot_place
from projections.database import Database, DatabaseUnusable
from projections.maintenance.migrate import migrate
from projections.snapshots.restoring import RestoreTargetNotFresh
from sync.snapshots.restore import BadSnapshot, open_snapshot, restore
from sync.snapshots.stores import SnapshotStore, SnapshotStoreUnavailable

SNAPSHOT: Final = "snapshot"
STORE: Final = "store"
LOG: Final = "log"
SOURCES: Final = (SNAPSHOT, STORE, LOG)

_UNUSABLE: Final = (
    StoreDamaged,
    StoreFailed,
    StoreInconsistent,
    StoreUnusable,
    FollowError,
    BadSnapshot,
    SnapshotStoreUnavailable,
    ReplayTargetNotFresh,
    RestoreTargetNotFresh,
)
_NO_LOG: Final = (LogUnavailable, PositionLost, TopicMissing)


class RecoveryFailed(Halt):
    """Every recovery path failed. The message says why, path by path."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a recovery came to: `records` were executed, above the height `above`. `tried`: a sentence for each path
    that was skipped."""

    source: str
    height: int
    records: int
    above: int = 0
    tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecoverySources:
    """What a database may be rebuilt from. `store` need not be the home's own; `spare`: a folder that does not exist
    yet, for a store from the log, None where the log is not to be asked; `place`: of snapshots, if there is one."""

    context: NodeContext
    store: Path
    spare: Path | None
    place: SnapshotStore | None
    allowed: Sequence[str] = SOURCES
    """Tried in this order."""
    snapshot_max: int | None = None
    """Above this height no snapshot is used."""
    is_begun: bool = False
    """Whether the database holds a beginning already, from a recovery that was killed: go on from there."""
    on_step: OnStep = field(default=lambda step: None)

    @classmethod
    def of_home(
        cls,
        context: NodeContext,
        spare: Path | None,
        allowed: Sequence[str] = SOURCES,
        snapshot_max: int | None = None,
        on_step: OnStep = lambda step: None,
    ) -> Self:
        """What the home has: its own store, and the snapshots of its settings. Raises: SnapshotStoreUnavailable."""
        home = context.home
        place = snapshot_place(home, context.settings)
        return cls(context, home.store, spare, place, allowed, snapshot_max=snapshot_max, on_step=on_step)


def rebuild(sources: RecoverySources, url: str, height: int | None, renew: Callable[[], None]) -> Rebuilt:
    """Bring the fresh database at `url` to exactly `height` (None: to the end of what there is); `renew` makes it
    fresh again between two tries.

    Raises: RecoveryFailed, DatabaseUnavailable, DatabaseUnusable.
    """
    tried: list[str] = []
    is_fresh = not sources.is_begun
    for source, store, snapshot in _paths(sources, height, tried):
        name = f"Skipped {source}" if snapshot is None else f"Skipped snapshot of height {snapshot}"
        if not is_fresh and (tried or (snapshot is None and _is_half_restored(url))):
            renew()
        is_fresh = False
        try:
            if snapshot is not None:
                _restore(sources, snapshot, url)
            is_begun = sources.is_begun or snapshot is not None
            reached, records = replay(sources.context, store, url, height, sources.on_step, is_begun)
        except _UNUSABLE as error:
            tried.append(f"{name}: {error}")
            continue
        if height in (None, reached):
            return Rebuilt(source, reached, records, snapshot or 0, tuple(tried))
        tried.append(f"{name}: the store ends at height {reached}, below {height}.")
    raise RecoveryFailed(" ".join(tried))


def newest_snapshot(sources: RecoverySources, height: int | None) -> int:
    """The height of the snapshot that `rebuild` begins with; 0: none."""
    return next((it for it in _heights(sources, height, []) if SNAPSHOT in sources.allowed), 0)


def _paths(sources: RecoverySources, height: int | None, tried: list[str]) -> Iterator[tuple[str, Path, int | None]]:
    """(source, the store that it executes, the height of the snapshot that it begins with)"""
    for source in sources.allowed:
        if source == SNAPSHOT:
            for snapshot in _heights(sources, height, tried):
                yield SNAPSHOT, sources.store, snapshot
        elif source == STORE:
            if height != 0 and _is_empty(sources.store):
                tried.append("Skipped store: it holds no final block.")
            else:
                yield STORE, sources.store, None
        elif sources.spare is not None:
            with _store_from_log(sources, sources.spare, tried) as store:
                if store is not None:
                    yield LOG, store, None


def _is_empty(store: Path) -> bool:
    """Whether it is lost, or was never filled: what is damaged is not."""
    try:
        with StoreReader(store) as reader:
            return reader.last_height() == 0
    except StoreDamaged:
        return False


def _heights(sources: RecoverySources, height: int | None, tried: list[str]) -> list[int]:
    """Of the snapshots at or below a height, the newest first."""
    try:
        found = sources.place.heights() if sources.place is not None else []
    except SnapshotStoreUnavailable as error:
        tried.append(f"Skipped snapshots: {error}")
        return []
    bounds = [bound for bound in (height, sources.snapshot_max) if bound is not None]
    return [it for it in reversed(found) if all(it <= bound for bound in bounds)]


def _is_half_restored(url: str) -> bool:
    """Whether the database holds nothing but the beginning of a snapshot that nobody can go on with."""
    try:
        with Database(url) as database:
            return database.is_restoring()
    except DatabaseUnusable:
        return False


def _restore(sources: RecoverySources, height: int, url: str) -> None:
    assert sources.place is not None
    migrate(url, partition_heights=sources.context.settings.projections.partition_heights)
    with Database(url) as database:
        if database.cursor() is not None and sources.is_begun:
            return
    genesis = sources.context.genesis
    snapshot = open_snapshot(sources.place, height, genesis, sources.context.committees)
    cursor = snapshot.cursor(genesis, sources.context.settings.log.cluster_id)

    def told(done: int, total: int) -> None:
        sources.on_step(Step("restoring the snapshot", height, done, total))

    restore(snapshot, genesis, url, cursor, told)


@contextmanager
def _store_from_log(sources: RecoverySources, spare: Path, tried: list[str]) -> Iterator[Path | None]:
    """Filled beside the own one, and gone afterwards; None where the log does not give one."""
    try:
        store_from_log(sources.context, spare, sources.on_step)
    except (*_UNUSABLE, *_NO_LOG) as error:
        tried.append(f"Skipped log: {error}")
        yield None
    else:
        yield spare
    finally:
        shutil.rmtree(spare, ignore_errors=True)

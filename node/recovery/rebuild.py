"""The ways back to a database, light to heavy: a snapshot and what the store has above it; the own store from genesis;
a store filled anew from the log.

Each way verifies all that it uses, so one that cannot work says why, and the next is tried.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backbone.log import LogUnavailable, PositionLost, TopicMissing
from backbone.store import StoreDamaged, StoreFailed, StoreReader
from ledger.genesis import Genesis
from node.errors import Halted
from node.execution.blocks import StoreInconsistent
from node.home.layout import Home
from node.recovery.follow import FollowError
from node.recovery.replay import OnStep, Step, replay, store_from_log
from node.settings.tree import Settings
from projections.database import Database, DatabaseUnusable
from projections.maintenance.migrate import migrate
from projections.snapshots.restoring import NotFresh
from sync.snapshots.places import Place, PlaceUnavailable
from sync.snapshots.restore import BadSnapshot, open_snapshot, restore

SNAPSHOT: Final = "snapshot"
STORE: Final = "store"
LOG: Final = "log"
WAYS: Final = (SNAPSHOT, STORE, LOG)

_VAIN: Final = (
    StoreDamaged,
    StoreFailed,
    StoreInconsistent,
    Halted,
    FollowError,
    BadSnapshot,
    PlaceUnavailable,
    NotFresh,
)
_NO_LOG: Final = (LogUnavailable, PositionLost, TopicMissing)


class NoWayBack(Exception):
    """Every way was tried in vain. The message says why, way by way."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a way back came to: `records` were executed, above the height `above`. `tried`: a sentence for each way that
    did not work."""

    way: str
    height: int
    records: int
    above: int = 0
    tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Means:
    """What a database may be rebuilt from. `store` need not be the home's own; `spare`: a folder that does not exist
    yet, for a store from the log, None where the log is not to be asked; `place`: of snapshots, if there is one."""

    home: Home
    settings: Settings
    genesis: Genesis
    store: Path
    spare: Path | None
    place: Place | None
    ways: Sequence[str] = WAYS
    """Tried in this order."""
    snapshot_max: int | None = None
    """Above this height no snapshot is used."""
    is_begun: bool = False
    """Whether the database holds a beginning already, from a way back that was ended: go on from there."""
    on_step: OnStep = field(default=lambda step: None)


def rebuild(means: Means, url: str, height: int | None, renew: Callable[[], None]) -> Rebuilt:
    """Bring the fresh database at `url` to exactly `height` (None: to the end of what there is); `renew` makes it
    fresh again between two tries.

    Raises: NoWayBack, DatabaseUnavailable, DatabaseUnusable.
    """
    tried: list[str] = []
    is_fresh = not means.is_begun
    for way, store, snapshot in _ways(means, height, tried):
        name = f"From the {way}" if snapshot is None else f"From the snapshot of height {snapshot}"
        if not is_fresh and (tried or (snapshot is None and _is_half_restored(url))):
            renew()
        is_fresh = False
        try:
            if snapshot is not None:
                _restore(means, snapshot, url)
            is_begun = means.is_begun or snapshot is not None
            reached, records = replay(means.settings, means.genesis, store, url, height, means.on_step, is_begun)
        except _VAIN as error:
            tried.append(f"{name}: {error}")
            continue
        if height in (None, reached):
            return Rebuilt(way, reached, records, snapshot or 0, tuple(tried))
        tried.append(f"{name}: the store ends at height {reached}, below {height}.")
    raise NoWayBack(" ".join(tried))


def newest_snapshot(means: Means, height: int | None) -> int:
    """The height of the snapshot that `rebuild` begins with; 0: none."""
    return next((it for it in _heights(means, height, []) if SNAPSHOT in means.ways), 0)


def _ways(means: Means, height: int | None, tried: list[str]) -> Iterator[tuple[str, Path, int | None]]:
    """(way, the store that it executes, the height of the snapshot that it begins with)"""
    for way in means.ways:
        if way == SNAPSHOT:
            for snapshot in _heights(means, height, tried):
                yield SNAPSHOT, means.store, snapshot
        elif way == STORE:
            if height != 0 and _is_empty(means.store):
                tried.append("From the store: it holds no final block.")
            else:
                yield STORE, means.store, None
        elif means.spare is not None:
            with _store_from_log(means, means.spare, tried) as store:
                if store is not None:
                    yield LOG, store, None


def _is_empty(store: Path) -> bool:
    """Whether it is lost, or was never filled: what is damaged is not."""
    try:
        with StoreReader(store) as reader:
            return reader.last_height() == 0
    except StoreDamaged:
        return False


def _heights(means: Means, height: int | None, tried: list[str]) -> list[int]:
    """Of the snapshots at or below a height, the newest first."""
    try:
        found = means.place.heights() if means.place is not None else []
    except PlaceUnavailable as error:
        tried.append(f"From a snapshot: {error}")
        return []
    bounds = [bound for bound in (height, means.snapshot_max) if bound is not None]
    return [it for it in reversed(found) if all(it <= bound for bound in bounds)]


def _is_half_restored(url: str) -> bool:
    """Whether the database holds nothing but the beginning of a snapshot that nobody can go on with."""
    try:
        with Database(url) as database:
            return database.is_restoring()
    except DatabaseUnusable:
        return False


def _restore(means: Means, height: int, url: str) -> None:
    assert means.place is not None
    migrate(url, partition_heights=means.settings.projections.partition_heights)
    with Database(url) as database:
        if database.cursor() is not None and means.is_begun:
            return
    snapshot = open_snapshot(means.place, height, means.genesis)
    cursor = snapshot.cursor(means.genesis, means.settings.log.cluster_id)

    def told(done: int, total: int) -> None:
        means.on_step(Step("restoring the snapshot", height, done, total))

    restore(snapshot, means.genesis, url, cursor, told)


@contextmanager
def _store_from_log(means: Means, spare: Path, tried: list[str]) -> Iterator[Path | None]:
    """Filled beside the own one, and gone afterwards; None where the log does not give one."""
    try:
        store_from_log(means.home, means.settings, means.genesis, spare, means.on_step)
    except (*_VAIN, *_NO_LOG) as error:
        tried.append(f"From the log: {error}")
        yield None
    else:
        yield spare
    finally:
        shutil.rmtree(spare, ignore_errors=True)

"""The ways back to a database, light to heavy: the own store, or a store filled anew from the log, executed again.

Each way verifies all that it uses, so one that cannot work says why, and the next is tried.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backbone.log import LogUnavailable, PositionLost, TopicMissing
from backbone.store import StoreDamaged, StoreFailed
from ledger.genesis import Genesis
from node.blocks import StoreInconsistent
from node.follow import FollowError
from node.home import Home
from node.process import Halted
from node.replay import OnStep, replay, store_from_log
from node.settings import Settings

STORE: Final = "store"
LOG: Final = "log"

_VAIN: Final = (StoreDamaged, StoreFailed, StoreInconsistent, Halted, FollowError)
_NO_LOG: Final = (LogUnavailable, PositionLost, TopicMissing)


class NoWayBack(Exception):
    """Every way was tried in vain. The message says why, way by way."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a way back came to. `tried`: a sentence for each that did not work."""

    way: str
    height: int
    records: int
    tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Means:
    """What a database may be rebuilt from. `store` need not be the home's own; `spare`: a folder that does not exist
    yet, for a store from the log, None where the log is not to be asked."""

    home: Home
    settings: Settings
    genesis: Genesis
    store: Path
    spare: Path | None
    is_begun: bool = False
    """Whether the database holds a beginning already, from a replay that was ended: go on from there."""
    on_step: OnStep = field(default=lambda step: None)


def rebuild(means: Means, url: str, height: int | None, renew: Callable[[], None]) -> Rebuilt:
    """Bring the fresh database at `url` to exactly `height` (None: to the end of what there is); `renew` makes it
    fresh again between two tries.

    Raises: NoWayBack, DatabaseUnavailable, DatabaseUnusable.
    """
    tried: list[str] = []
    is_begun = means.is_begun
    for way in (STORE, LOG):
        with _store(means, way, tried) as store:
            if store is None:
                continue
            try:
                reached, records = replay(
                    means.settings, means.genesis, store, url, height, means.on_step, is_begun=is_begun
                )
            except _VAIN as error:
                tried.append(f"From the {way}: {error}")
            else:
                if height in (None, reached):
                    return Rebuilt(way, reached, records, tuple(tried))
                tried.append(f"From the {way}: it ends at height {reached}, below {height}.")
            is_begun = False
            renew()
    raise NoWayBack(" ".join(tried))


@contextmanager
def _store(means: Means, way: str, tried: list[str]) -> Iterator[Path | None]:
    """The store that a way executes; None where there is none."""
    if way == STORE:
        yield means.store
    elif means.spare is None:
        yield None
    else:
        try:
            yield _from_log(means, means.spare, tried)
        finally:
            shutil.rmtree(means.spare, ignore_errors=True)


def _from_log(means: Means, folder: Path, tried: list[str]) -> Path | None:
    try:
        store_from_log(means.home, means.settings, means.genesis, folder, means.on_step)
    except (*_VAIN, *_NO_LOG) as error:
        tried.append(f"From the log: {error}")
        return None
    return folder

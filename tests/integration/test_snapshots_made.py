"""The process that makes snapshots: what it offers is certified, and what is kept is not taken for what it is not."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backbone.store import StoreWriter
from node.home import Home
from node.snapshots import make_snapshot
from projections.database import Database
from projections.exporting import ExportedView
from sync.snapshots.places import Folder
from tests.snapshots import SmallChain, small_chain

pytestmark = pytest.mark.postgres
HEIGHT = 20


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> SmallChain:
    return small_chain(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("is_of_another_state", [True, False])
def test_state_that_a_quorum_has_not_certified_is_never_offered(
    chain: SmallChain, new_database: Callable[[], str], tmp_path: Path, is_of_another_state: bool
) -> None:
    """A node that forked must not leave a snapshot of its state behind: pruning would lean on it."""
    url, home, place = new_database(), Home(tmp_path), Folder(tmp_path / "snapshots")
    chain.execute(url, HEIGHT)
    with Database(url) as database:
        (stored,) = database.newest_checkpoints(1)
    certified = replace(stored.checkpoint, state_root=bytes(32)) if is_of_another_state else stored.checkpoint
    shutil.copytree(chain.store, home.store)
    with StoreWriter(home.store) as store:
        store.append_certificate(HEIGHT, chain.certificate(certified))
    with ExportedView(url) as view:
        is_made = make_snapshot(home, chain.genesis, place, url, HEIGHT, view.id, lambda: None, 0.0)
    assert (is_made, place.heights()) == ((False, []) if is_of_another_state else (True, [HEIGHT]))

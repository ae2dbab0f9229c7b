"""The process that makes snapshots: what it offers is certified, and what is kept is not taken for what it is not."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from backbone.store import StoreDamaged, StoreReader, StoreWriter
from backbone.store.files import certificate_folder, segments
from node.execution.background_maintenance import BackgroundMaintenance
from node.execution.snapshot_making import make_snapshot
from node.home.layout import Home
from node.home.locks import recovering, removing
from projections.database import Database
from projections.maintenance.migrate import migrate
from projections.maintenance.pruning import Keep
from projections.snapshots.exporting import ExportedView
from sync.snapshots.manifest import NAME
from sync.snapshots.stores import Folder
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
        is_made = make_snapshot(chain.context(home), place, url, HEIGHT, view.id, lambda: None, 0.0)
    assert (is_made, place.heights()) == ((False, []) if is_of_another_state else (True, [HEIGHT]))


def test_snapshot_that_is_there_is_not_made_again(
    chain: SmallChain, new_database: Callable[[], str], tmp_path: Path
) -> None:
    """Making one begins by emptying its folder: under whoever restores it, and for good if the database is damaged."""
    url, place = new_database(), Folder(tmp_path / "snapshots")
    chain.execute(url, HEIGHT)
    chain.snapshot(url, place, HEIGHT)
    before = (place.folder(HEIGHT) / NAME).stat().st_mtime_ns
    with ExportedView(url) as view:
        assert make_snapshot(chain.context(Home(tmp_path)), place, url, HEIGHT, view.id, lambda: None, 0.0)
    assert (place.folder(HEIGHT) / NAME).stat().st_mtime_ns == before


class Pruner:
    """A node's upkeep over a copy of a store whose history may go up to height 19, with one snapshot, of height 20."""

    def __init__(self, chain: SmallChain, url: str, path: Path) -> None:
        self.home, self.place = Home(path), Folder(path / "snapshots")
        self.home.run.mkdir()
        shutil.copytree(chain.store, self.home.store)
        migrate(url, partition_heights=10)
        chain.execute(url, HEIGHT)
        chain.snapshot(url, self.place, HEIGHT)
        with StoreWriter(self.home.store) as store, Database(url) as database:
            for stored in database.newest_checkpoints(9):
                store.append_certificate(stored.checkpoint.height, chain.certificate(stored.checkpoint))
        chain.execute(url)
        self._upkeep = BackgroundMaintenance(url, chain.context(self.home), Keep(heights=1), self.place, Event())

    def begins_at(self) -> int:
        """The height at which the store begins after a turn."""
        self._upkeep.run_once(is_thorough=True)
        with StoreReader(self.home.store) as store:
            return store.final_after(0, 1)[0].height


def test_store_is_not_pruned_during_a_recovery(
    chain: SmallChain, new_database: Callable[[], str], tmp_path: Path
) -> None:
    pruner = Pruner(chain, new_database(), tmp_path)
    with recovering(pruner.home), recovering(pruner.home):
        assert pruner.begins_at() == 1
        with removing(pruner.home) as may_remove:
            assert not may_remove
    assert 1 < pruner.begins_at() <= HEIGHT


def test_store_is_not_pruned_for_what_only_looks_like_a_snapshot(
    chain: SmallChain, new_database: Callable[[], str], tmp_path: Path
) -> None:
    pruner = Pruner(chain, new_database(), tmp_path)
    whole = (pruner.place.folder(HEIGHT) / NAME).read_bytes()
    for manifest in (b"{}", whole.replace(chain.genesis.digest.hex().encode(), b"00" * 32)):
        (pruner.place.folder(HEIGHT) / NAME).write_bytes(manifest)
        assert pruner.begins_at() == 1
    (pruner.place.folder(HEIGHT) / NAME).write_bytes(whole)
    assert 1 < pruner.begins_at() <= HEIGHT


def test_damaged_certificates_do_not_stop_the_rest_of_upkeep(
    chain: SmallChain, new_database: Callable[[], str], tmp_path: Path
) -> None:
    pruner = Pruner(chain, url := new_database(), tmp_path)
    with Database(url) as database:
        stored = database.newest_checkpoints(1)[0].checkpoint
        database.take_certificates([(stored.height, chain.certificate(stored))])
    segment = segments(certificate_folder(pruner.home.store))[0].path
    data = segment.read_bytes()
    segment.write_bytes(data[:99] + bytes([data[99] ^ 1]) + data[100:])
    with pytest.raises(StoreDamaged), StoreReader(pruner.home.store) as store:
        store.certificates_after(HEIGHT, 9)
    assert 1 < pruner.begins_at() <= HEIGHT

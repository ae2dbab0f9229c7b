"""Snapshots: exported while execution goes on, restored, and every altered byte of one found."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import sync.snapshots.export as exporting
from backbone.store import StoreReader
from ledger.committee import Committees
from node.execution.blocks import StoreInconsistent
from node.execution.store_pruning import prune_below
from projections.audit.audit import audit_chain, audit_state
from projections.audit.findings import Findings
from projections.audit.fingerprint import compare, image
from projections.audit.rows import begin
from projections.maintenance.migrate import migrate
from projections.session.connect import connect
from projections.session.errors import StateDiffers
from projections.snapshots.exporting import ExportedView, imported_view
from projections.snapshots.restoring import RestoreTargetNotFresh
from projections.snapshots.restoring import begin as begin_restoring
from sync.snapshots.manifest import NAME
from sync.snapshots.restore import BadSnapshot, Snapshot, open_snapshot, restore, verify_snapshot
from sync.snapshots.stores import Folder
from tests.snapshots import CLUSTER, SmallChain, ground_chain, small_chain

pytestmark = pytest.mark.postgres
HEIGHT = 20


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> SmallChain:
    return small_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def place(chain: SmallChain, new_databases: Callable[[], str]) -> Iterator[Folder]:
    """With a snapshot of many chunks, whose digests come in pieces of seven."""
    url = new_databases()
    chain.execute(url, HEIGHT)
    with TemporaryDirectory() as folder:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(exporting, "CHUNK_LEAVES", 6)
            patched.setattr(exporting, "PIECE_DIGESTS", 7)
            chain.snapshot(url, found := Folder(Path(folder)), HEIGHT)
        yield found


def opened(chain: SmallChain, place: Folder) -> Snapshot:
    return open_snapshot(place, HEIGHT, chain.genesis, Committees.of(chain.genesis))


def restored(chain: SmallChain, place: Folder, url: str) -> None:
    migrate(url)
    snapshot = opened(chain, place)
    restore(snapshot, chain.genesis, url, snapshot.cursor(chain.genesis, CLUSTER))


def test_restored_database_is_the_one_that_was_exported_and_goes_on_as_it(
    chain: SmallChain, place: Folder, new_database: Callable[[], str]
) -> None:
    live, again = new_database(), new_database()
    chain.execute(live)
    restored(chain, place, again)
    assert image(again).height == HEIGHT
    chain.execute(again, rehash=True)
    assert compare(image(again, HEIGHT - 1).tables, image(live, HEIGHT - 1).tables) != []
    assert compare(image(again, HEIGHT).tables, image(live, HEIGHT).tables) == []
    assert image(again, None).above == HEIGHT
    findings = Findings()
    with connect(again) as connection, connection.transaction():
        changed = begin(connection)
        at, newest = audit_chain(connection, chain.genesis, findings, lambda checkpoint: None)
        assert at is not None
        audit_state(connection, chain.genesis, newest, changed, False, findings)
    assert findings.kept == []


def test_view_is_of_its_height_whatever_executes_meanwhile(
    chain: SmallChain, place: Folder, new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    chain.execute(url, HEIGHT)
    with ExportedView(url) as view:
        assert view.height == HEIGHT
        chain.execute(url)
        with imported_view(url, view.id, HEIGHT) as connection:
            exported = exporting.export(connection, HEIGHT, tmp_path)
    assert exported.checkpoint == opened(chain, place).certified.checkpoint
    assert [chunk.subtrees[0].path for chunk in exported.chunks] == [b""]
    with (
        ExportedView(url) as view,
        pytest.raises(StateDiffers, match="height 24"),
        imported_view(url, view.id, HEIGHT),
    ):
        raise AssertionError("a view of another height")


def test_snapshot_has_many_parts_and_all_of_it_verifies(chain: SmallChain, place: Folder) -> None:
    snapshot = opened(chain, place)
    assert len(snapshot.manifest.chunks) > 8
    assert max(len(chunk.subtrees) for chunk in snapshot.manifest.chunks) > 1
    assert len(snapshot.manifest.digests) > 2
    told: list[tuple[int, int]] = []
    verify_snapshot(snapshot, lambda done, total: told.append((done, total)))
    assert told[-1] == (snapshot.rows, snapshot.rows)
    assert (place.heights(), place.begun()) == ([HEIGHT], [])


def test_file_that_was_altered_anywhere_is_named(chain: SmallChain, place: Folder, tmp_path: Path) -> None:
    files = sorted(path.name for path in place.folder(HEIGHT).glob("*.avro"))
    for number, name in enumerate(files):
        folder = tmp_path / str(number)
        shutil.copytree(place.folder(HEIGHT), folder / place.folder(HEIGHT).name)
        file = Folder(folder).folder(HEIGHT) / name
        data = bytearray(file.read_bytes())
        data[len(data) * 7 // 10] ^= 1
        for altered in (bytes(data), bytes(data[:-1]), bytes(data) + b"\0", None):
            file.unlink(missing_ok=True)
            if altered is not None:
                file.write_bytes(altered)
            with pytest.raises(BadSnapshot, match=name):
                verify_snapshot(opened(chain, Folder(folder)))


def test_manifest_that_agrees_with_altered_files_does_not_help_them(
    chain: SmallChain, place: Folder, tmp_path: Path
) -> None:
    """Rows are held against the certified root, not against the manifest."""
    folder = Folder(tmp_path)
    shutil.copytree(place.folder(HEIGHT), folder.folder(HEIGHT))
    document = json.loads((folder.folder(HEIGHT) / NAME).read_bytes())
    for kind, number in (("chunks", 3), ("digests", 1)):
        swapped = json.loads(json.dumps(document))
        swapped[kind][number] |= {key: swapped[kind][number + 1][key] for key in ("file", "size_bytes", "sha256")}
        (folder.folder(HEIGHT) / NAME).write_text(json.dumps(swapped))
        with pytest.raises(BadSnapshot):
            verify_snapshot(opened(chain, folder))


@pytest.mark.parametrize(
    "change",
    [
        {"certificate": "00"},
        {"header": "00"},
        {"genesis_digest": "00" * 32},
        {"nibbles": 2},
        {"chunks": []},
        {"digests": []},
        {"digests": [1]},
        {"more": 1},
        {"format": "momus.snapshot.v1"},
    ],
    ids=str,
)
def test_manifest_that_says_something_else_is_refused(
    chain: SmallChain, place: Folder, tmp_path: Path, change: dict[str, object]
) -> None:
    folder = Folder(tmp_path)
    shutil.copytree(place.folder(HEIGHT), folder.folder(HEIGHT))
    document = json.loads((folder.folder(HEIGHT) / NAME).read_bytes())
    (folder.folder(HEIGHT) / NAME).write_text(json.dumps(document | change))
    with pytest.raises(BadSnapshot):
        verify_snapshot(opened(chain, folder))
    for garbage in (b"", b"{", b"[]", b"\xff" * 99):
        (folder.folder(HEIGHT) / NAME).write_bytes(garbage)
        with pytest.raises(BadSnapshot):
            opened(chain, folder)


def test_damaged_database_gives_no_snapshot(chain: SmallChain, new_database: Callable[[], str], tmp_path: Path) -> None:
    url = new_database()
    chain.execute(url, HEIGHT)
    damages = (
        "update ledger.tree_leaves set value = value || 'x' where ctid = (select max(ctid) from ledger.tree_leaves)",
        "update ledger.object_contents set content = content || 'x'",
        "delete from ledger.object_contents",
        "update ledger.remembered set height = height + 1",
        "delete from ledger.remembered",
    )
    for damage in damages:
        _damaged_gives_none(url, damage, tmp_path)
    with connect(url) as connection, connection.transaction():
        exporting.export(connection, HEIGHT, tmp_path)


def test_ids_that_were_ground_to_lie_together_are_spread_over_chunks_and_restored(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever chooses addresses chooses where their balances lie, as deep in the tree as he cares to grind."""
    monkeypatch.setattr(exporting, "CHUNK_LEAVES", 8)
    chain, place = ground_chain(tmp_path, ground=40, nibbles=3), Folder(tmp_path / "snapshots")
    live, again = new_database(), new_database()
    chain.execute(live)
    chain.snapshot(live, place, chain.height)
    snapshot = open_snapshot(place, chain.height, chain.genesis, Committees.of(chain.genesis))
    assert max(chunk.count for chunk in snapshot.manifest.chunks) <= 8
    verify_snapshot(snapshot)
    migrate(again)
    restore(snapshot, chain.genesis, again, snapshot.cursor(chain.genesis, CLUSTER))
    assert compare(image(again, chain.height).tables, image(live, chain.height).tables) == []
    with connect(live) as mine, connect(again) as theirs:
        query = "SELECT path, node FROM ledger.tree_nodes ORDER BY path, version DESC"
        nodes = [{row[0]: row[1] for row in connection.execute(query)} for connection in (mine, theirs)]
    assert nodes[0].keys() == nodes[1].keys()
    assert max(map(len, nodes[1])) > 3


def test_chunks_that_are_left_out_or_given_twice_are_refused(chain: SmallChain, place: Folder, tmp_path: Path) -> None:
    """Whoever keeps a snapshot cannot make an account vanish: what no chunk has must be empty under the root."""
    folder = Folder(tmp_path)
    shutil.copytree(place.folder(HEIGHT), folder.folder(HEIGHT))
    document = json.loads((folder.folder(HEIGHT) / NAME).read_bytes())
    chunks = document["chunks"]
    for number, chunk in enumerate(chunks):
        others = [*chunks[:number], *chunks[number + 1 :]]
        rest = chunk["subtrees"][1:]
        shorter = [*chunks[:number], chunk | {"subtrees": rest}, *chunks[number + 1 :]]
        for changed in (others, [*chunks[: number + 1], *chunks[number:]], shorter, others[::-1]):
            (folder.folder(HEIGHT) / NAME).write_text(json.dumps(document | {"chunks": changed}))
            with pytest.raises(BadSnapshot):
                opened(chain, folder)


def _damaged_gives_none(url: str, damage: str, folder: Path) -> None:
    """Damage, export in vain, and undo: all in the transaction of one connection."""
    with connect(url) as connection:
        connection.execute("BEGIN")
        assert connection.execute(damage).rowcount > 0, damage
        with pytest.raises(StateDiffers):
            exporting.export(connection, HEIGHT, folder)
        connection.execute("ROLLBACK")


def test_restore_that_was_broken_off_goes_on_and_another_snapshot_is_refused(
    chain: SmallChain, place: Folder, new_database: Callable[[], str]
) -> None:
    url = new_database()
    migrate(url)
    snapshot = opened(chain, place)
    cursor = snapshot.cursor(chain.genesis, CLUSTER)

    class Enough(Exception):
        pass

    def stop_at(rows: int) -> Callable[[int, int], None]:
        def told(done: int, total: int) -> None:
            if done >= rows:
                raise Enough

        return told

    for rows in (1, snapshot.rows // 2, snapshot.rows - 1):
        with pytest.raises(Enough):
            restore(snapshot, chain.genesis, url, cursor, stop_at(rows))
        with connect(url) as connection:
            assert connection.execute("select count(*) from ledger.cursor").fetchone() == (0,)
    other = Snapshot(snapshot.place, snapshot.manifest, snapshot.certified, bytes(32))
    with pytest.raises(RestoreTargetNotFresh, match="another snapshot"):
        restore(other, chain.genesis, url, cursor)
    restore(snapshot, chain.genesis, url, cursor)
    with pytest.raises(RestoreTargetNotFresh, match="holds a ledger"):
        restore(snapshot, chain.genesis, url, cursor)
    again = new_database()
    restored(chain, place, again)
    assert compare(image(url).tables, image(again).tables) == []


def test_database_below_a_pruned_store_and_one_half_restored_are_refused_with_a_remedy(
    chain: SmallChain, place: Folder, new_database: Callable[[], str], tmp_path: Path
) -> None:
    shutil.copytree(chain.store, tmp_path / "store")
    with StoreReader(tmp_path / "store") as stored:
        assert prune_below(stored, chain.genesis, HEIGHT) > 0
    pruned = replace(chain, store=tmp_path / "store")
    below, restored_one, half = new_database(), new_database(), new_database()
    chain.execute(below, 7)
    with pytest.raises(StoreInconsistent, match=r"the store begins at .*`momus recover`"):
        pruned.execute(below)
    restored(chain, place, restored_one)
    pruned.execute(restored_one, rehash=True)
    assert image(restored_one).height == chain.height
    migrate(half)
    with connect(half) as connection:
        begin_restoring(connection, HEIGHT, bytes(32))
    with pytest.raises(StoreInconsistent, match=r"half filled .*`momus recover`"):
        chain.execute(half)


def test_what_has_no_manifest_is_never_offered(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    assert (place.heights(), place.begun()) == ([], [])
    place.staging(7).joinpath("leaves-00000.avro").write_bytes(b"begun")
    place.staging(9)
    place.publish(9, b"manifest")
    (tmp_path / "something else").mkdir()
    assert (place.heights(), place.begun()) == ([9], [7])
    assert list(place.staging(7).iterdir()) == []
    for height in (7, 9):
        place.remove(height)
    place.remove(9)
    assert (place.heights(), place.begun()) == ([], [])

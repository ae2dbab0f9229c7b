"""Where snapshots are kept: a folder and an object store keep one contract."""

from collections.abc import Callable
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from sync.snapshots.manifest import NAME
from sync.snapshots.objects import Objects
from sync.snapshots.stores import Folder, PartMissing, SnapshotStore, SnapshotStoreUnavailable

FILES = {"leaves-00000.avro": b"leaves" * 100, "digests-00000.avro": b"digests"}


@pytest.fixture(params=["folder", "objects"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    return Folder(tmp_path / "kept") if request.param == "folder" else Objects(MemoryStore(), tmp_path / "staging")


def made(place: SnapshotStore, height: int) -> None:
    folder = place.staging(height)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)


def test_what_was_published_is_offered_and_read_and_removed(place: SnapshotStore) -> None:
    assert (place.heights(), place.begun()) == ([], [])
    for height in (1_000, 7, 20):
        made(place, height)
        place.publish(height, b"manifest %d" % height)
    assert (place.heights(), place.begun()) == ([7, 20, 1_000], [])
    assert {name: place.read(20, name, 10_000) for name in FILES} == FILES
    assert place.read(20, NAME, 100) == b"manifest 20"
    place.remove(20)
    place.remove(20)
    assert (place.heights(), place.begun()) == ([7, 1_000], [])
    with pytest.raises(PartMissing, match="height 20 is missing"):
        place.read(20, NAME, 100)


def test_a_file_that_is_missing_or_too_large_is_named(place: SnapshotStore) -> None:
    made(place, 7)
    place.publish(7, b"manifest")
    with pytest.raises(PartMissing, match=r"leaves-00001\.avro of the snapshot of height 7 is missing"):
        place.read(7, "leaves-00001.avro", 100)
    with pytest.raises(PartMissing, match="larger than 599 bytes"):
        place.read(7, "leaves-00000.avro", 599)


def test_staging_begins_anew_and_may_be_published_twice(place: SnapshotStore) -> None:
    made(place, 7)
    assert place.heights() == []
    made(place, 7)
    place.publish(7, b"manifest")
    made(place, 7)
    place.publish(7, b"manifest")
    assert place.heights() == [7]


def test_publishing_to_objects_goes_on_where_it_was_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, staging = MemoryStore(), tmp_path / "staging"
    broken, put = Objects(store, staging), obstore.put
    made(broken, 7)
    asked: list[str] = []

    def failing(target: MemoryStore, path: str, data: object) -> object:
        asked.append(path.rpartition("/")[2])
        if len(asked) == 2:
            raise OSError("the network is gone\nwith details")
        return put(target, path, data)  # type: ignore[arg-type]

    monkeypatch.setattr(obstore, "put", failing)
    with pytest.raises(SnapshotStoreUnavailable, match=r"^the network is gone$"):
        broken.publish(7, b"manifest")
    again = Objects(store, staging)
    assert (again.heights(), again.begun()) == ([], [7])
    again.go_on()
    assert asked == [*sorted(FILES), sorted(FILES)[1], NAME]
    assert again.heights() == [7]
    assert {name: again.read(7, name, 10_000) for name in FILES} == FILES
    assert not any(staging.iterdir())
    again.go_on()


@pytest.mark.parametrize("url", ["nothing://there", "s3://", "://"])
def test_a_url_that_is_no_object_store_is_refused_in_words(tmp_path: Path, url: str) -> None:
    with pytest.raises(SnapshotStoreUnavailable):
        Objects.at(url, tmp_path).heights()


def test_more_than_was_asked_for_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever size the store tells."""
    place = Objects(MemoryStore(), tmp_path / "staging")
    made(place, 7)
    place.publish(7, b"manifest")
    monkeypatch.setattr(obstore, "head", lambda store, path: {"size": 1})
    with pytest.raises(PartMissing, match="larger than 599 bytes"):
        place.read(7, "leaves-00000.avro", 599)


def test_names_in_a_listing_that_are_no_heights_are_passed_over(tmp_path: Path) -> None:
    store = MemoryStore()
    for name in (
        "7",
        "x" * 20,
        "-0000000000000000007",
        "+0000000000000000007",
        "\u0660" * 20,
        "0" * 21,
        "0" * 19 + "7/8",
    ):
        obstore.put(store, f"{name}/{NAME}", b"manifest")
    place = Objects(store, tmp_path)
    assert (place.heights(), place.begun()) == ([], [7])


class Killed(BaseException):
    """Nothing of the process is left."""


class Killing:
    """Ends what is done at one of the calls that change an object store, before it or after."""

    def __init__(self, patched: pytest.MonkeyPatch, number: int, is_after: bool) -> None:
        self._left, self._is_after = number, is_after
        for name in ("put", "delete"):
            patched.setattr(obstore, name, self._around(getattr(obstore, name)))

    def _around(self, act: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object) -> object:
            is_it, self._left = self._left == 0, self._left - 1
            if is_it and not self._is_after:
                raise Killed
            result = act(*arguments)
            if is_it:
                raise Killed
            return result

        return counted


def test_object_store_never_offers_half_a_snapshot_wherever_the_process_was_killed(tmp_path: Path) -> None:
    """While it is put there, and while it is removed: as `node.execution.snapshot_making` does it."""
    steps = [(number, is_after) for number in range(2 * len(FILES) + 3) for is_after in (False, True)]
    kills = 0
    for run, (number, is_after) in enumerate(steps):
        store, staging = MemoryStore(), tmp_path / str(run)
        try:
            with pytest.MonkeyPatch.context() as patched:
                Killing(patched, number, is_after)
                place = Objects(store, staging)
                made(place, 7)
                place.publish(7, b"manifest")
                place.remove(7)
        except Killed:
            kills += 1
        again = Objects(store, staging)
        for height in again.heights():
            assert {name: again.read(height, name, 10_000) for name in (*FILES, NAME)}.keys() == {*FILES, NAME}
        again.go_on()
        for abandoned in again.begun():
            again.remove(abandoned)
        assert again.begun() == []
        assert again.heights() in ([], [7])
    assert kills > 2 * len(FILES)

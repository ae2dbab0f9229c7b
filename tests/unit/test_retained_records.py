"""Records set aside: there whole or not at all, for whoever asks for exactly the head that they lie under."""

import os
from pathlib import Path

import pytest

from backbone.intake.retained_records import RetainedRecords
from backbone.store import LogHead, StoreFailed
from tests.store_records import chained, numbered, start

RECORDS = chained(numbered(6))
START = LogHead(0, 0, 0, start(0))


def head(records: int) -> LogHead:
    """The head that the first records make."""
    return LogHead(0, 0, records, RECORDS[records - 1].chain_digest) if records else START


def test_what_was_kept_is_found_by_the_head_it_lies_under(tmp_path: Path) -> None:
    RetainedRecords(tmp_path / "aside").keep(0, RECORDS[1:5])
    retained = RetainedRecords(tmp_path / "aside")
    assert retained.find(head(1), head(5)) == RECORDS[1:5]
    assert retained.find(head(2), head(4)) == RECORDS[2:4]
    assert retained.find(head(1), head(6)) is None
    assert retained.find(head(1), LogHead(0, 0, 5, bytes(32))) is None
    assert retained.find(head(1), head(5)._replace(incarnation=1)) is None
    assert retained.find(head(1)._replace(partition=1), head(5)._replace(partition=1)) is None


def test_the_same_run_is_kept_once(tmp_path: Path) -> None:
    retained = RetainedRecords(tmp_path)
    retained.keep(0, RECORDS)
    retained.keep(0, RECORDS)
    assert len(list(tmp_path.iterdir())) == 1
    retained.keep(0, [])
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_final_head_passes_is_removed(tmp_path: Path) -> None:
    retained = RetainedRecords(tmp_path)
    retained.keep(0, RECORDS[:3])
    retained.keep(0, RECORDS[:5])
    retained.keep(1, RECORDS[:2])
    retained.settle(0, 0, 4)
    assert retained.find(START, head(3)) == RECORDS[:3], "the longer run still has them"
    retained.settle(0, 1, 0)
    assert retained.find(START, head(3)) is None
    assert len(list(tmp_path.iterdir())) == 1


def test_runs_are_bounded_and_what_went_is_counted(tmp_path: Path) -> None:
    retained = RetainedRecords(tmp_path, runs_max=2)
    assert [retained.keep(0, RECORDS[:count]) for count in (1, 2, 3)] == [0, 0, 1]
    assert retained.dropped == 1
    assert len(list(tmp_path.iterdir())) == 2
    assert retained.find(START, head(3)) == RECORDS[:3]


def test_bytes_are_bounded_and_the_newest_run_is_kept_whatever_its_size(tmp_path: Path) -> None:
    retained = RetainedRecords(tmp_path, bytes_max=600)
    assert [retained.keep(0, RECORDS[first : first + 2]) for first in (0, 2, 4)] == [0, 0, 0]
    assert retained.keep(1, RECORDS[:2]) == 0, "another partition has a bound of its own"
    large = chained([(6, bytes(1_000))], RECORDS[-1].chain_digest)
    assert RetainedRecords(tmp_path, bytes_max=600).keep(0, large) == 3
    assert retained.find(head(6), LogHead(0, 0, 7, large[0].chain_digest)) == large
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_that_goes_while_it_is_read_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RetainedRecords(tmp_path).keep(0, RECORDS[:4])
    RetainedRecords(tmp_path).keep(0, RECORDS[:6])
    reader, read_bytes = RetainedRecords(tmp_path), Path.read_bytes
    gone: list[Path] = []

    def read_late(path: Path) -> bytes:
        if not gone:
            gone.append(path)
            path.unlink()
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", read_late)
    assert reader.find(START, head(4)) == RECORDS[:4], "the other run has them"
    assert gone


def test_what_a_crash_left_half_written_goes_at_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "00000-0.new").write_text("half of a run")
    RetainedRecords(tmp_path).keep(0, RECORDS)
    assert [path.suffix for path in tmp_path.iterdir()] == [".run"]


def test_a_run_that_was_torn_or_altered_is_not_served(tmp_path: Path) -> None:
    retained = RetainedRecords(tmp_path)
    retained.keep(0, RECORDS)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for data in (b"", whole[:10], whole[:-1], whole[:60] + b"\xff" + whole[61:]):
        path.write_bytes(data)
        assert retained.find(START, head(6)) is None
    path.unlink()
    assert retained.find(START, head(6)) is None


def test_after_a_restart_too_the_oldest_goes_first_whatever_its_name(tmp_path: Path) -> None:
    first = RetainedRecords(tmp_path)
    for number, run in enumerate((RECORDS[2:5], RECORDS[:2])):
        first.keep(0, run)
        (path,) = tmp_path.glob(f"00000-0000000000-{run[0].offset:020}-*")
        os.utime(path, ns=(number, number))
    again = RetainedRecords(tmp_path, runs_max=2)
    again.keep(0, RECORDS[:1])
    assert again.find(head(2), head(5)) is None
    assert again.find(START, head(2)) == RECORDS[:2]


def test_files_of_others_and_of_a_crash_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.run").write_text("not ours")
    (tmp_path / "00000.new").write_text("half of a run")
    retained = RetainedRecords(tmp_path)
    assert retained.find(START, head(1)) is None
    retained.keep(0, RECORDS)
    assert retained.find(START, head(6)) == RECORDS


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "aside").write_text("a file where the folder should be")
    with pytest.raises(StoreFailed, match="Setting records aside"):
        RetainedRecords(tmp_path / "aside").keep(0, RECORDS)

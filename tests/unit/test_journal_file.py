"""The journal: nothing is lost that was sent, and what is lost is noticed."""

import os
from pathlib import Path

import pytest

from consensus.runtime.errors import JournalLocked, JournalLost
from consensus.runtime.journal import BURIED_MAX, Journal, header
from consensus.runtime.journal_file import JournalExists, create, open_journal
from tests.committee import MemoryFile

GENESIS, KEY = bytes(32), bytes([1]) * 32


def opened(file: MemoryFile) -> Journal:
    return Journal(file, GENESIS, KEY)


def filled() -> MemoryFile:
    file = MemoryFile(header(GENESIS, KEY))
    journal = opened(file)
    for view in (1, 2, 3):
        journal.add_own(view, b"vote %d" % view)
        journal.add_voted(view, b"header %d" % view)
        journal.commit()
    journal.add_final(1, b"block 1", b"checkpoint")
    journal.add_positions({"a": 7})
    journal.commit()
    return file


def test_what_was_committed_reads_back() -> None:
    journal = opened(filled())
    assert journal.own == (b"vote 2", b"vote 3")
    assert journal.voted == (b"header 2", b"header 3")
    assert journal.finals == (b"block 1",)
    assert journal.floor == 1
    assert journal.checkpoint == b"checkpoint"
    assert journal.positions == {"a": 7}


def test_statements_are_released_by_the_commit_that_made_them_durable() -> None:
    file = MemoryFile(header(GENESIS, KEY))
    journal = opened(file)
    journal.add_own(1, b"one")
    journal.add_own(1, b"two")
    before = file.data
    assert journal.own == ()
    assert journal.commit() == (b"one", b"two")
    assert file.data != before
    assert journal.commit() == ()
    assert file.appends == 1


def test_what_was_not_committed_is_gone() -> None:
    file = filled()
    opened(file).add_own(9, b"never sent")
    assert b"never sent" not in opened(file).own


def test_a_torn_last_batch_is_cut_at_every_length() -> None:
    whole = filled()
    opened(whole).commit()
    longer = filled()
    journal = opened(longer)
    journal.add_own(4, b"vote 4")
    journal.commit()
    assert whole.data is not None
    assert longer.data is not None
    for size in range(len(whole.data), len(longer.data)):
        torn = MemoryFile(longer.data[:size])
        assert opened(torn).own == (b"vote 2", b"vote 3")
        assert torn.data == whole.data


def test_a_changed_byte_before_the_last_batch_is_a_lost_journal() -> None:
    data = filled().data
    assert data is not None
    last = data.rindex(b"mjb1")
    for place in range(last):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        with pytest.raises(JournalLost):
            opened(MemoryFile(bytes(changed)))


def test_a_missing_journal_is_a_lost_journal() -> None:
    with pytest.raises(JournalLost, match="fresh key"):
        opened(MemoryFile(None))


@pytest.mark.parametrize(("genesis", "key"), [(bytes([9]) * 32, KEY), (GENESIS, bytes([9]) * 32)])
def test_another_chains_or_keys_journal_is_refused(genesis: bytes, key: bytes) -> None:
    with pytest.raises(JournalLost):
        Journal(filled(), genesis, key)


def test_compacting_keeps_the_last_final_block_and_all_above_the_floor() -> None:
    file = filled()
    journal = opened(file)
    journal.add_final(2, b"block 2", b"checkpoint")
    journal.commit()
    before = file.size_bytes()
    journal.compact({"a": 9, "b": 1})
    again = opened(file)
    assert file.size_bytes() < before
    assert again.own == (b"vote 3",)
    assert again.voted == (b"header 3",)
    assert again.finals == (b"block 2",)
    assert (again.floor, again.checkpoint, again.positions) == (2, b"checkpoint", {"a": 9, "b": 1})


def test_certificates_are_kept_above_the_highest_finalization_and_proposals_above_the_last_final_block() -> None:
    file = filled()
    journal = opened(file)
    for view in (2, 3, 4):
        journal.add_certificate(view, b"certificate %d" % view)
    journal.add_finalization(2, b"finalization 2")
    assert (journal.certificates, journal.finalization, journal.floor) == ((), None, 1)
    journal.commit()
    for again in (journal, opened(file)):
        assert again.own == (b"vote 3",)
        assert again.voted == (b"header 2", b"header 3"), "the block of view 2 may be wanted yet"
        assert again.certificates == (b"certificate 3", b"certificate 4")
        assert (again.finalization, again.settled, again.floor) == (b"finalization 2", 1, 2)
    journal.add_final(3, b"block 2", b"checkpoint")
    journal.commit()
    journal.compact({})
    for again in (journal, opened(file)):
        assert (again.own, again.voted, again.certificates) == ((), (), (b"certificate 4",))
        assert (again.finalization, again.settled, again.floor) == (b"finalization 2", 3, 3)


def test_of_finalizations_the_highest_counts_and_is_kept_once() -> None:
    file = filled()
    journal = opened(file)
    for view in range(2, 500):
        journal.add_finalization(view, b"finalization %d" % view)
        journal.commit()
    journal.compact({})
    assert (file.data or b"").count(b"finalization") == 1
    assert (opened(file).finalization, opened(file).floor) == (b"finalization 499", 499)


def test_proposals_that_wait_below_the_floor_for_a_missing_block_are_bounded() -> None:
    file = filled()
    journal = opened(file)
    for view in range(4, 4 + 3 * BURIED_MAX):
        journal.add_voted(view, b"header %d" % view)
        journal.add_finalization(view - 1, b"finalization")
        journal.commit()
    assert len(opened(file).voted) == len(journal.voted) == BURIED_MAX + 1
    assert journal.voted[-1] == b"header %d" % (3 + 3 * BURIED_MAX)


def test_a_batch_of_vote_and_certificate_is_there_as_a_whole_or_not_at_all_wherever_it_is_torn() -> None:
    before = filled()
    longer = filled()
    journal = opened(longer)
    journal.add_certificate(4, b"notarization 4")
    journal.add_own(4, b"finalize 4")
    journal.add_finalization(3, b"finalization 3")
    journal.commit()
    assert before.data is not None
    assert longer.data is not None
    for size in range(len(before.data), len(longer.data) + 1):
        torn = opened(MemoryFile(longer.data[:size]))
        is_whole = size == len(longer.data)
        assert (b"finalize 4" in torn.own, b"notarization 4" in torn.certificates) == (is_whole, is_whole)
        assert torn.floor == (3 if is_whole else 1)


def test_a_journal_is_grown_at_its_bound_and_not_without_a_final_block() -> None:
    file = MemoryFile(header(GENESIS, KEY))
    journal = Journal(file, GENESIS, KEY, compact_bytes=200)
    journal.add_own(1, bytes(300))
    journal.commit()
    assert not journal.is_grown
    journal.add_final(1, b"block", b"")
    journal.commit()
    assert journal.is_grown


def test_fault_points_lie_before_and_after_the_sync() -> None:
    seen: list[tuple[str, int]] = []
    file = MemoryFile(header(GENESIS, KEY))
    journal = Journal(file, GENESIS, KEY, lambda name: seen.append((name, file.appends)))
    journal.add_own(1, b"vote")
    journal.commit()
    assert seen == [("journal.before", 0), ("journal.after", 1)]


def test_the_file_on_disk_reads_back_and_is_compacted(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "journal"
    create(path, GENESIS, KEY)
    journal = open_journal(path, GENESIS, KEY)
    journal.add_own(5, b"vote")
    journal.add_final(3, b"block", b"")
    journal.commit()
    journal.compact({"t": 1})
    journal.add_own(6, b"later")
    journal.commit()
    journal.close()
    again = open_journal(path, GENESIS, KEY)
    assert again.own == (b"vote", b"later")
    assert again.finals == (b"block",)
    again.close()


def test_a_torn_end_on_disk_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    create(path, GENESIS, KEY)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    open_journal(path, GENESIS, KEY).close()
    assert path.read_bytes() == whole


def test_opening_never_makes_a_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalLost):
        open_journal(tmp_path / "journal", GENESIS, KEY)
    with pytest.raises(JournalLost):
        open_journal(tmp_path / "nowhere" / "journal", GENESIS, KEY)


def test_making_never_overwrites_a_journal(tmp_path: Path) -> None:
    create(tmp_path / "journal", GENESIS, KEY)
    with pytest.raises(JournalExists):
        create(tmp_path / "journal", GENESIS, KEY)


def test_one_process_holds_a_journal(tmp_path: Path) -> None:
    create(tmp_path / "journal", GENESIS, KEY)
    first = open_journal(tmp_path / "journal", GENESIS, KEY)
    with pytest.raises(JournalLocked):
        open_journal(tmp_path / "journal", GENESIS, KEY)
    first.close()
    open_journal(tmp_path / "journal", GENESIS, KEY).close()


def test_opening_makes_a_rename_of_before_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash between the rename and the sync of the folder, then a loss of power, must not bring the old file back
    after more was signed into the new one."""
    create(tmp_path / "journal", GENESIS, KEY)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    open_journal(tmp_path / "journal", GENESIS, KEY).close()
    assert tmp_path.stat().st_ino in synced


def test_last_signed_checkpoint_outlives_restart_finality_and_compaction() -> None:
    file = filled()
    journal = opened(file)
    assert journal.claimed is None
    journal.add_claimed(7, b"claim 7")
    journal.add_claimed(14, b"claim 14")
    assert journal.claimed is None
    assert journal.commit() == (b"claim 7", b"claim 14")
    journal.add_final(3, b"block 2", b"checkpoint")
    journal.commit()
    assert opened(file).claimed == b"claim 14"
    journal.compact({})
    assert b"claim 7" not in (file.data or b"")
    assert opened(file).claimed == b"claim 14"

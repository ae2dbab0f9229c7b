"""The executor's newest checkpoints on their way to the order process; and the folder of evidence."""

import json
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, encode_checkpoint
from ledger.header import Epoch
from node.home.checkpoint_mailbox import CLAIMS_MAX, MailboxReader, MailboxWriter
from node.home.evidence import FILES_MAX, SETTLED, EvidenceFolder, settle, settled_height
from tests.builders import genesis

GENESIS = genesis(4)


def checkpoint(height: int) -> Checkpoint:
    return Checkpoint(Epoch(0), height, bytes(32), GENESIS.empty_heads(), bytes(32), GENESIS.digest)


def test_newest_checkpoints_are_read_once_per_version(tmp_path: Path) -> None:
    reader, writer = MailboxReader(tmp_path / "claims", GENESIS), MailboxWriter(tmp_path / "claims")
    assert reader.read() == ()
    writer.add([checkpoint(1), checkpoint(2)])
    assert reader.read() == [checkpoint(1), checkpoint(2)]
    assert reader.read() == ()
    writer.add(checkpoint(height) for height in range(3, 100))
    assert reader.read() == [checkpoint(height) for height in range(100 - CLAIMS_MAX, 100)]


def test_writer_of_another_session_begins_anew(tmp_path: Path) -> None:
    MailboxWriter(tmp_path / "claims").add([checkpoint(9)])
    MailboxWriter(tmp_path / "claims").add([checkpoint(1)])
    assert MailboxReader(tmp_path / "claims", GENESIS).read() == [checkpoint(1)]


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_damaged_file_gives_what_lies_before_the_damage(tmp_path: Path, cut: int) -> None:
    MailboxWriter(tmp_path / "claims").add([checkpoint(1), checkpoint(2)])
    whole = (tmp_path / "claims").read_bytes()
    (tmp_path / "claims").write_bytes(whole[:-cut])
    assert MailboxReader(tmp_path / "claims", GENESIS).read() == [checkpoint(1)]
    (tmp_path / "claims").write_bytes(b"\xff\xff\xff\xff" + whole)
    assert MailboxReader(tmp_path / "claims", GENESIS).read() == []


def test_proofs_are_kept_once_and_other_reports_only_logged(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path / "evidence")
    folder.report("reread", {"partition": 1})
    assert not (tmp_path / "evidence").exists()
    for _ in range(2):
        folder.report("fork", {"height": 3, "own": b"\x01", "others": [b"\x02", b"\x03"]})
    (file,) = (tmp_path / "evidence").iterdir()
    assert json.loads(file.read_text()) == {"what": "fork", "height": 3, "own": "01", "others": ["02", "03"]}


def test_evidence_without_end_does_not_fill_the_disk_and_leaves_room_for_a_fork(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path / "evidence")
    for number in range(FILES_MAX + 10):
        folder.report("evidence", {"validator": 1, "first": number.to_bytes(4, "big")})
    assert len([*(tmp_path / "evidence").iterdir()]) == FILES_MAX
    folder.report("fork", {"height": 3})
    assert len([*(tmp_path / "evidence").iterdir()]) == FILES_MAX + 1


def test_disk_that_refuses_evidence_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file where the folder should be")
    EvidenceFolder(tmp_path / "evidence").report("fork", {"height": 3})


def test_highest_reported_fork_is_settled_once(tmp_path: Path) -> None:
    assert settle(tmp_path / "evidence") is None
    folder = EvidenceFolder(tmp_path / "evidence")
    folder.report("fork", {"height": 30})
    folder.report("fork", {"height": 4})
    folder.report("state_differs", {"height": 99})
    assert settled_height(tmp_path / "evidence") == 0
    assert settle(tmp_path / "evidence") == 30
    assert settle(tmp_path / "evidence") is None
    assert settled_height(tmp_path / "evidence") == 30


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"height": "x"}', '{"height": null}', '{"height": 1e999}', "\xff"])
def test_what_does_not_read_settles_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / SETTLED).write_text(text)
    (tmp_path / "fork-1.json").write_text(text)
    assert settled_height(tmp_path) == 0
    assert settle(tmp_path) is None


def test_encoded_size_is_what_the_reader_bounds(tmp_path: Path) -> None:
    MailboxWriter(tmp_path / "claims").add([checkpoint(1)])
    assert (tmp_path / "claims").stat().st_size == 4 + len(encode_checkpoint(checkpoint(1)))

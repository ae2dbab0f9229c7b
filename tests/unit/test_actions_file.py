"""The file of actions: each stands there before it begins, whatever becomes of the node."""

import json
from pathlib import Path

import pytest

from node.home import actions
from node.home.actions import BROKEN_OFF, DONE, FAILED, UNDER_WAY, Actions


def test_an_action_is_in_the_file_before_it_is_done_and_with_its_end_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "actions.jsonl"
    kept = Actions(file)
    begun = kept.begin("ann", "operator", "pause", {"processes": ["order"]}, "disk change")
    assert (begun.number, begun.outcome) == (1, UNDER_WAY)
    assert json.loads(file.read_bytes())["why"] == "disk change"
    ended = kept.end(begun, FAILED, {"reason": "no"})
    assert kept.get(1) == ended
    assert file.stat().st_mode & 0o777 == 0o600
    kept.close()
    again = Actions(file)
    assert again.newest(10) == [ended]
    assert again.begin("ann", "operator", "resume", {}, "done with it").number == 2
    again.close()


def test_what_was_under_way_when_the_node_ended_is_broken_off(tmp_path: Path) -> None:
    file = tmp_path / "actions.jsonl"
    kept = Actions(file)
    first = kept.begin("ann", "operator", "drill", {}, "every night")
    kept.end(kept.begin("ann", "admin", "stop", {}, "new kernel"), DONE)
    kept.close()
    again = Actions(file)
    assert [each.outcome for each in again.newest(10)] == [DONE, BROKEN_OFF]
    assert again.get(first.number) is not None
    again.close()


@pytest.mark.parametrize(
    "tail", [b'{"number": 2, "act', b"\xff\xfe\n", b"null\n", b'{"number": 0}\n', b"[1, 2]\n", b"\n"]
)
def test_a_torn_or_foreign_line_costs_itself_only(tmp_path: Path, tail: bytes) -> None:
    file = tmp_path / "actions.jsonl"
    kept = Actions(file)
    kept.end(kept.begin("ann", "operator", "pause", {}, "why not"), DONE)
    kept.close()
    with file.open("ab") as stream:
        stream.write(tail)
    again = Actions(file)
    second = again.end(again.begin("bob", "operator", "resume", {}, "go on"), DONE)
    again.close()
    assert second.number == 2
    last = Actions(file)
    assert [each.actor for each in last.newest(10)] == ["bob", "ann"]
    last.close()


def test_only_the_newest_are_kept_and_a_large_file_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "KEPT", 5)
    monkeypatch.setattr(actions, "FILE_BYTES_MAX", 2_000)
    file = tmp_path / "actions.jsonl"
    kept = Actions(file)
    for _ in range(20):
        kept.end(kept.begin("ann", "operator", "pause", {}, "again"), DONE)
    kept.close()
    assert file.stat().st_size > 2_000
    again = Actions(file)
    assert [each.number for each in again.newest(10)] == [20, 19, 18, 17, 16]
    assert [each.number for each in again.newest(2, before=18)] == [17, 16]
    assert file.stat().st_size < 2_000
    assert again.begin("ann", "operator", "pause", {}, "again").number == 21
    again.close()


def test_a_disk_that_refuses_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "actions.jsonl"
    kept = Actions(file)
    kept.end(kept.begin("ann", "operator", "pause", {}, "first"), DONE)
    before = file.read_bytes()

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(actions, "_write_all", full)
        with pytest.raises(OSError, match="No space"):
            kept.begin("ann", "operator", "pause", {}, "second")
    assert file.read_bytes() == before
    assert kept.begin("ann", "operator", "pause", {}, "third").number == 2
    kept.close()

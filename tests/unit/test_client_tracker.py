"""The tracker: positions become final by heads, and by nothing else."""

from collections.abc import Sequence

from client.outbox import Record
from client.tracker import Tracker
from ledger.header import Epoch, Head, Header


def _heads(*ends: int, incarnation: int = 0) -> tuple[Head, ...]:
    return tuple(Head(partition, incarnation, end, bytes(32)) for partition, end in enumerate(ends))


def _header(height: int, heads: Sequence[Head]) -> Header:
    return Header(1, Epoch(0), height, height - 1, bytes(32), height, 0, height, tuple(heads))


def _record(partition: int) -> Record:
    return Record(partition, b"", b"", (), 0.0)


def _tracker() -> Tracker:
    return Tracker(_heads(0, 0))


def test_a_record_is_final_when_the_head_of_its_partition_passes_its_offset() -> None:
    tracker, record = _tracker(), _record(1)
    assert tracker.on_delivered(record, 5) is None
    assert tracker.on_final(_header(1, _heads(100, 5))) == ([], [])
    assert tracker.on_final(_header(2, _heads(100, 6))) == ([record], [])


def test_records_become_final_in_order_of_offset_whatever_the_order_of_delivery() -> None:
    tracker, first, second = _tracker(), _record(0), _record(0)
    tracker.on_delivered(second, 9)
    tracker.on_delivered(first, 3)
    assert tracker.on_final(_header(1, _heads(10, 0))) == ([first, second], [])


def test_a_delivery_that_comes_after_its_header_is_final_at_once() -> None:
    tracker = _tracker()
    tracker.on_final(_header(7, _heads(10, 0)))
    assert tracker.on_delivered(_record(0), 9) == 7
    assert tracker.on_delivered(_record(0), 10) is None


def test_an_old_header_that_somebody_writes_again_says_nothing() -> None:
    tracker = _tracker()
    tracker.on_final(_header(7, _heads(10, 0)))
    assert tracker.on_final(_header(3, _heads(50, 50))) == ([], [])
    assert tracker.height == 7


def test_a_new_incarnation_hands_back_what_waited_to_be_sent_again() -> None:
    tracker, first, second, other = _tracker(), _record(0), _record(0), _record(1)
    tracker.on_delivered(second, 8)
    tracker.on_delivered(first, 7)
    tracker.on_delivered(other, 7)
    heads = (_heads(20, incarnation=1)[0], _heads(0, 5)[1])
    assert tracker.on_final(_header(1, heads)) == ([], [first, second])
    assert tracker.on_final(_header(2, (heads[0], _heads(0, 8)[1]))) == ([other], [])


def test_a_record_that_a_truncated_log_put_below_what_was_final_waits_for_the_next_incarnation() -> None:
    tracker, record = _tracker(), _record(0)
    tracker.on_final(_header(7, _heads(10, 0)))
    assert tracker.on_delivered(record, 4, final_before=10) is None
    assert tracker.on_final(_header(8, _heads(11, 0))) == ([], [])
    assert tracker.on_final(_header(9, (_heads(4, incarnation=1)[0], _heads(0, 0)[1]))) == ([], [record])


def test_a_record_that_was_under_way_while_an_incarnation_was_opened_is_to_be_sent_again() -> None:
    tracker = _tracker()
    tracker.on_final(_header(7, _heads(10, 0)))
    before = tracker.end(0)
    assert not tracker.is_opened_since(0, before)
    tracker.on_final(_header(8, (_heads(0, incarnation=1)[0], _heads(0, 0)[1])))
    assert tracker.is_opened_since(0, before), "its offset may be one of the old log, or of the new"
    assert not tracker.is_opened_since(0, tracker.end(0))
    assert not tracker.is_opened_since(1, (0, 0))

"""The bytes of a range of records: what is sent comes back in whatever pieces, and nothing else passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.store import StoredRecord
from ledger.header import Head
from sync import records as wire
from sync.records import RangeLimits, RangeReader, Wrong, encode_frames
from tests.store_records import chained, numbered, start

LIMITS = RangeLimits(records_max=100, bytes_max=10_000)
RECORDS = chained([(2, b"a"), (3, None), (7, b""), (8, b"bcd")], incarnation=5)
BEFORE = Head(0, 5, 2, start(0))
TARGET = Head(0, 5, 9, RECORDS[-1].chain_digest)
BODY = encode_frames(RECORDS) + wire.END_FRAME


def read(
    body: bytes, before: Head = BEFORE, target: Head = TARGET, limits: RangeLimits = LIMITS, size: int = 10_000
) -> list[StoredRecord] | Wrong:
    """What a reader makes of a body that comes in pieces of `size`."""
    reader = RangeReader(before, target, limits)
    for start_at in range(0, len(body), size):
        wrong = reader.feed(body[start_at : start_at + size])
        if wrong is not None:
            return wrong
    return reader.finish()


def why(found: list[StoredRecord] | Wrong) -> str:
    assert isinstance(found, Wrong)
    return found.why


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11, 13, 1000])
def test_a_range_comes_back_whatever_pieces_it_comes_in(size: int) -> None:
    assert read(BODY, size=size) == RECORDS


@given(
    st.lists(st.one_of(st.none(), st.binary(max_size=40)), min_size=1, max_size=20),
    st.integers(1, 60),
    st.integers(0, 3),
)
def test_any_records_come_back(values: list[bytes | None], size: int, gap: int) -> None:
    held = chained([(index * (gap + 1), value) for index, value in enumerate(values)])
    target = Head(0, 0, held[-1].offset + 1, held[-1].chain_digest)
    assert read(encode_frames(held) + wire.END_FRAME, Head(0, 0, 0, start(0)), target, size=size) == held


@given(st.binary(max_size=200), st.integers(1, 50))
def test_arbitrary_bytes_are_no_range(body: bytes, size: int) -> None:
    assert isinstance(read(body, size=size), Wrong)


@given(st.data())
def test_a_body_with_any_byte_changed_is_no_range(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(BODY) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != BODY[place]))
    assert isinstance(read(BODY[:place] + bytes([other]) + BODY[place + 1 :]), Wrong)


def test_a_body_that_is_cut_off_is_no_range() -> None:
    for size in range(len(BODY)):
        assert why(read(BODY[:size])) == "it stops before its end"


def test_bytes_behind_the_end_are_wrong_in_the_same_piece_and_in_the_next() -> None:
    assert why(read(BODY + b"x")) == "bytes behind the end"
    assert why(read(BODY + b"x", size=len(BODY))) == "bytes behind the end"


def test_records_out_of_order_twice_below_or_beyond_are_wrong() -> None:
    first, second, third, fourth = RECORDS
    for records in ([second, first], [first, first], [first, third, second, fourth]):
        assert "is due" in why(read(encode_frames(records) + wire.END_FRAME))
    assert "offset 1 " in why(read(encode_frames(chained([(1, b"a")]))))
    assert "offset 9 " in why(read(encode_frames([*RECORDS, StoredRecord(9, 5, b"extra", bytes(32))])))


def test_records_that_hash_to_another_head_are_wrong() -> None:
    for records in (RECORDS[:-1], RECORDS[1:], [*RECORDS[:-1], RECORDS[-1]._replace(value=b"bce")], []):
        assert "another head" in why(read(encode_frames(records) + wire.END_FRAME))
    assert "another head" in why(read(BODY, before=Head(0, 5, 2, bytes(32))))
    assert "another head" in why(read(BODY, target=Head(0, 5, 9, bytes(32))))
    assert "another head" in why(read(BODY, target=Head(0, 6, 9, TARGET.chain_digest)))


def test_a_length_beyond_what_can_be_stored_is_wrong_before_its_value_comes() -> None:
    limits = RangeLimits(records_max=10, bytes_max=1 << 40)
    assert "a value of" in why(read((0xF000_0000).to_bytes(4, "big"), limits=limits))


def test_what_is_beyond_our_bounds_is_told_apart_from_a_lie() -> None:
    assert read(BODY, limits=RangeLimits(3, 10_000)) == Wrong("more than 3 records", is_too_large=True)
    assert read(BODY, limits=RangeLimits(10, 20)) == Wrong("more than 20 bytes", is_too_large=True)
    length = (9_990).to_bytes(4, "big")
    assert read(length + bytes(8)) == Wrong("more than 10000 bytes", is_too_large=True)


def test_a_large_value_in_small_pieces_is_copied_once() -> None:
    (held,) = chained([(0, bytes(3 << 20))])
    target = Head(0, 0, 1, held.chain_digest)
    body = encode_frames([held]) + wire.END_FRAME
    assert read(body, Head(0, 0, 0, start(0)), target, RangeLimits(1, 4 << 20), size=1 << 10) == [held]


def test_a_range_may_begin_in_the_middle_of_a_chain() -> None:
    held = chained(numbered(6))
    target = Head(0, 0, 6, held[5].chain_digest)
    assert read(encode_frames(held[4:]) + wire.END_FRAME, Head(0, 0, 4, held[3].chain_digest), target) == held[4:]

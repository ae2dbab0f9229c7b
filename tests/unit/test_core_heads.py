"""What the own store says of proposed heads, and the longest block it allows."""

from hypothesis import given
from hypothesis import strategies as st

from consensus.core.heads import LocalHeads, Outcome
from ledger import digests
from ledger.header import Head
from tests.builders import genesis

GENESIS = genesis(1, partitions=3)
START = GENESIS.empty_heads()


def entries(partition: int, ends: list[int], size_bytes: int = 10) -> list[tuple[int, bytes, int]]:
    digest = START[partition].chain_digest
    found = []
    for end in ends:
        digest = digests.chain_next(digest, 0, end - 1, digests.value_digest(b"%d" % end))
        found.append((end, digest, size_bytes))
    return found


def held(*ends: list[int], size_bytes: int = 10) -> LocalHeads:
    local = LocalHeads(START)
    for partition, more in enumerate(ends):
        local.advance(partition, entries(partition, more, size_bytes))
    return local


def head(partition: int, ends: list[int]) -> Head:
    if not ends:
        return START[partition]
    end, digest, _ = entries(partition, ends)[-1]
    return Head(partition, 0, end, digest)


def heads(*ends: list[int]) -> tuple[Head, ...]:
    return tuple(head(partition, more) for partition, more in enumerate(ends))


def test_a_head_that_is_held_is_confirmed() -> None:
    assert held([1, 2, 3], [1], []).outcome(heads([1, 2], [1], [])) is Outcome.CONFIRMED


def test_a_head_beyond_what_is_held_is_not_yet_read() -> None:
    assert held([1], [], []).outcome(heads([1, 2], [], [])) is Outcome.NOT_YET


def test_another_digest_at_the_same_offset_is_contradicted() -> None:
    other = Head(0, 0, 2, bytes(32))
    local = held([1, 2], [], [])
    assert local.outcome((other, *START[1:])) is Outcome.CONTRADICTED
    assert local.outcome_of(other) is Outcome.CONTRADICTED
    assert local.outcome_of(START[1]) is Outcome.CONFIRMED


def test_a_head_inside_a_gap_of_the_log_is_contradicted() -> None:
    local = held([1, 5], [], [])
    assert local.outcome((Head(0, 0, 3, bytes(32)), *START[1:])) is Outcome.CONTRADICTED
    assert local.outcome(heads([1, 5], [], [])) is Outcome.CONFIRMED


def test_contradicted_beats_not_yet() -> None:
    other = Head(0, 0, 1, bytes(32))
    assert held([1], [], []).outcome((other, head(1, [1]), START[2])) is Outcome.CONTRADICTED


def test_a_later_incarnation_is_not_yet_read_and_an_earlier_one_contradicted() -> None:
    local = LocalHeads([Head(0, 1, 5, bytes(32))])
    assert local.outcome([Head(0, 2, 5, bytes([1] * 32))]) is Outcome.NOT_YET
    assert local.outcome([Head(0, 3, 5, bytes(32))]) is Outcome.NOT_YET
    assert local.outcome([Head(0, 0, 5, bytes(32))]) is Outcome.CONTRADICTED


def test_a_head_that_opens_the_next_incarnation_is_confirmed_where_it_follows_what_is_held() -> None:
    local = held([1, 2], [], [])
    following, _, _ = heads([1], [], [])
    opened = Head(0, 1, 0, following.chain_digest)
    assert local.outcome((opened, *START[1:])) is Outcome.CONFIRMED
    assert local.prefix((opened, *START[1:]), 0, 10, 10**6) is None, "nothing is added to it before it is final"
    local.settle((opened, *START[1:]))
    assert local.base(0) == opened
    assert local.records() == 0


def test_settled_heads_are_the_new_base_and_heads_below_it_are_contradicted() -> None:
    local = held([1, 2, 3], [], [])
    local.settle(heads([1, 2], [], []))
    assert local.records() == 1
    assert local.outcome(heads([1, 2], [], [])) is Outcome.CONFIRMED
    assert local.outcome(heads([1, 2, 3], [], [])) is Outcome.CONFIRMED
    assert local.outcome(heads([1], [], [])) is Outcome.CONTRADICTED


def test_longest_block_takes_partitions_in_turn() -> None:
    local = held([1, 2], [1, 2], [1, 2])
    assert local.prefix(START, 4, 3, 10**6) == heads([], [1, 2], [1])


def test_longest_block_stops_at_the_bound_of_bytes() -> None:
    local = held([1, 2, 3], [], [], size_bytes=100)
    assert local.prefix(START, 0, 10, 250) == heads([1, 2], [], [])


def test_a_record_over_the_bound_of_bytes_makes_a_block_alone() -> None:
    local = held([1, 2], [1], [], size_bytes=1_000)
    assert local.prefix(START, 1, 10, 999) == heads([], [1], [])


def test_nothing_beyond_the_parent_is_no_block() -> None:
    local = held([1], [], [])
    assert local.prefix(heads([1], [], []), 0, 10, 10**6) is None


def test_nothing_is_added_to_a_parent_that_is_not_held() -> None:
    local = held([1], [1], [])
    assert local.prefix(heads([1, 2], [], []), 0, 10, 10**6) is None


def test_amount_counts_records_and_bytes_between_two_heads() -> None:
    local = held([1, 2, 3], [1], [])
    local.settle(heads([1], [], []))
    assert local.amount(heads([1, 2], [], []), heads([1, 2, 3], [1], [])) == (2, 20)


def test_what_is_forgotten_can_be_read_again() -> None:
    local = held([1, 2, 3], [], [])
    local.settle(heads([1], [], []))
    local.forget(0)
    assert local.records() == 0
    local.advance(0, entries(0, [1, 2, 3]))
    assert local.records() == 2, "what is at the base is known"
    assert local.outcome(heads([1, 2, 3], [], [])) is Outcome.CONFIRMED


RECORDS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 200)), max_size=30)
"""(partition, value bytes) of each record."""


@given(RECORDS, st.integers(1, 10), st.integers(1, 500))
def test_longest_block_keeps_its_bounds_and_cannot_be_longer(
    records: list[tuple[int, int]], records_max: int, bytes_max: int
) -> None:
    local = LocalHeads(START)
    sizes: list[list[int]] = [[], [], []]
    for partition, size_bytes in records:
        sizes[partition].append(size_bytes)
        end = len(sizes[partition])
        local.advance(partition, [(end, digests.value_digest(b"%d %d" % (partition, end)), size_bytes)])
    found = local.prefix(START, 0, records_max, bytes_max)
    assert (found is None) == (not records)
    if found is None:
        return
    count, total = local.amount(START, found)
    assert count == 1 or (count <= records_max and total <= bytes_max)
    takes_more = any(
        head.end_offset < len(own) and count < records_max and total + own[head.end_offset] <= bytes_max
        for head, own in zip(found, sizes, strict=True)
    )
    assert not takes_more

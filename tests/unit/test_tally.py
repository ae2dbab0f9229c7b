"""Counting votes by power."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.wire.messages import NO_DIGEST, Kind, Vote
from consensus.wire.tally import Tally
from ledger.header import Epoch
from tests.builders import committee

A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))


def vote(member: int, digest: bytes = A) -> Vote:
    return Vote(Kind.NOTARIZE, Epoch(0), 7, digest, member, bytes([member]) * 64)


QUORUMS = [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (9, 7), (10, 7)]


@pytest.mark.parametrize(("members", "quorum"), QUORUMS)
def test_quorum_of_equal_powers_is_more_than_two_thirds(members: int, quorum: int) -> None:
    of_them = committee(*[1] * members)
    assert of_them.is_quorum(range(quorum))
    assert not of_them.is_quorum(range(quorum - 1))


def test_power_decides_and_not_heads() -> None:
    of_them = committee(7, 1, 1, 1)
    assert of_them.is_quorum([0])
    assert not of_them.is_quorum([1, 2, 3])


def test_more_than_a_third_holds_an_honest_member() -> None:
    of_them = committee(1, 1, 1)
    assert not of_them.has_honest([0])
    assert of_them.has_honest([0, 1])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=7))
def test_any_two_quorums_share_more_than_a_third(powers: list[int]) -> None:
    of_them = committee(*powers)
    members = range(len(powers))
    groups = (set(group) for size in range(1, len(powers) + 1) for group in combinations(members, size))
    quorums = [group for group in groups if of_them.is_quorum(group)]
    assert all(of_them.has_honest(one & other) for one in quorums for other in quorums)


def test_certificate_names_each_member_once_in_order() -> None:
    tally = Tally(Kind.NOTARIZE, 7)
    for member in (2, 0, 3):
        tally.add(vote(member))
    certificate = tally.certificate(A, committee(1, 1, 1, 1))
    assert certificate is not None
    assert [member for member, _ in certificate.signatures] == [0, 2, 3]
    assert (certificate.view, certificate.digest, certificate.kind) == (7, A, Kind.NOTARIZE)


def test_votes_for_different_blocks_make_no_quorum() -> None:
    tally = Tally(Kind.NOTARIZE, 7)
    for member, digest in ((0, A), (1, A), (2, B), (3, B)):
        tally.add(vote(member, digest))
    assert tally.certificate(A, committee(1, 1, 1, 1)) is None
    assert tally.certificate(B, committee(1, 1, 1, 1)) is None


def test_a_double_voter_counts_for_both_blocks_and_a_third_vote_is_not_kept() -> None:
    tally = Tally(Kind.NOTARIZE, 7)
    tally.add(vote(0, A))
    assert tally.holds(vote(0, A))
    assert not tally.holds(vote(0, B))
    tally.add(vote(0, B))
    assert tally.holds(vote(0, C))
    assert len(tally.of(0)) == 2


def test_an_empty_tally_certifies_nothing() -> None:
    assert Tally(Kind.NULLIFY, 1).certificate(NO_DIGEST, committee(1)) is None

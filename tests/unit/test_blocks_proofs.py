"""Whoever follows believes a header only with a proof."""

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.wire.final_blocks import DESCENDANTS_MAX, BlockReader, encode_block
from consensus.wire.messages import Block, Certificate, Kind
from ledger.block import FinalBlock
from ledger.committee import Committees
from ledger.encoding.codec import Codec
from ledger.rejection import Rejection
from tests.builders import genesis
from tests.core_bench import Bench

BENCH = Bench()
READER = BlockReader(BENCH.genesis, Committees.of(BENCH.genesis))
FIRST = BENCH.block(1)
SECOND = BENCH.block(2, FIRST, records=2)
THIRD = BENCH.block(4, SECOND, records=3)


def finalization(block: Block, view: int | None = None, voters: tuple[int, ...] = (0, 1, 3)) -> Certificate:
    return BENCH.certificate(Kind.FINALIZE, block.header.view if view is None else view, block, voters)


def record(block: Block, certificate: Certificate, *descendants: Block) -> bytes:
    return encode_block(block.header_bytes, READER.prove(certificate, descendants))


def test_a_finalized_block_is_verified() -> None:
    final = READER.verify(record(FIRST, finalization(FIRST)))
    assert isinstance(final, FinalBlock)
    assert (final.header, final.digest, final.header_bytes) == (FIRST.header, FIRST.digest, FIRST.header_bytes)


def test_what_is_verified_encodes_to_the_same_record() -> None:
    value = record(FIRST, finalization(THIRD), SECOND, THIRD)
    final = READER.verify(value)
    assert isinstance(final, FinalBlock)
    assert encode_block(final.header_bytes, final.proof) == value


def test_the_finalization_of_a_descendant_proves_an_ancestor() -> None:
    assert isinstance(READER.verify(record(FIRST, finalization(THIRD), SECOND, THIRD)), FinalBlock)


def test_a_block_that_was_finalized_by_its_reproposal_is_verified() -> None:
    assert isinstance(READER.verify(record(FIRST, finalization(FIRST, view=9))), FinalBlock)


def test_the_proposal_in_a_certificate_is_left_out_of_a_proof() -> None:
    certificate = replace(finalization(FIRST), proposal=BENCH.propose(FIRST))
    assert record(FIRST, certificate) == record(FIRST, finalization(FIRST))


BAD: dict[str, bytes] = {
    "no quorum": record(FIRST, finalization(FIRST, voters=(0, 1))),
    "a notarization": record(FIRST, BENCH.certificate(Kind.NOTARIZE, 1, FIRST)),
    "a nullification": record(FIRST, BENCH.certificate(Kind.NULLIFY, 1, None)),
    "another block's finalization": record(FIRST, finalization(SECOND)),
    "a bad signature": record(
        FIRST, replace(finalization(FIRST), signatures=((0, bytes(64)), (1, bytes(64)), (2, bytes(64))))
    ),
    "a finalization from before the block": record(SECOND, finalization(SECOND, view=1)),
    "a missing header between": record(FIRST, finalization(THIRD), THIRD),
    "headers in the wrong order": record(FIRST, finalization(SECOND), THIRD, SECOND),
    "too many headers": encode_block(
        FIRST.header_bytes, READER.prove(finalization(SECOND), (SECOND,) * (DESCENDANTS_MAX + 1))
    ),
    "another header": record(SECOND, finalization(FIRST)),
    "a header that is none": encode_block(b"header", READER.prove(finalization(FIRST), ())),
    "a proof that is none": encode_block(FIRST.header_bytes, b"proof"),
    "an empty proof": encode_block(FIRST.header_bytes, b""),
}


@pytest.mark.parametrize("what", BAD)
def test_anything_else_is_a_rejection(what: str) -> None:
    assert isinstance(READER.verify(BAD[what]), Rejection)


@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_proof_of_very_many_headers_is_refused_before_they_are_read(size: int) -> None:
    """Headers of no bytes are the most that a record holds: calls count what it costs to refuse them all."""
    count = READER.value_bytes_max * 9 // 10 // (size + 2)
    value = _announcing(count, bytes(size))
    calls = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        found = READER.read(value)
    finally:
        sys.setprofile(before)
    assert isinstance(found, Rejection)
    assert calls < 2_000 < count


def _announcing(count: int, header: bytes) -> bytes:
    """A record with so many headers that are none, whose block and finalization are good."""
    proof = Codec("Proof", "consensus").encode(
        {"finalization": BENCH.wire.encode(finalization(SECOND)), "descendants": [header] * count}
    )
    return encode_block(FIRST.header_bytes, proof)


def test_another_chains_block_is_a_rejection() -> None:
    other = genesis(4, chain="other", partitions=1)
    assert isinstance(BlockReader(other, Committees.of(other)).verify(record(FIRST, finalization(FIRST))), Rejection)


def test_no_value_is_a_rejection() -> None:
    assert isinstance(READER.verify(None), Rejection)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_rejection(data: bytes) -> None:
    assert isinstance(READER.verify(data), Rejection)


@given(st.integers(0, 10**4), st.integers(1, 255))
def test_a_changed_byte_is_a_rejection(place: int, change: int) -> None:
    data = bytearray(record(FIRST, finalization(SECOND), SECOND))
    data[place % len(data)] ^= change
    assert isinstance(READER.verify(bytes(data)), Rejection)

"""What validators say, in bytes; and bytes from anybody."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.wire.messages import (
    NO_DIGEST,
    Certificate,
    Kind,
    Message,
    Proposal,
    Statement,
    Vote,
    Wire,
    genesis_block,
)
from ledger.committee import Committees
from ledger.header import Epoch, Header
from ledger.rejection import Reason, Rejection
from tests.builders import genesis, validator_key

GENESIS = genesis(4)
OTHER = genesis(4, chain="other")
WIRE = Wire(GENESIS, Committees.of(GENESIS))
HEADER = Header(1, Epoch(0), 1, 0, GENESIS.digest, 3, 3, 5, GENESIS.empty_heads())
BLOCK = WIRE.block(HEADER)


def signed(statement: Statement, signer: int, wire: Wire = WIRE) -> Statement:
    return replace(statement, signature=validator_key(signer).sign(wire.signing_bytes(statement)))


def proposal() -> Proposal:
    made = signed(Proposal(3, BLOCK), 3)
    assert isinstance(made, Proposal)
    return made


def vote(kind: Kind = Kind.NOTARIZE, signer: int = 1) -> Vote:
    made = signed(Vote(kind, Epoch(0), 3, NO_DIGEST if kind is Kind.NULLIFY else BLOCK.digest, signer), signer)
    assert isinstance(made, Vote)
    return made


def certificate(kind: Kind = Kind.FINALIZE, with_proposal: bool = True) -> Certificate:
    votes = [vote(kind, signer) for signer in (0, 1, 3)]
    signatures = tuple((made.validator, made.signature) for made in votes)
    return Certificate(kind, Epoch(0), 3, votes[0].digest, signatures, proposal() if with_proposal else None)


EVERY: list[Message] = [
    proposal(),
    replace(proposal(), view=9),
    *(vote(kind) for kind in Kind),
    certificate(Kind.NOTARIZE),
    certificate(Kind.NULLIFY, with_proposal=False),
    certificate(),
]


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_message_reads_back_as_it_was_written(message: Message) -> None:
    assert WIRE.decode(WIRE.encode(message)) == message


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_every_cut_of_a_message_is_a_rejection(message: Message) -> None:
    value = WIRE.encode(message)
    assert all(isinstance(WIRE.decode(value[:size]), Rejection) for size in range(len(value)))


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_bytes_behind_a_message_are_a_rejection(message: Message) -> None:
    assert isinstance(WIRE.decode(WIRE.encode(message) + b"\0"), Rejection)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_rejection(data: bytes) -> None:
    assert isinstance(WIRE.decode(data), Rejection)


@given(st.sampled_from(EVERY), st.integers(0, 2000), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_leaves_a_bad_signature(message: Message, place: int, change: int) -> None:
    data = bytearray(WIRE.encode(message))
    data[place % len(data)] ^= change
    read = WIRE.decode(bytes(data))
    assert isinstance(read, Rejection) or read != message


def test_no_value_and_too_large_values_are_refused_unread() -> None:
    assert WIRE.decode(None) == Rejection(Reason.NULL_VALUE)
    large = WIRE.decode(bytes(WIRE.message_bytes_max + 1))
    assert isinstance(large, Rejection)
    assert large.reason is Reason.OVERSIZE


def test_no_honest_message_is_larger_than_the_bound() -> None:
    assert all(len(WIRE.encode(message)) <= WIRE.message_bytes_max for message in EVERY)


BAD: dict[str, Message] = {
    "epoch": replace(vote(), epoch=Epoch(1)),
    "view zero": replace(vote(), view=0),
    "validator out of range": replace(vote(), validator=4),
    "validator below zero": replace(vote(), validator=-1),
    "a nullify for a block": replace(vote(Kind.NULLIFY), digest=BLOCK.digest),
    "a notarize for nothing": replace(vote(), digest=NO_DIGEST),
    "a proposal from before its block": replace(proposal(), view=2),
    "a block with heads for other partitions": replace(
        proposal(), block=WIRE.block(replace(HEADER, heads=HEADER.heads[:1]))
    ),
    "a member twice": replace(certificate(), signatures=certificate().signatures[:1] * 2),
    "members out of order": replace(certificate(), signatures=certificate().signatures[::-1]),
    "no members": replace(certificate(), signatures=()),
    "a member out of range": replace(certificate(), signatures=((4, bytes(64)),)),
    "another view's proposal": replace(certificate(), view=4),
    "another block's proposal": replace(certificate(), digest=bytes(31) + b"1"),
}


@pytest.mark.parametrize("what", BAD)
def test_out_of_range_is_a_rejection(what: str) -> None:
    read = WIRE.decode(WIRE.encode(BAD[what]))
    assert isinstance(read, Rejection)
    assert read.reason is Reason.FIELD_RANGE


@pytest.mark.parametrize("message", [proposal(), vote(), certificate()], ids=lambda message: type(message).__name__)
def test_good_signatures_are_authentic(message: Message) -> None:
    assert WIRE.is_authentic(message)


def test_signatures_are_bound_to_signer_view_digest_kind_and_chain() -> None:
    good = vote()
    for changed in (
        replace(good, validator=2),
        replace(good, view=4),
        replace(good, digest=bytes(31) + b"1"),
        replace(good, kind=Kind.FINALIZE),
    ):
        assert not WIRE.is_authentic(changed)
    assert not Wire(OTHER, Committees.of(OTHER)).is_authentic(good)


def test_a_proposal_is_the_leaders_of_its_own_view() -> None:
    assert not WIRE.is_signed_with(validator_key(1).public_key, proposal())
    assert not WIRE.is_authentic(replace(proposal(), view=4))


def test_one_bad_signature_spoils_a_certificate() -> None:
    good = certificate()
    (member, signature), *others = good.signatures
    bad = replace(good, signatures=((member, bytes(64)), *others))
    assert len(signature) == 64
    assert not WIRE.is_authentic(bad)


def test_a_bad_proposal_spoils_a_certificate() -> None:
    bad = replace(certificate(), proposal=replace(proposal(), signature=bytes(64)))
    assert not WIRE.is_authentic(bad)


def test_genesis_is_the_block_of_height_zero() -> None:
    block = genesis_block(GENESIS)
    assert (block.digest, block.header.height, block.header.view, block.header.time_ms) == (GENESIS.digest, 0, 0, 0)
    assert block.header.heads == GENESIS.empty_heads()

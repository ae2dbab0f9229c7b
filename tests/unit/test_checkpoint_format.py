"""Checkpoints, their signatures and certificates in bytes; and bytes from anybody."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.wire.checkpoint_messages import (
    TAG_CERTIFY,
    CheckpointCertificate,
    CheckpointMessage,
    CheckpointSignature,
    CheckpointWire,
    speaks_of_checkpoints,
)
from consensus.wire.messages import NO_DIGEST, Kind, Vote, Wire
from ledger.checkpoint import Checkpoint, checkpoint_digest, decode_checkpoint, encode_checkpoint
from ledger.committee import Committees
from ledger.encoding.codec import Codec
from ledger.header import Epoch, Head, header_bytes_max
from ledger.keys import verify
from ledger.rejection import Reason, Rejection
from tests.builders import genesis, validator_key

GENESIS = genesis(4)
WIRE = CheckpointWire(GENESIS, Committees.of(GENESIS))
TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
CHECKPOINT = Checkpoint(
    epoch=Epoch(0),
    height=7,
    block_digest=bytes(range(32)),
    heads=(Head(0, 0, 5, bytes(range(32, 64))), Head(1, 2**32 - 1, 2**63 - 1, bytes(range(64, 96)))),
    state_root=bytes(range(96, 128)),
    previous=GENESIS.digest,
)
CLAIM = WIRE.claim(CHECKPOINT)


def signature(signer: int = 1, wire: CheckpointWire = WIRE) -> CheckpointSignature:
    return CheckpointSignature(CLAIM, signer, validator_key(signer).sign(wire.signing_bytes(CLAIM)))


def certificate(members: tuple[int, ...] = (0, 1, 3)) -> CheckpointCertificate:
    return CheckpointCertificate(CLAIM, tuple((member, signature(member).signature) for member in members))


EVERY: list[CheckpointMessage] = [signature(), certificate(), certificate((0, 1, 2, 3))]


def test_checkpoint_reads_back_as_it_was_written() -> None:
    assert decode_checkpoint(encode_checkpoint(CHECKPOINT), GENESIS.partitions) == CHECKPOINT


def test_digest_is_that_of_the_document() -> None:
    data = encode_checkpoint(CHECKPOINT)
    assert checkpoint_digest(GENESIS, data) == sha256(b"momus/checkpoint/v1" + GENESIS.digest + data).digest()
    assert CLAIM.digest == checkpoint_digest(GENESIS, data)


WRONG: dict[str, Checkpoint] = {
    "epoch below zero": replace(CHECKPOINT, epoch=Epoch(-1)),
    "height zero": replace(CHECKPOINT, height=0),
    "height below zero": replace(CHECKPOINT, height=-(2**63)),
    "no heads": replace(CHECKPOINT, heads=()),
    "a head too few": replace(CHECKPOINT, heads=CHECKPOINT.heads[:1]),
    "a head too many": replace(CHECKPOINT, heads=(*CHECKPOINT.heads, Head(2, 0, 0, bytes(32)))),
    "heads out of order": replace(CHECKPOINT, heads=CHECKPOINT.heads[::-1]),
    "a head twice": replace(CHECKPOINT, heads=CHECKPOINT.heads[:1] * 2),
    "huge incarnation": replace(CHECKPOINT, heads=(Head(0, 2**32, 5, bytes(32)), CHECKPOINT.heads[1])),
    "offset below zero": replace(CHECKPOINT, heads=(Head(0, 0, -1, bytes(32)), CHECKPOINT.heads[1])),
}


@pytest.mark.parametrize("what", WRONG)
def test_checkpoint_out_of_range_is_a_rejection(what: str) -> None:
    read = decode_checkpoint(encode_checkpoint(WRONG[what]), GENESIS.partitions)
    assert isinstance(read, Rejection)
    assert read.reason is Reason.FIELD_RANGE


@pytest.mark.parametrize("epoch", [1, 2**63 - 1])
def test_an_epoch_without_a_committee_is_a_rejection(epoch: Epoch) -> None:
    claim = WIRE.claim(replace(CHECKPOINT, epoch=epoch))
    for message in (replace(signature(), claim=claim), replace(certificate(), claim=claim)):
        assert WIRE.decode(WIRE.encode(message)) == Rejection(Reason.FIELD_RANGE, "epoch")


@pytest.mark.parametrize("what", WRONG)
def test_a_message_about_a_checkpoint_out_of_range_is_a_rejection(what: str) -> None:
    claim = WIRE.claim(WRONG[what])
    for message in (replace(signature(), claim=claim), replace(certificate(), claim=claim)):
        assert isinstance(WIRE.decode(WIRE.encode(message)), Rejection)


def test_the_size_of_checkpoint_bytes_has_a_bound() -> None:
    read = decode_checkpoint(bytes(header_bytes_max(GENESIS.partitions) + 1), GENESIS.partitions)
    assert isinstance(read, Rejection)
    assert read.reason is Reason.OVERSIZE


@given(st.binary(max_size=300))
def test_any_bytes_are_a_checkpoint_or_a_rejection(data: bytes) -> None:
    read = decode_checkpoint(data, GENESIS.partitions)
    assert isinstance(read, Rejection) or encode_checkpoint(read) == data


def test_every_cut_of_a_checkpoint_and_bytes_behind_it_are_rejections() -> None:
    data = encode_checkpoint(CHECKPOINT)
    assert all(isinstance(decode_checkpoint(data[:size], GENESIS.partitions), Rejection) for size in range(len(data)))
    assert isinstance(decode_checkpoint(data + b"\0", GENESIS.partitions), Rejection)


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_message_reads_back_as_it_was_written(message: CheckpointMessage) -> None:
    assert WIRE.decode(WIRE.encode(message)) == message


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_every_cut_of_a_message_and_bytes_behind_it_are_rejections(message: CheckpointMessage) -> None:
    value = WIRE.encode(message)
    assert all(isinstance(WIRE.decode(value[:size]), Rejection) for size in range(len(value)))
    assert isinstance(WIRE.decode(value + b"\0"), Rejection)


@given(st.binary(max_size=300), st.sampled_from(["", "CheckpointSignature", "CheckpointCertificate"]))
def test_any_bytes_are_a_rejection(data: bytes, schema: str) -> None:
    prefix = Codec(schema, "consensus").prefix if schema else b""
    assert isinstance(WIRE.decode(prefix + data), Rejection)


@given(st.sampled_from(EVERY), st.integers(0, 2000), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_leaves_a_bad_signature(
    message: CheckpointMessage, place: int, change: int
) -> None:
    data = bytearray(WIRE.encode(message))
    data[place % len(data)] ^= change
    read = WIRE.decode(bytes(data))
    assert isinstance(read, Rejection) or not WIRE.is_authentic(read)


def test_no_value_and_too_large_values_are_refused_unread() -> None:
    assert WIRE.decode(None) == Rejection(Reason.NULL_VALUE)
    large = WIRE.decode(bytes(WIRE.message_bytes_max + 1))
    assert isinstance(large, Rejection)
    assert large.reason is Reason.OVERSIZE


def test_no_honest_message_is_larger_than_the_bound() -> None:
    full = replace(CHECKPOINT, height=2**63 - 1, heads=tuple(Head(p, 2**32 - 1, 2**63 - 1, bytes(32)) for p in (0, 1)))
    message = replace(certificate((0, 1, 2, 3)), claim=WIRE.claim(full))
    assert len(WIRE.encode(message)) <= WIRE.message_bytes_max


BAD: dict[str, CheckpointMessage] = {
    "an unknown signer": replace(signature(), validator=4),
    "a signer below zero": replace(signature(), validator=-1),
    "a huge signer": replace(signature(), validator=2**31 - 1),
    "a member twice": replace(certificate(), signatures=certificate().signatures[:1] * 3),
    "members out of order": replace(certificate(), signatures=certificate().signatures[::-1]),
    "no members": replace(certificate(), signatures=()),
    "an unknown member": replace(certificate(), signatures=(*certificate().signatures, (4, bytes(64)))),
    "a member below zero": replace(certificate(), signatures=((-1, bytes(64)), *certificate().signatures)),
}


@pytest.mark.parametrize("what", BAD)
def test_out_of_range_is_a_rejection(what: str) -> None:
    read = WIRE.decode(WIRE.encode(BAD[what]))
    assert isinstance(read, Rejection)
    assert read.reason is Reason.FIELD_RANGE


def test_signatures_are_bound_to_signer_checkpoint_tag_and_chain() -> None:
    good = signature()
    assert WIRE.is_authentic(good)
    assert verify(validator_key(1).public_key, TAG_CERTIFY + GENESIS.digest + CLAIM.checkpoint_bytes, good.signature)
    for changed in (
        replace(CHECKPOINT, block_digest=bytes(32)),
        replace(CHECKPOINT, state_root=bytes(32)),
        replace(CHECKPOINT, previous=bytes(32)),
        replace(CHECKPOINT, height=8),
    ):
        assert not WIRE.is_authentic(replace(good, claim=WIRE.claim(changed)))
    assert not WIRE.is_authentic(replace(good, validator=2))
    assert not WIRE.is_authentic(replace(good, signature=validator_key(2).sign(WIRE.signing_bytes(CLAIM))))
    assert not WIRE.is_authentic(replace(good, signature=validator_key(1).sign(CLAIM.checkpoint_bytes)))
    assert not CheckpointWire(genesis(4, chain="other"), Committees.of(genesis(4, chain="other"))).is_authentic(good)


def test_one_bad_signature_spoils_a_certificate() -> None:
    good = certificate((0, 1, 2, 3))
    assert WIRE.is_certified(good)
    for place, (member, _) in enumerate(good.signatures):
        signatures = list(good.signatures)
        signatures[place] = (member, signature((member + 1) % 4).signature)
        assert not WIRE.is_certified(replace(good, signatures=tuple(signatures)))


def test_a_quorum_is_of_distinct_members() -> None:
    (first, *_) = certificate().signatures
    assert not WIRE.is_certified(replace(certificate(), signatures=(first, first, first)))


def trusting(powers: Sequence[int]) -> CheckpointWire:
    """Of validators with these powers; every signature is good."""
    chain = genesis(len(powers), powers=powers)
    return CheckpointWire(chain, Committees.of(chain), lambda key, message, signature: True)


@given(st.lists(st.integers(1, 2**31 - 1), min_size=4, max_size=4), st.sets(st.integers(0, 3), min_size=1))
def test_a_certificate_needs_more_than_two_thirds_of_the_power(powers: list[int], members: set[int]) -> None:
    wire = CheckpointWire(
        chain := genesis(4, powers=powers), Committees.of(chain), lambda key, message, signature: True
    )
    signed = CheckpointCertificate(CLAIM, tuple((member, bytes(64)) for member in sorted(members)))
    assert wire.is_certified(signed) == (3 * sum(powers[member] for member in members) > 2 * sum(powers))


@pytest.mark.parametrize(
    ("powers", "members", "enough"),
    [
        ((1, 1, 1), (0, 1), False),
        ((1, 1, 1), (0, 1, 2), True),
        ((2, 2, 1, 1), (0, 1), False),
        ((2, 2, 1, 1), (0, 1, 3), True),
        ((3, 1, 1, 1), (0, 1), False),
        ((2**31 - 1, 2**31 - 1, 2**31 - 1, 1), (0, 1), False),
        ((2**31 - 1, 2**31 - 1, 2**31 - 4, 1), (0, 1), True),
    ],
)
def test_exactly_two_thirds_are_not_enough(powers: tuple[int, ...], members: tuple[int, ...], enough: bool) -> None:
    wire = CheckpointWire(
        chain := genesis(len(powers), powers=powers), Committees.of(chain), lambda key, message, signature: True
    )
    signed = CheckpointCertificate(CLAIM, tuple((member, bytes(64)) for member in members))
    assert wire.is_certified(signed) is enough


def test_each_wire_refuses_what_is_meant_for_the_other() -> None:
    votes = Wire(GENESIS, Committees.of(GENESIS))
    vote = votes.encode(Vote(Kind.NULLIFY, Epoch(0), 1, NO_DIGEST, 1, bytes(64)))
    assert isinstance(WIRE.decode(vote), Rejection)
    assert not speaks_of_checkpoints(vote)
    assert not speaks_of_checkpoints(None)
    for message in EVERY:
        assert isinstance(votes.decode(WIRE.encode(message)), Rejection)
        assert speaks_of_checkpoints(WIRE.encode(message))


@pytest.mark.parametrize("field", Checkpoint.__dataclass_fields__)
def test_every_field_stands_in_the_document(field: str) -> None:
    section = TEXT.partition("\n## Checkpoint\n")[2].partition("\n## ")[0]
    assert f"| `{field}` |" in section


@pytest.mark.parametrize("name", ["CheckpointSignature", "CheckpointCertificate"])
def test_prefixes_and_tag_stand_in_the_document(name: str) -> None:
    assert f"| {name} | `{Codec(name, 'consensus').prefix.hex(' ')}` |" in TEXT
    assert f"`{TAG_CERTIFY.decode()} | genesis digest 32 | checkpoint`" in TEXT

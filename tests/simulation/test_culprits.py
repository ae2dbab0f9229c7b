"""Who contradicted itself, from records alone: every pair that excludes each other, and nothing that is not signed."""

from dataclasses import replace

import pytest

from consensus.wire.final_blocks import encode_block
from consensus.wire.fork_evidence import culprits
from consensus.wire.messages import NO_DIGEST, Certificate, Kind, Proposal, Statement, Vote, Wire
from ledger.committee import Committees
from ledger.header import Epoch, Header
from tests import builders

GENESIS = builders.genesis(4)
COMMITTEES = Committees.of(GENESIS)
WIRE = Wire(GENESIS, COMMITTEES)
A, B = b"a" * 32, b"b" * 32


def signed(statement: Statement, signer: int) -> bytes:
    signature = builders.validator_key(signer).sign(WIRE.signing_bytes(statement))
    return WIRE.encode(replace(statement, signature=signature))


def vote(kind: Kind, digest: bytes = A, validator: int = 1, view: int = 5) -> bytes:
    return signed(Vote(kind, Epoch(0), view, NO_DIGEST if kind is Kind.NULLIFY else digest, validator), validator)


def proposal(time_ms: int, view: int) -> bytes:
    leader = COMMITTEES.current.leader(view)
    header = Header(1, Epoch(0), 1, 0, GENESIS.digest, view, leader, time_ms, GENESIS.empty_heads())
    return signed(Proposal(view, WIRE.block(header)), leader)


@pytest.mark.parametrize(
    "pair",
    [
        (vote(Kind.NOTARIZE, A), vote(Kind.NOTARIZE, B)),
        (vote(Kind.FINALIZE, A), vote(Kind.FINALIZE, B)),
        (vote(Kind.NULLIFY), vote(Kind.FINALIZE, A)),
    ],
)
def test_pair_that_excludes_each_other_names_its_signer(pair: tuple[bytes, bytes]) -> None:
    for values in (pair, pair[::-1]):
        named = culprits(GENESIS, COMMITTEES, [vote(Kind.NOTARIZE, A, validator=2), *values])
        assert list(named) == [(0, 1)]
        assert {WIRE.encode(statement) for statement in named[0, 1]} == set(pair)


def test_two_proposals_of_a_view_name_its_leader() -> None:
    assert list(culprits(GENESIS, COMMITTEES, [proposal(1, view=6), proposal(2, view=6)])) == [
        (0, COMMITTEES.current.leader(6))
    ]


def test_what_an_honest_validator_may_say_names_nobody() -> None:
    values = [
        vote(Kind.NOTARIZE, A),
        vote(Kind.NULLIFY),
        vote(Kind.NOTARIZE, B, view=6),
        vote(Kind.FINALIZE, B, view=6),
        vote(Kind.FINALIZE, A, view=7),
        vote(Kind.NOTARIZE, B, view=7),
        proposal(1, view=6),
        proposal(2, view=7),
    ]
    assert culprits(GENESIS, COMMITTEES, [*values, *values]) == {}


def test_votes_are_found_in_certificates_and_in_proofs_of_blocks() -> None:
    def certificate(kind: Kind, digest: bytes) -> Certificate:
        votes = [Vote(kind, Epoch(0), 5, digest, member) for member in (1, 2, 3)]
        signatures = [builders.validator_key(vote.validator).sign(WIRE.signing_bytes(vote)) for vote in votes]
        return Certificate(kind, Epoch(0), 5, digest, tuple(zip((1, 2, 3), signatures, strict=True)))

    named = culprits(GENESIS, COMMITTEES, [vote(Kind.FINALIZE, A), WIRE.encode(certificate(Kind.NULLIFY, NO_DIGEST))])
    assert list(named) == [(0, 1)]
    named = culprits(
        GENESIS,
        COMMITTEES,
        [WIRE.encode(certificate(Kind.NULLIFY, NO_DIGEST)), WIRE.encode(certificate(Kind.FINALIZE, A))],
    )
    assert list(named) == [(0, 1), (0, 2), (0, 3)]


def test_forged_messages_and_garbage_name_nobody() -> None:
    forged = WIRE.encode(Vote(Kind.FINALIZE, Epoch(0), 5, B, 1, b"f" * 64))
    stranger = WIRE.encode(Vote(Kind.FINALIZE, Epoch(0), 5, B, 9, b"f" * 64))
    values = [None, b"", b"\xc3\x01garbage", encode_block(b"no header", b"no proof"), forged, stranger]
    assert culprits(GENESIS, COMMITTEES, [*values, vote(Kind.FINALIZE, A), vote(Kind.NOTARIZE, A)]) == {}
    assert list(culprits(GENESIS, COMMITTEES, [*values, vote(Kind.NULLIFY), vote(Kind.FINALIZE, B)])) == [(0, 1)]


def test_lowest_view_of_a_culprit_is_shown() -> None:
    values = [vote(kind, view=view) for view in (9, 7) for kind in (Kind.NULLIFY, Kind.FINALIZE)]
    assert {statement.view for statement in culprits(GENESIS, COMMITTEES, values)[0, 1]} == {7}

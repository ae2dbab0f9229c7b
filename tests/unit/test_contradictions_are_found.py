"""The check of the kill tests can fail: whoever contradicts himself is named."""

from dataclasses import replace

import pytest

from consensus.wire.messages import NO_DIGEST, Certificate, Kind, Proposal, Statement, Vote, Wire
from ledger.committee import Committees
from ledger.header import Epoch, Header
from tests.builders import genesis, validator_key
from tests.recovery.statements import contradictions

GENESIS = genesis(4)
WIRE = Wire(GENESIS, Committees.of(GENESIS))
A, B = (WIRE.block(Header(1, Epoch(0), 1, 0, GENESIS.digest, 3, 3, at, GENESIS.empty_heads())) for at in (5, 6))


def signed(statement: Statement, signer: int) -> Statement:
    return replace(statement, signature=validator_key(signer).sign(WIRE.signing_bytes(statement)))


def vote(kind: Kind, digest: bytes = NO_DIGEST, signer: int = 1) -> Statement:
    return signed(Vote(kind, Epoch(0), 3, digest, signer), signer)


def found(*statements: Statement | Certificate) -> list[str]:
    return contradictions(GENESIS, [WIRE.encode(statement) for statement in statements])


def test_honest_validators_contradict_themselves_nowhere() -> None:
    votes = [vote(kind, A.digest, signer) for kind in (Kind.NOTARIZE, Kind.FINALIZE) for signer in range(4)]
    assert found(signed(Proposal(3, A), 3), *votes, *votes) == []
    assert found(vote(Kind.NOTARIZE, A.digest), vote(Kind.NULLIFY)) == []


@pytest.mark.parametrize("kind", [Kind.NOTARIZE, Kind.FINALIZE])
def test_two_votes_of_a_kind_are_found(kind: Kind) -> None:
    told = found(vote(kind, A.digest), vote(kind, B.digest))
    assert told == [f"validator 1 said {kind.name} of 2 blocks in view 3"]


def test_nullify_beside_finalize_is_found() -> None:
    assert found(vote(Kind.NULLIFY), vote(Kind.FINALIZE, A.digest)) == ["validator 1 nullified and finalized view 3"]


def test_two_proposals_are_found() -> None:
    told = found(signed(Proposal(3, A), 3), signed(Proposal(3, B), 3))
    assert told == ["validator 3 said PROPOSE of 2 blocks in view 3"]


def test_vote_inside_a_certificate_counts_as_said() -> None:
    other = vote(Kind.FINALIZE, A.digest)
    assert isinstance(other, Vote)
    certificate = Certificate(Kind.FINALIZE, Epoch(0), 3, A.digest, ((1, other.signature),))
    assert found(vote(Kind.NULLIFY), certificate) == ["validator 1 nullified and finalized view 3"]


def test_forged_vote_is_an_error_of_its_own() -> None:
    with pytest.raises(AssertionError, match="forged"):
        found(signed(Vote(Kind.NULLIFY, Epoch(0), 3, NO_DIGEST, 1), 2))

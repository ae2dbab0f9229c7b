"""The rules C1 to C6 of `consensus.core.certifier`, each with what breaks it."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest

from consensus.core.certifier import (
    KEPT_MAX,
    RESEND_MS_MAX,
    Action,
    Certified,
    Certifier,
    CheckpointFork,
    ClaimDiffers,
    Contradiction,
    Publish,
    SayAgain,
    SignClaim,
    SignedElsewhere,
)
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointSignature, CheckpointWire
from consensus.wire.messages import NO_DIGEST, Kind, Vote, Wire
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.header import Epoch
from tests.builders import genesis, validator_key

GENESIS = genesis(4)
WIRE = CheckpointWire(GENESIS, Committees.of(GENESIS))
RESEND_MS, PUBLISH_MS = 1_000, 500


def checkpoint(height: int = 7, root: int = 1) -> Checkpoint:
    return Checkpoint(Epoch(0), height, bytes(32), GENESIS.empty_heads(), bytes([root]) * 32, GENESIS.digest)


def signature(member: int, height: int = 7, root: int = 1) -> CheckpointSignature:
    claim = WIRE.claim(checkpoint(height, root))
    return CheckpointSignature(claim, member, validator_key(member).sign(WIRE.signing_bytes(claim)))


def certificate(members: Iterable[int] = (0, 1, 2), height: int = 7, root: int = 1) -> CheckpointCertificate:
    signed = [signature(member, height, root) for member in members]
    return CheckpointCertificate(signed[0].claim, tuple((it.validator, it.signature) for it in signed))


class Validator:
    """A certifier, whose claims are signed as it asks."""

    def __init__(
        self,
        index: int = 0,
        signed: CheckpointSignature | None = None,
        certified: CheckpointCertificate | None = None,
        wire: CheckpointWire = WIRE,
        settled_height: int = 0,
    ) -> None:
        self.certifier = Certifier(
            wire, validator_key(index).public_key, RESEND_MS, PUBLISH_MS, signed, certified, settled_height
        )
        self._index = index

    def claims(self, *checkpoints: Checkpoint, now_ms: int = 0) -> list[Action]:
        return self._signed(self.certifier.on_claims(checkpoints, now_ms), now_ms)

    def reads(self, *messages: CheckpointSignature | CheckpointCertificate, now_ms: int = 0) -> list[Action]:
        done: list[Action] = []
        for message in messages:
            done += self._signed(self.certifier.on_value(WIRE.encode(message), now_ms), now_ms)
        return done

    def waits(self, now_ms: int) -> list[Action]:
        return [*self.certifier.on_time(now_ms)]

    def _signed(self, actions: Iterable[Action], now_ms: int) -> list[Action]:
        done: list[Action] = []
        for action in actions:
            done.append(action)
            if isinstance(action, SignClaim):
                claim = action.statement.claim
                key = validator_key(self._index)
                message = replace(action.statement, signature=key.sign(WIRE.signing_bytes(claim)))
                done += self.certifier.on_signed(message, now_ms)
        return done


def kinds(actions: Iterable[Action]) -> list[type]:
    return [type(action) for action in actions]


# --- C1 ---


def test_each_claim_above_the_last_one_is_signed_once() -> None:
    validator = Validator()
    (sign,) = validator.claims(checkpoint(7))
    assert isinstance(sign, SignClaim)
    assert (sign.statement.claim.height, sign.statement.validator, sign.statement.signature) == (7, 0, b"")
    assert validator.claims(checkpoint(7)) == []
    assert kinds(validator.claims(checkpoint(7), checkpoint(14), checkpoint(21))) == [SignClaim, SignClaim]


def test_no_lower_claim_is_signed() -> None:
    validator = Validator()
    validator.claims(checkpoint(14))
    assert validator.claims(checkpoint(7)) == []


def test_what_the_journal_holds_is_not_signed_again_nor_another_state_of_that_height() -> None:
    validator = Validator(signed=signature(0, 14))
    assert validator.claims(checkpoint(14)) == []
    assert validator.claims(checkpoint(7)) == []
    assert kinds(Validator(signed=signature(0, 14)).claims(checkpoint(14, root=2))) == [ClaimDiffers]


def test_what_is_certified_needs_no_more_signatures() -> None:
    validator = Validator()
    validator.reads(certificate((1, 2, 3)))
    assert validator.claims(checkpoint(7)) == []


# --- C2 ---


def test_more_than_two_thirds_certify() -> None:
    validator = Validator()
    validator.claims(checkpoint())
    assert validator.reads(signature(1)) == []
    (certified,) = validator.reads(signature(2))
    assert isinstance(certified, Certified)
    assert certified.certificate == certificate((0, 1, 2))
    assert WIRE.is_certified(certified.certificate)
    assert validator.certifier.height == 7


def test_the_power_of_two_states_is_not_added_up() -> None:
    validator = Validator(index=3)
    assert validator.reads(signature(0, root=1), signature(1, root=1), signature(2, root=2)) == []
    assert validator.certifier.height == 0


def test_exactly_two_thirds_do_not_certify() -> None:
    wire = CheckpointWire(three := genesis(3), Committees.of(three))
    claim = wire.claim(replace(checkpoint(), heads=three.empty_heads(), previous=three.digest))
    validator = Certifier(wire, validator_key(2).public_key, RESEND_MS, PUBLISH_MS, None, None)
    for member in (0, 1):
        signed = CheckpointSignature(claim, member, validator_key(member).sign(wire.signing_bytes(claim)))
        assert [*validator.on_value(wire.encode(signed), 0)] == []
    assert validator.height == 0


def test_one_validator_cannot_count_twice() -> None:
    validator = Validator()
    assert validator.reads(signature(1), signature(1), signature(1), signature(2)) == []


def test_certificates_come_before_our_executor_has_come_so_far_and_rise() -> None:
    validator = Validator()
    assert kinds(validator.reads(certificate(height=14))) == [Certified]
    assert validator.reads(certificate(height=7)) == []
    assert validator.certifier.refused["late"] == 1
    assert validator.certifier.height == 14


def test_certificate_without_a_quorum_or_with_a_bad_signature_is_refused() -> None:
    validator = Validator()
    good = certificate()
    assert validator.reads(certificate((0, 1))) == []
    assert validator.reads(replace(good, signatures=((0, bytes(64)), *good.signatures[1:]))) == []
    assert validator.reads(replace(good, claim=WIRE.claim(checkpoint(root=2)))) == []
    assert validator.certifier.refused["forged"] == 3


# --- C3 ---


def test_certified_state_that_is_not_ours_stops_us_whichever_comes_first() -> None:
    first = Validator()
    first.claims(checkpoint(root=2))
    certified, fork = first.reads(certificate((1, 2, 3)))
    assert (type(certified), type(fork)) == (Certified, CheckpointFork)
    second = Validator()
    second.reads(certificate((1, 2, 3)))
    (fork_later,) = second.claims(checkpoint(root=2))
    assert isinstance(fork, CheckpointFork)
    assert isinstance(fork_later, CheckpointFork)
    assert fork.own == fork_later.own == WIRE.claim(checkpoint(root=2))
    assert fork.others == (certificate((1, 2, 3)),)


def test_we_stay_stopped_after_a_restart_until_the_database_is_right_again() -> None:
    restarted = Validator(signed=signature(0, root=2), certified=certificate((1, 2, 3)))
    assert kinds(restarted.claims(checkpoint(root=2))) == [CheckpointFork]
    repaired = Validator(signed=signature(0, root=2), certified=certificate((1, 2, 3)))
    assert repaired.claims(checkpoint(root=1)) == []
    assert kinds(repaired.claims(checkpoint(14))) == [SignClaim]


def test_more_than_a_third_behind_another_state_stops_us() -> None:
    validator = Validator()
    validator.claims(checkpoint(root=2))
    assert kinds(validator.reads(signature(1))) == [ClaimDiffers]
    (fork,) = validator.reads(signature(2))
    assert isinstance(fork, CheckpointFork)
    assert fork.others == (signature(1), signature(2))


def test_half_and_half_stops_everybody() -> None:
    for index in range(4):
        validator = Validator(index)
        done = validator.claims(checkpoint(root=index % 2))
        for other in range(4):
            done += [] if other == index else validator.reads(signature(other, root=other % 2))
        assert CheckpointFork in kinds(done)
        assert Certified not in kinds(done)


def test_what_half_of_the_power_signed_is_an_alarm_where_it_is_settled_and_the_next_height_is_certified() -> None:
    """All four built their databases anew: two signed another state before, and read both halves' old words again."""
    validators = [Validator(it, signature(it, root=1 + it % 2), settled_height=7) for it in range(4)]
    for index, validator in enumerate(validators):
        done = validator.claims(checkpoint())
        for other in range(4):
            done += [] if other == index else validator.reads(signature(other, root=1 + other % 2))
        assert set(kinds(done)) == {ClaimDiffers}
        assert kinds(validator.claims(checkpoint(14))) == [SignClaim]
        done = [it for other in range(4) if other != index for it in validator.reads(signature(other, 14))]
        assert kinds(done)[:1] == [Certified]


def test_settled_is_no_height_above_and_nothing_that_a_quorum_certified() -> None:
    validator = Validator(settled_height=7)
    validator.claims(checkpoint(root=2), checkpoint(14, root=2))
    assert CheckpointFork not in kinds(validator.reads(signature(1), signature(2)))
    assert CheckpointFork in kinds(validator.reads(signature(1, 14), signature(2, 14)))
    certified = Validator(settled_height=7)
    certified.claims(checkpoint(root=2))
    assert CheckpointFork in kinds(certified.reads(certificate((1, 2, 3))))


@pytest.mark.parametrize("is_repaired_first", [True, False])
def test_our_own_word_of_before_a_repair_does_not_help_a_liar_to_stop_us(is_repaired_first: bool) -> None:
    validator = Validator(signed=signature(0, root=9))
    told = validator.claims(checkpoint()) if is_repaired_first else validator.reads(signature(3, root=9))
    told += validator.reads(signature(3, root=9)) if is_repaired_first else validator.claims(checkpoint())
    assert set(kinds(told)) == {ClaimDiffers}
    assert kinds(validator.reads(signature(1), signature(2))) == []
    assert CheckpointFork in kinds(validator.reads(signature(1, root=9)))


def test_claim_is_said_before_we_stop_over_what_others_signed() -> None:
    late = Validator()
    late.reads(signature(1), signature(2))
    assert kinds(late.claims(checkpoint(root=2)))[:2] == [SignClaim, CheckpointFork]


def test_two_certificates_of_a_height_stop_us() -> None:
    validator = Validator(certified=certificate(root=1))
    (fork,) = validator.reads(certificate((1, 2, 3), root=2))
    assert isinstance(fork, CheckpointFork)
    assert fork.others == (certificate(root=1), certificate((1, 2, 3), root=2))


def test_a_third_and_no_more_is_only_an_alarm() -> None:
    validator = Validator(wire=CheckpointWire(genesis(4), Committees.of(genesis(4))))
    validator.claims(checkpoint())
    (differs,) = validator.reads(signature(3, root=9))
    assert differs == ClaimDiffers(WIRE.claim(checkpoint()), signature(3, root=9))
    assert kinds(validator.reads(signature(1), signature(2))) == [Certified]


# --- C4 ---


def test_two_states_of_one_height_by_one_validator_are_evidence() -> None:
    validator = Validator()
    validator.reads(signature(3, root=8))
    assert validator.reads(signature(3, root=9)) == [Contradiction(signature(3, root=8), signature(3, root=9))]
    assert validator.reads(signature(3, root=10)) == []


def test_our_key_in_use_elsewhere_stops_us() -> None:
    assert kinds(Validator().reads(signature(0))) == [SignedElsewhere]
    validator = Validator(signed=signature(0, 14))
    assert validator.reads(signature(0, 14), signature(0, 7)) == []
    assert kinds(validator.reads(signature(0, 14, root=2))) == [SignedElsewhere]
    assert kinds(validator.reads(signature(0, 21))) == [SignedElsewhere]


def test_forged_claim_under_our_key_stops_nobody() -> None:
    validator = Validator()
    assert validator.reads(replace(signature(0), signature=bytes(64))) == []
    assert validator.certifier.refused["forged"] == 1


# --- C5 ---


def test_one_publishes_at_once_and_the_others_where_it_is_missed() -> None:
    published: dict[int, int] = {}
    for index in range(4):
        validator = Validator(index)
        validator.reads(*(signature(member) for member in range(4) if member != index))
        for now_ms in (0, PUBLISH_MS - 1, PUBLISH_MS):
            if index not in published and Publish(certificate([m for m in range(4) if m != index])) in validator.waits(
                now_ms
            ):
                published[index] = now_ms
    assert sorted(published.values()) == [0, PUBLISH_MS, PUBLISH_MS, PUBLISH_MS]


def test_certificate_that_was_seen_is_not_published_again() -> None:
    validator = Validator(3)
    validator.reads(signature(0), signature(1), signature(2))
    assert validator.waits(PUBLISH_MS) == [Publish(certificate())]
    assert validator.waits(2 * PUBLISH_MS) == [Publish(certificate())]
    validator.reads(certificate((0, 1, 2)))
    assert validator.certifier.next_ms() is None
    assert validator.waits(10 * PUBLISH_MS) == []


def test_certificate_that_is_never_seen_is_published_ever_more_rarely() -> None:
    validator = Validator(3)
    validator.reads(signature(0), signature(1), signature(2))
    published = sum(len(validator.waits(second * 1_000)) for second in range(24 * 3_600))
    assert 24 * 6 < published < 24 * 6 + 20


# --- C6 ---


def test_claim_that_is_not_certified_is_said_again_ever_more_rarely() -> None:
    validator = Validator()
    validator.claims(checkpoint())
    moments: list[int] = []
    while len(moments) < 14:
        now_ms = validator.certifier.next_ms()
        assert now_ms is not None
        assert validator.waits(now_ms) == [SayAgain(signature(0))]
        moments.append(now_ms)
    gaps = [after - before for before, after in pairwise(moments)]
    assert gaps == sorted(gaps)
    assert (moments[0], gaps[0], gaps[-1]) == (RESEND_MS, 2 * RESEND_MS, RESEND_MS_MAX)


def test_what_a_restart_finds_uncertified_is_said_at_once_and_counts() -> None:
    validator = Validator(signed=signature(0))
    assert validator.waits(0) == [SayAgain(signature(0))]
    assert kinds(validator.reads(signature(1), signature(2))) == [Certified]


def test_what_we_would_sign_no_more_is_not_said_again() -> None:
    repaired = Validator(signed=signature(0, root=9))
    repaired.claims(checkpoint())
    assert repaired.waits(0) == []
    assert repaired.certifier.next_ms() is None


def test_certified_claim_is_not_said_again() -> None:
    validator = Validator()
    validator.claims(checkpoint())
    validator.reads(certificate((1, 2, 3)))
    assert validator.waits(RESEND_MS) == []
    assert validator.certifier.next_ms() is None
    assert Validator(signed=signature(0), certified=certificate()).waits(0) == []


# --- bounds ---


def test_flood_of_heights_by_one_validator_is_bounded_and_harms_nobody_else() -> None:
    validator = Validator()
    for height in range(1_000, 1_000 + 3 * KEPT_MAX):
        validator.reads(signature(3, height))
    assert sum(len(kept) for kept in validator.certifier._signatures.values()) == KEPT_MAX
    validator.claims(checkpoint())
    assert kinds(validator.reads(signature(1), signature(2))) == [Certified]


def test_own_claims_are_bounded() -> None:
    validator = Validator()
    for height in range(1, 3 * KEPT_MAX):
        validator.claims(checkpoint(height))
    assert len(validator.certifier._own) == KEPT_MAX


@pytest.mark.parametrize("value", [None, b"", b"\xc3\x01" + bytes(8), bytes(5_000_000)], ids=["none", "", "a", "big"])
def test_rubbish_is_counted(value: bytes | None) -> None:
    validator = Validator()
    assert [*validator.certifier.on_value(value, 0)] == []
    assert validator.certifier.refused["malformed"] == 1


def test_vote_is_no_checkpoint() -> None:
    vote = Vote(Kind.NULLIFY, Epoch(0), 1, NO_DIGEST, 1, bytes(64))
    validator = Validator()
    assert [*validator.certifier.on_value(Wire(GENESIS, Committees.of(GENESIS)).encode(vote), 0)] == []
    assert validator.certifier.refused["malformed"] == 1

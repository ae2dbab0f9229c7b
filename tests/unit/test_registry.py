"""The registry: what a reader believes of the others, whatever is in the topic."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ledger.keys import verify
from sync.node_record import NodeRecord, NodeRecords, Signed
from sync.registry import REFUSALS, VERIFIED_PER_KEY_MAX, Heard, Registry
from tests.builders import genesis, validator_key
from tests.unit.test_node_record import RECORD

GENESIS = genesis(4)
KNOWN = [validator.consensus_key for validator in GENESIS.validators]


class Verifier:
    """Counts signatures that are verified."""

    def __init__(self) -> None:
        self.calls = 0
        self.records = NodeRecords(GENESIS.digest, self)

    def __call__(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        self.calls += 1
        return verify(public_key, message, signature)


def value(number: int = 0, sequence: int = 1, height: int = 7, genesis_digest: bytes = GENESIS.digest) -> bytes:
    key = validator_key(number)
    record = replace(RECORD, sequence=sequence, height=height)
    return NodeRecords(genesis_digest).signed(record, key.public_key, key.sign)


def forged(number: int = 0, sequence: int = 1) -> bytes:
    """Names a validator's key; signed by nobody."""
    good = value(number, sequence)
    return good[:-64] + bytes(64)


def registry(heard: dict[bytes, Heard] | None = None, verifier: Verifier | None = None) -> Registry:
    return Registry((verifier or Verifier()).records, KNOWN, heard or {})


def refused(found: Registry) -> dict[str, int]:
    return {reason: count for reason, count in found.refused.items() if count}


def sequences(found: Registry) -> list[int]:
    return [found.sequence_of(key) for key in KNOWN]


def test_newest_record_of_each_validator_is_kept() -> None:
    found = registry()
    taken = found.take([value(0, 5), value(1, 3), value(0, 6, height=9)], now_ms=100, own_height=12)
    assert sorted(taken) == sorted(KNOWN[:2])
    assert sequences(found) == [6, 3, -1, -1]
    heard = found.heard()[KNOWN[0]]
    assert (heard.record.height, heard.seen_ms, heard.own_height) == (9, 100, 12)


def test_record_is_fresh_for_as_long_as_it_says_from_when_it_was_first_seen() -> None:
    found = registry()
    found.take([value(0, 5)], now_ms=1_000, own_height=0)
    heard = found.heard()[KNOWN[0]]
    assert heard.is_fresh(1_000 + RECORD.valid_for_ms)
    assert not heard.is_fresh(1_001 + RECORD.valid_for_ms)


def test_record_that_is_shown_again_is_not_renewed() -> None:
    found = registry()
    found.take([value(0, 5)], now_ms=0, own_height=0)
    assert not found.take([value(0, 5), value(0, 4)], now_ms=30_000, own_height=0)
    assert found.heard()[KNOWN[0]].seen_ms == 0
    assert refused(found) == {"stale": 2}


def test_record_that_was_known_before_a_restart_keeps_its_age() -> None:
    before = registry()
    before.take([value(0, 5)], now_ms=0, own_height=0)
    after = registry(dict(before.heard()))
    after.take([value(0, 3), value(0, 5)], now_ms=50_000, own_height=0)
    assert after.heard()[KNOWN[0]].age_ms(50_000) == 50_000


def test_record_of_a_key_that_genesis_does_not_name_is_not_even_verified() -> None:
    verifier = Verifier()
    found = registry(verifier=verifier)
    found.take([value(number, 5) for number in range(4, 20)], 0, 0)
    assert refused(found) == {"unknown_key": 16}
    assert verifier.calls == 0
    assert not found.heard()


def test_record_of_another_chain_is_refused() -> None:
    found = registry()
    found.take([value(0, 5, genesis_digest=bytes(32))], 0, 0)
    assert refused(found) == {"wrong_chain": 1}
    assert not found.heard()


def test_forged_record_displaces_nothing() -> None:
    found = registry()
    found.take([value(0, 5), forged(0, 2**62)], 0, 0)
    assert sequences(found) == [5, -1, -1, -1]
    assert refused(found) == {"bad_signature": 1}


def test_signature_of_one_validator_is_not_another_ones() -> None:
    own, other = value(0, 5), value(1, 5)
    body = NodeRecords(GENESIS.digest).decode(own)
    assert isinstance(body, Signed)
    swapped = own.replace(body.public_key, KNOWN[1])
    assert swapped != own
    assert len(swapped) == len(other)
    found = registry()
    found.take([swapped], 0, 0)
    assert refused(found) == {"bad_signature": 1}


def test_long_history_costs_one_signature_per_validator() -> None:
    verifier = Verifier()
    found = registry(verifier=verifier)
    found.take([value(number, sequence) for sequence in range(1, 51) for number in range(4)], 0, 0)
    assert verifier.calls == 4
    assert sequences(found) == [50] * 4


def test_flood_of_forged_records_costs_few_signatures_and_keeps_the_others_heard() -> None:
    verifier = Verifier()
    found = registry(verifier=verifier)
    flood = [forged(0, 1_000 + number) for number in range(1_000)]
    found.take([value(1, 5), *flood[:500], value(0, 5), *flood[500:], value(2, 5)], 0, 0)
    assert verifier.calls == VERIFIED_PER_KEY_MAX + 2
    assert sequences(found) == [-1, 5, 5, -1]
    assert refused(found) == {"bad_signature": VERIFIED_PER_KEY_MAX, "too_many": 1_001 - VERIFIED_PER_KEY_MAX}
    found.take([value(0, 6)], 0, 0)
    assert sequences(found) == [6, 5, 5, -1]


def test_values_that_are_no_records_are_counted_by_why() -> None:
    found = registry()
    found.take([None, b"", bytes(100), bytes(2_000), value() + b"\0", value()[:-1]], 0, 0)
    assert refused(found) == {
        "null_value": 1, "empty": 1, "unknown_schema": 1, "oversize": 1, "non_canonical": 1, "malformed": 1,
    }  # fmt: skip
    assert not found.heard()


def test_what_is_remembered_of_a_key_that_is_no_validators_is_dropped() -> None:
    stranger = validator_key(9).public_key
    assert not registry({stranger: Heard(RECORD, 0, 0)}).heard()


_HOSTILE = st.one_of(
    st.none(),
    st.binary(max_size=64),
    st.builds(forged, st.integers(0, 5), st.integers(0, 2**62)),
    st.builds(value, st.integers(0, 5), st.integers(0, 50)),
    st.builds(value, st.integers(0, 5), st.integers(0, 50), st.just(7), st.just(bytes(32))),
)


@given(st.lists(st.lists(_HOSTILE, max_size=8), max_size=6))
def test_only_the_newest_good_record_of_a_validator_is_ever_known(batches: Sequence[Sequence[bytes | None]]) -> None:
    found = registry()
    records = NodeRecords(GENESIS.digest)
    highest = dict.fromkeys(KNOWN, -1)
    for number, batch in enumerate(batches):
        before = sequences(found)
        found.take(batch, number, number)
        assert all(now >= was for now, was in zip(sequences(found), before, strict=True))
        for one in batch:
            signed = records.decode(one)
            if isinstance(signed, Signed) and signed.public_key in highest and records.is_authentic(signed):
                highest[signed.public_key] = max(highest[signed.public_key], signed.record.sequence)
    assert all(found.sequence_of(key) <= highest[key] for key in KNOWN)
    assert set(found.refused) == set(REFUSALS)
    assert len(found.heard()) <= len(KNOWN)
    assert all(isinstance(heard.record, NodeRecord) for heard in found.heard().values())

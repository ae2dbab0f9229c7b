"""Transactions as bytes: one spelling, checked limits, signed for one chain."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import digests
from ledger.commands import Command, DeleteObject
from ledger.encoding.codec import Codec
from ledger.genesis import DEFAULT_LIMITS
from ledger.keys import verify
from ledger.rejection import Reason, Rejection
from ledger.transaction import (
    Body,
    check_body,
    decode_body,
    decode_record,
    digest_of,
    encode_batch,
    encode_body,
    encode_transaction,
)
from tests.builders import address, body, genesis, key, limits, record, transaction, transfer

GENESIS = genesis()
LIMITS = GENESIS.limits


def reason(decoded: object) -> Reason:
    assert isinstance(decoded, Rejection)
    return decoded.reason


@given(st.binary(min_size=16, max_size=16), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=64))
def test_what_is_encoded_decodes_to_the_same_body(nonce: bytes, expires_at_ms: int, reference: bytes) -> None:
    given_body = Body(nonce, expires_at_ms, reference, (transfer([address(1)], [1]), DeleteObject(bytes(32), 0)))
    assert decode_body(encode_body(given_body), LIMITS) == given_body


@given(st.binary(max_size=400))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    decoded = decode_body(data, LIMITS)
    assert isinstance(decoded, Rejection) or encode_body(decoded) == data
    transactions = decode_record(data, LIMITS)
    assert isinstance(transactions, Rejection)
    for prefix in (Codec("Transaction").prefix, Codec("TransactionBatch").prefix):
        again = decode_record(prefix + data, LIMITS)
        assert isinstance(again, Rejection) or prefix + data in (encode_transaction(again[0]), encode_batch(again))


def test_a_transaction_is_signed_for_one_chain() -> None:
    made = transaction(GENESIS.digest, signer=key(3))
    message = b"momus/transaction/v1" + GENESIS.digest + key(3).public_key + made.body
    assert verify(made.public_key, message, made.signature)
    assert made.signer == key(3).address
    assert digest_of(GENESIS.digest, made) != digest_of(genesis(chain="other").digest, made)


def test_the_digest_covers_body_and_key_but_not_the_signature() -> None:
    made = transaction(GENESIS.digest)
    assert digest_of(GENESIS.digest, made) == digests.transaction_digest(GENESIS.digest, made.public_key, made.body)
    assert digest_of(GENESIS.digest, replace(made, signature=bytes(64))) == digest_of(GENESIS.digest, made)
    assert digest_of(GENESIS.digest, replace(made, public_key=key(1).public_key)) != digest_of(GENESIS.digest, made)


def test_a_record_carries_one_transaction_or_a_batch() -> None:
    one, two = transaction(GENESIS.digest, nonce=1), transaction(GENESIS.digest, nonce=2)
    assert decode_record(encode_transaction(one), LIMITS) == (one,)
    assert decode_record(encode_batch([one, two]), LIMITS) == (one, two)
    assert decode_record(encode_batch([one]), LIMITS) == (one,)
    assert encode_batch([one]) != encode_transaction(one)


def test_the_order_of_the_tests_of_a_record_is_null_empty_size_schema() -> None:
    assert decode_record(None, LIMITS) == Rejection(Reason.NULL_VALUE)
    assert decode_record(b"", LIMITS) == Rejection(Reason.EMPTY)
    assert reason(decode_record(bytes(LIMITS.record_bytes_max + 1), LIMITS)) == Reason.OVERSIZE
    assert decode_record(bytes(LIMITS.record_bytes_max), LIMITS) == Rejection(Reason.UNKNOWN_SCHEMA)


def test_a_record_of_just_record_bytes_max_is_read() -> None:
    value = record(transaction(GENESIS.digest))
    assert isinstance(decode_record(value, limits(record_bytes_max=len(value))), tuple)
    assert reason(decode_record(value, limits(record_bytes_max=len(value) - 1))) == Reason.OVERSIZE


def test_a_batch_of_none_or_more_than_batch_max_is_refused() -> None:
    one = transaction(GENESIS.digest)
    assert reason(decode_record(encode_batch([]), LIMITS)) == Reason.BATCH_SIZE
    assert reason(decode_record(encode_batch([one] * 3), limits(batch_max=2))) == Reason.BATCH_SIZE
    assert decode_record(encode_batch([one] * 2), limits(batch_max=2)) == (one, one)


@pytest.mark.parametrize("cut", [1, 32, 64, 96, 100, 150])
def test_a_truncated_record_is_malformed(cut: int) -> None:
    value = record(transaction(GENESIS.digest))
    assert reason(decode_record(value[:-cut], LIMITS)) == Reason.MALFORMED
    batch = encode_batch([transaction(GENESIS.digest)] * 2)
    assert reason(decode_record(batch[:-cut], LIMITS)) == Reason.MALFORMED


def test_bytes_after_a_record_are_not_canonical() -> None:
    value = record(transaction(GENESIS.digest))
    assert reason(decode_record(value + b"\x00", LIMITS)) == Reason.NON_CANONICAL


@pytest.mark.parametrize(
    ("commands", "expected"),
    [((), Reason.COMMANDS_COUNT), ((DeleteObject(bytes(32), 1),) * 17, Reason.COMMANDS_COUNT)],
)
def test_a_body_of_no_or_too_many_commands_is_refused(commands: tuple[Command, ...], expected: Reason) -> None:
    made = replace(body(), commands=commands)
    assert check_body(made, DEFAULT_LIMITS) == Rejection(expected)
    assert reason(decode_body(encode_body(made), DEFAULT_LIMITS)) == expected


def test_a_body_of_just_commands_max_is_accepted() -> None:
    made = body(*[DeleteObject(bytes(32), 1)] * 16)
    assert check_body(made, DEFAULT_LIMITS) is None
    assert decode_body(encode_body(made), DEFAULT_LIMITS) == made


def test_a_reference_has_at_most_64_bytes() -> None:
    assert isinstance(decode_body(encode_body(body(reference=bytes(64))), LIMITS), Body)
    assert reason(decode_body(encode_body(body(reference=bytes(65))), LIMITS)) == Reason.FIELD_RANGE


@pytest.mark.parametrize("branch", [10, -1, 2**40])
def test_an_unknown_command_is_refused_as_such(branch: int) -> None:
    good = encode_body(body(DeleteObject(bytes(32), 1)))
    at = good.index(b"\x02\x12" + bytes(32)) + 1  # one command, branch 9
    spelt = bytearray()
    zigzag = (branch << 1) ^ (branch >> 63)
    while zigzag > 0x7F:
        spelt.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    spelt.append(zigzag)
    assert reason(decode_body(good[:at] + bytes(spelt) + good[at + 1 :], LIMITS)) == Reason.UNKNOWN_BRANCH


def test_a_deeply_nested_body_is_refused_without_recursion() -> None:
    """No schema nests in itself, so depth is only bytes that do not fit."""
    deep = b"\x02" * 500_000
    for prefix in (b"", Codec("Transaction").prefix, Codec("TransactionBatch").prefix):
        assert isinstance(decode_record(prefix + deep, LIMITS), Rejection)
    assert isinstance(decode_body(bytes(16) + b"\x02\x00" + deep, LIMITS), Rejection)


def test_every_reason_has_its_own_sentence() -> None:
    sentences = [reason.sentence for reason in Reason]
    assert len(set(sentences)) == len(Reason)
    assert all(sentence.endswith(".") for sentence in sentences)

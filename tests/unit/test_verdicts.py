"""Every kind of bad input that can be seen without state, each with its reason, and the columns of what is good."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.verdicts import join, judge, verdict
from ledger.columns import KIND_OTHER, KIND_TRANSFER, Verdicts
from ledger.commands import Burn, Command, CreateObject, Mint
from ledger.digests import transaction_message
from ledger.encoding.codec import Codec
from ledger.genesis import Limits, parse_genesis
from ledger.rejection import Reason
from ledger.transaction import Transaction, digest_of, encode_batch, encode_body
from tests.builders import (
    ASSET,
    TIME_MS,
    address,
    body,
    genesis,
    genesis_bytes,
    key,
    limits,
    record,
    transaction,
    transfer,
)

GENESIS = genesis()
WINDOW_MS = GENESIS.limits.window_ms
GOOD = transaction(GENESIS.digest)


def verdicts(*values: bytes | None, limits: Limits = GENESIS.limits) -> Verdicts:
    return judge([(1, 100 + i, TIME_MS, value) for i, value in enumerate(values)], GENESIS.digest, limits)


def reason(value: bytes | None, limits: Limits = GENESIS.limits) -> Reason:
    """The only row's."""
    judged = verdicts(value, limits=limits)
    assert len(judged.items) == 1
    return Reason(judged.items["reason"][0])


def signed(data: bytes) -> bytes:
    """A record whose signature is good although its body's bytes may not be."""
    message = b"momus/transaction/v1" + GENESIS.digest + key(0).public_key + data
    return record(Transaction(data, key(0).public_key, key(0).sign(message)))


def test_a_good_transaction_has_no_reason_and_all_its_columns() -> None:
    value = record(transaction(GENESIS.digest, transfer([address(1), address(2)], [3, 4]), reference=b"mine"))
    judged = verdicts(value)
    (row,) = judged.items
    assert (row["record"], row["partition"], row["offset"], row["item"]) == (0, 1, 100, 0)
    assert (row["reason"], row["has_digest"], row["expires_at_ms"]) == (Reason.NONE, True, TIME_MS + 60_000)
    assert (row["commands_start"], row["commands_stop"]) == (0, 1)
    assert row["signer"].tobytes() == address(0)
    assert judged.references == (b"mine",)
    (command,) = judged.commands
    assert (command["kind"], command["index"], command["start"], command["stop"]) == (KIND_TRANSFER, 0, 0, 2)
    assert command["asset"].tobytes() == ASSET
    assert judged.recipients.tobytes() == address(1) + address(2)
    assert judged.amounts.tolist() == [3, 4]


def test_commands_that_are_no_transfers_are_values_beside_the_columns() -> None:
    mint, create = Mint(ASSET, address(1), 5), CreateObject("t", "m", b"c", None)
    judged = verdicts(record(transaction(GENESIS.digest, mint, transfer([address(1)], [1]), create)))
    assert judged.commands["kind"].tolist() == [KIND_OTHER, KIND_TRANSFER, KIND_OTHER]
    assert judged.commands["index"].tolist() == [0, 1, 2]
    assert judged.commands["start"].tolist() == [0, 0, 1]
    assert judged.commands["stop"].tolist() == [1, 1, 2]
    assert judged.others == (mint, create)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Reason.NULL_VALUE),
        (b"", Reason.EMPTY),
        (bytes(GENESIS.limits.record_bytes_max + 1), Reason.OVERSIZE),
        (b"not avro at all", Reason.UNKNOWN_SCHEMA),
        (b"\x00\x00\x00\x00\x07" + record(GOOD)[10:], Reason.UNKNOWN_SCHEMA),  # a schema registry's frame
        (record(GOOD)[:9], Reason.UNKNOWN_SCHEMA),
        (record(GOOD)[:-1], Reason.MALFORMED),
        (record(GOOD)[:10], Reason.MALFORMED),
        (Codec("Transaction").prefix + b"\x02" * 500_000, Reason.NON_CANONICAL),  # deep
        (record(GOOD) + b"\x00", Reason.NON_CANONICAL),
        (encode_batch([]), Reason.BATCH_SIZE),
        (encode_batch([GOOD] * 1001), Reason.BATCH_SIZE),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else "",
)
def test_a_record_that_does_not_decode_has_one_row_of_the_whole(value: bytes | None, expected: Reason) -> None:
    judged = verdicts(value)
    (row,) = judged.items
    assert (row["item"], row["reason"], row["has_digest"]) == (-1, expected, False)
    assert row["digest"].tobytes() == row["signer"].tobytes() == bytes(32)
    assert (row["commands_start"], row["commands_stop"], len(judged.commands)) == (0, 0, 0)
    assert judged.references == (b"",)


def padded_body() -> bytes:
    """A body whose count of commands is a padded varint."""
    data = encode_body(body(Burn(ASSET, 1)))
    at = data.index(b"\x02\x04" + ASSET)
    return data[:at] + b"\x82\x00" + data[at + 1 :]


def split_body() -> bytes:
    """A body whose commands come in two blocks."""
    data = encode_body(body(Burn(ASSET, 1)))
    command = data[data.index(b"\x02\x04" + ASSET) : -1]
    return data[:-1] + command + b"\x00"


def unknown_command_body() -> bytes:
    data = encode_body(body(Burn(ASSET, 1)))
    return data.replace(b"\x02\x04" + ASSET, b"\x02\x14" + ASSET)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Reason.EMPTY),
        (b"junk", Reason.MALFORMED),
        (encode_body(body())[:-1], Reason.MALFORMED),
        (encode_body(body()) + b"\x00", Reason.NON_CANONICAL),
        (padded_body(), Reason.NON_CANONICAL),
        (split_body(), Reason.NON_CANONICAL),
        (unknown_command_body(), Reason.UNKNOWN_BRANCH),
        (encode_body(replace(body(), commands=())), Reason.COMMANDS_COUNT),
        (encode_body(body(*[Burn(ASSET, 1)] * 17)), Reason.COMMANDS_COUNT),
        (encode_body(body(transfer([], []))), Reason.RECIPIENTS_COUNT),
        (encode_body(body(transfer([address(1)] * 10_001, [1] * 10_001))), Reason.RECIPIENTS_COUNT),
        (encode_body(body(transfer([address(1)], [1, 2]))), Reason.RECIPIENTS_COUNT),
        (encode_body(body(transfer([address(1)], [0]))), Reason.AMOUNT_RANGE),
        (encode_body(body(transfer([address(1)], [-1]))), Reason.AMOUNT_RANGE),
        (encode_body(body(transfer([address(1)] * 5, [1, 1, 1, 1, -(2**63)]))), Reason.AMOUNT_RANGE),
        (encode_body(body(Mint(ASSET, address(1), 0))), Reason.AMOUNT_RANGE),
        (encode_body(body(CreateObject("t", "m", bytes(65_537), None))), Reason.CONTENT_SIZE),
        (encode_body(body(CreateObject("t\x00", "m", b"", None))), Reason.FIELD_RANGE),
        (encode_body(body(reference=bytes(65))), Reason.FIELD_RANGE),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else "",
)
def test_a_bad_body_has_a_digest_and_a_signer_and_nothing_else(data: bytes, expected: Reason) -> None:
    judged = verdicts(signed(data))
    (row,) = judged.items
    assert (row["item"], row["reason"], row["has_digest"]) == (0, expected, True)
    assert row["signer"].tobytes() == address(0)
    assert (row["expires_at_ms"], judged.references, len(judged.commands)) == (0, (b"",), 0)


@pytest.mark.parametrize(
    ("expires_in_ms", "expected"),
    [
        (-TIME_MS - 1, Reason.EXPIRED),
        (0, Reason.EXPIRED),
        (1, Reason.NONE),
        (WINDOW_MS, Reason.NONE),
        (WINDOW_MS + 1, Reason.TOO_FAR_AHEAD),
        (2**63 - 1 - TIME_MS, Reason.TOO_FAR_AHEAD),
    ],
)
def test_expiry_must_lie_within_the_window_after_the_block(expires_in_ms: int, expected: Reason) -> None:
    assert reason(record(transaction(GENESIS.digest, expires_at_ms=TIME_MS + expires_in_ms))) == expected


def test_a_transaction_signed_for_another_genesis_has_a_bad_signature() -> None:
    assert reason(record(transaction(genesis(chain="other").digest))) == Reason.BAD_SIGNATURE
    same_but_for_a_space = parse_genesis(genesis_bytes() + b" ")
    assert reason(record(transaction(same_but_for_a_space.digest))) == Reason.BAD_SIGNATURE


def test_anothers_signature_is_bad() -> None:
    theirs = transaction(GENESIS.digest, signer=key(1))
    assert reason(record(replace(GOOD, signature=theirs.signature))) == Reason.BAD_SIGNATURE


def test_a_signature_over_another_body_is_bad() -> None:
    assert reason(record(replace(GOOD, body=transaction(GENESIS.digest, nonce=9).body))) == Reason.BAD_SIGNATURE


def test_a_swapped_key_makes_the_signature_bad() -> None:
    assert reason(record(replace(GOOD, public_key=key(1).public_key))) == Reason.BAD_SIGNATURE


@pytest.mark.parametrize("number", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, 1 + 2**255])
def test_a_weak_key_is_refused_before_its_signature_is_looked_at(number: int) -> None:
    weak = number.to_bytes(32, "little")
    forged = (1).to_bytes(32, "little") + bytes(32)
    assert reason(record(Transaction(GOOD.body, weak, forged))) == Reason.WEAK_KEY


@pytest.mark.parametrize(
    ("body", "public_key"),
    [
        (GOOD.body, GOOD.public_key),
        (GOOD.body, bytes(32)),
        (GOOD.body + b"\x00", GOOD.public_key),
        (b"", GOOD.public_key),
        (transaction(GENESIS.digest, transfer([address(1)], [0])).body, GOOD.public_key),
    ],
)
def test_after_a_conclusive_rejection_no_record_with_the_digest_passes_whatever_its_signature(
    body: bytes, public_key: bytes
) -> None:
    message = transaction_message(GENESIS.digest, public_key, body)
    records = [Transaction(body, public_key, signature) for signature in (GOOD.signature, bytes(64))]
    times = [TIME_MS - 2 * WINDOW_MS, TIME_MS - WINDOW_MS, TIME_MS, TIME_MS + 120_000]
    told = [{verdict(each, message, time_ms, GENESIS.limits)[0] for each in records} for time_ms in times]
    passes = [at for at, found in enumerate(told) if Reason.NONE in found]
    for at, found in enumerate(told):
        if any(later >= at for later in passes):
            assert not any(reason.is_conclusive for reason in found - {Reason.NONE}), (found, times[at])
    assert bool(passes) == (public_key == GOOD.public_key and body == GOOD.body)


def test_the_cheapest_test_comes_first() -> None:
    """Schema before window before key before signature."""
    bad = replace(transaction(GENESIS.digest, transfer([address(1)], [0]), expires_at_ms=1), public_key=bytes(32))
    assert reason(record(bad)) == Reason.AMOUNT_RANGE
    late = replace(transaction(GENESIS.digest, expires_at_ms=1), public_key=bytes(32))
    assert reason(record(late)) == Reason.EXPIRED
    assert reason(record(replace(GOOD, public_key=bytes(32), signature=bytes(64)))) == Reason.WEAK_KEY


def test_a_rejected_transaction_keeps_digest_signer_and_reference_but_no_commands() -> None:
    late = transaction(GENESIS.digest, expires_at_ms=TIME_MS, reference=b"ref")
    judged = verdicts(record(late), record(GOOD))
    assert judged.items["digest"][0].tobytes() == digest_of(GENESIS.digest, late)
    assert judged.references == (b"ref", b"")
    assert judged.items["commands_start"].tolist() == [0, 0]
    assert judged.items["commands_stop"].tolist() == [0, 1]


def test_the_items_of_a_batch_are_judged_independently() -> None:
    bad = replace(GOOD, signature=bytes(64))
    judged = verdicts(encode_batch([GOOD, bad, transaction(GENESIS.digest, nonce=1)]), b"junk", record(GOOD))
    assert judged.items["record"].tolist() == [0, 0, 0, 1, 2]
    assert judged.items["item"].tolist() == [0, 1, 2, -1, 0]
    assert judged.items["offset"].tolist() == [100, 100, 100, 101, 102]
    expected = [Reason.NONE, Reason.BAD_SIGNATURE, Reason.NONE, Reason.UNKNOWN_SCHEMA, Reason.NONE]
    assert judged.items["reason"].tolist() == expected


def test_the_limits_are_those_of_genesis() -> None:
    value = record(GOOD)
    assert reason(value, limits(record_bytes_max=len(value) - 1)) == Reason.OVERSIZE
    assert reason(value, limits(window_ms=59_999)) == Reason.TOO_FAR_AHEAD
    two: tuple[Command, ...] = (Burn(ASSET, 1), Burn(ASSET, 1))
    assert reason(record(transaction(GENESIS.digest, *two)), limits(commands_max=1)) == Reason.COMMANDS_COUNT


def test_digests_keep_zero_bytes_at_their_end() -> None:
    judged = verdicts(record(transaction(GENESIS.digest, transfer([bytes(32), b"\x01" + bytes(31)], [1, 1]))))
    assert [recipient.tobytes() for recipient in judged.recipients] == [bytes(32), b"\x01" + bytes(31)]


VALUES: list[bytes | None] = [
    record(GOOD),
    None,
    record(transaction(GENESIS.digest, Burn(ASSET, 1), transfer([address(1), address(2)], [1, 2]))),
    encode_batch([GOOD, replace(GOOD, signature=bytes(64)), transaction(GENESIS.digest, Mint(ASSET, address(1), 2))]),
    b"junk",
]


@given(st.lists(st.sampled_from(VALUES), max_size=8), st.lists(st.integers(0, 8), max_size=3))
def test_chunks_that_are_joined_equal_one_chunk(values: list[bytes | None], cuts: list[int]) -> None:
    records = [(i % 3, i, TIME_MS, value) for i, value in enumerate(values)]
    bounds = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    parts = [judge(records[start:stop], GENESIS.digest, GENESIS.limits) for start, stop in pairwise(bounds)]
    whole, joined = judge(records, GENESIS.digest, GENESIS.limits), join(parts)
    for name in ("items", "commands", "recipients", "amounts"):
        assert getattr(joined, name).tobytes() == getattr(whole, name).tobytes()
    assert (joined.references, joined.others) == (whole.references, whole.others)


def test_joining_leaves_the_parts_as_they_were() -> None:
    part = verdicts(record(GOOD))
    joined = join([part, part])
    assert joined.items["record"].tolist() == [0, 1]
    assert part.items["record"].tolist() == [0]
    assert len(join([]).items) == 0


@given(st.lists(st.binary(max_size=120) | st.none(), max_size=5), st.booleans())
def test_any_bytes_get_a_row_and_never_raise(values: list[bytes | None], prefixed: bool) -> None:
    prefix = Codec("TransactionBatch").prefix if prefixed else b""
    judged = verdicts(*(None if value is None else prefix + value for value in values))
    assert np.unique(judged.items["record"]).tolist() == list(range(len(values)))


@given(st.integers(0, len(record(GOOD)) - 1), st.integers(1, 255))
def test_a_good_record_with_one_byte_changed_is_rejected(at: int, change: int) -> None:
    value = bytearray(record(GOOD))
    value[at] ^= change
    assert reason(bytes(value)) != Reason.NONE

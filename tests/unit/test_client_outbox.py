"""The outbox: what goes into which record, when, and what is refused."""

from hashlib import sha256

import pytest

from client import TooLarge, partition_of
from client.outbox import BatchLimits, Outbox
from ledger.genesis import DEFAULT_LIMITS
from ledger.transaction import Transaction, decode_record
from tests.builders import address, key, limits, transaction

GENESIS = bytes(32)


def _outbox(transactions_max: int = 3, bytes_max: int = 10_000, linger_ms: int = 10, partitions: int = 1) -> Outbox:
    return Outbox(partitions, BatchLimits(transactions_max, bytes_max, linger_ms), record_bytes_max=20_000)


def _transaction(nonce: int, signer: int = 0) -> Transaction:
    return transaction(GENESIS, nonce=nonce, signer=key(signer))


def _contents(value: bytes) -> tuple[Transaction, ...]:
    found = decode_record(value, DEFAULT_LIMITS)
    assert isinstance(found, tuple)
    return found


def test_a_full_batch_is_due_at_once_and_keeps_the_order() -> None:
    outbox = _outbox()
    sent = [_transaction(nonce) for nonce in range(3)]
    submissions = [outbox.add(item, b"", now=0.0) for item in sent]
    (record,) = outbox.take(now=0.0)
    assert _contents(record.value) == tuple(sent)
    assert record.submissions == tuple(submissions)
    assert outbox.is_empty


def test_an_open_batch_lingers_and_then_goes() -> None:
    outbox = _outbox(linger_ms=10)
    outbox.add(_transaction(1), b"", now=0.0)
    assert outbox.take(now=0.009) == []
    assert len(outbox.take(now=0.010)) == 1


def test_everything_goes_when_the_client_drains() -> None:
    outbox = _outbox(linger_ms=10_000)
    outbox.add(_transaction(1), b"", now=0.0)
    assert len(outbox.take(now=0.0, everything=True)) == 1


def test_one_transaction_alone_is_no_batch() -> None:
    outbox = _outbox(transactions_max=1)
    only = _transaction(1)
    outbox.add(only, b"", now=0.0)
    (record,) = outbox.take(now=0.0)
    assert _contents(record.value) == (only,)
    assert record.key == address(0)


def test_a_batch_never_outgrows_its_bytes() -> None:
    outbox = _outbox(transactions_max=100, bytes_max=1_000)
    for nonce in range(20):
        outbox.add(_transaction(nonce), b"", now=0.0)
    records = outbox.take(now=0.0, everything=True)
    assert max(len(record.value) for record in records) <= 1_000
    assert sum(len(_contents(record.value)) for record in records) == 20


def test_each_signer_stays_in_the_partition_of_its_address() -> None:
    outbox = _outbox(partitions=4)
    for signer in range(20):
        outbox.add(_transaction(0, signer), b"", now=0.0)
    for record in outbox.take(now=0.0, everything=True):
        assert {partition_of(item.signer, 4) for item in _contents(record.value)} == {record.partition}
        assert partition_of(record.key, 4) == record.partition


def test_the_partition_is_the_first_four_bytes_of_the_hash_of_the_address() -> None:
    assert partition_of(address(0), 7) == int.from_bytes(sha256(address(0)).digest()[:4], "big") % 7


def test_what_is_sent_again_goes_before_what_is_new() -> None:
    outbox = _outbox(transactions_max=1)
    outbox.add(_transaction(1), b"", now=0.0)
    old = outbox.take(now=0.0)
    outbox.add(_transaction(2), b"", now=1.0)
    outbox.add_again(old)
    assert outbox.take(now=1.0)[0] is old[0]


def test_a_transaction_that_fits_no_record_is_refused() -> None:
    outbox = _outbox()
    large = Transaction(bytes(20_001), bytes(32), bytes(64))
    with pytest.raises(TooLarge):
        outbox.add(large, b"", now=0.0)
    assert outbox.is_empty


def test_batches_are_cut_to_what_the_chain_allows() -> None:
    chain = limits(batch_max=5, record_bytes_max=900)
    assert BatchLimits(100, 100_000, 7).within(chain) == BatchLimits(5, 900, 7)

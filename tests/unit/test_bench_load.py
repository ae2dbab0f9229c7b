"""The bench's input: signed, fundable, the same again; and its figures against their marks."""

import time

import pytest

from client import partition_of
from ingest.verdicts import judge
from lab.bench.ceilings import Ceilings
from lab.bench.figures import Figures, Throughput
from lab.bench.load import RECORD_TRANSACTIONS, TRANSFERS_A_SIGNATURE, Load, Maker
from ledger.genesis import Genesis
from ledger.rejection import Reason
from ledger.transaction import decode_record
from tests.builders import genesis


@pytest.fixture
def chain() -> Genesis:
    return genesis(1, partitions=4)


@pytest.fixture
def maker(chain: Genesis) -> Maker:
    return Maker(chain, time.time_ns() // 1_000_000 + 60_000)


def _judged(chain: Genesis, load: Load) -> tuple[int, int]:
    """(transactions, transfers) without a fault, as the node's own verdicts say."""
    now_ms = time.time_ns() // 1_000_000
    records = [(entry.partition, offset, now_ms, entry.value) for offset, entry in enumerate(load.entries)]
    verdicts = judge(records, chain.digest, chain.limits)
    assert set(verdicts.items["reason"]) == {Reason.NONE}
    assert len(set(verdicts.items["digest"].tolist())) == len(verdicts.items)
    return len(verdicts.items), len(verdicts.amounts)


def test_single_transfers_are_as_many_as_asked_for_and_good(chain: Genesis, maker: Maker) -> None:
    load = maker.single(150)
    assert _judged(chain, load) == (150, 150) == (load.transactions, load.transfers)


def test_batched_transfers_are_a_thousand_a_signature_and_good(chain: Genesis, maker: Maker) -> None:
    load = maker.batched(3, accounts=50)
    assert _judged(chain, load) == (3, 3 * TRANSFERS_A_SIGNATURE) == (load.transactions, load.transfers)


def test_entries_lie_where_a_client_would_put_them(chain: Genesis, maker: Maker) -> None:
    for entry in maker.single(500).entries:
        items = decode_record(entry.value, chain.limits)
        assert isinstance(items, tuple)
        assert len(items) <= RECORD_TRANSACTIONS
        assert {partition_of(item.signer, 4) for item in items} == {entry.partition}


def test_the_same_arguments_make_the_same_load(chain: Genesis) -> None:
    first, again = (Maker(chain, 1_000_000).batched(2, accounts=10) for _ in range(2))
    assert first == again


def _figures(*throughputs: Throughput) -> Figures:
    return Figures(Ceilings(2, verifications=10_000.0, copy_rows=1e6, log_appends=1e5), list(throughputs))


def test_marks_are_held_against_this_machines_ceilings_on_the_embedded_log_only() -> None:
    figures = _figures(
        Throughput("embedded", "single", 1, per_s=4_500.0, replay_per_s=9_000.0, replay_equal=True),
        Throughput("embedded", "batched, 10,000 accounts", 1, per_s=50_000.0, replay_per_s=25_000.0, replay_equal=True),
        Throughput("kafka", "single", 1, per_s=1.0, replay_per_s=1.0, replay_equal=True),
    )
    assert [round(mark.ratio, 2) for mark in figures.marks()] == [1.0, 2.0, 0.5, 0.5]
    assert [mark["met"] for mark in figures.as_json()["marks"]] == [True, True, False, False]
    assert [found["share_of_verification_ceiling"] for found in figures.as_json()["throughput"]] == [0.45, 5.0, 0.0]

"""Random blocks, hostile ones too, in random groups over a cache that is sometimes dropped and flushes that come late:
`execute` leaves what the reference interpreter leaves.
"""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from ledger import digests
from ledger.commands import (
    Burn,
    Command,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    ShareObject,
    Transfer,
    TransferObject,
    UpdateObject,
)
from ledger.rejection import Reason
from tests.execution_inputs import START_MS, Block, Tx, genesis_of, name, transfer
from tests.execution_model import Model, Run, assert_same

PEOPLE = [name(who) for who in ("alice", "bob", "carol")]
ALICE, BOB, _ = PEOPLE
NONCES = 40
FIRST = Block(
    1,
    START_MS,
    (
        (Tx(ALICE, (CreateAsset("coin", 2, ALICE), CreateObject("t", "", b"", None)), 1000),),
        (Tx(ALICE, tuple(Mint(digests.asset_id(Tx(ALICE, (), 1000).digest, 0), who, 100) for who in PEOPLE), 1001),),
        (Tx(BOB, (CreateObject("t", "", b"", (BOB, ALICE)), CreateObject("t", "", b"", None)), 1002),),
    ),
)
COIN = digests.asset_id(Tx(ALICE, (), 1000).digest, 0)
THINGS = [digests.object_id(Tx(ALICE, (), nonce).digest, index) for nonce, index in ((1000, 1), (1002, 0), (1002, 1))]
NEW = [Tx(ALICE, (), nonce).digest for nonce in range(NONCES)]

people = st.sampled_from(PEOPLE)
assets = st.sampled_from([COIN] * 3 * NONCES + [digests.asset_id(digest, 0) for digest in NEW])
objects = st.sampled_from(THINGS * NONCES + [digests.object_id(digest, 0) for digest in NEW])
amounts = st.sampled_from([1, 2, 3, 4, 5, 30, 50, 99, 100, 100, 300, 1 << 62, (1 << 63) - 1])
versions = st.sampled_from([0, 1, 1, 2, 2, 3])
writers = st.lists(people, max_size=3).map(tuple)
contents = st.binary(max_size=3)
credits_ = st.lists(st.tuples(people, amounts), min_size=1, max_size=3)
many_credits = st.lists(st.tuples(people, st.sampled_from([1, 1, 1, 2, 1 << 62])), min_size=14, max_size=16)


def transfers(credits: st.SearchStrategy[list[tuple[bytes, int]]]) -> st.SearchStrategy[Transfer]:
    return st.builds(lambda asset, pairs: transfer(asset, *pairs), assets, credits)


commands: st.SearchStrategy[Command] = st.one_of(
    transfers(credits_),
    transfers(many_credits),
    st.builds(CreateAsset, st.just("token"), st.integers(0, 18), people),
    st.builds(Mint, assets, people, amounts),
    st.builds(Burn, assets, amounts),
    st.builds(CreateObject, st.just("t"), st.just(""), contents, st.none() | writers),
    st.builds(UpdateObject, objects, versions, st.just("text/plain"), contents),
    st.builds(TransferObject, objects, versions, people),
    st.builds(ShareObject, objects, versions, writers),
    st.builds(FreezeObject, objects, versions),
    st.builds(DeleteObject, objects, versions),
)


def transaction(signer: bytes, wanted: list[Command], nonce: int, reason: Reason) -> Tx:
    """A digest covers the expiry, so one nonce has one."""
    return Tx(signer, tuple(wanted), nonce, reason, START_MS + 1000 + nonce * 7_919 % 300_000)


reasons = st.sampled_from([Reason.NONE] * 12 + [Reason.BAD_SIGNATURE, Reason.WEAK_KEY])
transactions = st.builds(
    transaction, people, st.lists(commands, min_size=1, max_size=3), st.sampled_from(range(NONCES)), reasons
)
records = st.lists(transactions, min_size=1, max_size=2).map(
    lambda txs: tuple(txs) if txs[0].nonce else Reason.MALFORMED
)
steps = st.sampled_from([1, 1, 500, 1000, 20_000, 60_000, 130_000])
cuts = st.lists(st.tuples(st.lists(records, min_size=1, max_size=4).map(tuple), steps), min_size=2, max_size=7)


def blocks_of(cut: Sequence[tuple[Any, int]]) -> list[Block]:
    """The first block, then one for each (records, milliseconds since the block before)."""
    blocks = [FIRST]
    for recs, step_ms in cut:
        blocks.append(Block(blocks[-1].height + 1, blocks[-1].time_ms + step_ms, recs))
    return blocks


group_sizes = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 2), st.booleans(), st.sampled_from([False, False, True])),
    min_size=8,
    max_size=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts, group_sizes, st.sampled_from([1, 3, 1000]), st.sampled_from([None, frozenset({ALICE, BOB})]))
def test_execution_leaves_what_the_reference_interpreter_leaves(
    cut: list[Any], sizes: list[tuple[int, int, bool, bool]], rejections_max: int, issuers: frozenset[bytes] | None
) -> None:
    genesis = genesis_of(issuers, rejections_max)
    blocks = blocks_of(cut)
    model, run = Model(genesis), Run(genesis)
    model.run(blocks)
    for size, in_flight_max, flush_between, forget in sizes:
        if blocks:
            run.group(blocks[:size], in_flight_max, flush_between)
            del blocks[:size]
        if forget:
            run.forget()
    run.flush_all_but(0)
    assert_same(run.stored, model)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts)
def test_balances_of_an_asset_always_sum_to_its_supply(cut: list[Any]) -> None:
    run = Run(genesis_of())
    for block in blocks_of(cut):
        run.group([block], 0, False)
        run.flush_all_but(0)
        for asset in run.stored.assets.values():
            amounts = [amount for (key, _), amount in run.stored.balances.items() if key == asset.id]
            assert sum(amounts) == asset.supply < 1 << 63
            assert all(amount > 0 for amount in amounts)
        assert {asset for asset, _ in run.stored.balances} <= run.stored.assets.keys()

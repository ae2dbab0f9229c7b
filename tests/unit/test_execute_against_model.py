"""Random blocks, hostile ones too, in random groups over a cache that is sometimes dropped and flushes that come late:
`execute` leaves what the reference interpreter leaves.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from executor.execute import execute
from executor.state import State
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
from ledger.genesis import Genesis
from ledger.rejection import Reason
from ledger.state import Effects
from tests.execution_inputs import START_MS, Block, Stored, Tx, genesis_of, inputs_of, name, transfer, verdicts_of
from tests.execution_model import Model

PEOPLE = [name(who) for who in ("alice", "bob", "carol")]
ALICE, BOB, _ = PEOPLE
NONCES = 30
FIRST = Block(
    1,
    START_MS,
    (
        (Tx(ALICE, (CreateAsset("coin", 2, ALICE), CreateObject("t", "", b"", None)), 1000),),
        (Tx(ALICE, tuple(Mint(digests.asset_id(Tx(ALICE, (), 1000).digest, 0), who, 100) for who in PEOPLE), 1001),),
        (Tx(BOB, (CreateObject("t", "", b"", (BOB, ALICE)), CreateObject("t", "", b"", None)), 1002),),
    ),
)
DIGESTS = [Tx(ALICE, (), nonce).digest for nonce in (1000, 1000, 1000, 1002, 1002, *range(NONCES))]

people = st.sampled_from(PEOPLE)
assets = st.builds(digests.asset_id, st.sampled_from(DIGESTS), st.sampled_from([0, 0, 0, 1]))
objects = st.builds(digests.object_id, st.sampled_from(DIGESTS), st.sampled_from([0, 1]))
amounts = st.sampled_from([1, 1, 2, 5, 30, 99, 100, 300, 1 << 62, (1 << 63) - 1])
versions = st.integers(0, 3)
writers = st.lists(people, max_size=3).map(tuple)
contents = st.binary(max_size=3)
credits_ = st.lists(st.tuples(people, amounts), min_size=1, max_size=3)
many_credits = st.lists(st.tuples(people, st.sampled_from([1, 2, 1 << 62])), min_size=14, max_size=20)


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


reasons = st.sampled_from([Reason.NONE] * 8 + [Reason.BAD_SIGNATURE, Reason.WEAK_KEY])
transactions = st.builds(
    transaction, people, st.lists(commands, min_size=1, max_size=4), st.integers(0, NONCES - 1), reasons
)
records = st.lists(transactions, min_size=1, max_size=3).map(tuple) | st.sampled_from([Reason.MALFORMED])
cuts = st.lists(
    st.tuples(st.lists(records, max_size=4).map(tuple), st.sampled_from([1, 1000, 60_000, 130_000])), max_size=6
)


def blocks_of(cut: Sequence[tuple[Any, int]]) -> list[Block]:
    """The first block, then one for each (records, milliseconds since the block before)."""
    blocks = [FIRST]
    for recs, step_ms in cut:
        blocks.append(Block(blocks[-1].height + 1, blocks[-1].time_ms + step_ms, recs))
    return blocks


class Run:
    """Executes groups as a pipeline does, with flushes that lag behind."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.state = State()
        self.stored = Stored()
        self.in_flight: deque[Effects] = deque()

    def flush_all_but(self, count: int) -> None:
        while len(self.in_flight) > count:
            self.stored.apply(self.in_flight.popleft())
            self.state.committed()

    def group(self, blocks: Sequence[Block], in_flight_max: int, flush_between: bool) -> None:
        self.flush_all_but(in_flight_max)
        verdicts = verdicts_of(blocks)
        wanted = self.state.wanted(verdicts)
        answer = self.stored.answer(wanted)
        if flush_between:
            self.flush_all_but(0)
        self.state.learn(wanted, answer)
        self.in_flight.append(execute(self.genesis, self.state, inputs_of(blocks), verdicts))

    def forget(self) -> None:
        self.flush_all_but(0)
        self.state.forget()


def assert_same(stored: Stored, model: Model) -> None:
    assert stored.history == model.history
    assert stored.balances == model.balances
    assert stored.assets == model.assets
    assert stored.objects == model.objects
    assert stored.remembered == model.remembered
    assert stored.buckets == model.buckets


group_sizes = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 2), st.booleans(), st.sampled_from([False, False, True])),
    min_size=7,
    max_size=7,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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

"""The executor's cache: what it asks for, what it keeps until a flush is durable, and what effects it hands out."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from executor.balances import Balances
from executor.cache import Cache
from executor.execute import execute
from executor.state import State
from ledger import digests
from ledger.commands import Burn, CreateAsset, CreateObject, DeleteObject, Mint, ShareObject, UpdateObject
from ledger.rejection import Reason
from ledger.state import BUCKET_MS, Inputs, Wanted, bucket_of
from tests.execution_inputs import (
    START_MS,
    Block,
    Chain,
    Stored,
    Tx,
    genesis_of,
    inputs_of,
    name,
    transfer,
    verdicts_of,
)

ALICE, BOB, CAROL = name("alice"), name("bob"), name("carol")
COIN = digests.asset_id(Tx(ALICE, (), 1).digest, 0)
THING = digests.object_id(Tx(ALICE, (), 3).digest, 0)
NOTHING = Wanted({}, (), (), (), (), ())


def pay(nonce: int, sender: bytes, *credits: tuple[bytes, int]) -> Tx:
    return Tx(sender, (transfer(COIN, *credits),), nonce)


def funded() -> Chain:
    """Alice issues a coin and holds 100 of it."""
    chain = Chain()
    assert chain.reasons(Tx(ALICE, (CreateAsset("coin", 0, ALICE),), 1)) == [Reason.NONE]
    assert chain.reasons(Tx(ALICE, (Mint(COIN, ALICE, 100),), 2)) == [Reason.NONE]
    return chain


def test_wanted_asks_for_each_thing_once_in_log_order() -> None:
    txs = (
        pay(10, ALICE, (BOB, 1), (CAROL, 1), (BOB, 1)),
        Tx(BOB, (Burn(COIN, 1), Mint(name("gold"), BOB, 1), UpdateObject(THING, 1, "", b"")), 11),
        pay(10, ALICE, (BOB, 1)),
    )
    bucket = bucket_of(txs[0].expires_at_ms)
    assert State().wanted(verdicts_of([Block(1, START_MS, (txs,))])) == Wanted(
        balances={COIN: (ALICE, BOB, CAROL), name("gold"): (BOB,)},
        assets=(COIN, name("gold")),
        objects=(THING,),
        writers=(THING + BOB,),
        digests=((bucket, txs[0].digest), (bucket, txs[1].digest)),
        buckets=(bucket,),
    )


def test_what_ingest_rejected_is_not_asked_for_but_a_digest_with_a_bad_signature_is() -> None:
    txs = (
        Tx(ALICE, (Burn(COIN, 1),), 10, Reason.BAD_SIGNATURE),
        Tx(ALICE, (Burn(COIN, 1),), 11, expires_at_ms=START_MS),
    )
    wanted = State().wanted(verdicts_of([Block(1, START_MS, (txs, Reason.MALFORMED))]))
    assert (wanted.balances, wanted.assets, wanted.objects) == ({}, (), ())
    assert [digest for _, digest in wanted.digests] == [txs[0].digest]


def test_what_is_held_is_not_asked_for_again() -> None:
    chain = funded()
    block = Block(9, START_MS + 9000, ((pay(10, ALICE, (BOB, 1)),),))
    wanted = chain.state.wanted(verdicts_of([block]))
    assert wanted.balances == {COIN: (BOB,)}
    assert (wanted.assets, wanted.buckets) == ((), ())
    chain.state.learn(wanted, chain.stored.answer(wanted))
    wanted = chain.state.wanted(verdicts_of([block]))
    assert wanted.balances == {}


def test_wanted_twice_asks_again_for_what_was_not_learned() -> None:
    state = State()
    verdicts = verdicts_of([Block(1, START_MS, ((pay(10, ALICE, (BOB, 1)),),))])
    assert state.wanted(verdicts) == state.wanted(verdicts) != NOTHING


def test_answer_to_another_question_is_refused() -> None:
    state = State()
    verdicts = verdicts_of([Block(1, START_MS, ((pay(10, ALICE, (BOB, 1)),),))])
    wanted = state.wanted(verdicts)
    state.wanted(verdicts)
    with pytest.raises(AssertionError, match="another question"):
        state.learn(wanted, Stored().answer(wanted))


def test_executing_before_learning_is_refused() -> None:
    state = State()
    block = Block(1, START_MS, ((pay(10, ALICE, (BOB, 1)),),))
    verdicts = verdicts_of([block])
    state.wanted(verdicts)
    with pytest.raises(AssertionError, match="not been learned"):
        execute(genesis_of(), state, inputs_of([block]), verdicts)


def test_replay_is_found_though_the_flush_ends_between_prefetch_and_execution() -> None:
    chain = funded()
    first = Block(3, START_MS + 3000, ((pay(10, ALICE, (BOB, 1)),),))
    again = Block(4, START_MS + 4000, ((pay(10, ALICE, (BOB, 1)),),))
    in_flight = chain.run_group([first])
    verdicts = verdicts_of([again])
    wanted = chain.state.wanted(verdicts)
    answer = chain.stored.answer(wanted)
    chain.stored.apply(in_flight)
    chain.state.committed()
    chain.state.learn(wanted, answer)
    effects = execute(chain.genesis, chain.state, inputs_of([again]), verdicts)
    assert [row.reason for row in effects.rejections] == [Reason.DUPLICATE]


def test_replay_is_found_in_the_database_after_the_cache_was_dropped() -> None:
    chain = funded()
    assert chain.reasons(pay(10, ALICE, (BOB, 1))) == [Reason.NONE]
    chain.state.forget()
    assert chain.state.size_bytes == 0
    assert chain.reasons(pay(10, ALICE, (BOB, 1))) == [Reason.DUPLICATE]


def test_digests_leave_the_cache_once_a_prefetch_can_find_them() -> None:
    chain = funded()
    chain.run(*((pay(nonce, ALICE, (ALICE, 1)),) for nonce in range(10, 60)))
    size = chain.state.size_bytes
    chain.run()
    assert chain.state.size_bytes == size - 50 * 150


def test_forgetting_what_is_in_flight_is_refused() -> None:
    chain = funded()
    chain.run_group([Block(3, START_MS + 3000, ())])
    with pytest.raises(AssertionError, match="in flight"):
        chain.state.forget()


def test_what_is_held_does_not_depend_on_how_large_contents_and_writers_are() -> None:
    sizes = []
    for content, writers in ((b"", ()), (bytes(65_536), (BOB,)), (b"", tuple(name(str(n)) for n in range(256)))):
        chain = Chain()
        chain.run((Tx(ALICE, (CreateObject("t", "", content, writers),), 3),))
        chain.state.forget()
        chain.run((Tx(BOB, (UpdateObject(THING, 0, "", b"new"), DeleteObject(THING, 5)), 4),))
        sizes.append(chain.state.size_bytes)
    assert sizes[0] == sizes[1] == sizes[2] < 2_000


def test_balances_are_inserted_updated_and_deleted_as_the_database_holds_them() -> None:
    chain = funded()
    effects = chain.run((pay(10, ALICE, (BOB, 60)),))
    assert effects.balances_inserted.tolist() == [(COIN, BOB, 60)]
    assert effects.balances_updated.tolist() == [(COIN, ALICE, 40)]
    effects = chain.run((pay(11, BOB, (ALICE, 50), (CAROL, 10)),))
    assert effects.balances_inserted.tolist() == [(COIN, CAROL, 10)]
    assert effects.balances_updated.tolist() == [(COIN, ALICE, 90)]
    assert effects.balances_deleted.tolist() == [(COIN, BOB, 0)]


def test_balance_that_comes_and_goes_or_ends_as_it_was_is_no_change() -> None:
    chain = funded()
    effects = chain.run((pay(10, ALICE, (BOB, 60)), pay(11, BOB, (ALICE, 60))))
    assert len(effects.transactions) == 2
    assert sum(map(len, (effects.balances_inserted, effects.balances_updated, effects.balances_deleted))) == 0


def test_object_that_comes_and_goes_is_only_history() -> None:
    chain = Chain()
    effects = chain.run((Tx(ALICE, (CreateObject("t", "", b"x", None), DeleteObject(THING, 1)), 3),))
    assert [(row.object.version, row.object.content_version, row.deleted) for row in effects.object_versions] == [
        (1, 1, False),
        (2, 1, True),
    ]
    assert [(row.version, row.content) for row in effects.object_contents] == [(1, b"x")]
    assert (effects.objects_inserted, effects.objects_updated, effects.objects_deleted) == ((), (), ())


def test_writers_are_kept_sorted_and_distinct() -> None:
    chain = Chain()
    writers = (CAROL, ALICE, BOB, CAROL)
    chain.run((Tx(ALICE, (CreateObject("t", "", b"", None), ShareObject(THING, 1, writers)), 3),))
    assert chain.stored.writers == {THING: b"".join(sorted({ALICE, BOB, CAROL}))}
    assert chain.stored.objects[THING].writers == 3


def test_shared_object_is_written_at_version_0_whatever_its_version_is() -> None:
    chain = Chain()
    update = UpdateObject(THING, 0, "", b"new")
    assert (
        chain.reasons(Tx(ALICE, (CreateObject("t", "", b"", ()),), 3), Tx(BOB, (update,), 4), Tx(CAROL, (update,), 5))
        == [Reason.NONE] * 3
    )
    assert chain.stored.objects[THING].version == 3


def test_mint_and_burn_are_transfers_from_and_to_nobody() -> None:
    chain = funded()
    effects = chain.run((Tx(ALICE, (Mint(COIN, BOB, 5), transfer(COIN, (BOB, 7)), Burn(COIN, 3)), 10),))
    nobody = bytes(32)
    assert effects.transfers.tolist() == [
        (3, 0, 0, COIN, nobody, BOB, 1, 5),
        (3, 1, 0, COIN, ALICE, BOB, 0, 7),
        (3, 2, 0, COIN, ALICE, nobody, 2, 3),
    ]
    assert effects.blocks[0].transfers == 3
    assert effects.assets_updated[0].supply == 102


def test_bucket_is_forgotten_by_the_first_block_after_all_of_it_has_expired() -> None:
    chain = funded()
    tx = Tx(ALICE, (transfer(COIN, (BOB, 1)),), 10, expires_at_ms=START_MS + 3 * BUCKET_MS - 1)
    bucket = bucket_of(tx.expires_at_ms)
    running = digests.remembered_next(bytes(32), 3, tx.digest)
    assert chain.run((tx,)).buckets == {bucket: (1, running)}
    end_ms = (bucket + 1) * BUCKET_MS
    effects = chain.run_group([Block(4, end_ms - 1, ())])
    assert effects.buckets_expired_below == bucket
    effects = chain.run_group([Block(5, end_ms, ((tx,),))])
    assert effects.buckets_expired_below == bucket + 1
    assert [row.reason for row in effects.rejections] == [Reason.EXPIRED]


def test_group_does_not_hand_out_digests_that_its_own_last_block_forgets() -> None:
    chain = funded()
    tx = Tx(ALICE, (transfer(COIN, (BOB, 1)),), 10, expires_at_ms=START_MS + BUCKET_MS - 1)
    effects = chain.run_group([Block(3, START_MS + 3000, ((tx,),)), Block(4, START_MS + 5 * BUCKET_MS, ())])
    assert len(effects.transactions) == 1
    assert effects.remembered == ()
    assert effects.buckets == {}


def test_group_of_no_blocks_has_no_effects() -> None:
    state = State()
    verdicts = verdicts_of([])
    state.learn(state.wanted(verdicts), Inputs({}, {}, {}, frozenset(), frozenset(), {}))
    effects = execute(genesis_of(), state, [], verdicts)
    assert (effects.blocks, effects.transactions) == ((), ())
    assert len(effects.transfers) == len(effects.balances_inserted) == 0


def test_undo_restores_a_slot_that_was_changed_twice() -> None:
    balances = Balances()
    slots = balances.slots_of(COIN, [ALICE, BOB])
    balances.learn({COIN: {ALICE: 10}})
    balances.begin()
    balances.add(slots[0], 5)
    balances.credit(np.array([slots[0], slots[1], slots[0]]), np.array([1, 2, 3]))
    balances.add(slots[0], -1)
    assert [balances.amount(slot) for slot in slots] == [18, 2]
    balances.roll_back()
    assert [balances.amount(slot) for slot in slots] == [10, 0]
    assert [len(rows) for rows in balances.changes()] == [0, 0, 0]


def test_undo_restores_a_value_that_was_put_twice() -> None:
    cache = Cache[str](300)
    cache.want(ALICE)
    cache.learn({ALICE: "old"})
    cache.begin()
    for value in ("newer", None, "newest"):
        cache.put(ALICE, value)
    cache.put(BOB, "made")
    cache.roll_back()
    assert (cache.get(ALICE), cache.get(BOB), cache.size_bytes) == ("old", None, 300 + 200)
    assert cache.changes().updated == cache.changes().inserted == ()


def test_slots_stay_when_the_arrays_grow() -> None:
    balances = Balances()
    addresses = [name(str(number)) for number in range(5000)]
    for start in range(0, 5000, 500):
        part = addresses[start : start + 500]
        balances.slots_of(COIN, part)
        balances.learn({COIN: dict.fromkeys(part, start + 1)})
        balances.add(balances.slot_of(COIN, part[0]), 1)
    amounts = [balances.amount(slot) for slot in balances.slots_of(COIN, addresses)]
    assert amounts == [number // 500 * 500 + 1 + (number % 500 == 0) for number in range(5000)]
    assert len(balances.changes()[1]) == 10


def _learned(state: State) -> None:
    state.caches.balances.learn({})
    state.caches.objects.learn({})
    state.caches.assets.learn({})
    state.caches.writers.learn(frozenset())


FILLS: dict[str, Callable[[State, bytes, bytes], object]] = {
    "balances of one asset": lambda state, one, other: state.caches.balances.slot_of(COIN, one),
    "balances of an asset each": lambda state, one, other: state.caches.balances.slot_of(one, other),
    "unknown objects": lambda state, one, other: state.caches.objects.want(one),
    "unknown assets": lambda state, one, other: state.caches.assets.want(one),
    "who may write": lambda state, one, other: state.caches.writers.want(one, other),
    "writers": lambda state, one, other: state.caches.writers.put(one, other * 10),
}
"""What anybody can make a node hold by naming it, once for each pair of ids."""


@pytest.mark.parametrize("what", FILLS)
def test_what_is_held_is_counted_whatever_it_is(what: str) -> None:
    state, count = State(), 30_000
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        FILLS[what](state, name(f"one {number}"), name(f"other {number}"))
    _learned(state)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < 1.3 * state.size_bytes + (1 << 16), (held / count, state.size_bytes / count)

"""Long random histories in which most transactions meet each other: few people, few assets, few objects, the versions
that they really have. `execute` leaves what the reference interpreter leaves, however the blocks are grouped.
"""

from collections.abc import Callable, Mapping
from random import Random

import hypothesis.strategies as st
from hypothesis import given, settings

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
    TransferObject,
    UpdateObject,
)
from ledger.rejection import Reason
from tests.execution_inputs import START_MS, Block, Tx, genesis_of, name, transfer
from tests.execution_model import Model, Run, assert_same
from tests.whole_objects import Whole

PEOPLE = [name(f"person {number}") for number in range(4)]


class Author:
    """Writes blocks while a model executes them, so that it knows what there is."""

    def __init__(self, seed: int, model: Model) -> None:
        self.random = Random(seed)
        self.model = model
        self.nonce = 0
        self.used: list[Tx] = []

    def first_block(self) -> Block:
        """Two people issue an asset, give everybody some, and make an object."""
        return Block(1, START_MS, tuple((self._founding(issuer),) for issuer in PEOPLE[:2]))

    def _founding(self, issuer: bytes) -> Tx:
        self.nonce += 1
        asset = digests.asset_id(Tx(issuer, (), self.nonce).digest, 0)
        mints = (Mint(asset, who, 100) for who in PEOPLE)
        return Tx(issuer, (CreateAsset("coin", 0, issuer), *mints, CreateObject("t", "", b"", None)), self.nonce)

    def block(self, height: int, time_ms: int) -> Block:
        records = tuple(self._record(time_ms) for _ in range(self.random.randrange(6)))
        return Block(height, time_ms, records)

    def _record(self, time_ms: int) -> tuple[Tx, ...] | Reason:
        if self.random.random() < 0.03:
            return Reason.MALFORMED
        return tuple(self._transaction(time_ms) for _ in range(self.random.choice([1, 1, 1, 3])))

    def _transaction(self, time_ms: int) -> Tx:
        random = self.random
        if self.used and random.random() < 0.08:
            return random.choice(self.used[-20:])
        self.nonce += 1
        signer = random.choice(PEOPLE)
        commands = tuple(self._command(signer, index) for index in range(random.choice([1, 1, 1, 1, 2, 4])))
        reason = random.choice([Reason.NONE] * 15 + [Reason.BAD_SIGNATURE])
        tx = Tx(signer, commands, self.nonce, reason, time_ms + random.choice([30_000, 90_000, 400_000]))
        self.used.append(tx)
        return tx

    def _command(self, signer: bytes, index: int) -> Command:
        random, who = self.random, self.random.choice(PEOPLE)
        asset, amount = self._asset(signer, False), random.choice([1, 2, 7, 40, 40, 500, 1 << 62])
        value = self._object(index)
        key, version = value.id, random.choice([value.version] * 4 + [0, value.version + 1])
        writers = tuple(random.choices(PEOPLE, k=random.randrange(4)))
        makers: list[Callable[[], Command]] = [
            lambda: transfer(asset, *((random.choice(PEOPLE), amount) for _ in range(random.choice([1, 1, 3])))),
            lambda: transfer(asset, *((random.choice(PEOPLE), random.choice([1, 2])) for _ in range(20))),
            lambda: Mint(self._asset(signer, True), who, amount),
            lambda: Burn(asset, amount),
            lambda: CreateAsset("coin", 2, who),
            lambda: CreateObject("t", "", b"x", random.choice([None, None, writers])),
            lambda: UpdateObject(key, version, "", random.randbytes(2)),
            lambda: TransferObject(key, version, who),
            lambda: ShareObject(key, version, writers),
            lambda: FreezeObject(key, version),
            lambda: DeleteObject(key, version),
        ]
        [make] = random.choices(makers, weights=[8, 3, 5, 2, 1, 3, 4, 2, 1, 0.3, 1])
        return make()

    def _asset(self, signer: bytes, mint: bool) -> bytes:
        """Mostly one that the signer may spend or mint."""
        issued = [asset.id for asset in self.model.assets.values() if asset.issuer == signer]
        held = [asset for asset, address in self.model.balances if address == signer]
        likely = (issued if mint else held)[:3]
        return self.random.choice(likely * 5 + list(self.model.assets)[:2] + [name("no asset")])

    def _object(self, index: int) -> Whole:
        """One that there is, or one that the command before may have made."""
        made = digests.object_id(Tx(b"", (), self.nonce).digest, max(0, index - 1))
        unknown = Whole(made, 1, 0, b"", (), "", "", b"")  # type: ignore[arg-type]
        return self.random.choice([*list(self.model.objects.values())[-4:], unknown])


def history_of(seed: int, blocks: int, model: Model) -> list[Block]:
    """The first block and those that follow it; `model` has executed them."""
    author, time_ms = Author(seed, model), START_MS
    written = [author.first_block()]
    model.run(written)
    for height in range(2, blocks + 1):
        time_ms += author.random.choice([1, 300, 5000, 20_000])
        written.append(author.block(height, time_ms))
        model.run(written[-1:])
    return written


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_long_dense_history_is_the_same_however_it_is_grouped(seed: int, grouping: int) -> None:
    model = Model(genesis_of(rejections_max=4))
    blocks = history_of(seed, 40, model)
    run, random = Run(model.genesis), Random(grouping)
    while blocks:
        size = random.choice([1, 1, 2, 7, 30])
        run.group(blocks[:size], random.randrange(3), random.random() < 0.3)
        del blocks[:size]
        if random.random() < 0.1:
            run.forget()
    run.flush_all_but(0)
    assert_same(run.stored, model)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_other_cuts_of_the_same_records_into_blocks_leave_the_same_state(seed: int, cutting: int) -> None:
    """As long as no cut lets a transaction expire; heights are others, and with them history and hashes of buckets."""
    genesis, random = genesis_of(), Random(cutting)
    records = tuple(record for block in history_of(seed, 40, Model(genesis)) for record in block.records)
    whole, cut = Run(genesis), Run(genesis)
    whole.group([Block(1, START_MS, records)], 0, False)
    height = 0
    while records:
        height, size = height + 1, random.randrange(1, 9)
        cut.group([Block(height, START_MS + height, records[:size])], random.randrange(2), False)
        records = records[size:]
    whole.flush_all_but(0)
    cut.flush_all_but(0)
    assert cut.stored.balances == whole.stored.balances
    assert cut.stored.assets == whole.stored.assets
    assert cut.stored.objects == whole.stored.objects
    assert counts_of(cut.stored.buckets) == counts_of(whole.stored.buckets)
    assert cut.stored.remembered.keys() == whole.stored.remembered.keys()


def counts_of(buckets: Mapping[int, tuple[int, bytes]]) -> dict[int, int]:
    return {bucket: count for bucket, (count, _) in buckets.items()}


def test_dense_history_meets_every_reason_that_state_gives() -> None:
    met: set[int] = set()
    for seed in range(12):
        model = Model(genesis_of())
        history_of(seed, 40, model)
        assert len(model.history["transactions"]) > 25
        met |= {row.reason for row in model.history["rejections"]}
    assert met >= {reason for reason in Reason if reason >= Reason.UNKNOWN_ASSET} | {Reason.DUPLICATE, Reason.EXPIRED}

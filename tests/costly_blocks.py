"""Blocks that drive each command, and each way to be rejected, to the most that it may cost; and a node's tables beside
them, to be measured. Nothing here is drawn by chance.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from executor.execute import BlockInput, execute
from executor.state import State
from ingest.verdicts import judge
from ledger import digests
from ledger.block import FinalBlock
from ledger.commands import (
    Burn,
    Command,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    Ownership,
    ShareObject,
    Transfer,
    TransferObject,
    UpdateObject,
)
from ledger.genesis import Genesis
from ledger.header import Epoch, Header
from ledger.state import BALANCE, Asset, BlockRow, Cursor, Effects
from ledger.transaction import Transaction, check_body, encode_body
from projections.database import Database
from projections.maintenance.migrate import migrate
from projections.session.connect import connect
from tests.builders import TIME_MS, address, body, key, record, transaction
from tests.flush_effects import nothing
from tests.whole_objects import Whole, made

OWNER, OTHER = address(0), address(1)
LARGE = 65_536
TARGETS = 6_500
BODY_BYTES_MAX = 100_000
_SIZES = """SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'r'"""


def named(what: str, number: int) -> bytes:
    """32 bytes that stand for an id or an address."""
    return sha256(f"{what} {number}".encode()).digest()


KINDS: dict[str, Callable[[int], Command]] = {
    "create_asset": lambda n: CreateAsset("a", 0, OWNER),
    "create_asset, long name": lambda n: CreateAsset("a" * 64, 0, OWNER),
    "mint, an asset each": lambda n: Mint(named("asset", n), named("fresh", n), 1),
    "mint, one asset": lambda n: Mint(named("asset", 0), named("fresh", n), 1),
    "burn, an asset each": lambda n: Burn(named("asset", n), 1),
    "burn, one asset": lambda n: Burn(named("asset", 0), 1),
    "transfer to one": lambda n: Transfer(named("asset", 0), named("fresh", n), (1).to_bytes(8)),
    "transfer to many": lambda n: _to_many(n, 50),
    "transfer to oneself": lambda n: Transfer(named("asset", n % TARGETS), OWNER, (1).to_bytes(8)),
    "create_object, empty": lambda n: CreateObject("t", "m", b"", None),
    "create_object, shared": lambda n: CreateObject("t", "m", b"", ()),
    "create_object, long texts": lambda n: CreateObject("t" * 128, "m" * 128, b"", None),
    "create_object, large": lambda n: CreateObject("t", "m", _content(n, LARGE), None),
    "create_object, 1,600 bytes": lambda n: CreateObject("t", "m", _content(n, 1_600), None),
    "create_object, 256 writers": lambda n: CreateObject("t", "m", b"", _writers(n)),
    "update_object, an object each": lambda n: UpdateObject(named("mine", n), 1, "m", b""),
    "update_object, one object": lambda n: UpdateObject(named("mine", 0), n + 1, "m", b""),
    "update_object, large": lambda n: UpdateObject(named("mine", n), 1, "m", _content(n, LARGE)),
    "update_object, 2,100 bytes": lambda n: UpdateObject(named("mine", n), 1, "m", _content(n, 2_100)),
    "update_object, of 256 writers": lambda n: UpdateObject(named("shared", 0), 0, "m", b""),
    "transfer_object, an object each": lambda n: TransferObject(named("mine", n), 1, OTHER),
    "transfer_object to oneself, a large object": lambda n: TransferObject(named("large", 0), n + 1, OWNER),
    "share_object, with nobody": lambda n: ShareObject(named("mine", n), 1, ()),
    "share_object, 256 writers": lambda n: ShareObject(named("mine", n), 1, _writers(n)),
    "freeze_object": lambda n: FreezeObject(named("mine", n), 1),
    "delete_object": lambda n: DeleteObject(named("mine", n), 1),
    "rejected: delete_object of another's large one": lambda n: DeleteObject(named("another's", n % TARGETS), 1),
    "rejected: update_object by no writer": lambda n: UpdateObject(named("closed", 0), 0, "m", b""),
    "rejected: transfer of what one has not": lambda n: Transfer(named("asset", n), named("f", n), b"\x7f" + bytes(7)),
    "rejected: unknown asset": lambda n: Mint(named("none", n), named("fresh", n), 1),
}
"""The nth command of a kind, of the owner."""

RUBBISH: dict[str, Callable[[int], bytes | None]] = {
    "no value": lambda n: None,
    "one byte": lambda n: b"x",
    "a hundred bytes": lambda n: b"x" * 100,
    "a thousand bytes": lambda n: b"x" * 1_000,
}


def _content(number: int, size: int) -> bytes:
    """Bytes that cannot be packed."""
    return np.random.default_rng(number).bytes(size)


def _to_many(number: int, count: int) -> Transfer:
    recipients = b"".join(named("fresh", number * count + n) for n in range(count))
    return Transfer(named("asset", 0), recipients, (1).to_bytes(8) * count)


def _writers(number: int) -> tuple[bytes, ...]:
    return tuple(named("writer", 256 * number + n) for n in range(256))


def records_of(genesis: Genesis, kind: str, bytes_max: int) -> list[bytes | None]:
    """Records of a kind, as costly as the rules allow, of `bytes_max` bytes or a little less together."""
    if kind in RUBBISH:
        size = max(1, len(RUBBISH[kind](0) or b""))
        count = min(bytes_max // size, genesis.limits.records_max)
        return [RUBBISH[kind](n) for n in range(count)]
    return batches(genesis, _transactions(genesis, kind), bytes_max)


def batches(genesis: Genesis, transactions: Iterator[Transaction], bytes_max: int) -> list[bytes | None]:
    """Packed into records as large as they may be."""
    values: list[bytes | None] = []
    batch: list[Transaction] = []
    size = total = 0
    for tx in transactions:
        tx_size = len(tx.body) + 100
        if total + tx_size > bytes_max:
            break
        if len(batch) == genesis.limits.batch_max or size + tx_size > genesis.limits.record_bytes_max - 100:
            values.append(record(*batch))
            batch, size = [], 0
        batch.append(tx)
        size, total = size + tx_size, total + tx_size
    return [*values, record(*batch)] if batch else values


def _transactions(genesis: Genesis, kind: str) -> Iterator[Transaction]:
    make = KINDS[kind]
    together = commands_together(genesis, kind)
    expires = TIME_MS + genesis.limits.window_ms // 2
    n = nonce = 0
    while True:
        commands = [make(n + i) for i in range(together)]
        signed = transaction(genesis.digest, *commands, signer=key(0), nonce=nonce, expires_at_ms=expires)
        yield signed
        n, nonce = n + together, nonce + 1


def commands_together(genesis: Genesis, kind: str) -> int:
    """So many commands of a kind may be in a transaction."""
    for count in range(genesis.limits.commands_max, 1, -1):
        together = body(*(KINDS[kind](n) for n in range(count)))
        if check_body(together, genesis.limits) is None and len(encode_body(together)) <= BODY_BYTES_MAX:
            return count
    return 1


class Ledger:
    """A node's database with a state to work on, and its executor, without a log: blocks are given to it."""

    def __init__(self, url: str, genesis: Genesis) -> None:
        self.url = url
        self.genesis = genesis
        self.state = State()
        migrate(url)
        self.database = Database(url)

    def prepare(self, targets: int = TARGETS, at: Cursor | None = None) -> None:
        """Objects and assets of the owner, and of another's; then the database is at height 1, or where `at` says."""
        self.database.initialise(self._cursor(0))
        self.database.flush(prepared(targets), 0, at or self._cursor(1), self.genesis)

    def run(self, height: int, values: Sequence[bytes | None]) -> Effects:
        """Execute a block, which is a checkpoint block."""
        time_ms = TIME_MS + height
        verdicts = judge(
            [(0, n, time_ms, value) for n, value in enumerate(values)], self.genesis.digest, self.genesis.limits
        )
        wanted = self.state.wanted(verdicts)
        self.state.learn(wanted, self.database.prefetch(wanted))
        header = Header(1, Epoch(0), height, height - 1, named("block", height - 1), height, 0, time_ms, ())
        block = BlockInput(FinalBlock(header, b"", named("block", height), b""), len(values))
        effects = execute(self.genesis, self.state, [block], verdicts)
        self.database.flush(effects, height - 1, self._cursor(height), self.genesis)
        self.state.committed()
        return effects

    def sizes(self) -> Counter[str]:
        """Bytes of each table with its indexes; partitions of history together."""
        found: Counter[str] = Counter()
        with connect(self.url) as connection:
            for name, size in connection.execute(_SIZES):
                found[re.sub(r"_\d{10}$", "", name)] += size
        return found

    def _cursor(self, height: int) -> Cursor:
        genesis = self.genesis
        place = height, named("block", height), TIME_MS + height, genesis.empty_heads()
        return Cursor(genesis.digest, genesis.chain, "cluster", genesis.topic_id, 1, *place)


def prepared(targets: int) -> Effects:
    """Height 1: what `Ledger.prepare` writes."""

    def thing(what: str, n: int, owner: bytes, size: int = 0) -> Whole:
        return Whole(named(what, n), 1, Ownership.ADDRESS, owner, (), "t", "m", _content(n, size))

    def shared(what: str, *writers: bytes) -> Whole:
        packed = tuple(sorted({*writers, *_writers(0)[len(writers) :]}))
        return Whole(named(what, 0), 1, Ownership.SHARED, b"", packed, "t", "m", b"")

    few = min(targets, TARGETS)
    balances = np.zeros(few, BALANCE)
    assets = [named("asset", n) for n in range(few)]
    balances["asset"] = np.frombuffer(b"".join(assets), "V32")
    balances["address"] = np.frombuffer(OWNER * few, "V32")
    balances["amount"] = 10**9
    block = BlockRow(1, named("block", 1), named("block", 0), Epoch(0), 1, 0, TIME_MS + 1, (), 0, 0, 0, 0)
    rows = replace(
        nothing(),
        blocks=(block,),
        balances_inserted=balances,
        assets_inserted=tuple(Asset(asset, "a", 0, OWNER, 10**9) for asset in assets),
    )
    return made(
        rows,
        *(thing("mine", n, OWNER) for n in range(targets)),
        *(thing("another's", n, OTHER, LARGE if n == 0 else 0) for n in range(few)),
        thing("large", 0, OWNER, LARGE),
        shared("shared", OWNER),
        shared("closed"),
    )


@dataclass(frozen=True)
class Growth:
    """What a block added, in bytes for each byte of its records; `tables` by table."""

    log_bytes: int
    tables: dict[str, float]

    @property
    def total(self) -> float:
        """Of all tables."""
        return sum(self.tables.values())


def growth(ledger: Ledger, height: int, values: Sequence[bytes | None]) -> tuple[Growth, Effects]:
    """Execute a block and see what it adds."""
    before = ledger.sizes()
    effects = ledger.run(height, values)
    after = ledger.sizes()
    log_bytes = sum(len(value or b"") for value in values)
    return Growth(log_bytes, {name: (after[name] - before[name]) / max(1, log_bytes) for name in after}), effects


__all__ = ["KINDS", "RUBBISH", "Growth", "Ledger", "digests", "growth", "records_of"]

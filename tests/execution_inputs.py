"""What the executor's tests are made of: transactions put straight into verdicts, and a database of dicts that holds
effects to their promises (an insert is of a row that is not there, an update and a delete of one that is).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from executor.execute import BlockInput, execute
from executor.state import State
from ledger import digests
from ledger.block import FinalBlock
from ledger.columns import COMMAND, ITEM, KIND_OTHER, KIND_TRANSFER, Verdicts
from ledger.commands import Command, Transfer
from ledger.genesis import Genesis, Limits
from ledger.header import Epoch, Header
from ledger.rejection import Reason
from ledger.state import Asset, Effects, Inputs, Object, Wanted

START_MS = 600_000_000
WINDOW_MS = 3_600_000


def name(text: str) -> bytes:
    """32 bytes that stand for an address or a digest."""
    return sha256(text.encode()).digest()


def genesis_of(asset_issuers: frozenset[bytes] | None = None, rejections_max: int = 1000) -> Genesis:
    """A genesis of which execution reads only the issuers and `rejections_max`."""
    limits = Limits(10_000, 16 << 20, 1_000_000, 1000, 16, 10_000, 65_536, rejections_max, WINDOW_MS)
    return Genesis(digests.genesis_digest(b"{}"), "tests", 1, "t", "id", 1, 1, (), asset_issuers, limits, 1000, 60_000)


@dataclass(frozen=True)
class Tx:
    """A transaction as ingest hands it over. `nonce` makes the digest; the same one twice is a replay."""

    signer: bytes
    commands: tuple[Command, ...]
    nonce: int
    reason: Reason = Reason.NONE
    expires_at_ms: int = START_MS + 600_000

    @property
    def digest(self) -> bytes:
        return name(f"transaction {self.nonce}")

    @property
    def reference(self) -> bytes:
        return b"reference %d" % self.nonce

    def reason_at(self, time_ms: int) -> Reason:
        """What ingest says in a block of this time: the window comes before the signature."""
        return self.reason if self.expires_at_ms > time_ms else Reason.EXPIRED


@dataclass(frozen=True)
class Block:
    """A block of records; a record is one transaction, a batch of them, or why it does not decode."""

    height: int
    time_ms: int
    records: tuple[tuple[Tx, ...] | Reason, ...]

    @property
    def header(self) -> Header:
        return Header(
            1,
            Epoch(0),
            self.height,
            self.height - 1,
            name(f"block {self.height - 1}"),
            self.height,
            0,
            self.time_ms,
            (),
        )


def transfer(asset: bytes, *credits: tuple[bytes, int]) -> Transfer:
    """A transfer to (recipient, amount) pairs."""
    recipients = b"".join(recipient for recipient, _ in credits)
    return Transfer(asset, recipients, b"".join(amount.to_bytes(8, "big") for _, amount in credits))


def verdicts_of(blocks: Sequence[Block]) -> Verdicts:
    """The verdicts of all records of `blocks`, one after the other."""
    columns = _Columns()
    for block in blocks:
        for offset, record in enumerate(block.records):
            columns.add_record(block, offset, record)
    return Verdicts(
        np.array(columns.items, ITEM),
        tuple(columns.references),
        np.array(columns.commands, COMMAND),
        np.frombuffer(b"".join(columns.recipients), "V32"),
        np.array(columns.amounts, np.int64),
        tuple(columns.others),
    )


@dataclass
class _Columns:
    items: list[tuple[Any, ...]] = field(default_factory=list)
    references: list[bytes] = field(default_factory=list)
    commands: list[tuple[Any, ...]] = field(default_factory=list)
    recipients: list[bytes] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)
    others: list[Command] = field(default_factory=list)
    records: int = 0

    def add_record(self, block: Block, offset: int, record: tuple[Tx, ...] | Reason) -> None:
        if isinstance(record, Reason):
            none = bytes(32)
            self.items.append((self.records, 0, offset, -1, record, False, none, none, 0, 0, 0))
            self.references.append(b"")
        else:
            for number, tx in enumerate(record):
                self._add(block, offset, number, tx)
        self.records += 1

    def _add(self, block: Block, offset: int, number: int, tx: Tx) -> None:
        start = len(self.commands)
        for index, command in enumerate(tx.commands):
            self._add_command(index, command)
        commands = (start, len(self.commands))
        head = (self.records, 0, offset, number, tx.reason_at(block.time_ms))
        self.items.append((*head, True, tx.digest, tx.signer, tx.expires_at_ms, *commands))
        self.references.append(tx.reference)

    def _add_command(self, index: int, command: Command) -> None:
        if isinstance(command, Transfer):
            first = len(self.recipients)
            count = len(command.recipients) // 32
            self.recipients += [command.recipients[32 * n : 32 * n + 32] for n in range(count)]
            self.amounts += [int.from_bytes(command.amounts[8 * n : 8 * n + 8], "big") for n in range(count)]
            self.commands.append((KIND_TRANSFER, index, command.asset, first, first + count))
        else:
            self.others.append(command)
            self.commands.append((KIND_OTHER, index, bytes(32), len(self.others) - 1, len(self.others)))


class Stored:
    """A database of dicts: answers `Wanted`, applies `Effects`, keeps history as lists."""

    def __init__(self) -> None:
        self.balances: dict[tuple[bytes, bytes], int] = {}
        self.assets: dict[bytes, Asset] = {}
        self.objects: dict[bytes, Object] = {}
        self.types: dict[bytes, str] = {}
        self.writers: dict[bytes, bytes] = {}
        self.contents: dict[tuple[bytes, int], tuple[str, bytes]] = {}
        self.remembered: dict[bytes, tuple[int, int]] = {}
        self.buckets: dict[int, tuple[int, bytes]] = {}
        self.history: dict[str, list[Any]] = {
            "blocks": [],
            "transactions": [],
            "rejections": [],
            "versions": [],
            "moves": [],
        }

    def answer(self, wanted: Wanted) -> Inputs:
        """Only what exists."""
        return Inputs(
            {
                asset: {a: self.balances[asset, a] for a in addresses if (asset, a) in self.balances}
                for asset, addresses in wanted.balances.items()
            },
            {key: self.assets[key] for key in wanted.assets if key in self.assets},
            {key: self.objects[key] for key in wanted.objects if key in self.objects},
            frozenset(pair for pair in wanted.writers if self._is_writer(pair)),
            frozenset(digest for _, digest in wanted.digests if digest in self.remembered),
            {bucket: self.buckets[bucket] for bucket in wanted.buckets if bucket in self.buckets},
        )

    def apply(self, effects: Effects) -> None:
        """As a flush does; an effect that breaks its promise is an error."""
        self._apply_balances(effects)
        _insert(self.assets, {asset.id: asset for asset in effects.assets_inserted})
        _update(self.assets, {asset.id: asset for asset in effects.assets_updated})
        _insert(self.objects, {value.id: value for value in effects.objects_inserted})
        _update(self.objects, {value.id: value for value in effects.objects_updated})
        for key in effects.objects_deleted:
            del self.objects[key]
        _insert(self.types, dict(effects.object_types))
        _insert(self.writers, dict(effects.object_writers))
        contents = effects.object_contents
        _insert(self.contents, {(row.object, row.version): (row.media_type, row.content) for row in contents})
        _insert(self.remembered, {digest: (bucket, height) for bucket, digest, height, _ in effects.remembered})
        self.buckets |= effects.buckets
        below = effects.buckets_expired_below
        self.buckets = {bucket: value for bucket, value in self.buckets.items() if bucket >= below}
        self.remembered = {digest: row for digest, row in self.remembered.items() if row[0] >= below}
        self.history["blocks"] += effects.blocks
        self.history["transactions"] += effects.transactions
        self.history["rejections"] += effects.rejections
        self.history["versions"] += effects.object_versions
        self.history["moves"] += effects.transfers.tolist()

    def content_of(self, key: bytes) -> bytes:
        """The content of an object as it is now."""
        return self.contents[key, self.objects[key].content_version][1]

    def _is_writer(self, pair: bytes) -> bool:
        packed = self.writers.get(pair[:32], b"")
        return pair[32:] in [packed[at : at + 32] for at in range(0, len(packed), 32)]

    def _apply_balances(self, effects: Effects) -> None:
        inserted = {(a, b): amount for a, b, amount in effects.balances_inserted.tolist()}
        updated = {(a, b): amount for a, b, amount in effects.balances_updated.tolist()}
        _insert(self.balances, inserted)
        _update(self.balances, updated)
        assert all(amount > 0 for amount in [*inserted.values(), *updated.values()])
        for asset, address, amount in effects.balances_deleted.tolist():
            assert amount == 0
            del self.balances[asset, address]


def _insert(table: dict[Any, Any], rows: dict[Any, Any]) -> None:
    assert not table.keys() & rows.keys()
    table |= rows


def _update(table: dict[Any, Any], rows: dict[Any, Any]) -> None:
    assert rows.keys() <= table.keys()
    assert all(table[key] != row for key, row in rows.items())
    table |= rows


class Chain:
    """A state over a database of dicts: executes groups of blocks and flushes each at once."""

    def __init__(self, genesis: Genesis | None = None) -> None:
        self.genesis = genesis or genesis_of()
        self.stored = Stored()
        self.state = State()
        self.height = 0

    def run_group(self, blocks: Sequence[Block]) -> Effects:
        """Prefetch and execute; the caller applies the effects and says `committed`."""
        verdicts = verdicts_of(blocks)
        wanted = self.state.wanted(verdicts)
        self.state.learn(wanted, self.stored.answer(wanted))
        return execute(self.genesis, self.state, inputs_of(blocks), verdicts)

    def run(self, *records: tuple[Tx, ...] | Reason) -> Effects:
        """The next block, one record each, executed and flushed."""
        self.height += 1
        effects = self.run_group([Block(self.height, START_MS + self.height * 1000, records)])
        self.stored.apply(effects)
        self.state.committed()
        return effects

    def reasons(self, *txs: Tx) -> list[Reason]:
        """Run each transaction as a record of the next block; what became of each (NONE: executed)."""
        effects = self.run(*((tx,) for tx in txs))
        rejected = {row.offset: Reason(row.reason) for row in effects.rejections}
        return [rejected.get(offset, Reason.NONE) for offset in range(len(txs))]


def inputs_of(blocks: Sequence[Block]) -> list[BlockInput]:
    """Blocks as the executor takes them."""
    return [
        BlockInput(FinalBlock(block.header, b"", name(f"block {block.height}"), b""), len(block.records))
        for block in blocks
    ]

"""A reference interpreter of the ledger's rules: dicts, Python integers, a copy of everything for each transaction.
Slow and obvious; `execute` is held against it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from executor.execute import execute
from executor.state import State
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
from ledger.rejection import Reason
from ledger.state import Asset, BlockRow, Effects, ObjectVersionRow, RejectionRow, TransactionRow
from tests.execution_inputs import Block, Stored, Tx, inputs_of, name, verdicts_of
from tests.whole_objects import Whole


class Rejected(Exception):
    """The transaction has no effect, for this reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


def require(fact: bool, reason: Reason) -> None:
    """Reject the transaction unless `fact`."""
    if not fact:
        raise Rejected(reason)


class Model:
    """The same state and history as a database has after the same blocks."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.balances: dict[tuple[bytes, bytes], int] = {}
        self.assets: dict[bytes, Asset] = {}
        self.objects: dict[bytes, Whole] = {}
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

    def run(self, blocks: Sequence[Block]) -> None:
        """Execute blocks one after the other."""
        for block in blocks:
            self._block(block)

    def _block(self, block: Block) -> None:
        self.block = block
        self.executed = self.rejected = self.moved = 0
        self._expire(block.time_ms)
        for offset, record in enumerate(block.records):
            if isinstance(record, Reason):
                self._reject(offset, -1, record, None)
                continue
            for number, tx in enumerate(record):
                self._transaction(offset, number, tx)
        header = block.header
        self.history["blocks"].append(
            BlockRow(
                block.height,
                name(f"block {block.height}"),
                header.parent_digest,
                header.epoch,
                header.view,
                header.proposer,
                block.time_ms,
                header.heads,
                len(block.records),
                self.executed,
                self.moved,
                self.rejected,
            )
        )

    def _expire(self, time_ms: int) -> None:
        over = [bucket for bucket in self.buckets if (bucket + 1) * 60_000 <= time_ms]
        for bucket in over:
            del self.buckets[bucket]
        self.remembered = {digest: row for digest, row in self.remembered.items() if row[0] not in over}

    def _reject(self, offset: int, number: int, reason: Reason, tx: Tx | None) -> None:
        known = (None, None, None) if tx is None else (tx.digest, tx.signer, tx.reference)
        if self.rejected < self.genesis.limits.rejections_max:
            self.history["rejections"].append(
                RejectionRow(self.block.height, self.rejected, 0, offset, number, reason, *known)
            )
        self.rejected += 1

    def _transaction(self, offset: int, number: int, tx: Tx) -> None:
        tables = self.balances, self.assets, self.objects, self.types, self.writers, self.contents
        before: Any = *(dict(table) for table in tables), self.moved
        lengths = len(self.history["moves"]), len(self.history["versions"])
        try:
            self._admit(tx)
            for index, command in enumerate(tx.commands):
                self._command(tx, index, command)
        except Rejected as rejected:
            self.balances, self.assets, self.objects, self.types, self.writers, self.contents, self.moved = before
            del self.history["moves"][lengths[0] :]
            del self.history["versions"][lengths[1] :]
            self._reject(offset, number, rejected.reason, tx)
            return
        row = (tx.digest, tx.signer, tx.reference, tx.expires_at_ms, len(tx.commands))
        self.history["transactions"].append(TransactionRow(self.block.height, self.executed, 0, offset, number, *row))
        self.executed += 1

    def _admit(self, tx: Tx) -> None:
        require(tx.expires_at_ms > self.block.time_ms, Reason.EXPIRED)
        require(tx.digest not in self.remembered, Reason.DUPLICATE)
        require(tx.reason is Reason.NONE, tx.reason)
        bucket = tx.expires_at_ms // 60_000
        count, running = self.buckets.get(bucket, (0, bytes(32)))
        self.buckets[bucket] = (
            count + 1,
            sha256(b"momus/remembered/v1" + running + self.block.height.to_bytes(8) + tx.digest).digest(),
        )
        self.remembered[tx.digest] = (bucket, self.block.height)

    def _command(self, tx: Tx, index: int, command: Command) -> None:
        match command:
            case Transfer():
                self._transfer(tx.signer, command)
            case CreateAsset():
                issuers = self.genesis.asset_issuers
                require(issuers is None or tx.signer in issuers, Reason.NOT_AN_ISSUER)
                key = self._new_id(b"momus/asset/v1", tx, index)
                self.assets[key] = Asset(key, command.name, command.decimals, command.issuer, 0)
            case Mint():
                self._mint(tx.signer, command)
            case Burn():
                self._burn(tx.signer, command)
            case _:
                self._object_command(tx, index, command)

    @staticmethod
    def _new_id(tag: bytes, tx: Tx, index: int) -> bytes:
        return sha256(tag + tx.digest + index.to_bytes(4, "big")).digest()

    def _transfer(self, sender: bytes, command: Transfer) -> None:
        require(command.asset in self.assets, Reason.UNKNOWN_ASSET)
        count = len(command.recipients) // 32
        recipients = [command.recipients[32 * n : 32 * n + 32] for n in range(count)]
        amounts = [int.from_bytes(command.amounts[8 * n : 8 * n + 8], "big") for n in range(count)]
        self._add(command.asset, sender, -sum(amounts))
        for recipient, amount in zip(recipients, amounts, strict=True):
            self._add(command.asset, recipient, amount)
            self._move(command.asset, sender, recipient, 0, amount)

    def _mint(self, signer: bytes, command: Mint) -> None:
        require(command.asset in self.assets, Reason.UNKNOWN_ASSET)
        asset = self.assets[command.asset]
        require(asset.issuer == signer, Reason.NOT_AN_ISSUER)
        require(asset.supply + command.amount < 2**63, Reason.SUPPLY_OVERFLOW)
        self.assets[asset.id] = replace(asset, supply=asset.supply + command.amount)
        self._add(asset.id, command.recipient, command.amount)
        self._move(asset.id, bytes(32), command.recipient, 1, command.amount)

    def _burn(self, signer: bytes, command: Burn) -> None:
        require(command.asset in self.assets, Reason.UNKNOWN_ASSET)
        asset = self.assets[command.asset]
        self._add(asset.id, signer, -command.amount)
        self.assets[asset.id] = replace(asset, supply=asset.supply - command.amount)
        self._move(asset.id, signer, bytes(32), 2, command.amount)

    def _add(self, asset: bytes, address: bytes, amount: int) -> None:
        balance = self.balances.pop((asset, address), 0) + amount
        require(balance >= 0, Reason.INSUFFICIENT_BALANCE)
        if balance:
            self.balances[asset, address] = balance

    def _move(self, asset: bytes, sender: bytes, recipient: bytes, kind: int, amount: int) -> None:
        row = (self.block.height, self.moved, self.executed, asset, sender, recipient, kind, amount)
        self.history["moves"].append(row)
        self.moved += 1

    def _object_command(self, tx: Tx, index: int, command: Command) -> None:
        match command:
            case CreateObject(kind, media_type, content, writers):
                key = self._new_id(b"momus/object/v1", tx, index)
                how = Ownership.ADDRESS if writers is None else Ownership.SHARED
                owner = tx.signer if writers is None else b""
                self._write(index, Whole(key, 1, how, owner, _sorted(writers or ()), kind, media_type, content, 1))
                self.types[key] = kind
                self.contents[key, 1] = media_type, content
                if writers is not None:
                    self.writers[key] = b"".join(_sorted(writers))
            case UpdateObject():
                found = self._writable(tx.signer, command.object, command.version)
                new = command.media_type, command.content
                version = found.version + 1
                self._next(index, found, media_type=new[0], content=new[1], content_version=version)
                self.contents[found.id, version] = new
            case TransferObject():
                found = self._owned(tx.signer, command.object, command.version)
                self._next(index, found, owner=command.recipient)
            case ShareObject():
                found = self._owned(tx.signer, command.object, command.version)
                writers = _sorted(command.writers)
                self._next(index, found, ownership=Ownership.SHARED, owner=b"", writers=writers)
                self.writers[found.id] = b"".join(writers)
            case FreezeObject():
                found = self._owned(tx.signer, command.object, command.version)
                self._next(index, found, ownership=Ownership.IMMUTABLE, owner=b"")
            case DeleteObject():
                found = self._writable(tx.signer, command.object, command.version)
                self._next(index, found)
                del self.objects[found.id]
                self.history["versions"][-1] = replace(self.history["versions"][-1], deleted=True)
            case _:
                raise AssertionError(command)

    def _next(self, index: int, found: Whole, **fields: Any) -> None:
        self._write(index, replace(found, version=found.version + 1, **fields))

    def _write(self, index: int, value: Whole) -> None:
        self.objects[value.id] = value
        self.history["versions"].append(ObjectVersionRow(self.block.height, self.executed, index, value.narrow, False))

    def _owned(self, signer: bytes, key: bytes, version: int) -> Whole:
        require(key in self.objects, Reason.UNKNOWN_OBJECT)
        require(self.objects[key].ownership != Ownership.SHARED, Reason.SHARED_OBJECT)
        return self._writable(signer, key, version)

    def _writable(self, signer: bytes, key: bytes, version: int) -> Whole:
        require(key in self.objects, Reason.UNKNOWN_OBJECT)
        found = self.objects[key]
        require(found.ownership != Ownership.IMMUTABLE, Reason.IMMUTABLE_OBJECT)
        if found.ownership == Ownership.ADDRESS:
            require(found.owner == signer, Reason.NOT_THE_OWNER)
            require(found.version == version, Reason.STALE_VERSION)
        else:
            require(not found.writers or signer in found.writers, Reason.NOT_A_WRITER)
            require(version in (0, found.version), Reason.STALE_VERSION)
        return found


def _sorted(writers: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(sorted(dict.fromkeys(writers)))


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
    assert stored.objects == {key: item.narrow for key, item in model.objects.items()}
    assert stored.types == model.types
    assert stored.writers == model.writers
    assert stored.contents == model.contents
    assert stored.remembered == model.remembered
    assert stored.buckets == model.buckets

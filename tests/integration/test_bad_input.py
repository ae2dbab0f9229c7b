"""Every kind of bad input on the topic of a running node: a recorded rejection with its reason; the node goes on."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from backbone.log.embedded import EmbeddedLog
from lab.demo.local_node import LocalNode
from ledger.commands import Command, CreateAsset, CreateObject, Mint, UpdateObject
from ledger.digests import asset_id, object_id
from ledger.genesis import Genesis
from ledger.rejection import Reason
from ledger.transaction import Transaction, digest_of, encode_transaction
from node.home.layout import Home
from node.wiring import database_url
from tests.builders import address, genesis, key, record, transaction, transfer
from tests.command_here import momus
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]

MONEY = 1_000


@dataclass(frozen=True)
class Running:
    """A node at work, its log, its database."""

    genesis: Genesis
    log: EmbeddedLog
    database: psycopg.Connection[tuple[object, ...]]

    def produce(self, values: list[bytes]) -> list[int]:
        """Put the values on partition 0 as they are; their offsets."""
        offsets: list[int] = []
        producer = self.log.producer()
        for value in values:
            producer.send(self.genesis.topic, 0, value, on_delivery=lambda delivery: offsets.append(delivery.offset))
        assert producer.flush(10_000) == 0
        producer.close()
        return offsets

    def wait_for(self, signed: Transaction) -> None:
        """Until the transaction has executed."""
        deadline = time.monotonic() + WAIT_S
        self.database.execute("LISTEN momus_flush")
        query = "SELECT 1 FROM ledger.transactions WHERE digest = %s"
        while not self.database.execute(query, (digest_of(self.genesis.digest, signed),)).fetchone():
            assert time.monotonic() < deadline, "the transaction did not execute"
            for _ in self.database.notifies(timeout=0.5, stop_after=1):
                pass

    def reasons(self) -> dict[int, str]:
        """Name of the reason by offset, for partition 0."""
        rows = self.database.execute('SELECT "offset", reason FROM api.rejections WHERE partition = 0').fetchall()
        return {int(str(offset)): str(reason) for offset, reason in rows}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "home"
        momus("init", "--home", str(path), "--partitions", "1")
        home = Home(path)
        settings = home.settings({})
        log = EmbeddedLog(home.resolve(settings.log.path))
        with LocalNode(path), psycopg.connect(database_url(home, settings), autocommit=True) as database:
            yield Running(home.genesis(), log, database)


class Cases:
    """The bad values, each with the reason that must be recorded for it, on top of a valid opening."""

    def __init__(self, chain: Genesis) -> None:
        self._chain = chain
        self._nonce = 0
        self.now_ms = time.time_ns() // 1_000_000
        created = self.signed(CreateAsset("coin", 2, address(0)))
        self.asset = asset_id(digest_of(chain.digest, created), 0)
        minted = self.signed(Mint(self.asset, address(0), MONEY))
        made = self.signed(CreateObject("note", "text/plain", b"mine", None))
        self.thing = object_id(digest_of(chain.digest, made), 0)
        updated = self.signed(UpdateObject(self.thing, 1, "text/plain", b"still mine"))
        self.opening = [created, minted, made, updated]

    def signed(self, *commands: Command, client: int = 0, lifetime_ms: int = 600_000) -> Transaction:
        """A transaction of its own nonce."""
        self._nonce += 1
        return transaction(
            self._chain.digest,
            *commands,
            signer=key(client),
            nonce=self._nonce,
            expires_at_ms=self.now_ms + lifetime_ms,
        )

    def pay(self, amounts: list[int], client: int = 0) -> Transaction:
        """A payment of the client's, to distinct addresses."""
        return self.signed(transfer([address(10 + n) for n in range(len(amounts))], amounts, self.asset), client=client)

    def bad(self) -> list[tuple[bytes, Reason]]:
        """(value, reason), in the order in which they are produced."""
        return [*self._undecodable(), *self._forged(), *self._invalid()]

    def _undecodable(self) -> list[tuple[bytes, Reason]]:
        good = encode_transaction(self.pay([1]))
        prefix = good[:10]
        padded_length = good[:11] + bytes((good[11] | 0x80, 0)) + good[12:]
        unknown = self.pay([1])
        branch = unknown.body.index(self.asset) - 1
        return [
            (b"", Reason.EMPTY),
            (good[:-1], Reason.MALFORMED),
            (good[:10] + bytes(self._chain.limits.record_bytes_max), Reason.OVERSIZE),
            (prefix + b"\x02" * 5_000, Reason.NON_CANONICAL),
            (good + b"\0", Reason.NON_CANONICAL),
            (b"\xc3\x01" + bytes(8) + good[10:], Reason.UNKNOWN_SCHEMA),
            (padded_length, Reason.NON_CANONICAL),
            (self._altered(unknown, branch, 2 * 99), Reason.UNKNOWN_BRANCH),
        ]

    def _altered(self, signed: Transaction, position: int, byte: int) -> bytes:
        body = bytearray(signed.body)
        body[position : position + 1] = bytes((byte & 0x7F | 0x80, byte >> 7))
        return record(replace(signed, body=bytes(body)))

    def _forged(self) -> list[tuple[bytes, Reason]]:
        mine, theirs = self.pay([1]), self.pay([2], client=1)
        elsewhere = transaction(
            genesis(chain="other").digest, transfer([address(1)], [1], self.asset), expires_at_ms=self.now_ms + 600_000
        )
        identity = b"\x01" + bytes(31)
        return [
            (record(elsewhere), Reason.BAD_SIGNATURE),
            (record(replace(mine, signature=theirs.signature)), Reason.BAD_SIGNATURE),
            (record(replace(mine, public_key=key(1).public_key)), Reason.BAD_SIGNATURE),
            (record(replace(mine, public_key=identity, signature=identity + bytes(32))), Reason.WEAK_KEY),
        ]

    def _invalid(self) -> list[tuple[bytes, Reason]]:
        half = 2**62
        return [
            (record(self.signed(transfer([address(1)], [1], self.asset), lifetime_ms=-1)), Reason.EXPIRED),
            (record(self.signed(transfer([address(1)], [1], self.asset), lifetime_ms=10**9)), Reason.TOO_FAR_AHEAD),
            (record(self.opening[1]), Reason.DUPLICATE),
            (record(self.pay([-1])), Reason.AMOUNT_RANGE),
            (record(self.pay([half, half, half])), Reason.INSUFFICIENT_BALANCE),
            (record(self.signed(Mint(self.asset, address(0), 2**63 - 1))), Reason.SUPPLY_OVERFLOW),
            (record(self.signed(UpdateObject(bytes(32), 1, "text/plain", b""))), Reason.UNKNOWN_OBJECT),
            (record(self.signed(UpdateObject(self.thing, 2, "text/plain", b""), client=1)), Reason.NOT_THE_OWNER),
            (record(self.signed(UpdateObject(self.thing, 1, "text/plain", b""))), Reason.STALE_VERSION),
        ]


def test_bad_input_is_recorded_with_its_reason_and_the_node_goes_on(running: Running) -> None:
    cases = Cases(running.genesis)
    running.produce([record(signed) for signed in cases.opening])
    expected = cases.bad()
    offsets = running.produce([value for value, _ in expected])
    last = cases.pay([1])
    running.produce([record(last)])
    running.wait_for(last)
    found = running.reasons()
    assert [found.get(offset) for offset in offsets] == [reason.name.lower() for _, reason in expected]
    total = running.database.execute("SELECT sum(amount), count(*) FROM api.balances").fetchone()
    assert total == (MONEY, 2)

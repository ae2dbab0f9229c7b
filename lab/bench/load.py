"""Signed input for the measurements, made before the clock runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np

from client import partition_of
from ledger.commands import Command, CreateAsset, Mint, Transfer
from ledger.digests import asset_id
from ledger.genesis import Genesis
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, digest_of, encode_batch, encode_transaction, sign_body

TRANSFERS_A_SIGNATURE: Final = 1_000
RECORD_TRANSACTIONS: Final = 100
_PAYERS: Final = 64
_FUNDS: Final = 10**12
_COMMANDS_A_MINTING: Final = 16


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A record to append: what the log gets of it."""

    partition: int
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """`opening` funds the payers and goes first; `entries` are measured. Counts are those of the entries."""

    opening: tuple[Transaction, ...]
    entries: tuple[LogEntry, ...]
    transactions: int
    transfers: int


class Maker:
    """Makes loads for one chain, the same for the same arguments."""

    def __init__(self, genesis: Genesis, expires_at_ms: int) -> None:
        self._genesis = genesis
        self.expires_at_ms = expires_at_ms
        """Of what is signed from now on; the asset is of the maker's first."""
        self._bank = PrivateKey.from_seed(sha256(b"bench bank").digest())
        self._payers = [PrivateKey.from_seed(sha256(b"bench payer %d" % n).digest()) for n in range(_PAYERS)]
        self._creation = self._sign(self._bank, b"create", CreateAsset("BENCH", 0, self._bank.address))
        self._asset = asset_id(digest_of(genesis.digest, self._creation), 0)

    def single(self, transactions: int, first: int = 0, accounts: int = 0) -> Load:
        """One transfer under each signature, from 64 payers in turn; 100 transactions a record, as the client packs
        them under load. `first` and `accounts`: as of `payments`."""
        entries = packed(self.payments(transactions, first, accounts), self._genesis.partitions)
        return Load(self.opening(), entries, transactions, transactions)

    def batched(self, transactions: int, accounts: int) -> Load:
        """A thousand transfers under each signature, to accounts drawn from `accounts`; one transaction a record."""
        return Load(
            self.opening(),
            tuple(self._batched(transactions, accounts)),
            transactions,
            transactions * TRANSFERS_A_SIGNATURE,
        )

    def payments(self, count: int, first: int = 0, accounts: int = 0) -> Iterator[Transaction]:
        """Transfers of one unit from 64 payers in turn, numbered from `first`: no two of one number on a chain.

        To each other; or, with `accounts`, to so many accounts in turn that nobody has a key of.
        """
        for number in range(first, first + count):
            payer, payee = self._payers[number % _PAYERS], self._payers[(number * 7 + 1) % _PAYERS].address
            if accounts:
                payee = sha256(b"bench account %d" % (number % accounts)).digest()
            transfer = Transfer(self._asset, payee, (1).to_bytes(8, "big"))
            yield self._sign(payer, b"payment %d" % number, transfer)

    def _batched(self, transactions: int, accounts: int) -> Iterator[LogEntry]:
        chance = np.random.default_rng(accounts)
        addresses = chance.bytes(32 * accounts)
        table = np.frombuffer(addresses, "V32")
        amounts = np.ones(TRANSFERS_A_SIGNATURE, ">i8").tobytes()
        for number in range(transactions):
            payer = self._payers[number % _PAYERS]
            recipients = table[chance.integers(0, accounts, TRANSFERS_A_SIGNATURE)].tobytes()
            transaction = self._sign(payer, b"batched %d" % number, Transfer(self._asset, recipients, amounts))
            yield _entry(partition_of(payer.address, self._genesis.partitions), [transaction])

    def opening(self) -> tuple[Transaction, ...]:
        """The asset, then funds for every payer; all by one signer, so in this order."""
        mints = [Mint(self._asset, payer.address, _FUNDS) for payer in self._payers]
        step = min(_COMMANDS_A_MINTING, self._genesis.limits.commands_max)
        parts = [mints[at : at + step] for at in range(0, len(mints), step)]
        return (self._creation, *(self._sign(self._bank, b"mint %d" % n, *part) for n, part in enumerate(parts)))

    def _sign(self, key: PrivateKey, name: bytes, *commands: Command) -> Transaction:
        body = Body(sha256(name).digest()[:16], self.expires_at_ms, b"", commands)
        return sign_body(key, self._genesis.digest, body)


def packed(
    transactions: Iterable[Transaction], partitions: int, record_transactions: int = RECORD_TRANSACTIONS
) -> tuple[LogEntry, ...]:
    """So many transactions a record, by the partitions of their signers, as the client packs them under load."""
    waiting: dict[int, list[Transaction]] = {}
    entries: list[LogEntry] = []
    for transaction in transactions:
        partition = partition_of(transaction.signer, partitions)
        record = waiting.setdefault(partition, [])
        record.append(transaction)
        if len(record) == record_transactions:
            entries.append(_entry(partition, waiting.pop(partition)))
    entries += [_entry(partition, record) for partition, record in waiting.items()]
    return tuple(entries)


def _entry(partition: int, transactions: list[Transaction]) -> LogEntry:
    value = encode_transaction(transactions[0]) if len(transactions) == 1 else encode_batch(transactions)
    return LogEntry(partition, transactions[0].signer, value)

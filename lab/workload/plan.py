"""From bank statements to transactions whose outcome cannot depend on their order.

Four parts, each submitted when the one before is final: the bank creates the asset and mints (`opening`); it lends
every account the sum of that account's outgoings (`loans`); every row becomes one transfer (`row`), money in from
the bank to the account, money out from the account to the bank; every account returns its loan (`returns`). So each
transfer is covered whenever it executes, and the final balance of an account is money in minus money out; where that
is below zero, the account keeps of its loan what it cannot return, and ends with nothing.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from hashlib import sha256
from struct import Struct
from typing import Final

from lab.workload.statements import Statement
from lab.workload.totals import Totals
from ledger.commands import Command, CreateAsset, Mint, Transfer
from ledger.digests import asset_id
from ledger.genesis import Genesis
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, digest_of, sign_body

_LOANS_A_TRANSACTION: Final = 1_000
_U64 = Struct(">Q")
_I64 = Struct(">q")


class Plan:
    """The transactions of one file on one chain. All keys come from `seed`; all nonces from `seed` and position, so
    one plan makes the same transactions again, and submitting them twice executes them once."""

    def __init__(self, genesis: Genesis, totals: Totals, seed: bytes, expires_at_ms: int, bank: PrivateKey) -> None:
        self.totals = totals
        self.bank = bank
        self.expires_at_ms = expires_at_ms
        self._genesis = genesis
        self._seed = sha256(b"lab/workload/v1" + seed).digest()
        self._keys = {account: self._key(account) for account in totals.incoming}

    def key_of(self, account: int) -> PrivateKey:
        """The key of an account of the file. Raises: KeyError for any other."""
        return self._keys[account]

    def addresses(self) -> dict[int, bytes]:
        """Account number -> address."""
        return {account: key.address for account, key in self._keys.items()}

    @cached_property
    def asset(self) -> bytes:
        """The id of the asset that `opening` creates."""
        return asset_id(digest_of(self._genesis.digest, self._creation), 0)

    @property
    def size(self) -> int:
        """How many transactions the whole plan has."""
        loans = -(-len(self.totals.loans) // self._loans_a_transaction)
        return 2 + loans + self.totals.rows + len(self.totals.returns)

    def opening(self) -> Iterator[Transaction]:
        """The asset and its whole supply, to the bank. One signer, so one partition keeps their order."""
        yield self._creation
        yield self._sign(self.bank, "mint", 0, Mint(self.asset, self.bank.address, self.totals.supply))

    def loans(self) -> Iterator[Transaction]:
        """One transfer to many recipients per thousand accounts that have outgoings."""
        loans = [*self.totals.loans.items()]
        for start in range(0, len(loans), self._loans_a_transaction):
            part = loans[start : start + self._loans_a_transaction]
            recipients = b"".join(self._keys[account].address for account, _ in part)
            amounts = b"".join(_I64.pack(amount) for _, amount in part)
            yield self._sign(self.bank, "loan", start, Transfer(self.asset, recipients, amounts))

    def row(self, statement: Statement) -> Transaction:
        """One row of the file as one transfer, which the reference `statement:<trans_id>` finds again."""
        account = self._keys[statement.account]
        payer, payee = (self.bank, account) if statement.incoming else (account, self.bank)
        transfer = Transfer(self.asset, payee.address, _I64.pack(statement.hellers))
        return self._sign(payer, "statement", statement.line, transfer, f"statement:{statement.number}")

    def rows(self, statements: Iterable[Statement]) -> Iterator[Transaction]:
        """`row` of every statement that moves something."""
        return (self.row(statement) for statement in statements if statement.hellers)

    def returns(self) -> Iterator[Transaction]:
        """Every account pays its loan back, to the heller, or of it what it has."""
        for account, amount in self.totals.returns.items():
            transfer = Transfer(self.asset, self.bank.address, _I64.pack(amount))
            yield self._sign(self._keys[account], "return", account, transfer, f"return:{account}")

    @property
    def _loans_a_transaction(self) -> int:
        return min(_LOANS_A_TRANSACTION, self._genesis.limits.recipients_max)

    @cached_property
    def _creation(self) -> Transaction:
        return self._sign(self.bank, "asset", 0, CreateAsset("CZK", 2, self.bank.address))

    def _sign(self, key: PrivateKey, part: str, position: int, command: Command, reference: str = "") -> Transaction:
        body = Body(
            nonce=sha256(self._seed + part.encode() + _U64.pack(position)).digest()[:16],
            expires_at_ms=self.expires_at_ms,
            reference=(reference or part).encode(),
            commands=(command,),
        )
        return sign_body(key, self._genesis.digest, body)

    def _key(self, account: int) -> PrivateKey:
        return PrivateKey.from_seed(sha256(self._seed + b"account" + _U64.pack(account)).digest())

"""The payments of the kill tests: number n is the same bytes whoever makes it, and the sum of all is arithmetic."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from ledger.commands import CreateAsset, Mint, Transfer
from ledger.digests import asset_id
from ledger.genesis import Genesis, parse_genesis
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, digest_of, sign_body

ACCOUNTS = 12
FUNDS = 1_000_000
PLAN_FILE = "payments.json"

KEYS = tuple(PrivateKey.from_seed(sha256(b"kill test %d" % number).digest()) for number in range(ACCOUNTS))
BANK = PrivateKey.from_seed(sha256(b"kill test bank").digest())


@dataclass(frozen=True)
class Payments:
    """Payments among ACCOUNTS accounts that start with FUNDS each, enough for whatever order they come in."""

    genesis: Genesis
    expires_at_ms: int

    @classmethod
    def at(cls, home: Path) -> "Payments":
        """As the test wrote them down in the home."""
        plan = json.loads((home / PLAN_FILE).read_text())
        return cls(parse_genesis((home / "genesis.json").read_bytes()), plan["expires_at_ms"])

    def write(self, home: Path) -> None:
        """For `at`."""
        (home / PLAN_FILE).write_text(json.dumps({"expires_at_ms": self.expires_at_ms}))

    @cached_property
    def asset(self) -> bytes:
        """The id of the asset that `opening` creates."""
        return asset_id(digest_of(self.genesis.digest, self._creation), 0)

    def opening(self) -> tuple[Transaction, ...]:
        """The asset, and FUNDS for every account; in this order."""
        mints = (Mint(self.asset, key.address, FUNDS) for key in KEYS)
        return (self._creation, *(self._sign(BANK, b"mint %d" % n, mint) for n, mint in enumerate(mints)))

    def payment(self, number: int) -> Transaction:
        """Payment `number`."""
        payer, payee, amount = _terms(number)
        transfer = Transfer(self.asset, KEYS[payee].address, amount.to_bytes(8, "big"))
        return self._sign(KEYS[payer], b"payment %d" % number, transfer)

    def digest(self, number: int) -> bytes:
        """The digest of payment `number`."""
        return digest_of(self.genesis.digest, self.payment(number))

    @cached_property
    def _creation(self) -> Transaction:
        return self._sign(BANK, b"create", CreateAsset("COIN", 0, BANK.address))

    def opening_digests(self) -> set[str]:
        """The digests of `opening`, in hex."""
        return {digest_of(self.genesis.digest, transaction).hex() for transaction in self.opening()}

    def _sign(self, key: PrivateKey, name: bytes, *commands: CreateAsset | Mint | Transfer) -> Transaction:
        body = Body(sha256(name).digest()[:16], self.expires_at_ms, name, commands)
        return sign_body(key, self.genesis.digest, body)


def balances_after(numbers: Iterable[int]) -> dict[bytes, int]:
    """Address -> balance after these payments, each once."""
    balances = Counter(dict.fromkeys(range(ACCOUNTS), FUNDS))
    for number in numbers:
        payer, payee, amount = _terms(number)
        balances[payer] -= amount
        balances[payee] += amount
    return {KEYS[account].address: balance for account, balance in balances.items()}


def _terms(number: int) -> tuple[int, int, int]:
    """(payer, payee, amount)."""
    return number % ACCOUNTS, (number * 5 + 1) % ACCOUNTS, 1 + number % 9

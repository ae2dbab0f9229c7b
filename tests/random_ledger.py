"""Seeded records of every command and of every kind of bad input, for tests that compare two executions."""

from random import Random

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
from ledger.digests import asset_id, object_id
from ledger.genesis import Genesis
from ledger.transaction import Transaction, digest_of
from tests.builders import TIME_MS, address, key, record, transaction, transfer

CLIENTS = 12
ZEROS = bytes(32)
"""An address like any other, though nobody has its key."""


class RandomLedger:
    """Draws record values one after the other; each valid or not, all from one seed."""

    def __init__(self, genesis: Genesis, seed: int) -> None:
        self._genesis = genesis
        self._random = Random(seed)
        self.assets: list[bytes] = []
        """Ids of those of the opening."""
        self._objects: list[bytes] = []
        self._sent: list[bytes] = []
        self._nonce = 0

    def opening(self) -> list[bytes]:
        """Two assets and money for every client."""
        values = []
        for number in range(2):
            created = self._sign(number, CreateAsset(f"coin{number}", 2, address(number)))
            asset = asset_id(digest_of(self._genesis.digest, created), 0)
            self.assets.append(asset)
            minted = [self._sign(number, Mint(asset, address(client), 10_000)) for client in range(CLIENTS)]
            values += [record(created), record(*minted)]
        return values

    def draw(self) -> bytes | None:
        """One record: a transaction, a batch, a replay, or rubbish."""
        kind = self._random.random()
        if kind < 0.05:
            return self._rubbish()
        if kind < 0.10 and self._sent:
            return self._random.choice(self._sent)
        batch = [self._transaction() for _ in range(self._random.choice((1, 1, 1, 2, 5)))]
        self._sent.append(value := record(*batch))
        return value

    def _rubbish(self) -> bytes | None:
        valid = record(self._transaction())
        return self._random.choice((None, b"", b"\xc3\x01", valid[:-1], valid + b"\0", self._random.randbytes(60)))

    def _transaction(self) -> Transaction:
        client = self._random.randrange(CLIENTS)
        commands = [self._command(client) for _ in range(self._random.choice((1, 1, 2)))]
        lifetime_ms = self._random.choice((30_000, 600_000, 600_000, 3_000_000))
        signed = self._sign(client, *commands, expires_at_ms=TIME_MS + lifetime_ms)
        digest = digest_of(self._genesis.digest, signed)
        self._objects += [object_id(digest, i) for i, c in enumerate(commands) if isinstance(c, CreateObject)]
        if self._random.random() < 0.03:
            return Transaction(signed.body, signed.public_key, bytes(64))
        return signed

    def _command(self, client: int) -> Command:
        draw = self._random
        asset = draw.choice(self.assets)
        if draw.random() < 0.6 or not self._objects:
            count = draw.choice((1, 1, 3, 40))
            shared = (None, (), (address(client), address(0)))
            others = [self._recipient() for _ in range(count)]
            return (
                transfer(others, [draw.randrange(1, 400) for _ in others], asset)
                if draw.random() < 0.8
                else CreateObject("note", "application/json", b'{"n":%d}' % draw.randrange(99), draw.choice(shared))
            )
        thing, version = draw.choice(self._objects[-20:]), draw.randrange(1, 4)
        return draw.choice(
            (
                Burn(asset, draw.randrange(1, 50)),
                Mint(asset, draw.choice((address(client), ZEROS)), draw.randrange(1, 50)),
                UpdateObject(thing, draw.choice((0, version)), "text/plain", draw.randbytes(8)),
                TransferObject(thing, version, address(draw.randrange(CLIENTS))),
                ShareObject(thing, version, (address(client),)),
                FreezeObject(thing, version),
                DeleteObject(thing, version),
            )
        )

    def _recipient(self) -> bytes:
        return ZEROS if self._random.random() < 0.05 else address(self._random.randrange(CLIENTS))

    def _sign(self, client: int, *commands: Command, expires_at_ms: int = TIME_MS + 600_000) -> Transaction:
        self._nonce += 1
        return transaction(
            self._genesis.digest, *commands, signer=key(client), nonce=self._nonce, expires_at_ms=expires_at_ms
        )

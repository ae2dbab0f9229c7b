"""Clients of a world that write real signed transactions, so that what is final can be executed."""

from hashlib import sha256
from random import Random
from typing import Final

from ledger.commands import Command, CreateAsset, CreateObject, Mint, Transfer, UpdateObject
from ledger.digests import asset_id, object_id
from ledger.genesis import Genesis
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, digest_of, encode_batch, encode_transaction, sign_body

CLIENTS: Final = 5


class Clients:
    """Draws the values of records: money and objects that move, records sent twice, expired ones, and rubbish."""

    def __init__(self, genesis: Genesis, random: Random) -> None:
        self._genesis = genesis
        self._random = random
        self._keys = [
            PrivateKey.from_seed(sha256(b"simulated client %d" % number).digest()) for number in range(CLIENTS)
        ]
        self._sent: list[bytes] = []
        self._assets: list[bytes] = []
        self._objects: list[bytes] = []

    def draw(self, now_ms: int) -> bytes:
        """The value of the next record."""
        kind = self._random.randrange(12)
        if kind == 0:
            return self._random.randbytes(self._random.randrange(60))
        if kind <= 3 and self._sent:
            return self._random.choice(self._sent)
        values = [self._transaction(now_ms) for _ in range(self._random.choice((1, 1, 3)))]
        value = encode_transaction(values[0]) if len(values) == 1 else encode_batch(values)
        self._sent.append(value)
        return value

    def _transaction(self, now_ms: int) -> Transaction:
        client = self._random.randrange(CLIENTS)
        expires_at_ms = now_ms + self._random.choice((500, 60_000, 600_000))
        body = Body(self._random.randbytes(16), expires_at_ms, b"", (self._command(client),))
        signed = sign_body(self._keys[client], self._genesis.digest, body)
        digest = digest_of(self._genesis.digest, signed)
        if isinstance(body.commands[0], CreateAsset):
            self._assets.append(asset_id(digest, 0))
        elif isinstance(body.commands[0], CreateObject):
            self._objects.append(object_id(digest, 0))
        return signed

    def _command(self, client: int) -> Command:
        random = self._random
        others = [self._keys[random.randrange(CLIENTS)].address for _ in range(random.choice((1, 3)))]
        kind = random.randrange(8)
        if kind == 0 or not self._assets:
            return CreateAsset("coin", 2, self._keys[client].address)
        asset = random.choice(self._assets)
        if kind <= 2:
            return Mint(asset, others[0], random.randrange(1, 1_000))
        if kind == 3:
            return CreateObject("note", "text/plain", random.randbytes(8), random.choice((None, ())))
        if kind == 4 and self._objects:
            return UpdateObject(random.choice(self._objects), random.choice((0, 1)), "text/plain", random.randbytes(8))
        amounts = b"".join(random.randrange(1, 50).to_bytes(8, "big") for _ in others)
        return Transfer(asset, b"".join(others), amounts)

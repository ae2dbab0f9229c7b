"""Small valid values for tests: deterministic keys, a genesis, transactions. Nothing here is drawn by chance."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

import numpy as np

from ledger.commands import Command, Transfer
from ledger.committee import FIRST_EPOCH, Committee
from ledger.genesis import DEFAULT_LIMITS, Genesis, Limits, Validator, parse_genesis, render_genesis
from ledger.header import Epoch
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, encode_batch, encode_transaction, sign_body

TIME_MS: Final = 1_700_000_000_000
"""A block time for tests; transactions built here expire a minute later."""

ASSET: Final = sha256(b"asset").digest()


def key(number: int) -> PrivateKey:
    """The client key of that number; validators have other ones."""
    return PrivateKey.from_seed(sha256(b"test client %d" % number).digest())


def validator_key(number: int) -> PrivateKey:
    """The consensus key of validator `number` of every test genesis."""
    return PrivateKey.from_seed(sha256(b"test validator %d" % number).digest())


def operator_key(number: int) -> PrivateKey:
    return PrivateKey.from_seed(sha256(b"test operator %d" % number).digest())


def address(number: int) -> bytes:
    """The address of `key(number)`."""
    return key(number).address


def limits(**changes: int) -> Limits:
    """The default limits, with changes."""
    return replace(DEFAULT_LIMITS, **changes)


def genesis_bytes(
    validators: int = 1,
    *,
    chain: str = "test",
    partitions: int = 2,
    powers: Sequence[int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    asset_issuers: Collection[bytes] | None = None,
    topic_id: str = "topic-id",
    **others: Any,
) -> bytes:
    """A genesis.json: validators v0, v1, .. with `validator_key(i)`, power 1 each unless `powers` says otherwise."""
    return render_genesis(
        chain=chain,
        topic_id=topic_id,
        partitions=partitions,
        validators=[
            Validator(
                name=f"v{i}",
                operator_address=operator_key(i).address,
                consensus_key=validator_key(i).public_key,
                power=1 if powers is None else powers[i],
            )
            for i in range(validators)
        ],
        asset_issuers=asset_issuers,
        limits=limits,
        **others,
    )


def committee(*powers: int, epoch: Epoch = FIRST_EPOCH) -> Committee:
    """Of validators v0, v1, .. with these powers."""
    return Committee(epoch, genesis(len(powers), powers=powers).validators)


def genesis(validators: int = 1, **changes: Any) -> Genesis:
    """`genesis_bytes`, parsed."""
    return parse_genesis(genesis_bytes(validators, **changes))


def transfer(recipients: Sequence[bytes], amounts: Sequence[int], asset: bytes = ASSET) -> Transfer:
    """A columnar transfer; amounts are packed as they are, also bad ones."""
    return Transfer(asset, b"".join(recipients), np.array(amounts, ">i8").tobytes())


def body(*commands: Command, nonce: int = 0, expires_at_ms: int = TIME_MS + 60_000, reference: bytes = b"") -> Body:
    """A body that holds `commands`; without any, one unit of ASSET goes to client 1."""
    return Body(nonce.to_bytes(16, "big"), expires_at_ms, reference, commands or (transfer([address(1)], [1]),))


def transaction(
    genesis_digest: bytes, *commands: Command, signer: PrivateKey | None = None, **body_fields: Any
) -> Transaction:
    """A transaction signed by `signer` (client 0 unless given); see `body` for the other arguments."""
    return sign_body(signer or key(0), genesis_digest, body(*commands, **body_fields))


def record(*transactions: Transaction) -> bytes:
    """A record's value: one transaction, or a batch of several."""
    return encode_transaction(transactions[0]) if len(transactions) == 1 else encode_batch(transactions)

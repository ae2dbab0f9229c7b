"""Bytes that must never change under protocol version 1: every schema, every command, every digest and signature.

golden.json was written once. If a test here fails, the protocol has changed: make another version of it. A new schema
needs a case here and its bytes there.
"""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from ledger import digests
from ledger.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
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
from ledger.encoding.codec import Codec
from ledger.genesis import DEFAULT_LIMITS, parse_genesis
from ledger.header import Epoch, Head, Header, Opening, decode_header, encode_header
from ledger.keys import PrivateKey
from ledger.transaction import (
    Body,
    decode_body,
    decode_record,
    digest_of,
    encode_batch,
    encode_body,
    encode_transaction,
    sign_body,
)
from tests.builders import genesis_bytes, transfer

GOLDEN: dict[str, str] = json.loads(Path(__file__).with_name("golden.json").read_text())

KEY = PrivateKey.from_seed(bytes(range(32)))
GENESIS_DIGEST = bytes(range(32, 64))
ID = bytes(range(64, 96))
OTHER = bytes(range(96, 128))
SIGNATURE = bytes(range(64))

COMMANDS: tuple[Command, ...] = (
    CreateAsset("Thaler", 2, ID),
    Mint(ID, OTHER, 1),
    Burn(ID, 2**63 - 1),
    transfer([ID, OTHER], [1, 2**62], asset=ID),
    CreateObject("note", "text/plain", b"hello", None),
    CreateObject("note", "text/plain", b"", (ID, OTHER)),
    UpdateObject(ID, 300, "application/json", b"{}"),
    TransferObject(ID, 1, OTHER),
    ShareObject(ID, 1, ()),
    FreezeObject(ID, 1),
    DeleteObject(ID, 2),
)

BODY = Body(bytes(range(16)), 1_700_000_060_000, b"invoice 7", COMMANDS)
TRANSACTION = sign_body(KEY, GENESIS_DIGEST, BODY)

HEADER = Header(
    protocol_version=1,
    epoch=Epoch(2),
    height=3,
    parent_view=4,
    parent_digest=ID,
    view=5,
    proposer=6,
    time_ms=1_700_000_000_000,
    heads=(Head(0, 0, 0, ID), Head(1, 1, 2**40, OTHER)),
    openings=(Opening(1, 2, "topic-id", 7),),
    seal=b"seal",
)

CHECKPOINT = Checkpoint(Epoch(0), 3, ID, (Head(0, 0, 0, ID), Head(1, 1, 2**40, OTHER)), OTHER, bytes(range(128, 160)))

_PROPOSAL = {"view": 5, "header": b"header", "signature": SIGNATURE}
_VOTE = {"epoch": 0, "view": 5, "digest": ID}

CONSENSUS: dict[str, dict[str, Any]] = {
    "Proposal": _PROPOSAL,
    "Vote": {"kind": "finalize", **_VOTE, "validator": 3, "signature": SIGNATURE},
    "Certificate": {
        "kind": "notarize",
        **_VOTE,
        "signatures": [{"validator": 0, "signature": SIGNATURE}, {"validator": 2, "signature": SIGNATURE}],
        "proposal": _PROPOSAL,
    },
    "Block": {"header": b"header", "proof": b"proof"},
    "CheckpointSignature": {"checkpoint": b"checkpoint", "validator": 3, "signature": SIGNATURE},
    "CheckpointCertificate": {
        "checkpoint": b"checkpoint",
        "signatures": [{"validator": 0, "signature": SIGNATURE}, {"validator": 2, "signature": SIGNATURE}],
    },
    "Proof": {"finalization": b"finalization", "descendants": [b"child", b"grandchild"]},
}

CASES: dict[str, bytes] = {
    "schema Body": encode_body(BODY),
    "schema Transaction": encode_transaction(TRANSACTION),
    "schema TransactionBatch": encode_batch([TRANSACTION, TRANSACTION]),
    "schema Header": encode_header(HEADER),
    "schema Checkpoint": encode_checkpoint(CHECKPOINT),
    **{f"schema {name}": Codec(name, "consensus").encode_single(value) for name, value in CONSENSUS.items()},
    **{f"prefix {name}": Codec(name).prefix for name in ("Body", "Header", "Transaction", "TransactionBatch")},
    **{f"command {i}": encode_body(Body(bytes(16), 1, b"", (command,))) for i, command in enumerate(COMMANDS)},
    "public key": KEY.public_key,
    "address": KEY.address,
    "signature": TRANSACTION.signature,
    "digest genesis": digests.genesis_digest(b"{}"),
    "digest chain start": digests.chain_start(GENESIS_DIGEST, 3),
    "digest value": digests.value_digest(b"value"),
    "digest chain next": digests.chain_next(ID, 1, 2**40, OTHER),
    "digest transaction": digest_of(GENESIS_DIGEST, TRANSACTION),
    "digest block": digests.block_digest(GENESIS_DIGEST, encode_header(HEADER)),
    "digest checkpoint": digests.checkpoint_digest(GENESIS_DIGEST, encode_checkpoint(CHECKPOINT)),
    "digest object": digests.object_id(ID, 5),
    "digest asset": digests.asset_id(ID, 5),
    "digest remembered": digests.remembered_next(bytes(32), 7, ID),
    "genesis.json": genesis_bytes(2, asset_issuers=[ID]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_are_what_they_were(name: str) -> None:
    assert CASES[name].hex() == GOLDEN.get(name)


def test_nothing_golden_is_left_untested() -> None:
    assert set(GOLDEN) == set(CASES)


def test_every_schema_has_golden_bytes() -> None:
    schemas = {
        f"schema {file.name.removesuffix('.avsc')}"
        for package in ("ledger", "consensus")
        for file in resources.files(package).joinpath("schemas").iterdir()
        if file.name.endswith(".avsc")
    }
    assert schemas == {name for name in CASES if name.startswith("schema ")}


def test_what_was_written_then_is_read_now() -> None:
    assert decode_body(bytes.fromhex(GOLDEN["schema Body"]), DEFAULT_LIMITS) == BODY
    assert decode_record(bytes.fromhex(GOLDEN["schema Transaction"]), DEFAULT_LIMITS) == (TRANSACTION,)
    assert decode_record(bytes.fromhex(GOLDEN["schema TransactionBatch"]), DEFAULT_LIMITS) == (TRANSACTION,) * 2
    assert decode_header(bytes.fromhex(GOLDEN["schema Header"]), 2) == HEADER
    chain = parse_genesis(genesis_bytes(2))
    assert decode_checkpoint(bytes.fromhex(GOLDEN["schema Checkpoint"]), chain.partitions) == CHECKPOINT


@pytest.mark.parametrize("name", CONSENSUS)
def test_messages_written_then_are_read_now(name: str) -> None:
    assert Codec(name, "consensus").decode_single(bytes.fromhex(GOLDEN[f"schema {name}"]), 10_000) == CONSENSUS[name]

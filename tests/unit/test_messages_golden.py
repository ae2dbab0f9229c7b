"""The bytes of consensus, held fast: schemas, signatures and the sentences of docs/formats.md."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Kind, Message
from ledger.committee import Committees
from ledger.encoding.codec import Codec
from tests.core_bench import Bench

GOLDEN = json.loads((Path(__file__).parent / "golden_consensus.json").read_text())
TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
BENCH = Bench()
BLOCK = BENCH.block(1)
CHILD = BENCH.block(2, BLOCK, records=2)
FINALIZATION = BENCH.certificate(Kind.FINALIZE, 2, CHILD)


def values() -> dict[str, bytes]:
    """One value of every schema, genuinely signed by the test validators."""
    proof = BlockReader(BENCH.genesis, Committees.of(BENCH.genesis)).prove(FINALIZATION, (CHILD,))
    votes = {
        f"vote {kind.name.lower()}": BENCH.votes(kind, 1, None if kind is Kind.NULLIFY else BLOCK, (2,))[0]
        for kind in Kind
    }
    messages: dict[str, Message] = {
        **votes,
        "proposal": BENCH.propose(BLOCK),
        "proposal again": BENCH.propose(BLOCK, view=2),
        "notarization": replace(BENCH.certificate(Kind.NOTARIZE, 1, BLOCK), proposal=BENCH.propose(BLOCK)),
        "nullification": BENCH.certificate(Kind.NULLIFY, 1, None),
    }
    encoded = {name: BENCH.wire.encode(message) for name, message in messages.items()}
    return {**encoded, "proof": proof, "block": encode_block(BLOCK.header_bytes, proof)}


@pytest.mark.parametrize("name", values())
def test_bytes_are_what_they_were(name: str) -> None:
    assert sha256(values()[name]).hexdigest() == GOLDEN[name]


def test_every_golden_value_is_still_made() -> None:
    assert set(GOLDEN) == set(values())


@pytest.mark.parametrize("name", ["Proposal", "Vote", "Certificate", "Block"])
def test_the_prefixes_stand_in_the_document(name: str) -> None:
    assert f"| {name} | `{Codec(name, 'consensus').prefix.hex(' ')}` |" in TEXT


@pytest.mark.parametrize("tag", ["proposal", "<kind>"])
def test_the_tags_stand_in_the_document(tag: str) -> None:
    assert f"`momus/{tag}/v1 | genesis digest 32 |" in TEXT

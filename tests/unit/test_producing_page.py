"""docs/producing.md: the page is enough to produce a transaction, and every value on it is what we compute.

`REWRITE=1 pytest tests/unit/test_producing_page.py` writes the worked record anew.
"""

import json
import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from fastavro.schema import parse_schema, to_parsing_canonical_form

from client import partition_of
from ledger import digests
from ledger.encoding.codec import Codec, load_schema
from ledger.genesis import Genesis, parse_genesis
from ledger.keys import PrivateKey
from ledger.transaction import Body, decode_body, decode_record, encode_transaction, sign_body

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "producing.md"
EXAMPLE = ROOT / "examples" / "python" / "produce.py"
WORKED = re.compile(r"(<!-- worked: [^>]*-->\n)(.*)(<!-- end -->)", re.DOTALL)
SEED = bytes(range(32))
NONCE = bytes.fromhex("00112233445566778899aabbccddeeff")
EXPIRES_AT_MS = 1767225600000


def fences(kind: str) -> list[str]:
    """The text of every fenced block of a kind, without the fences."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def schemas() -> dict[str, Any]:
    return {schema["name"]: parse_schema(schema) for schema in map(json.loads, fences("json"))}


@pytest.fixture
def genesis_file() -> bytes:
    return fences("json genesis")[0].encode()


@pytest.fixture
def genesis(genesis_file: bytes) -> Genesis:
    return parse_genesis(genesis_file)


@pytest.fixture
def steps(genesis_file: bytes, schemas: dict[str, Any]) -> dict[str, bytes]:
    """What the example program, which shares no code with us, makes of the page's input."""
    example = runpy.run_path(str(EXAMPLE))
    body = example["greeting"]("hello", NONCE, EXPIRES_AT_MS)
    found: dict[str, bytes] = example["build"](genesis_file, SEED, body, schemas)
    return found


def rendered(steps: dict[str, bytes], partitions: int) -> str:
    blocks = [
        f"{name[0].upper()}{name[1:]}, {len(value)} bytes:\n\n```text\n" + "\n".join(re.findall(".{1,96}", value.hex()))
        for name, value in steps.items()
    ]
    number = int.from_bytes(steps["partition number"], "big")
    return (
        "\n"
        + "\n```\n\n".join(blocks)
        + f"\n```\n\nThat number is {number}; modulo {partitions} it is the partition, {number % partitions}.\n\n"
    )


def test_the_worked_record_is_what_the_page_computes(steps: dict[str, bytes], genesis: Genesis) -> None:
    page = PAGE.read_text()
    fresh = WORKED.sub(lambda found: found[1] + rendered(steps, genesis.partitions) + found[3], page)
    if os.environ.get("REWRITE"):
        PAGE.write_text(fresh)
    assert fresh == page
    assert WORKED.search(page) is not None


@pytest.mark.parametrize("name", ["Body", "Transaction"])
def test_the_schemas_of_the_page_are_those_of_the_code(name: str, schemas: dict[str, Any]) -> None:
    assert to_parsing_canonical_form(schemas[name]) == to_parsing_canonical_form(load_schema(name))


def test_the_prefix_of_the_page_is_that_of_the_schema() -> None:
    prefix = Codec("Transaction").prefix
    assert f"`{prefix[:2].hex(' ')}` ‖ `{prefix[2:].hex(' ')}`" in PAGE.read_text()
    assert f'"c301" + "{prefix[2:].hex()}"' in (ROOT / "examples" / "java" / "Produce.java").read_text()


def test_the_code_makes_the_same_record_from_the_same_input(steps: dict[str, bytes], genesis: Genesis) -> None:
    body = decode_body(steps["body"], genesis.limits)
    assert isinstance(body, Body)
    assert (body.nonce, body.expires_at_ms, body.reference) == (NONCE, EXPIRES_AT_MS, b"python-example")
    ours = sign_body(PrivateKey.from_seed(SEED), genesis.digest, body)
    assert encode_transaction(ours) == steps["record value"]
    assert decode_record(steps["record value"], genesis.limits) == (ours,)


def test_every_digest_of_the_page_is_that_of_the_code(steps: dict[str, bytes], genesis: Genesis) -> None:
    key = PrivateKey.from_seed(SEED)
    assert steps["genesis digest"] == genesis.digest
    assert steps["address"] == key.address
    assert steps["transaction digest"] == digests.transaction_digest(genesis.digest, key.public_key, steps["body"])
    number = int.from_bytes(steps["partition number"], "big")
    assert number % genesis.partitions == partition_of(key.address, genesis.partitions)


def test_the_bytes_that_the_page_explains_are_in_the_body(steps: dict[str, bytes]) -> None:
    explained = NONCE.hex() + "80a0d5edee66" + "1c" + b"python-example".hex() + "02" + "08"
    assert steps["body"].hex().startswith(explained)
    assert steps["body"].hex().endswith("0000")


def test_the_example_program_imports_nothing_of_ours() -> None:
    imported = set(re.findall(r"^(?:from|import) (\w+)", EXAMPLE.read_text(), re.MULTILINE))
    assert imported <= {"json", "secrets", "sys", "time", "hashlib", "io", "pathlib"} | {
        "confluent_kafka",
        "cryptography",
        "fastavro",
    }

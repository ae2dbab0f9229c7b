"""docs/formats.md says what the code does."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import pytest

from ledger import digests
from ledger.commands import Command
from ledger.encoding.codec import Codec
from ledger.genesis import DEFAULT_LIMITS, LIMITS_MAX
from ledger.header import Header
from ledger.keys import PrivateKey
from ledger.rejection import Reason
from node.home.keystore import create_key

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")


@pytest.mark.parametrize("passphrase", [None, "a passphrase"])
def test_key_files_have_the_fields_that_stand_there(tmp_path: Path, passphrase: str | None) -> None:
    create_key(tmp_path / "key.json", "tests", PrivateKey.from_seed(bytes(32)), passphrase)
    written = json.loads((tmp_path / "key.json").read_text())
    section = TEXT.partition("### Key files")[2].partition("\n## ")[0]
    said = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert said - {"seed", "encrypted"} | {"seed" if passphrase is None else "encrypted"} == written.keys()
    assert [name for name in written.get("encrypted", {}) if f"`{name}`" not in section] == []


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason])
def test_every_reason_stands_there_with_its_code_and_sentence(reason: Reason) -> None:
    assert f"| {reason.value} | `{reason.word}` | {reason.sentence} |" in TEXT


@pytest.mark.parametrize("limit", asdict(DEFAULT_LIMITS))
def test_every_limit_stands_there_with_its_default_and_maximum(limit: str) -> None:
    (row,) = (line for line in TEXT.splitlines() if line.startswith(f"| `{limit}` |"))
    assert row.endswith(f"| {getattr(DEFAULT_LIMITS, limit):,} | {getattr(LIMITS_MAX, limit):,} |")


def test_every_command_stands_there_with_its_branch_and_fields() -> None:
    for branch, command in enumerate(get_args(Command)):
        (row,) = (line for line in TEXT.splitlines() if line.startswith(f"| {branch} | {command.__name__} |"))
        assert all(f"`{field}`" in row for field in command.__dataclass_fields__)


def test_every_header_field_and_every_tag_stands_there() -> None:
    assert all(f"| `{field}` |" in TEXT for field in Header.__dataclass_fields__)
    tags = [value.decode() for name, value in vars(digests).items() if name.startswith("TAG_")]
    assert len(tags) >= 8
    assert all(f"`{tag} \\| " in TEXT for tag in tags)


@pytest.mark.parametrize("name", ["Transaction", "TransactionBatch"])
def test_the_prefixes_stand_there(name: str) -> None:
    assert f"| {name} | `{Codec(name).prefix.hex(' ')}` |" in TEXT

"""genesis.json: what it says, and that it says nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger import digests
from ledger.genesis import DEFAULT_LIMITS, GenesisError, parse_genesis
from ledger.header import Head
from tests.builders import address, genesis, genesis_bytes, limits, validator_key


def test_what_is_rendered_parses_to_the_same() -> None:
    given = genesis_bytes(3, powers=[1, 2, 3], asset_issuers=[address(0)], limits=limits(batch_max=7), partitions=5)
    parsed = parse_genesis(given)
    assert parsed.digest == digests.genesis_digest(given)
    assert [validator.power for validator in parsed.validators] == [1, 2, 3]
    assert parsed.validators[1].consensus_key == validator_key(1).public_key
    assert parsed.asset_issuers == frozenset((address(0),))
    assert parsed.limits == limits(batch_max=7)
    assert (parsed.topic, parsed.topic_name("blocks")) == ("momus.test.transactions", "momus.test.blocks")


def test_the_digest_is_of_the_bytes_as_they_are() -> None:
    assert parse_genesis(genesis_bytes() + b"\n").digest != genesis().digest


def test_the_empty_heads_start_every_chain() -> None:
    made = genesis(partitions=2)
    assert made.empty_heads() == (
        Head(0, 0, 0, digests.chain_start(made.digest, 0)),
        Head(1, 0, 0, digests.chain_start(made.digest, 1)),
    )


def test_the_defaults_are_the_documented_ones() -> None:
    assert genesis().limits == DEFAULT_LIMITS
    assert (genesis().checkpoint_heights, genesis().checkpoint_time_ms) == (1000, 60_000)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(genesis_bytes(2))
    change(document)
    return json.dumps(document).encode()


def setter(value: Any, *path: str | int) -> Callable[[dict[str, Any]], object]:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (2, ["format_version"]),
        (2, ["protocol_version"]),
        ("Upper", ["chain"]),
        ("a" * 33, ["chain"]),
        ("chain\n", ["chain"]),
        (7, ["chain"]),
        ("with space", ["transactions_topic", "name"]),
        ("", ["transactions_topic", "id"]),
        (0, ["partitions"]),
        (1025, ["partitions"]),
        (True, ["partitions"]),
        ("4", ["partitions"]),
        (None, ["partitions"]),
        (0, ["shards"]),
        ([], ["validators"]),
        ({}, ["validators"]),
        ("v1", ["validators", 0, "name"]),
        ("ab", ["validators", 0, "operator_address"]),
        ("AB" * 32, ["validators", 0, "operator_address"]),
        (validator_key(1).public_key.hex(), ["validators", 0, "consensus_key"]),
        ("01" + "00" * 31, ["validators", 0, "consensus_key"]),
        (0, ["validators", 0, "power"]),
        (1, ["validators", 0, "more"]),
        (["zz"], ["asset_issuers"]),
        ("all", ["asset_issuers"]),
        (0, ["limits", "window_ms"]),
        (2**40, ["limits", "batch_max"]),
        (1, ["limits", "more"]),
        (0, ["checkpoint", "heights"]),
        (1, ["checkpoint", "more"]),
        (1, ["more"]),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_it(value: Any, path: list[str | int]) -> None:
    with pytest.raises(GenesisError, match=str(path[0]) if path != ["more"] else "unknown: more"):
        parse_genesis(changed(setter(value, *path)))


@pytest.mark.parametrize("key", list(json.loads(genesis_bytes())))
def test_every_key_must_be_there(key: str) -> None:
    with pytest.raises(GenesisError, match=key):
        parse_genesis(changed(lambda document: document.pop(key)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b" " * (2**20 + 1),
        b'{"format_version": 1, "format_version": 1}',
        genesis_bytes().replace(b'"shards": 1', b'"shards": 1.0'),
        genesis_bytes().replace(b'"shards": 1', b'"shards": NaN'),
        genesis_bytes().replace(b'"shards": 1', b'"shards": ' + b"1" * 10_000),
    ],
    ids=range(12),
)
def test_what_is_no_strict_json_document_is_an_error(data: bytes) -> None:
    with pytest.raises(GenesisError):
        parse_genesis(data)


def test_rendering_checks_the_ranges_too() -> None:
    with pytest.raises(GenesisError, match="partitions"):
        genesis_bytes(partitions=0)

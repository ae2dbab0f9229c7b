"""What is under the state root, byte by byte, as docs/formats.md says it: written again here with hashlib alone."""

from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import leaves
from ledger.commands import Ownership
from ledger.genesis import Validator
from ledger.leaf_reading import (
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    BalanceLeaf,
    BucketLeaf,
    LeafContent,
    ParameterLeaf,
    ValidatorLeaf,
    read_leaf,
)
from ledger.rejection import Reason, Rejection
from ledger.state import Asset, Object
from tests.builders import genesis
from tests.whole_objects import Whole

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
ID = bytes(range(32))
OTHER = bytes(range(32, 64))
THIRD = bytes(range(64, 96))
GENESIS = genesis(2, asset_issuers=[OTHER, ID])

OWNED = Whole(ID, 3, Ownership.ADDRESS, OTHER, (), "note", "text/plain", b"hello", 2)
SHARED = Whole(ID, 2**63 - 1, Ownership.SHARED, b"", (OTHER, THIRD), "t" * 128, "m" * 128, b"")
FROZEN = Whole(ID, 1, Ownership.IMMUTABLE, b"", (), "a", "b", b"\0" * 70_000)
ASSET = Asset(ID, "Thäler", 2, OTHER, 2**63 - 1)


def be(number: int, width: int) -> bytes:
    return number.to_bytes(width, "big")


LEAVES: dict[str, tuple[bytes, bytes]] = {
    "owned": (leaves.object_key(ID), leaves.object_value(OWNED.narrow)),
    "shared": (leaves.object_key(ID), leaves.object_value(SHARED.narrow)),
    "frozen": (leaves.object_key(ID), leaves.object_value(FROZEN.narrow)),
    "balance": (leaves.balance_key(ID, OTHER), leaves.balance_value(2**63 - 1)),
    "asset": (leaves.asset_key(ID), leaves.asset_value(ASSET)),
    "bucket": (leaves.bucket_key(28_333_333), leaves.bucket_value(7, OTHER)),
    "validator": next(leaf for leaf in leaves.genesis_leaves(GENESIS) if leaf[0] == b"\5\0\0\0\1"),
    "number": next(leaf for leaf in leaves.genesis_leaves(GENESIS) if leaf[0] == b"\6window_ms"),
    "issuers": next(leaf for leaf in leaves.genesis_leaves(GENESIS) if leaf[0] == b"\6asset_issuers"),
    "anybody": next(leaf for leaf in leaves.genesis_leaves(genesis(1)) if leaf[0] == b"\6asset_issuers"),
}
WRITTEN: dict[str, tuple[bytes, bytes]] = {
    "owned": (
        b"\1" + ID,
        be(3, 8)
        + b"\0"
        + OTHER
        + be(0, 2)
        + sha256(b"note").digest()
        + be(2, 8)
        + be(5, 4)
        + sha256(b"\x0atext/plain" + sha256(b"hello").digest()).digest(),
    ),
    "shared": (
        b"\1" + ID,
        be(2**63 - 1, 8)
        + b"\1"
        + be(2, 2)
        + sha256(sha256(b"t" * 128).digest() + OTHER + THIRD).digest()
        + be(2**63 - 1, 8)
        + be(0, 4)
        + sha256(b"\x80" + b"m" * 128 + sha256(b"").digest()).digest(),
    ),
    "frozen": (
        b"\1" + ID,
        be(1, 8)
        + b"\2"
        + be(0, 2)
        + sha256(b"a").digest()
        + be(1, 8)
        + be(70_000, 4)
        + sha256(b"\1b" + sha256(b"\0" * 70_000).digest()).digest(),
    ),
    "balance": (b"\2" + ID + OTHER, be(2**63 - 1, 8)),
    "asset": (b"\3" + ID, b"\2" + OTHER + be(2**63 - 1, 8) + "Thäler".encode()),
    "bucket": (b"\4" + be(28_333_333, 8), be(7, 8) + OTHER),
    "validator": (
        b"\5" + be(1, 4),
        be(1, 8) + GENESIS.validators[1].consensus_key + GENESIS.validators[1].operator_address + b"v1",
    ),
    "number": (b"\6window_ms", be(3_600_000, 8)),
    "issuers": (b"\6asset_issuers", b"\1" + sha256(ID + OTHER).digest()),
    "anybody": (b"\6asset_issuers", b"\0"),
}
READ: dict[str, LeafContent] = {
    "owned": OWNED.narrow,
    "shared": SHARED.narrow,
    "frozen": FROZEN.narrow,
    "balance": BalanceLeaf(ID, OTHER, 2**63 - 1),
    "asset": ASSET,
    "bucket": BucketLeaf(28_333_333, 7, OTHER),
    "validator": ValidatorLeaf(1, GENESIS.validators[1]),
    "number": ParameterLeaf("window_ms", 3_600_000),
    "issuers": ParameterLeaf("asset_issuers", sha256(ID + OTHER).digest()),
    "anybody": ParameterLeaf("asset_issuers", None),
}


@pytest.mark.parametrize("name", LEAVES)
def test_bytes_are_those_of_the_document(name: str) -> None:
    assert LEAVES[name] == WRITTEN[name]


@pytest.mark.parametrize("name", LEAVES)
def test_leaf_reads_back_as_it_was_written(name: str) -> None:
    assert read_leaf(*LEAVES[name]) == READ[name]


def test_bytes_are_what_they_were() -> None:
    every = b"".join(leaves.key_hash(key) + leaves.value_hash(value) for key, value in LEAVES.values())
    assert sha256(every).hexdigest() == "1621e9cb77ad241bac36c4e20e2a95e21e44fbcd168e8ba22ad0a625aa72a6ff"


def test_hashes_are_tagged() -> None:
    assert leaves.key_hash(b"x") == sha256(b"momus/key/v1" + b"x").digest()
    assert leaves.value_hash(b"x") == sha256(b"momus/value/v1" + b"x").digest()


def test_every_constant_of_genesis_that_execution_can_read_is_a_leaf() -> None:
    found = dict(leaves.genesis_leaves(GENESIS))
    names = {key[1:].decode() for key in found if key[0] == leaves.Kind.PARAMETER}
    assert names == {
        *asdict(GENESIS.limits),
        "protocol_version",
        "partitions",
        "shards",
        "checkpoint_heights",
        "checkpoint_time_ms",
        "asset_issuers",
    }
    assert [key for key in found if key[0] == leaves.Kind.VALIDATOR] == [b"\5\0\0\0\0", b"\5\0\0\0\1"]


def test_every_leaf_of_genesis_can_be_read() -> None:
    read = [read_leaf(*leaf) for leaf in leaves.genesis_leaves(GENESIS)]
    assert all(isinstance(leaf, ValidatorLeaf | ParameterLeaf) for leaf in read)


def test_issuers_have_no_order() -> None:
    other_order = genesis(2, asset_issuers=[ID, OTHER])
    assert dict(leaves.genesis_leaves(other_order)) == dict(leaves.genesis_leaves(GENESIS))


@pytest.mark.parametrize(
    "changed",
    [
        replace(OWNED, id=OTHER),
        replace(OWNED, version=4),
        replace(OWNED, ownership=Ownership.IMMUTABLE, owner=b""),
        replace(OWNED, owner=THIRD),
        replace(OWNED, writers=(THIRD,)),
        replace(OWNED, ownership=Ownership.SHARED, owner=b"", writers=()),
        replace(OWNED, content_version=3),
        replace(OWNED, type="notf"),
        replace(OWNED, media_type="text/plaim"),
        replace(OWNED, type="notetext", media_type="/plain"),
        replace(OWNED, content=b"hellp"),
        replace(OWNED, content=b""),
    ],
)
def test_whatever_differs_in_an_object_differs_in_its_leaf(changed: Whole) -> None:
    leaf = (leaves.object_key(changed.id), leaves.object_value(changed.narrow))
    assert leaf != LEAVES["owned"]


@pytest.mark.parametrize("name", LEAVES)
def test_every_cut_and_bytes_behind_are_rejections_or_another_leaf(name: str) -> None:
    key, value = LEAVES[name]
    for size in range(len(value)):
        read = read_leaf(key, value[:size])
        assert isinstance(read, Rejection) or read != READ[name]
    for size in range(len(key)):
        read = read_leaf(key[:size], value)
        assert isinstance(read, Rejection) or read != READ[name]
    assert read_leaf(key, value + b"\0") != READ[name]
    assert read_leaf(key + b"\0", value) != READ[name]


@given(st.sampled_from(sorted(LEAVES)), st.integers(0, 2000), st.integers(1, 255), st.booleans())
def test_a_changed_byte_is_refused_or_another_leaf(name: str, place: int, change: int, in_key: bool) -> None:
    parts = [bytearray(part) for part in LEAVES[name]]
    part = parts[0 if in_key else 1]
    part[place % len(part)] ^= change
    assert read_leaf(bytes(parts[0]), bytes(parts[1])) != READ[name]


@given(st.integers(0, 8), st.binary(max_size=80), st.binary(max_size=400))
def test_any_bytes_are_a_leaf_or_a_rejection(kind: int, key: bytes, value: bytes) -> None:
    read = read_leaf(bytes((kind,)) + key, value)
    assert isinstance(read, Rejection | Object | BalanceLeaf | Asset | BucketLeaf | ValidatorLeaf | ParameterLeaf)


@given(
    version=st.integers(1, 2**63 - 1),
    ownership=st.sampled_from(Ownership),
    writers=st.lists(st.binary(min_size=32, max_size=32), max_size=4),
    texts=st.tuples(*[st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128)] * 2),
    content=st.binary(max_size=100),
)
def test_every_object_reads_back(
    version: int, ownership: Ownership, writers: list[bytes], texts: tuple[str, str], content: bytes
) -> None:
    owner = THIRD if ownership is Ownership.ADDRESS else b""
    item = Whole(ID, version, ownership, owner, tuple(writers), *texts, content)
    read = read_leaf(leaves.object_key(ID), leaves.object_value(item.narrow))
    assert isinstance(read, Object)
    assert read == item.narrow
    assert read.has(item.parts)
    assert read.is_of(item.details)
    for other in (
        replace(item.parts, type=item.type[:-1] + "~~"),
        replace(item.parts, writers=item.parts.writers + ID),
        replace(item.parts, media_type=item.media_type + "x"),
        replace(item.parts, content=content + b"x"),
    ):
        assert not read.has(other)
        assert not read.is_of(other.details)


def test_the_largest_leaf_is_within_the_bounds() -> None:
    largest = b"\5" + be(1, 4), be(1, 8) + ID + OTHER + b"v" * 64
    assert len(largest[1]) == VALUE_BYTES_MAX
    assert isinstance(read_leaf(*largest), ValidatorLeaf)
    item = replace(SHARED, ownership=Ownership.ADDRESS, owner=ID, writers=(OTHER,) * 256).narrow
    assert isinstance(read_leaf(leaves.object_key(ID), leaves.object_value(item)), Object)
    assert len(leaves.balance_key(ID, OTHER)) == KEY_BYTES_MAX


HOSTILE: dict[str, tuple[bytes, bytes, Reason]] = {
    "no key": (b"", b"x", Reason.EMPTY),
    "no value": (b"\2" + ID + OTHER, b"", Reason.EMPTY),
    "a huge key": (b"\6" + b"x" * KEY_BYTES_MAX, be(1, 8), Reason.OVERSIZE),
    "a huge value": (b"\1" + ID, bytes(VALUE_BYTES_MAX + 1), Reason.OVERSIZE),
    "an unknown kind": (b"\7" + ID, be(1, 8), Reason.UNKNOWN_BRANCH),
    "a zero balance": (b"\2" + ID + OTHER, be(0, 8), Reason.FIELD_RANGE),
    "a huge balance": (b"\2" + ID + OTHER, be(2**63, 8), Reason.FIELD_RANGE),
    "a short key": (b"\2" + ID, be(1, 8), Reason.MALFORMED),
    "a long value": (b"\2" + ID + OTHER, be(1, 8) + b"\0", Reason.NON_CANONICAL),
    "a huge supply": (b"\3" + ID, b"\2" + OTHER + be(2**63, 8) + b"a", Reason.FIELD_RANGE),
    "too many decimals": (b"\3" + ID, b"\x13" + OTHER + be(1, 8) + b"a", Reason.FIELD_RANGE),
    "no name": (b"\3" + ID, b"\2" + OTHER + be(1, 8), Reason.FIELD_RANGE),
    "a long name": (b"\3" + ID, b"\2" + OTHER + be(1, 8) + b"a" * 65, Reason.FIELD_RANGE),
    "no text": (b"\3" + ID, b"\2" + OTHER + be(1, 8) + b"\xff", Reason.MALFORMED),
    "version zero": (b"\1" + ID, be(0, 8) + WRITTEN["owned"][1][8:], Reason.FIELD_RANGE),
    "an unknown ownership": (b"\1" + ID, be(3, 8) + b"\3" + WRITTEN["owned"][1][9:], Reason.FIELD_RANGE),
    "too many writers": (b"\1" + ID, be(3, 8) + b"\1" + be(257, 2) + bytes(76), Reason.FIELD_RANGE),
    "an early end": (b"\1" + ID, be(3, 8) + b"\1" + be(256, 2) + bytes(32), Reason.MALFORMED),
    "huge content": (
        b"\1" + ID,
        WRITTEN["owned"][1][:-36] + be(2**32 - 1, 4) + WRITTEN["owned"][1][-32:],
        Reason.FIELD_RANGE,
    ),
    "content of a later version": (b"\1" + ID, be(1, 8) + WRITTEN["owned"][1][8:], Reason.FIELD_RANGE),
    "a validator without power": (b"\5" + be(0, 4), be(0, 8) + ID + OTHER + b"v", Reason.FIELD_RANGE),
    "a huge index": (b"\5" + be(2**31, 4), be(1, 8) + ID + OTHER + b"v", Reason.FIELD_RANGE),
    "an empty bucket": (b"\4" + be(1, 8), be(0, 8) + ID, Reason.FIELD_RANGE),
    "issuers and anybody": (b"\6asset_issuers", b"\0" + ID, Reason.NON_CANONICAL),
    "a third answer": (b"\6asset_issuers", b"\2", Reason.FIELD_RANGE),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_out_of_range_is_a_rejection(what: str) -> None:
    key, value, reason = HOSTILE[what]
    read = read_leaf(key, value)
    assert isinstance(read, Rejection)
    assert read.reason is reason


def test_validator_is_read_as_it_stands_in_genesis() -> None:
    read = read_leaf(*LEAVES["validator"])
    assert isinstance(read, ValidatorLeaf)
    assert isinstance(read.validator, Validator)


@pytest.mark.parametrize("kind", leaves.Kind)
def test_every_kind_stands_in_the_document(kind: leaves.Kind) -> None:
    assert f"| {kind.value} {kind.name.lower()} |" in TEXT


def test_the_tags_stand_in_the_document() -> None:
    assert f"`{leaves.TAG_KEY.decode()} | key`" in TEXT
    assert f"`{leaves.TAG_VALUE.decode()} | value`" in TEXT

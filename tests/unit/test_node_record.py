"""Node records: one spelling, every field bounded, and a signature that is no other message's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.wire.checkpoint_messages import TAG_CERTIFY
from consensus.wire.messages import _TAG_PROPOSAL, _TAGS
from ledger import digests
from ledger.encoding.codec import Codec
from ledger.keys import verify
from ledger.rejection import Reason, Rejection
from sync import node_record
from sync.node_record import RECORD_BYTES_MAX, TAG_NODE_RECORD, NodeRecord, NodeRecords, Signed, is_address
from tests.builders import genesis, validator_key

KEY = validator_key(0)
GENESIS = genesis(2)
RECORDS = NodeRecords(GENESIS.digest)
RECORD = NodeRecord(
    sequence=1_700_000_000_000,
    valid_for_ms=35_000,
    version="0.1.0",
    roles=("records", "validator"),
    api_address="",
    sync_address="https://apple.example:7400",
    height=17,
    checkpoint_height=10,
)
LARGEST = NodeRecord(
    2**62, 600_000, "9" * 32, tuple(f"r{n:015}" for n in range(8)), "http://" + "a" * 248, "http://" + "b" * 248,
    2**62, 2**62,
)  # fmt: skip


def signed(record: NodeRecord = RECORD, number: int = 0) -> bytes:
    key = validator_key(number)
    return RECORDS.signed(record, key.public_key, key.sign)


def body_of(record: NodeRecord = RECORD, **changes: Any) -> bytes:
    """The bytes of a body whose fields nobody has checked."""
    fields = {name: getattr(record, name) for name in NodeRecord.__dataclass_fields__}
    return node_record._BODY.encode({**fields, "roles": list(record.roles), "genesis": GENESIS.digest, **changes})


def value_of(body: bytes) -> bytes:
    signature = KEY.sign(RECORDS.signing_bytes(KEY.public_key, body))
    return node_record._RECORD.encode_single({"body": body, "public_key": KEY.public_key, "signature": signature})


@pytest.mark.parametrize("record", [RECORD, LARGEST, replace(RECORD, roles=(), sync_address="", height=0)])
def test_record_that_was_signed_is_read_as_it_was(record: NodeRecord) -> None:
    value = signed(record)
    found = RECORDS.decode(value)
    assert isinstance(found, Signed)
    assert (found.record, found.public_key) == (record, KEY.public_key)
    assert RECORDS.is_of_this_chain(found)
    assert RECORDS.is_authentic(found)
    assert len(value) <= RECORD_BYTES_MAX


def test_the_bytes_of_a_record_never_change_under_its_schema() -> None:
    value = signed()
    assert value[:10] == Codec("NodeRecord", "sync").prefix == bytes.fromhex("c301ea25ec2d4fdea119")
    body = value[12 : 12 + value[10] // 2 + 64 * (value[11] - 1)]
    assert body.hex() == GENESIS.digest.hex() + (
        "80a0abfef962"  # sequence
        "f0a204"  # valid_for_ms
        "0a302e312e30"  # version
        "040e7265636f7264731276616c696461746f7200"  # roles
        "00"  # api_address
        "3468747470733a2f2f6170706c652e6578616d706c653a37343030"  # sync_address
        "22"  # height
        "14"  # checkpoint_height
    )
    assert value[12 + len(body) :][:32] == KEY.public_key
    assert value[12 + len(body) + 32 :] == KEY.sign(b"momus/node-record/v1" + GENESIS.digest + KEY.public_key + body)


def test_signature_is_never_that_of_another_message() -> None:
    tags = {value for name, value in vars(digests).items() if name.startswith("TAG_")}
    tags |= {TAG_CERTIFY, _TAG_PROPOSAL, *_TAGS.values()}
    assert len(tags) >= 14
    assert not any(tag.startswith(TAG_NODE_RECORD) or TAG_NODE_RECORD.startswith(tag) for tag in tags)
    found = RECORDS.decode(signed())
    assert isinstance(found, Signed)
    rest = RECORDS.signing_bytes(found.public_key, found.body)[len(TAG_NODE_RECORD) :]
    assert not any(verify(KEY.public_key, tag + rest, found.signature) for tag in tags)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", -1),
        ("sequence", 2**62 + 1),
        ("valid_for_ms", 999),
        ("valid_for_ms", 600_001),
        ("version", ""),
        ("version", "1" * 33),
        ("version", "<b>1</b>"),
        ("roles", ["validator", "records"]),
        ("roles", ["validator", "validator"]),
        ("roles", [""]),
        ("roles", ["a b"]),
        ("roles", [f"r{n}" for n in range(9)]),
        ("api_address", "javascript:alert(1)"),
        ("sync_address", "http://host/path"),
        ("height", -1),
        ("checkpoint_height", 2**62 + 1),
    ],
)
def test_field_out_of_its_range_is_named_and_never_signed(field: str, value: Any) -> None:
    assert RECORDS.decode(value_of(body_of(**{field: value}))) == Rejection(Reason.FIELD_RANGE, field)
    changes: dict[str, Any] = {field: tuple(value) if isinstance(value, list) else value}
    ours = replace(RECORD, **changes)
    with pytest.raises(ValueError, match=field):
        signed(ours)


@pytest.mark.parametrize(
    "address",
    ["", "http://a", "https://apple.example:7400", "http://127.0.0.1:1", "http://[::1]:65535", "http://[::1]"],
)
def test_address_of_host_and_port_is_one(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "apple.example:7400", "ftp://a", "HTTP://a", "http://", "http://a:0", "http://a:65536", "http://a:", "http://a/",
        "http://a?x", "http://a#x", "http://u:p@a", "http://a b", "http://a\n", "http://a\0", 'http://a"b', "http://<a>",
        "http://ä.example", "http://a\u202eb", "http://" + "a" * 249, "http://[::1", "http://a:٣",
    ],
)  # fmt: skip
def test_address_of_anything_else_is_none(address: str) -> None:
    assert not is_address(address)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.NULL_VALUE),
        (b"", Reason.EMPTY),
        (b"\xc3\x01", Reason.UNKNOWN_SCHEMA),
        (bytes(RECORD_BYTES_MAX), Reason.UNKNOWN_SCHEMA),
        (bytes(RECORD_BYTES_MAX + 1), Reason.OVERSIZE),
        (signed() + bytes(RECORD_BYTES_MAX), Reason.OVERSIZE),
        (signed() + b"\0", Reason.NON_CANONICAL),
        (signed()[:-1], Reason.MALFORMED),
        (value_of(body_of() + b"\0"), Reason.NON_CANONICAL),
        (value_of(body_of()[:-1]), Reason.MALFORMED),
        (value_of(b""), Reason.EMPTY),
        (value_of(body_of(version="\u0661")), Reason.FIELD_RANGE),
    ],
)
def test_value_that_is_no_record_says_why(value: bytes | None, reason: Reason) -> None:
    found = RECORDS.decode(value)
    assert isinstance(found, Rejection)
    assert found.reason is reason


def test_record_of_another_chain_is_not_authentic_here() -> None:
    other = NodeRecords(bytes(32))
    found = RECORDS.decode(other.signed(RECORD, KEY.public_key, KEY.sign))
    assert isinstance(found, Signed)
    assert not RECORDS.is_of_this_chain(found)
    assert not RECORDS.is_authentic(found)
    claims = RECORDS.decode(
        node_record._RECORD.encode_single(
            {
                "body": body_of(),
                "public_key": KEY.public_key,
                "signature": KEY.sign(other.signing_bytes(KEY.public_key, body_of())),
            }
        )
    )
    assert isinstance(claims, Signed)
    assert RECORDS.is_of_this_chain(claims)
    assert not RECORDS.is_authentic(claims)


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_record_with_any_bit_changed_is_refused(at: int, bit: int) -> None:
    value = bytearray(signed())
    value[at % len(value)] ^= 1 << bit
    found = RECORDS.decode(bytes(value))
    assert isinstance(found, Rejection) or not RECORDS.is_authentic(found)


@given(st.binary(max_size=300))
def test_bytes_of_anybody_are_refused_and_never_raise(body: bytes) -> None:
    for value in (body, node_record._RECORD.prefix + body, value_of(body)):
        found = RECORDS.decode(value)
        assert isinstance(found, Rejection) or found.body == body


def test_format_page_lists_every_field_every_bound_and_the_prefix() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    section = page[page.index("## The registry topic") :].split("\n## ")[0]
    assert all(f"| `{field}` |" in section for field in ("genesis", *NodeRecord.__dataclass_fields__))
    assert f"| NodeRecord | `{node_record._RECORD.prefix.hex(' ')}` |" in section
    assert f"`{TAG_NODE_RECORD.decode()} | genesis digest 32 | public key 32 | body`" in section
    for bound in (RECORD_BYTES_MAX, node_record.VALID_FOR_MS_MIN, node_record.VALID_FOR_MS_MAX):
        assert f"{bound:,}" in section

"""The strict reader accepts just what fastavro writes: one spelling per value, and hostile bytes are only refused."""

import tracemalloc
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.encoding.canonical import UnfitSchema, read_long, reader
from ledger.encoding.codec import Codec, load_schema
from ledger.rejection import Reason, Rejection

SCHEMAS = ["Transaction", "TransactionBatch", "Body", "Header"]
SIZE_MAX = 100_000


def values(schema: Any, named: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """Any value of a parsed schema, as the codec's dicts."""
    named = {} if named is None else named
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(schema, list):
        many = sum(isinstance(branch, dict) and branch["type"] == "record" for branch in schema) > 1
        return st.one_of(
            [
                st.tuples(st.just(branch["name"]), values(branch, named)) if many else values(branch, named)
                for branch in schema
            ]
        )
    if kind == "array":
        return st.lists(values(schema["items"], named), max_size=4)
    if kind == "record":
        named[schema["name"]] = schema
        return st.fixed_dictionaries({field["name"]: values(field["type"], named) for field in schema["fields"]})
    if kind == "fixed":
        named[schema["name"]] = schema
        return st.binary(min_size=schema["size"], max_size=schema["size"])
    if kind in named:
        return values(named[kind], named)
    return {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "bytes": st.binary(max_size=80),
        "string": st.text(max_size=20),
    }[kind]


def schema_and_value() -> st.SearchStrategy[tuple[str, Any]]:
    return st.one_of([st.tuples(st.just(name), values(load_schema(name))) for name in SCHEMAS])


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """One to three small changes to `data`: a byte set, put in or taken out, or an end cut off."""

    def change(data: bytes, edit: tuple[int, int, int]) -> bytes:
        kind, where, byte = edit
        at = where % (len(data) + 1)
        return (
            data[:at]
            + {0: bytes([byte]), 1: bytes([byte]) + data[at:], 2: b""}.get(kind, b"")
            + (data[at + 1 :] if kind in (0, 3) else b"")
        )

    def change_all(edits: list[tuple[int, int, int]]) -> bytes:
        result = data
        for edit in edits:
            result = change(result, edit)
        return result

    edits = st.tuples(st.integers(0, 3), st.integers(0, 10_000), st.integers(0, 255))
    return st.lists(edits, min_size=1, max_size=3).map(change_all)


def canonical_by_fastavro(name: str, data: bytes) -> Any:
    """The value if fastavro reads `data` and writes the same bytes again; else None."""
    schema = load_schema(name)
    try:
        value = fastavro.schemaless_reader(BytesIO(data), schema, None, return_record_name=True)
        out = BytesIO()
        fastavro.schemaless_writer(out, schema, value, strict=True)
    except (EOFError, ValueError, IndexError, OverflowError, TypeError, KeyError, StopIteration, MemoryError):
        return None
    return value if out.getvalue() == data else None


@given(schema_and_value())
def test_what_is_encoded_decodes_to_the_same_value(case: tuple[str, Any]) -> None:
    name, value = case
    codec = Codec(name)
    assert codec.decode(codec.encode(value), SIZE_MAX) == value
    assert codec.decode_single(codec.encode_single(value), SIZE_MAX) == value


@given(schema_and_value(), st.data())
def test_changed_bytes_decode_only_if_fastavro_spells_them_so(case: tuple[str, Any], data: st.DataObject) -> None:
    name, value = case
    codec = Codec(name)
    changed = data.draw(mutated(codec.encode(value)))
    decoded = codec.decode(changed, SIZE_MAX)
    if isinstance(decoded, Rejection):
        assert canonical_by_fastavro(name, changed) is None or decoded.detail == "an int exceeds 32 bits"
    else:
        assert canonical_by_fastavro(name, changed) == decoded
        assert codec.encode(decoded) == changed


@given(st.sampled_from(SCHEMAS), st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused_and_never_raise(name: str, data: bytes) -> None:
    codec = Codec(name)
    decoded = codec.decode(data, 250)
    assert isinstance(decoded, Rejection) or codec.encode(decoded) == data
    assert isinstance(codec.decode_single(data, 250), (dict, Rejection))


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_have_one_spelling(number: int) -> None:
    out = BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, number)
    spelt = out.getvalue()
    assert read_long(spelt, 0) == (number, len(spelt))
    padded = spelt[:-1] + bytes([spelt[-1] | 0x80]) + b"\x00"
    assert refusal({"type": "long"}, padded) in (Reason.NON_CANONICAL, Reason.MALFORMED)


class _Bare(Codec):
    """A codec of one field `x` of any type, to try the subset with."""

    def __init__(self, field: Any) -> None:
        record = {"type": "record", "name": "Bare", "fields": [{"name": "x", "type": field}]}
        self._schema = fastavro.parse_schema(record)
        self._read = reader(self._schema)


def refusal(field: Any, data: bytes) -> Reason:
    """Why a record of one `field` refuses `data`; NONE: it does not."""
    decoded = _Bare(field).decode(data, SIZE_MAX)
    return decoded.reason if isinstance(decoded, Rejection) else Reason.NONE


LONGS = {"type": "array", "items": "long"}


@pytest.mark.parametrize(
    ("field", "data", "reason"),
    [
        ("long", "02 00", Reason.NON_CANONICAL),  # a trailing byte
        ("long", "82 00", Reason.NON_CANONICAL),  # a padded varint
        ("long", "82 80 80 00", Reason.NON_CANONICAL),
        ("long", "ff ff ff ff ff ff ff ff ff 01", Reason.NONE),  # -2^63
        ("long", "ff ff ff ff ff ff ff ff ff 02", Reason.MALFORMED),  # 65 bits
        ("long", "ff ff ff ff ff ff ff ff ff ff 01", Reason.MALFORMED),  # eleven bytes
        ("long", "80", Reason.MALFORMED),  # cut short
        ("int", "80 80 80 80 10", Reason.MALFORMED),  # 2^31
        ("int", "ff ff ff ff 0f", Reason.NONE),  # -2^31
        (LONGS, "02 04 02 06 00", Reason.NON_CANONICAL),  # two blocks
        (LONGS, "04 04 06 00", Reason.NONE),  # the same in one
        (LONGS, "03 04 04 06 00", Reason.NON_CANONICAL),  # a negative count with a block size
        (LONGS, "00", Reason.NONE),
        (LONGS, "80 00", Reason.NON_CANONICAL),
        (LONGS, "02 04", Reason.MALFORMED),  # no end
        (["null", "long"], "01", Reason.UNKNOWN_BRANCH),  # branch -1
        (["null", "long"], "04", Reason.UNKNOWN_BRANCH),  # branch 2
        (["null", "long"], "80 00", Reason.NON_CANONICAL),
        ("boolean", "02", Reason.NON_CANONICAL),
        ("boolean", "01", Reason.NONE),
        ("bytes", "01", Reason.MALFORMED),  # length -1
        ("bytes", "04 61", Reason.MALFORMED),
        ("string", "02 ff", Reason.MALFORMED),
        ("string", "04 c0 80", Reason.MALFORMED),  # an overlong NUL
        ("string", "06 ed a0 80", Reason.MALFORMED),  # a surrogate
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "01", Reason.UNKNOWN_BRANCH),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "02", Reason.NONE),
        ({"type": "fixed", "name": "F", "size": 4}, "61 61 61", Reason.MALFORMED),
    ],
)
def test_every_spelling_but_the_canonical_one_is_refused(field: Any, data: str, reason: Reason) -> None:
    assert refusal(field, bytes.fromhex(data)) == reason


def test_size_is_tested_before_anything_is_read() -> None:
    codec = Codec("Body")
    assert codec.decode(b"", 10) == Rejection(Reason.EMPTY)
    assert codec.decode_single(b"", 10) == Rejection(Reason.EMPTY)
    for decoded in (codec.decode(bytes(11), 10), codec.decode_single(bytes(11), 10)):
        assert isinstance(decoded, Rejection)
        assert decoded.reason == Reason.OVERSIZE


def test_a_count_of_ten_million_in_five_bytes_allocates_nothing() -> None:
    out = BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, 10_000_000)
    bare = _Bare(LONGS)
    tracemalloc.start()
    try:
        decoded = bare.decode(out.getvalue() + b"\x00", SIZE_MAX)
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()
    assert isinstance(decoded, Rejection)
    assert decoded.reason == Reason.MALFORMED


@pytest.mark.parametrize("item", [b"\x04" + bytes(33), b"\x12" + bytes(33)])
def test_memory_is_bounded_by_the_size_of_what_is_read(item: bytes) -> None:
    """A million bytes of the smallest commands, as many as a record can hold."""
    count = 1_000_000 // len(item)
    out = BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, count)
    data = bytes(16) + b"\x00\x00" + out.getvalue() + item * count + b"\x00"
    codec = Codec("Body")
    tracemalloc.start()
    try:
        assert isinstance(codec.decode(data, len(data)), dict)
        assert tracemalloc.get_traced_memory()[1] < 40 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "field",
    [
        {"type": "map", "values": "long"},
        "double",
        "float",
        {"type": "array", "items": "null"},
        {"type": "array", "items": {"type": "record", "name": "Nothing", "fields": []}},
        {"type": "array", "items": {"type": "fixed", "name": "Empty", "size": 0}},
        ["null", "Bare"],  # recursion
    ],
)
def test_a_schema_outside_the_subset_is_refused(field: Any) -> None:
    with pytest.raises(UnfitSchema):
        _Bare(field)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_prefix_of_another_schema_is_unknown(name: str) -> None:
    codec = Codec(name)
    assert codec.prefix[:2] == b"\xc3\x01"
    assert len(codec.prefix) == 10
    for data in (b"\xc3", codec.prefix[:9], b"\xc3\x01" + bytes(8), b"\x00" + codec.prefix[1:]):
        assert codec.decode_single(data, 100) == Rejection(Reason.UNKNOWN_SCHEMA)


def test_encode_refuses_what_is_no_value_of_the_schema() -> None:
    codec = Codec("Transaction")
    good = {"body": b"b", "public_key": bytes(32), "signature": bytes(64)}
    for bad in (good | {"signature": bytes(63)}, good | {"more": 1}, {"body": b"b"}):
        with pytest.raises((ValueError, TypeError)):
            codec.encode(bad)

"""Headers as bytes: one spelling, all numbers in range, one head per partition in order."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.header import Epoch, Head, Header, Opening, decode_header, encode_header, header_bytes_max
from ledger.rejection import Reason, Rejection
from tests.builders import genesis

GENESIS = genesis(partitions=3)
HEADER = Header(
    protocol_version=1,
    epoch=Epoch(0),
    height=1,
    parent_view=0,
    parent_digest=GENESIS.digest,
    view=1,
    proposer=0,
    time_ms=1_700_000_000_000,
    heads=GENESIS.empty_heads(),
)

numbers = st.integers(0, 2**63 - 1)
ints = st.integers(0, 2**31 - 1)
heads = st.lists(st.tuples(st.integers(0, 2**32 - 1), numbers, st.binary(min_size=32, max_size=32)), min_size=1)


@given(heads, numbers, numbers, ints, st.none() | st.binary(max_size=100), st.binary(min_size=32, max_size=32))
def test_what_is_encoded_decodes_to_the_same_header(
    parts: list[tuple[int, int, bytes]], view: int, time_ms: int, proposer: int, seal: bytes | None, parent: bytes
) -> None:
    header = replace(
        HEADER,
        view=view + (view == 0),
        time_ms=time_ms,
        proposer=proposer,
        seal=seal,
        parent_digest=parent,
        heads=tuple(Head(index, *part) for index, part in enumerate(parts)),
        openings=(Opening(0, 1, "some-topic-id", 5),),
    )
    data = encode_header(header)
    assert decode_header(data, len(parts)) == header
    assert len(data) <= header_bytes_max(len(parts))


HEAD = HEADER.heads[0]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"heads": ()}, "heads"),
        ({"heads": (*HEADER.heads, replace(HEAD, partition=3))}, "heads"),
        ({"heads": (HEAD, HEAD)}, "heads"),
        ({"heads": (replace(HEAD, partition=1),)}, "heads"),
        ({"heads": (replace(HEAD, incarnation=-1),)}, "heads"),
        ({"heads": (replace(HEAD, incarnation=2**32),)}, "heads"),
        ({"heads": (replace(HEAD, end_offset=-1),)}, "heads"),
        ({"openings": (Opening(3, 1, "id", 0),)}, "openings"),
        ({"openings": (Opening(-1, 1, "id", 0),)}, "openings"),
        ({"openings": (Opening(0, 0, "id", 0),)}, "openings"),
        ({"openings": (Opening(0, 1, "", 0),)}, "openings"),
        ({"openings": (Opening(0, 1, "i" * 65, 0),)}, "openings"),
        ({"openings": (Opening(0, 1, "a b", 0),)}, "openings"),
        ({"openings": (Opening(0, 1, "id", -1),)}, "openings"),
        ({"openings": (Opening(1, 1, "id", 0), Opening(0, 1, "id", 0))}, "openings"),
        ({"openings": (Opening(1, 1, "id", 0), Opening(1, 1, "id", 0))}, "openings"),
        ({"seal": bytes(4097)}, "seal"),
        ({"protocol_version": 0}, "protocol_version"),
        ({"epoch": -1}, "epoch"),
        ({"height": 0}, "height"),
        ({"parent_view": -1}, "parent_view"),
        ({"view": 0}, "view"),
        ({"proposer": -1}, "proposer"),
        ({"time_ms": -1}, "time_ms"),
    ],
)
def test_a_field_out_of_range_is_refused_by_name(changes: dict[str, Any], detail: str) -> None:
    decoded = decode_header(encode_header(replace(HEADER, **changes)), 3)
    assert decoded == Rejection(Reason.FIELD_RANGE, detail)


@given(st.binary(max_size=400))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    decoded = decode_header(data, 3)
    assert isinstance(decoded, Rejection) or encode_header(decoded) == data


def test_a_header_larger_than_any_of_that_many_partitions_is_refused_unread() -> None:
    decoded = decode_header(bytes(header_bytes_max(3) + 1), 3)
    assert isinstance(decoded, Rejection)
    assert decoded.reason == Reason.OVERSIZE

"""Rows for COPY: the framing of Postgres' binary format, whatever sizes the fields have."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from projections.session.packing import pack_rows

FIELDS = st.one_of(
    st.none(), st.binary(max_size=300), st.just(b"%b" * 0x25), st.sampled_from([37, 40, 37 * 256]).map(bytes)
)


def _as_defined(row: Sequence[bytes | None]) -> bytes:
    fields = [b"\xff" * 4 if field is None else len(field).to_bytes(4) + field for field in row]
    return len(row).to_bytes(2) + b"".join(fields)


@given(st.lists(st.lists(FIELDS, min_size=1, max_size=40)))
def test_rows_are_framed_as_postgres_wants_them(rows: list[list[bytes | None]]) -> None:
    assert b"".join(pack_rows(rows)) == b"".join(map(_as_defined, rows))
    assert b"".join(pack_rows(tuple(row) for row in rows)) == b"".join(map(_as_defined, rows))

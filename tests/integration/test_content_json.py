"""Content is shown as jsonb by what it holds: any JSON is, but for numbers that no double holds."""

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.sql import _run
from projections.maintenance.migrate import migrate

pytestmark = pytest.mark.postgres

Reader = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def reader(postgres_url: str) -> Iterator[Reader]:
    migrate(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def shown(reader: Reader, content: str | bytes) -> Any:
    """None also where the content is JSON's null."""
    data = content.encode() if isinstance(content, str) else content
    (value,) = reader.execute("select api.content_json(%b)", (data,)).fetchone() or ()
    return value


TEXTS = st.text(
    st.sampled_from(
        ["0", "1", "9", "e", "E", "+", "-", ".", '"', "\\", "u", "\x00", "\n", "ß", "😀", "\ud83d", "\ude00"]
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | TEXTS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
)


def as_jsonb_has_it(value: Any) -> Any:
    """With U+FFFD for what jsonb cannot hold."""
    if isinstance(value, str):
        whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return whole.replace("\x00", "\ufffd")
    if isinstance(value, list):
        return [as_jsonb_has_it(each) for each in value]
    if isinstance(value, dict):
        return {as_jsonb_has_it(key): as_jsonb_has_it(each) for key, each in value.items()}
    return value


def test_whatever_json_holds_in_texts_and_names_is_shown(reader: Reader) -> None:
    @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
    @given(VALUES)
    def any_value(value: Any) -> None:
        assert shown(reader, json.dumps(value)) == as_jsonb_has_it(value)

    any_value()


def test_every_digest_in_hex_is_shown(reader: Reader) -> None:
    digests = [sha256(bytes([number])).hexdigest() for number in range(200)]
    assert sum(re.search("[0-9]e[0-9]{3}", digest) is not None for digest in digests) > 10
    for digest in digests:
        assert shown(reader, f'{{"{digest}": ["{digest}", 1e5]}}') == {digest: [digest, 100_000]}


@pytest.mark.parametrize(
    ("content", "is_shown"),
    [
        ('"5E100"', True),
        ('{"374e7600": 1}', True),
        ("1e100", True),
        ("[-1.7976931348623157e+308, 5e-324]", True),
        ("1e0000000005", True),
        ('["\\\\\\"1e131071"]', True),
        ("1e400", False),
        ("1e131071", False),
        ("[1E-99999]", False),
        ('["text", 1e000400]', False),
        ('["\\\\", 1e131071, ""]', False),
        ('{"a\\"": 1e1310}', False),
        ('"1e131071', False),
        ('["\\u0000", 1e131071]', False),
        ("{'a': 1}", False),
    ],
)
def test_a_number_counts_where_it_is_one(reader: Reader, content: str, is_shown: bool) -> None:
    assert (shown(reader, content) is not None) == is_shown


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (r'"a\u0000b"', "a\ufffdb"),
        (r'"\u0000\u0000"', "\ufffd\ufffd"),
        (r'"\\u0000"', r"\u0000"),
        (r'"\\\u0000"', "\\\ufffd"),
        (r'"\\\\u0000"', r"\\u0000"),
        (r'"\\ud83d\ude00"', "\\ud83d\ufffd"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ud83d"', "\ufffd"),
        (r'"\ud83dx\uDE00"', "\ufffdx\ufffd"),
        (r'"\ude00\ud83d"', "\ufffd\ufffd"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd😀"),
    ],
)
def test_what_jsonb_cannot_hold_of_a_text_is_replaced(reader: Reader, content: str, text: str) -> None:
    assert shown(reader, content) == text
    assert shown(reader, f"[{content}, {{{content}: 7}}]") == [text, {text: 7}]


@pytest.mark.parametrize(
    ("content", "printed"),
    [
        ('{"a": 1.5, "b": [2, null, true]}', {"a": 1.5, "b": [2, None, True]}),
        ("9" * 5_000, "9" * 5_000),
        ("1" * 4_000 + "e399", "1" * 4_000 + "0" * 399),
        ("[9223372036854775807]", ["9223372036854775807"]),
        ('{"amount": 123456789012345678.01}', {"amount": "123456789012345678.01"}),
        ("[0.1234567890123456789]", ["0.1234567890123456789"]),
        ("1e309", "1" + "0" * 309),
        ("9007199254740993.5", "9007199254740993.5"),
    ],
)
def test_a_query_prints_every_content_and_rounds_no_number_of_it(
    reader: Reader, content: str, printed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    query = f"select api.content_json(convert_to('{content}', 'UTF8'))"
    _run(reader, query, 1, as_json=True)
    assert json.loads(capsys.readouterr().out)["rows"] == [[printed]]
    _run(reader, query, 1, as_json=False)
    (as_postgres_writes_it,) = reader.execute(f"{query}::text").fetchone() or ()
    assert as_postgres_writes_it in capsys.readouterr().out

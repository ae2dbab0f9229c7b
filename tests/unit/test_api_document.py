"""The API's document says what generators of clients cannot guess: widths, names, where the node is."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import Parts, make_app
from node.home.context import NodeContext
from node.home.layout import Home
from node.settings.tree import read_settings
from tests.builders import genesis

INT64_MAX = 2**63 - 1


def document(folder: Path, **settings: str) -> dict[str, Any]:
    unused: Any = None
    context = NodeContext.of(Home(folder), read_settings(None, {"MOMUS_VALIDATOR": "v0", **settings}), genesis())
    return make_app(Parts(context, "postgresql://nowhere", unused, unused, lambda: False)).openapi()


def parts_of(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All objects below, by where they stand."""
    if isinstance(part, dict):
        yield path, part
    for key, below in part.items() if isinstance(part, dict) else enumerate(part if isinstance(part, list) else ()):
        yield from parts_of(below, f"{path}/{key}")


def test_every_integer_has_64_bits_and_no_bound_that_64_bits_cannot_hold(tmp_path: Path) -> None:
    integers = {path: part for path, part in parts_of(document(tmp_path)) if part.get("type") == "integer"}
    assert len(integers) > 100
    assert {path for path, part in integers.items() if part.get("format") != "int64"} == set()
    bounds = {
        f"{path}/{name}": part[name]
        for path, part in integers.items()
        for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        if name in part
    }
    assert {path for path, bound in bounds.items() if type(bound) is not int or abs(bound) > INT64_MAX} == set()


def test_operations_and_schemas_have_names_that_a_program_can_use(tmp_path: Path) -> None:
    said = document(tmp_path)
    operations = [each["operationId"] for methods in said["paths"].values() for each in methods.values()]
    assert [name for name in operations if not re.fullmatch("[a-z]+(_[a-z]+)*", name)] == []
    assert [name for name, times in Counter(operations).items() if times > 1] == []
    assert [name for name in said["components"]["schemas"] if not re.fullmatch("([A-Z][a-z]+)+", name)] == []


def test_every_reference_leads_to_a_schema(tmp_path: Path) -> None:
    said = document(tmp_path)
    referred = {part["$ref"] for _, part in parts_of(said) if "$ref" in part}
    assert referred == {f"#/components/schemas/{name}" for name in said["components"]["schemas"]}


@pytest.mark.parametrize(
    ("settings", "server"),
    [
        ({}, "http://127.0.0.1:8464"),
        ({"MOMUS_API__HOST": "::", "MOMUS_API__PORT": "81"}, "http://[::1]:81"),
        ({"MOMUS_DISCOVERY__API_ADDRESS": "https://ledger.example"}, "https://ledger.example"),
    ],
)
def test_the_document_says_where_the_api_is(tmp_path: Path, settings: dict[str, str], server: str) -> None:
    assert document(tmp_path, **settings)["servers"] == [{"url": server}]

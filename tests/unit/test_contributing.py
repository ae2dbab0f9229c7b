"""docs/contributing.md: every path and name of its table of changes is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "contributing.md").read_text()
CHANGES = (
    "a command of transactions",
    "a metric",
    "an endpoint",
    "a column",
    "an audit check",
    "leader timeouts",
    "producer settings",
    "chunks of snapshots",
    "an adversary",
    "`momus status`",
)


def _rows() -> list[list[str]]:
    table = PAGE.split("## Ten changes", 1)[1].split("\n## ", 1)[0]
    return [row.strip("|").split("|") for row in table.splitlines() if row.startswith("| ")][1:]


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _text(paths: list[str]) -> str:
    files = [file for path in paths for file in ([ROOT / path] if (ROOT / path).is_file() else (ROOT / path).iterdir())]
    return "\n".join(file.read_text() for file in files if file.is_file())


def test_each_of_ten_changes_has_a_row() -> None:
    assert len(_rows()) == len(CHANGES)
    assert [change for change, row in zip(CHANGES, _rows(), strict=True) if change not in row[0]] == []


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0].strip())
def test_paths_of_a_change_exist_and_have_what_the_row_names(row: list[str]) -> None:
    _, where, what = row
    paths = _quoted(where)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    names = [name for name in _quoted(what) if re.fullmatch(r"\w+", name)]
    assert [name for name in names if not re.search(rf"\b{name}\b", _text(paths))] == []


@pytest.mark.parametrize("name", ["COMMANDS", "ADMIN_ACTIONS"])
def test_names_of_other_changes_are_where_the_page_says(name: str) -> None:
    found = re.search(rf"`{name}` (?:in|of) `([^`]+)`", PAGE)
    assert found is not None
    assert re.search(rf"^{name}\b", (ROOT / found[1]).read_text(), re.MULTILINE)

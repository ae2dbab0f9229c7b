"""The check of what pages and comments name finds each kind of fault; `make check` runs it."""

import pytest

from tests.check_docs import ROOT, WORDS, Repository, anchors, faults, old_words

PAGE = """# A title

## Two words, and `code_here`: [a link](sql.md)

## Twice
## Twice

```text
## no heading
```
"""
FILES = {
    "README.md": "[all](docs/sql.md) [it](docs/sql.md#twice-1) `node/home/` `node/*/files.py` [web](https://host/x.md)",
    "docs/sql.md": PAGE,
    "docs/decisions/0001-first.md": "See [sql](../sql.md), decision 0001, `node.home.files.write`, `momus/leaf/v1`.",
    "node/home/files.py": '"""docs/sql.md#a-title, sql.md, `node/home/files.py`, decision 0001."""\nwrite = 1\n',
    "momus/__init__.py": "",
}


def _found(path: str, text: str, words: dict[str, str] | None = None) -> list[str]:
    return [str(fault) for fault in faults(Repository({**FILES, path: text}), words or {})]


def test_headings_have_the_anchors_that_github_gives_them() -> None:
    assert anchors(PAGE) == {"a-title", "two-words-and-code_here-a-link", "twice", "twice-1"}


def test_what_is_there_is_no_fault() -> None:
    assert _found("docs/more.md", "") == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[x](gone.md)", "links to gone.md, which is not there"),
        ("[x](../docs)\n[x](../../sql.md)", "links to ../../sql.md, which is not there"),
        ("[x](sql.md#thrice)", "links to sql.md#thrice, but docs/sql.md has no such heading"),
        ("[x](#here)", "links to #here, but docs/page.md has no such heading"),
        ("[x]: gone.md", "links to gone.md, which is not there"),
        ("in `node/gone/`", "names node/gone, which is not there"),
        ("in `node/*/gone.py`", "names node/*/gone.py, which is not there"),
        ("`node.home.gone`", "names node.home.gone, which is not there"),
        ("`node.home.files.gone`", "names node.home.files.gone, which is not there"),
        ("see docs/gone.md", "cites docs/gone.md, which is not there"),
    ],
)
def test_page_that_names_what_is_not_there(text: str, sentence: str) -> None:
    last = text.count("\n") + 1
    assert f"docs/page.md:{last}: {sentence}" in _found("docs/page.md", text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# see docs/gone.md", "cites docs/gone.md, which is not there"),
        ("# docs/sql.md#thrice", "cites docs/sql.md#thrice, but docs/sql.md has no such heading"),
        ("# node/gone.py", "names node/gone.py, which is not there"),
        ('"""`node.gone`"""', "names node.gone, which is not there"),
        ("# decision 0002", "cites decision 0002, which is not there"),
        ("# python -m tests.gone", "runs tests.gone, which is not there"),
        ("# as DESIGN §3 has it", "cites DESIGN, a document that is not in the repository"),
        ("# (STYLE, rule 16)", "cites STYLE, a document that is not in the repository"),
    ],
)
def test_code_that_names_what_is_not_there(text: str, sentence: str) -> None:
    assert f"node/some.py:2: {sentence}" in _found("node/some.py", f"\n{text}\n")


def test_old_word_is_found_in_text_and_in_names_of_files() -> None:
    found = _found("node/lifeline.py", "x = 1\n# by a lifeline\n", {r"\blifeline\b": "parent_death"})
    assert found == [
        "node/lifeline.py:1: has an old word in its name: say parent_death",
        "node/lifeline.py:2: says 'lifeline': say parent_death",
    ]


@pytest.mark.parametrize(
    "text", ["a way back", "Ways back", "way-back.lock", "NoWayBack", "way_back()", "In vain: From"]
)
def test_words_of_recovery_may_not_come_back(text: str) -> None:
    words = old_words((ROOT / WORDS).read_text())
    assert _found("docs/page.md", text, words) != []


def test_ordinary_english_is_no_old_word() -> None:
    words = old_words((ROOT / WORDS).read_text())
    text = "By this means it took place, was said in vain, told apart and left with no way to back out of doing it."
    assert _found("docs/page.md", text, words) == []

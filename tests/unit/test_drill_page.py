"""The page of drills: everything that a report says, and nothing of it as markup."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from node.recovery.drill_page import Kept, page_of

AT = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
VOID = {"meta", "rect", "line"}


def drill(number: int, verdict: str = "passed", seconds: float = 1.5, **more: Any) -> Kept:
    report: dict[str, Any] = {
        "verdict": verdict,
        "injected": None,
        "source": "snapshot",
        "height": 41_000 + number,
        "records": 12_345,
        "seconds": seconds,
        "records_per_s": 8230.0,
        "rows_compared": 99_999,
        "differing": [],
        "detected": [],
    }
    return Kept(AT + timedelta(days=number), report | more)


class Reader(HTMLParser):
    """Sees that what was opened is closed, and what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_page_has_a_bar_and_a_row_for_each_drill_with_units() -> None:
    page = read(page_of("payments", [drill(0), drill(1, "failed", 0.0, source=None), drill(2, "healed", 60.25)]))
    assert page.seen.count("rect") == 3
    assert page.seen.count("tr") == 1 + 3
    for words in ("Drills of payments", "41,002", "60.2 s", "8,230", "12,345", "99,999", "2026-03-03"):
        assert words in page.text
    assert "recovered from the snapshot in 60.2 s" in page.text


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;"])
def test_nothing_in_a_report_becomes_markup(hostile: str) -> None:
    said: dict[str, Any] = {
        "source": hostile,
        "injected": hostile,
        "detected": [hostile],
        "differing": [hostile],
        "verdict": hostile,
    }
    page = read(page_of(hostile, [drill(0, **said)]))
    assert {"script", "img", "b"}.isdisjoint(page.seen)
    assert hostile in page.text


def test_without_any_drill_the_page_says_so() -> None:
    page = read(page_of("payments", []))
    assert "No drill has run yet." in page.text
    assert "svg" not in page.seen

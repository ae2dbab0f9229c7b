"""The files of the web UI, as text: what they ask for lies beside them, wherever a proxy has put them."""

import re
from pathlib import Path

import pytest

from api.routes.page import FOLDER

FILES = sorted(file for file in FOLDER.iterdir() if file.suffix in (".html", ".js", ".css"))
LINK = re.compile(
    r"""\b(?:href|src)\s*[=:]\s*["'`]([^"'`]+)|^import [^"']*["']([^"']+)|url\(["']?([^"')]+)""", re.MULTILINE
)


def links(file: Path) -> list[str]:
    return ["".join(found) for found in LINK.findall(file.read_text())]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_link_is_of_the_root_of_a_server(file: Path) -> None:
    assert [link for link in links(file) if link.startswith("/") or "://" in link] == []
    assert re.findall(r"""["'`](/(?:v1|page|healthz|readyz)\b[^"'`]*)["'`]""", file.read_text()) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_that_is_linked_is_there(file: Path) -> None:
    # The page itself is answered one level above its files.
    base = FOLDER.parent if file.suffix == ".html" else FOLDER
    linked = [link for link in links(file) if not link.startswith(("#", "data:", "v1/")) and "${" not in link]
    assert [link for link in linked if not (base / link).is_file()] == []


def test_there_are_links() -> None:
    assert sum(len(links(file)) for file in FILES) > 20

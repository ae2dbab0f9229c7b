"""Whether what pages, comments and messages name exists: links, anchors, paths, documents, decisions; and no old words.

`python -m tests.check_docs` prints a line for each fault (`path:line: sentence`) and ends with 1 if there is one. Old
words stand in tests/old_words.toml: whoever renames something adds what must not come back.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Final

ROOT: Final = Path(__file__).parent.parent
WORDS: Final = "tests/old_words.toml"
DECISIONS: Final = "docs/decisions/"
"""Each names the code of its day."""
UNCHECKED: Final = frozenset(
    {WORDS, *(f"tests/{it}.py" for it in ("check_docs", "unit/test_check_docs", "unit/test_one_name"))}
)
"""They name what need not be there."""

_FENCE: Final = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ ]*$", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(r"(?P<ticks>`+)(?P<code>[^`\n]+)(?P=ticks)")
_LINK: Final = re.compile(
    r"\]\(\s*<?(?P<target>[^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s+(?P<other>\S+)", re.MULTILINE
)
_HEADING: Final = re.compile(r"^#{1,6}[ ]+(?P<title>.+?)[ ]*#*$", re.MULTILINE)
_HTML_ANCHOR: Final = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
_DOCUMENT: Final = re.compile(r"(?<![\w/.*{:-])(?P<path>[\w./-]*\w\.md)\b(?:#(?P<anchor>[\w-]+))?")
_FILE: Final = re.compile(r"(?<![\w/.*{:-])(?P<path>\w[\w.-]*/[\w./*-]*\.(?:py|avsc|js|sql|toml|yml|json|java|mako))\b")
_PATH: Final = re.compile(r"\.?\w[\w.-]*/[\w./*-]*")
_TAG: Final = re.compile(r"momus/\w+/v\d+")
"""The domain of a hash, and no file."""
_MODULE: Final = re.compile(r"-m (?P<module>(?:tests|benchmarks)(?:\.\w+)+)")
_NAME: Final = re.compile(r"`(?P<name>[a-z]\w*(?:\.\w+)+)")
_SHARED: Final = frozenset({"api", "ledger", "projections", "momus"})
"""Folders whose names schemas of the database, settings or files have too."""
_DECISION: Final = re.compile(r"\bdecisions? (?P<number>\d{4})\b")
_OUTSIDE: Final = re.compile(r"\b(?:DESIGN|EPOCHS|SHARDS|HOUSE)\b|\b(?:FACTS|STYLE|SYNC)(?=,? (?:§|section|rule)|\.md)")


@dataclass(frozen=True, slots=True)
class Fault:
    path: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.sentence}"


class Repository:
    """Every file by its path (`docs/sql.md`), with its text."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.paths = {parent for path in texts for parent in (path, *map(str, Path(path).parents))} - {"."}
        self.folders = {path.partition("/")[0] for path in texts if "/" in path}
        self._anchors = {path: anchors(text) for path, text in texts.items() if path.endswith(".md")}

    def has(self, path: str) -> bool:
        if "*" in path:
            return any(fnmatch(it, path) for it in self.paths)
        return path in self.paths or path == "."

    def has_anchor(self, page: str, anchor: str) -> bool:
        return anchor in self._anchors.get(page, ())


def anchors(page: str) -> set[str]:
    """What a link to a heading of the page may say after `#`, as GitHub makes it of the heading."""
    found: set[str] = set(_HTML_ANCHOR.findall(page))
    for heading in _HEADING.finditer(_blank(page, _FENCE)):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["title"]).lower()
        slug = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        count = 0
        while (anchor := f"{slug}-{count}" if count else slug) in found:
            count += 1
        found.add(anchor)
    return found


def faults(repository: Repository, words: Mapping[str, str]) -> Iterator[Fault]:
    """Of all files. `words`: what to say instead, by a regular expression for what nobody says any more."""
    old = [(re.compile(pattern), instead) for pattern, instead in words.items()]
    for path, text in sorted(repository.texts.items()):
        if path in UNCHECKED:
            continue
        is_page, is_decision = path.endswith(".md"), path.startswith(DECISIONS)
        checks = [_documents, _decisions, _outside]
        checks += [_links] if is_page else []
        checks += [] if is_decision else [_files, _names]
        checks += [_paths] if is_page and not is_decision else []
        found = {(at, sentence) for check in checks for at, sentence in check(repository, path, text)}
        found |= {(at, sentence) for at, sentence in _words(path, text, old)}
        for line, sentence in sorted({(text.count("\n", 0, at) + 1, sentence) for at, sentence in found}):
            yield Fault(path, line, sentence)


def _links(repository: Repository, path: str, text: str) -> Iterator[tuple[int, str]]:
    for link in _LINK.finditer(_blank(_blank(text, _FENCE), _CODE)):
        target = link["target"] or link["other"]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        page = normpath(join(dirname(path), name)) if name else path
        if not repository.has(page):
            yield link.start(), f"links to {target}, which is not there"
        elif anchor and not repository.has_anchor(page, anchor):
            yield link.start(), f"links to {target}, but {page} has no such heading"


def _documents(repository: Repository, path: str, text: str) -> Iterator[tuple[int, str]]:
    """A page named in a text: as seen from the root, from docs/ or from where the text stands."""
    for named in _DOCUMENT.finditer(_blank(text, _LINK)):
        places = [normpath(join(place, named["path"])) for place in ("", "docs", dirname(path))]
        page = next(filter(repository.has, places), None)
        if page is None:
            yield named.start(), f"cites {named['path']}, which is not there"
        elif named["anchor"] and not repository.has_anchor(page, named["anchor"]):
            yield named.start(), f"cites {named[0]}, but {page} has no such heading"


def _files(repository: Repository, path: str, text: str) -> Iterator[tuple[int, str]]:
    """A file of a folder of ours, in any text; and a module after `-m`."""
    for named in _FILE.finditer(text):
        if named["path"].partition("/")[0] in repository.folders and not repository.has(named["path"]):
            yield named.start(), f"names {named['path']}, which is not there"
    for named in _MODULE.finditer(text):
        file = named["module"].replace(".", "/")
        if not (repository.has(f"{file}.py") or repository.has(f"{file}/__main__.py")):
            yield named.start(), f"runs {named['module']}, which is not there"


def _names(repository: Repository, path: str, text: str) -> Iterator[tuple[int, str]]:
    """A module of ours in backticks, or a name in one: `backbone.store.StoreReader`."""
    for named in _NAME.finditer(text):
        parts = named["name"].split(".")
        if parts[0] in repository.folders - _SHARED and not _has_name(repository, parts):
            yield named.start(), f"names {named['name']}, which is not there"


def _has_name(repository: Repository, parts: Sequence[str]) -> bool:
    for depth in range(len(parts), 0, -1):
        module = "/".join(parts[:depth])
        if depth == len(parts) and repository.has(module):
            return True
        source = repository.texts.get(f"{module}.py") or repository.texts.get(f"{module}/__init__.py")
        if source is not None:
            return depth == len(parts) or re.search(rf"\b{parts[depth]}\b", source) is not None
    return False


def _paths(repository: Repository, path: str, text: str) -> Iterator[tuple[int, str]]:
    """A file or folder of ours in backticks, on a page."""
    for span in _CODE.finditer(_blank(text, _FENCE)):
        named = span["code"].partition("::")[0].rstrip("/")
        is_ours = named.partition("/")[0] in repository.folders and _PATH.fullmatch(named)
        if is_ours and not _TAG.fullmatch(named) and not repository.has(named):
            yield span.start(), f"names {named}, which is not there"


def _decisions(repository: Repository, path: str, text: str) -> Iterator[tuple[int, str]]:
    for cited in _DECISION.finditer(text):
        if not repository.has(f"docs/decisions/{cited['number']}-*.md"):
            yield cited.start(), f"cites decision {cited['number']}, which is not there"


def _outside(repository: Repository, path: str, text: str) -> Iterator[tuple[int, str]]:
    for cited in _OUTSIDE.finditer(text):
        yield cited.start(), f"cites {cited[0]}, a document that is not in the repository"


def _words(path: str, text: str, old: Sequence[tuple[re.Pattern[str], str]]) -> Iterator[tuple[int, str]]:
    for pattern, instead in old:
        for word in pattern.finditer(text):
            yield word.start(), f"says {word[0]!r}: say {instead}"
        if pattern.search(path):
            yield 0, f"has an old word in its name: say {instead}"


def _blank(text: str, pattern: re.Pattern[str]) -> str:
    """Spaces in place of what matches: what is left keeps its position."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def repository_at(root: Path) -> Repository:
    """What git tracks or would track below `root`."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=root, check=True, capture_output=True, text=True).stdout
    files = [path for path in listed.split("\0") if (root / path).is_file()]
    # A lock names packages and hashes.
    texts = {path: "" if path.endswith(".lock") else (root / path).read_text(errors="replace") for path in files}
    return Repository(texts)


def old_words(text: str) -> dict[str, str]:
    """What to say instead, by pattern."""
    return {pattern: instead for instead, patterns in tomllib.loads(text).items() for pattern in patterns}


def main() -> int:
    repository = repository_at(ROOT)
    found = [*map(str, faults(repository, old_words(repository.texts[WORDS])))]
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(repository.texts)} files: {len(found)} faults in what they name")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

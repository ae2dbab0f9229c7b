"""docs/quickstart.md is enough: its commands, typed in order into terminals, print what the page says they print.

Not repeated here: the clone and the installation. `make setup` is typed, and finds done what `make test` has done.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

import pytest

from node.embedded.broker import free_ports

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "quickstart.md"
README = ROOT / "README.md"
PORTS: Final = ("8464", "9092")
"""Of the page; other tests may use them."""
EXACT: Final = frozenset(("5", "17", "500", "1000000"))
"""Numbers that say something: amounts, the reference, the stream's pause. Heights and times are as they come."""
TIMED_OUT: Final = 28
_END: Final = "end-of-command"
_VARIES: Final = re.compile(r"(?!0{8})[0-9a-f]{8,}|\d+(?:[.,]\d+)*|\s+")
_FENCE: Final = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.processes]


def fences(text: str) -> list[tuple[str, str]]:
    """(what it is, its text) of every fenced block."""
    return [(found[1], found[2]) for found in _FENCE.finditer(text)]


def dialogue(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a console, each with the lines that the page shows below it."""
    said: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            said.append((line[2:], []))
        elif line.strip():
            said[-1][1].append(line)
    return said


def commands_of(text: str) -> list[str]:
    """Everything that a reader types, without comments."""
    found = []
    for kind, block in fences(text):
        if kind.startswith("console"):
            found += [command for command, _ in dialogue(block)]
        elif kind.startswith("sh"):
            found += [typed(line) for line in block.splitlines()]
    return found


def typed(line: str) -> str:
    return line.partition(" #")[0].strip()


def shape(line: str) -> str:
    """A regular expression of lines that say the same of another run."""
    parts, at = [], 0
    for found in _VARIES.finditer(line):
        parts += [re.escape(line[at : found.start()]), _any_of(found[0])]
        at = found.end()
    return "".join([*parts, re.escape(line[at:])]).removesuffix(r"\s+") + r"\s*"


def _any_of(text: str) -> str:
    if text.isspace():
        return r"\s+"
    if text in EXACT:
        return text
    return f"[0-9a-f]{{{len(text)}}}" if re.fullmatch("[0-9a-f]{8,}", text) else r"\d+(?:[.,]\d+)*"


class Terminal:
    """A shell in a folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def enter(self, line: str) -> None:
        """Without waiting for what it does."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{line}\n")
        self._shell.stdin.flush()

    def run(self, command: str) -> tuple[list[str], int]:
        """What it printed, and its exit code."""
        self.enter(f"{command}\necho; echo {_END} $?")
        said: list[str] = []
        assert self._shell.stdout is not None
        for line in self._shell.stdout:
            if line.startswith(_END):
                return said, int(line.split()[1])
            said.append(line.rstrip("\n"))
        raise AssertionError(f"the terminal is gone after {command}: {said}")

    def run_all(self, block: str) -> None:
        """The lines of a block; the last one stays in the foreground."""
        *first, last = map(typed, block.splitlines())
        for command in first:
            said, code = self.run(command)
            assert code == 0, (command, said)
        self.enter(last)

    def interrupt(self) -> None:
        """Ctrl-C, and no more lines: until what ran has ended."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGINT)
        self._shell.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.interrupt()


@pytest.fixture
def clone() -> Iterator[Path]:
    """A folder that looks like the repository's; what is written to it is written there alone."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for path in ROOT.iterdir():
            if path.name not in ("momus-home", "kafka-home", ".kafka", ".git"):
                (folder / path.name).symlink_to(path)
        yield folder


@pytest.fixture
def page() -> str:
    """Its text, with ports of this test's own."""
    text = PAGE.read_text()
    for port, own in zip(PORTS, free_ports(len(PORTS)), strict=True):
        text = text.replace(port, str(own))
    return text


@pytest.fixture
def environment(page: str) -> dict[str, str]:
    """Of the terminals: no setting but where this node answers. What it logs is not read, so it may not fill a pipe."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "XDG_CACHE_HOME") if name in os.environ}
    port = re.findall(r"http://127\.0\.0\.1:(\d+)/readyz", page)[0]
    return {**kept, "MOMUS_API__PORT": port, "MOMUS_METRICS__PORT": "0", "MOMUS_LOGGING__LEVEL": "error"}


def write_programs(folder: Path, text: str) -> None:
    for kind, block in fences(text):
        if kind.startswith("python "):
            (folder / kind.removeprefix("python ")).write_text(block)


def blocks(text: str, kind: str) -> list[str]:
    return [block for found, block in fences(text) if found == kind]


def talk(terminal: Terminal, block: str) -> None:
    """Type the commands of a console; each must print lines like those of the page, in their order."""
    for command, expected in dialogue(block):
        said, code = terminal.run(command)
        assert code in ({0, TIMED_OUT} if "--max-time" in command else {0}), (command, said)
        rest = iter(said)
        for line in expected:
            assert any(re.fullmatch(shape(line), each) for each in rest), (command, line, said)


def test_every_command_of_the_page_prints_what_the_page_shows(
    clone: Path, page: str, environment: dict[str, str]
) -> None:
    write_programs(clone, page)
    (starting,) = blocks(page, "sh")
    with Terminal(clone, environment) as first, Terminal(clone, environment) as second:
        first.run_all(starting)
        for block in blocks(page, "console"):
            talk(second, block)
        first.interrupt()
        broker, node = blocks(page, "sh kafka")
        (block,) = blocks(page, "console kafka")
        with Terminal(clone, environment) as third, Terminal(clone, environment) as broking:
            broking.run_all(f'export PATH="$PWD/.venv/bin:$PATH"\n{broker}')
            third.run_all(node)
            talk(second, block)
            third.interrupt()


def test_the_page_leaves_out_no_kind_of_block() -> None:
    kinds = {kind for kind, _ in fences(PAGE.read_text()) if not kind.startswith("python ")}
    assert kinds == {"sh", "console", "sh kafka", "console kafka"}


def test_what_the_readme_types_is_on_the_page() -> None:
    section = README.read_text().partition("## A first transaction in five minutes")[2].partition("\n## ")[0]
    typed_there = commands_of(section)
    assert typed_there
    assert set(typed_there) <= set(commands_of(PAGE.read_text()))


def test_the_shape_of_a_line_is_neither_any_line_nor_that_line_alone() -> None:
    line = "executed  89c0ff5ee90eaf1e  at height 2, final after 56 ms"
    assert re.fullmatch(shape(line), "executed  0123456789abcdef  at height 12, final after 1,056.5 ms ")
    assert not re.fullmatch(shape(line), "rejected  89c0ff5ee90eaf1e  at height 2, final after 56 ms")
    assert not re.fullmatch(shape(line), "executed  89c0ff5e  at height 2, final after 56 ms")
    assert not re.fullmatch(shape("2       5        204e3752  00000000"), "2       6        204e3752  00000000")

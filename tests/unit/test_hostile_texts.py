"""Nobody outside writes to our terminal or log: whatever a text holds, lines are ours and nothing moves or colours."""

import ast
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli import main as cli
from cli import output, status
from cli.output import Failure
from tests.patience import WAIT_S

ROOT = Path(__file__).parents[2]
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
NASTY = "\x00\x07\x08\t\r\n\x1b\x7f\x85\x9b\x9d\u2028\u2029\ufeff" + BIDI
ATTACKS = (
    "\x1b[2J\x1b[H\x1b[31mAll checks passed",
    "\x1b]0;title\x07\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\",
    "\x9b31m\x9d0;x\x9c",
    "paid \u202e000,1\u202c by \u2066bob\u2069",
    "a\r\nmomus: everything is well",
    "[bold red]FAILED[/] [link=http://evil]x[/link] :skull:",
    "\x00\x7f\ud800",
)
FACTS: dict[str, Any] = {
    "final_height": 1, "executed_height": 1, "sql_height": 1, "lag_blocks": 0, "lag_records": 0, "heads": [],
    "ready": False, "final_age_ms": 1, "waiting_records": 0,
}  # fmt: skip


def show_status(text: str) -> None:
    process = {"state": text, "pid": 1, "alive": True, "since_ms": None, "detail": text}
    facts = {
        "chain": text,
        "validator": text,
        "backbone": text,
        "database_url": text,
        "processes": {text: process},
        "reasons": [text],
    }
    status._print(FACTS | facts, Path("home"))


def show_error(text: str) -> None:
    def failing(**_: object) -> None:
        raise Failure(1, text)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cli, "make_app", lambda _: failing)
        assert cli.run_line(["status"]) == 1


PRINTING: dict[str, Callable[[str], object]] = {
    "text": lambda text: output.show(False, {}, text),
    "lines": lambda text: output.show(False, {}, [text, text]),
    "json": lambda text: output.show(True, {text.replace("\ud800", ""): text}, ""),
    "note": output.note,
    "rows": lambda text: output.show_rows([text, "b"], [[text, "x"], ["y", text]]),
    "table": lambda text: output.results.print(output.table([text], [[text]])),
    "error": show_error,
    "status": show_status,
}
"""Whatever commands print goes through one of these; the last test sees to that."""


def unsafe(text: str) -> set[str]:
    """What of a text a terminal would act on; ends of lines are looked at elsewhere."""
    return {each for each in text if each != "\n" and (unicodedata.category(each) in ("Cc", "Cs") or each in BIDI)}


def printed(capsys: pytest.CaptureFixture[str], print_: Callable[[str], object], text: str) -> str:
    capsys.readouterr()
    try:
        print_(text)
    except UnicodeEncodeError as error:
        pytest.fail(f"it cannot be printed: {error}")
    return "".join(capsys.readouterr())


@pytest.mark.parametrize("text", ATTACKS, ids=ascii)
@pytest.mark.parametrize("name", PRINTING)
def test_a_hostile_text_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str], name: str, text: str) -> None:
    found = printed(capsys, PRINTING[name], text)
    assert unsafe(found) == set()
    plain = re.sub(r"[^ -~]", "", text.split("\n")[0])[:8]
    assert name == "json" or re.sub(r"\\x..|\\u....", "", found).count(plain[-4:]), "the rest is still there"


@pytest.mark.parametrize("name", PRINTING)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(text=st.text(st.one_of(st.sampled_from(NASTY), st.characters(), st.sampled_from("[]:/bold red")), max_size=40))
def test_any_text_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str], name: str, text: str) -> None:
    assert unsafe(printed(capsys, PRINTING[name], text)) == set()


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", "[link=http://evil]x[/link]", ":skull:", "[bold"])
@pytest.mark.parametrize("name", ["text", "lines", "note", "rows", "table", "error", "status"])
def test_markup_in_a_text_is_text(capsys: pytest.CaptureFixture[str], name: str, text: str) -> None:
    assert text in printed(capsys, PRINTING[name], text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x85", "\u2028", "\x0b"])
def test_a_text_makes_no_line_of_a_table_or_list(capsys: pytest.CaptureFixture[str], end: str) -> None:
    forged = f"a{end}momus: all is well"
    assert len(printed(capsys, PRINTING["lines"], forged).splitlines()) == 2
    assert len(printed(capsys, PRINTING["rows"], forged).splitlines()) == 3


def _prints(tree: ast.AST) -> set[str]:
    names = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {
        name for name in names if re.fullmatch(r"print|Console|(typer|click)\.(s?echo)|sys\.std(out|err)\.write", name)
    }


def test_commands_print_in_one_place_only() -> None:
    found = {
        str(file.relative_to(ROOT)): names
        for file in sorted((ROOT / "cli").rglob("*.py"))
        if (names := _prints(ast.parse(file.read_text())))
    }
    assert found == {"cli/output.py": {"typer.echo"}}


NOISE = r"""
import asyncio, gc, logging, sys, threading, warnings
from pathlib import Path
import structlog
from node.process.logging import start_logging
from node.settings.tree import LoggingSettings

start_logging(LoggingSettings(format=sys.argv[1]), Path("."), "test")
hostile = "\x1b[31m \u202e \x9b \n{\"event\": \"forged\"}"
for _ in range(5_000):
    logging.getLogger("a server").warning("Unsupported upgrade request.")
    structlog.get_logger().warning("refused", reason=hostile)
logging.getLogger("a library").error("bad request: %s", hostile)
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("another").exception(hostile)
warnings.warn(hostile)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()

class Late:
    def __del__(self):
        raise ValueError(hostile)

del Late

async def lost():
    asyncio.get_running_loop().create_future().set_exception(ValueError(hostile))
    gc.collect()

asyncio.run(lost())
class Once:
    def __del__(self):
        raise ValueError(hostile)
Once()
raise RuntimeError(hostile)
"""
LINES_MAX = 2 * 150 + 40


def noise(format_: str) -> list[str]:
    """What a process writes to which everything happens."""
    done = subprocess.run(
        [sys.executable, "-c", NOISE, format_],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.stdout == ""
    assert done.returncode == 1
    return done.stderr.split("\n")[:-1]


def _is_ours(line: str) -> bool:
    try:
        event = json.loads(line)
    except ValueError:
        return False
    return isinstance(event, dict) and event.keys() >= {"event", "level", "timestamp", "process"}


def test_every_line_of_a_process_is_an_event_of_ours_and_their_number_is_bounded() -> None:
    lines = noise("json")
    assert [line for line in lines if not _is_ours(line)] == []
    assert len(lines) <= LINES_MAX
    events = [json.loads(line) for line in lines]
    assert {"refused", "message of a library", "an exception that nobody caught"} <= {each["event"] for each in events}
    assert "forged" not in {each["event"] for each in events}
    libraries = {each.get("library") for each in events}
    assert libraries >= {"a server", "a library", "another", "warnings", "asyncio"}


def test_lines_for_people_hold_nothing_that_a_terminal_obeys() -> None:
    lines = noise("console")
    assert unsafe("".join(lines)) == set()
    assert not any(line.startswith('{"event": "forged"}') for line in lines)

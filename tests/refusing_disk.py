"""All commands on a home that the disk refuses: `python -m tests.refusing_disk HOME STATE`, on a machine of its own
(tests.fresh_machine). Prints JSON: for each command line its exit code, what it said, and a traceback if there was one.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from cli.main import run_line

HEX = "00" * 32
LINES = (
    ("run",),
    ("submit", "transfer", "dev", "5", "--to", HEX, "--timeout", "1"),
    ("tx", HEX),
    ("status",),
    ("peers",),
    ("admin", "token", "list"),
    ("admin", "token", "add", "x", "--role", "viewer"),
    ("admin", "pause", "--why", "x"),
    ("effects", "create"),
    ("sql", "select 1"),
    ("replay",),
    ("replay", "--from", "log"),
    ("audit",),
    ("drill",),
    ("snapshots",),
    ("recover",),
    ("at", "--height", "1"),
    ("prove", "balance", "dev", HEX),
    *(("process", name) for name in ("order", "execute", "peers", "drills", "api", "effects")),
)
WITHOUT_HOME = (
    ("init", "--home", "{home}"),
    ("init", "--home", "{home}/below"),
    ("keys", "new", "--key", "{home}/key.json"),
    ("genesis", "add", "--draft", "{home}/d.json", "--name", "a", "--public-key", HEX, "--chain", "c"),
    ("genesis", "seal", "--draft", "{home}/d.json", "--out", "{home}/g.json", "--kafka", "127.0.0.1:1"),
    ("verify", "{home}/proof", "--genesis", "{home}/genesis.json"),
    ("kafka", "--folder", "{home}/kafka"),
    ("demo", "--scratch", "{home}/demo"),
)


def _mounted(home: Path, size: str) -> None:
    """A disk of its own with the same content."""
    kept = home.with_name("kept")
    home.rename(kept)
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(home)], check=True)
    subprocess.run(["cp", "-a", f"{kept}/.", str(home)], check=True)


def absent(home: Path) -> None:
    """Nobody made it."""
    home.rename(home.with_name("kept"))


def no_folder(home: Path) -> None:
    """A file is in its place."""
    absent(home)
    home.write_text("a letter")


def read_only(home: Path) -> None:
    """Its disk cannot be written."""
    _mounted(home, "200m")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(home)], check=True)


def full(home: Path) -> None:
    """Its disk takes nothing more."""
    _mounted(home, "120m")
    with (home / "filling").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return


STATES: dict[str, Callable[[Path], None]] = {made.__name__: made for made in (absent, no_folder, read_only, full)}


def typed(words: tuple[str, ...]) -> dict[str, object]:
    """In this process: to load everything for each anew takes most of the time."""
    said, thrown = StringIO(), ""
    code: object = None
    with redirect_stderr(said), redirect_stdout(StringIO()):
        try:
            code = run_line(words)
        except BaseException:  # noqa: BLE001
            # It is what is looked for.
            thrown = traceback.format_exc()
    return {"words": list(words), "code": code, "said": said.getvalue(), "thrown": thrown}


def main() -> None:
    """As the module says."""
    home, state = Path(sys.argv[1]), sys.argv[2]
    STATES[state](home)
    os.environ["MOMUS_HOME"] = str(home)
    lines = [line for line in LINES if state != "full" or line[0] != "process"]
    if state != "absent":
        lines += [tuple(word.format(home=home) for word in line) for line in WITHOUT_HOME]
    print(json.dumps([typed(line) for line in lines]))


if __name__ == "__main__":
    main()

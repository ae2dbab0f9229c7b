"""Several processes make one home at once, or one is ended: `python -m tests.make_at_once FOLDER URL_FILE HOW`.

Prints JSON, for each round: what each of them was told (null: it was made), and the files of keys that are left.
"""

import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from cli.main import run_line
from node.home.keystore import KeyUnusable
from node.home.layout import Home, HomeUnusable
from node.setup.make_home import Made, Plan, make_homes
from node.setup.make_settings import Endpoints

AT_ONCE = 2


def plan(url_file: str) -> Plan:
    """Of one validator, on a database that is there already."""
    return Plan("orchard", ("apple",), 1, 1, Endpoints(None, None, url_file, None), False)


def making(folder: Path, url_file: str, go: int) -> tuple[int, int]:
    """A process that waits for `go` and makes it, and where it says what came of that."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(go, 1)
        try:
            make_homes(folder, plan(url_file))
            told = None
        except (HomeUnusable, KeyUnusable, OSError) as error:
            told = f"{type(error).__name__}: {error}"
        os.write(theirs, json.dumps(told).encode())
        os._exit(0)
    os.close(theirs)
    return pid, ours


def at_once(folder: Path, url_file: str) -> dict[str, object]:
    """One round."""
    waiting, go = os.pipe()
    makers = [making(folder, url_file, waiting) for _ in range(AT_ONCE)]
    os.write(go, b"!" * AT_ONCE)
    told = []
    for pid, where in makers:
        with os.fdopen(where, "rb") as stream:
            told.append(json.loads(stream.read()))
        os.waitpid(pid, 0)
    home = Home(folder)
    files = [home.validator_key_file, home.genesis_file, home.settings_file, home.journal_file, home.own_token_file]
    return {"told": told, "left": [file.name for file in files if file.exists()]}


def killed(folder: Path, url_file: str) -> int:
    """The signal that ended a process which was killed when it had made all but the end."""
    pid = os.fork()
    if pid == 0:
        make_homes(folder, plan(url_file), lambda made: os.kill(os.getpid(), signal.SIGKILL))
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


def terminated(folder: Path, url_file: str) -> int:
    """The exit code of a `momus init` that gets SIGTERM when it has made all but the end."""

    def make(folder: Path, plan: Plan, _: object) -> Made:
        return make_homes(folder, plan, lambda made: os.kill(os.getpid(), signal.SIGTERM))

    vars(import_module("cli.init"))["make_homes"] = make
    return run_line(["init", "--home", str(folder), "--postgres", Path(url_file).read_text()])


if __name__ == "__main__":
    where, url, rounds = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if rounds == "killed":
        print(killed(where, url))
    elif rounds == "terminated":
        print(terminated(where, url))
    else:
        print(json.dumps([at_once(where / str(number), url) for number in range(int(rounds))]))

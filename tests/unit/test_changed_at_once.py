"""Files of a home that several processes, or threads, change at the same time: no change is lost, nothing is torn."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from ledger.genesis import parse_genesis
from node.home.actions import DONE, Actions
from node.home.checkpoint_mailbox import MailboxReader
from node.home.control import Control, ControlFile
from node.home.evidence import EvidenceFolder, settled_height
from node.home.files import replace_file
from node.home.known_peers import read_known
from node.home.layout import Home
from node.home.tokens import Tokens
from node.setup.draft import UNSEALED
from tests.builders import genesis

PROCESSES = 6
TIMES = 25


def at_once(place: Path, code: str, processes: int = PROCESSES) -> None:
    """Run what stands below the line of `code`, which knows `place` and its own number `me`, in so many processes that
    begin it together."""
    head, _, body = code.partition("----\n")
    forks = f"""
import os, sys
from pathlib import Path
place = Path(sys.argv[1])
{head}
begin, wait = os.pipe()[::-1]
pids = []
for me in range({processes}):
    pids.append(os.fork())
    if not pids[-1]:
        os.close(begin)
        os.read(wait, 1)
        break
else:
    os.close(begin)
    sys.exit(sum(os.waitpid(pid, 0)[1] != 0 for pid in pids))
{body}"""
    done = subprocess.run([sys.executable, "-c", forks, str(place)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


TOKENS_ADDED = f"""from node.home.tokens import Tokens
----
for number in range({TIMES}):
    Tokens(place / "tokens.json").add(f"{{me}}-{{number}}", "viewer")
"""
TOKENS_REMOVED = f"""from node.home.tokens import Tokens
----
for number in range({TIMES}):
    Tokens(place / "tokens.json").remove(f"{{me}}-{{number}}")
"""
CONTROL = f"""from node.home.control import ControlFile
changes = [("paused", ["order"]), ("log_level", "debug"), ("snapshot_from", 7), ("prune_to", 5)]
----
for number in range({TIMES}):
    name, wanted = changes[me]
    ControlFile(place / "control.json").change(**{{name: wanted if number == {TIMES} - 1 else type(wanted)()}})
"""
SETTLED = f"""from node.home.evidence import EvidenceFolder, settle
----
for number in range({TIMES}):
    EvidenceFolder(place / "evidence").report("fork", {{"height": {PROCESSES} * number + me}})
    settle(place / "evidence")
"""
EVIDENCE = """from node.home import evidence
evidence.FILES_MAX = 10
----
for number in range(20):
    evidence.EvidenceFolder(place / "evidence").report("evidence", {"by": me, "number": number})
"""
CLAIMS = f"""from ledger.checkpoint import Checkpoint
from node.home.checkpoint_mailbox import MailboxWriter
from tests.builders import genesis
chain = genesis(4)
writer = MailboxWriter(place / "claims")
----
for number in range({TIMES}):
    writer.add([Checkpoint(0, number + 1, bytes(32), chain.empty_heads(), bytes(32), chain.digest)])
"""
PEERS = f"""from node.home.known_peers import Known, write_known
from node.home.layout import Home
home = Home(place)
home.make_folders()
----
for number in range({TIMES}):
    write_known(home, Known({{}}, me), 0)
"""


def _all_tokens(place: Path) -> None:
    names = {each.name for each in Tokens(place / "tokens.json").all()}
    assert names == {f"{me}-{number}" for me in range(PROCESSES) for number in range(TIMES)}


def _no_tokens(place: Path) -> None:
    assert [*Tokens(place / "tokens.json").all()] == []


def _all_that_is_wanted(place: Path) -> None:
    assert ControlFile(place / "control.json").read() == Control(("order",), "debug", 7, 5)


def _highest_settled(place: Path) -> None:
    assert settled_height(place / "evidence") == PROCESSES * TIMES - 1


def _bounded(place: Path) -> None:
    assert len([*(place / "evidence").glob("*.json")]) == 10


def _claims_whole(place: Path) -> None:
    assert [claim.height for claim in MailboxReader(place / "claims", genesis(4)).read()] == [*range(1, TIMES + 1)]


def _peers_whole(place: Path) -> None:
    assert read_known(Home(place)).sent_sequence in range(PROCESSES)


def _with_tokens(place: Path) -> None:
    for me in range(PROCESSES):
        for number in range(TIMES):
            Tokens(place / "tokens.json").add(f"{me}-{number}", "viewer")


def _empty(place: Path) -> None:
    (place / "evidence").mkdir()


@pytest.mark.parametrize(
    ("before", "code", "processes", "after"),
    [
        pytest.param(_empty, TOKENS_ADDED, PROCESSES, _all_tokens, id="tokens added"),
        pytest.param(_with_tokens, TOKENS_REMOVED, PROCESSES, _no_tokens, id="tokens removed"),
        pytest.param(_empty, CONTROL, 4, _all_that_is_wanted, id="control"),
        pytest.param(_empty, SETTLED, PROCESSES, _highest_settled, id="forks settled"),
        pytest.param(_empty, EVIDENCE, PROCESSES, _bounded, id="evidence bounded"),
        pytest.param(_empty, CLAIMS, PROCESSES, _claims_whole, id="claims"),
        pytest.param(_empty, PEERS, PROCESSES, _peers_whole, id="peers"),
    ],
)
def test_no_change_is_lost(
    tmp_path: Path, before: Callable[[Path], None], code: str, processes: int, after: Callable[[Path], None]
) -> None:
    before(tmp_path)
    at_once(tmp_path, code, processes)
    after(tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.name.startswith(".") or file.suffix == ".new"] == []


DRAFTED = """from ledger.keys import PrivateKey
from cli.main import run_line
first = ["--chain", "many"] if not place.exists() else []
def added(name):
    key = PrivateKey.from_seed(name.encode() * 16).public_key.hex()
    return run_line(["genesis", "add", "--json", "--draft", str(place), "--name", name, "--public-key", key, *first])
assert not first or added("v6") == 0
first = []
----
assert added(f"v{me}") == 0
"""


def test_no_entry_of_a_draft_is_lost(tmp_path: Path) -> None:
    draft = tmp_path / "genesis-draft.json"
    at_once(draft, DRAFTED)
    made = parse_genesis(draft.read_bytes())
    assert made.topic_id == UNSEALED
    assert sorted(each.name for each in made.validators) == [f"v{number}" for number in range(PROCESSES + 1)]


def test_one_process_writes_down_actions_and_another_is_told_so(tmp_path: Path) -> None:
    held = Actions(tmp_path / "actions.jsonl")
    begun = held.begin("ann", "operator", "drill", {}, "every night")
    with pytest.raises(OSError, match="another process writes down actions"):
        Actions(tmp_path / "actions.jsonl")
    held.end(begun, DONE)
    held.close()
    again = Actions(tmp_path / "actions.jsonl")
    assert [each.outcome for each in again.newest(10)] == [DONE]
    again.close()


def test_threads_that_replace_one_file_do_not_tear_it(tmp_path: Path) -> None:
    file, begin = tmp_path / "file", Barrier(8)

    def write(number: int) -> None:
        begin.wait()
        for _ in range(TIMES):
            replace_file(file, json.dumps([number] * 1_000).encode(), durable=False)

    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(write, range(8))] == [None] * 8
    assert len(set(json.loads(file.read_bytes()))) == 1
    assert [*tmp_path.iterdir()] == [file]


def test_what_could_not_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "file", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_evidence_of_many_processes_is_kept_once(tmp_path: Path) -> None:
    code = """from node.home.evidence import EvidenceFolder
----
EvidenceFolder(place / "evidence").report("fork", {"height": 3})
"""
    at_once(tmp_path, code)
    EvidenceFolder(tmp_path / "evidence").report("fork", {"height": 3})
    assert len([*(tmp_path / "evidence").iterdir()]) == 1

"""When a node is ready, and each reason why it is not, from the files that its processes write."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from backbone.store import StoreWriter
from consensus.runtime.clock import SteadyClock
from ledger.header import Epoch, Header, encode_header
from node.home import status
from node.home.control import ControlFile
from node.home.known_peers import Known, write_known
from node.home.layout import Home
from node.home.progress import ProgressFile
from node.home.status import StatusFile
from node.ordering.clock import ToldClock
from node.settings.tree import Settings, read_settings
from node.supervision.health import health_of
from node.supervision.verdict import BEHIND_BLOCKS_MAX
from sync.registry import Heard
from tests.builders import genesis, genesis_bytes
from tests.unit.test_node_record import RECORD

VALIDATORS = 4
CHAIN = genesis(VALIDATORS)
KEYS = [validator.consensus_key for validator in CHAIN.validators]
FINAL = BEHIND_BLOCKS_MAX + 7
NO_SUCH_PID = 2**22 + 1
SETTINGS = read_settings(None, {"MOMUS_VALIDATOR": "v0", "MOMUS_POSTGRES__URL": "postgresql://elsewhere/momus"})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Of a node that is well."""
    home = Home(tmp_path / "home")
    home.make_folders()
    home.genesis_file.write_bytes(genesis_bytes(VALIDATORS))
    for name in ("supervisor", "order", "execute"):
        StatusFile(home.status_file(name)).write(status.RUNNING)
    with StoreWriter(home.store, 1 << 20) as writer:
        for height in range(1, FINAL + 1):
            writer.append_final(height, header_bytes(height, height), b"proof")
    executed(home, FINAL)
    hear(home, dict.fromkeys(range(VALIDATORS), FINAL))
    return home


def header_bytes(height: int, time_ms: int) -> bytes:
    return encode_header(Header(1, Epoch(0), height, height - 1, bytes(32), height, 0, time_ms, CHAIN.empty_heads()))


def append_final(home: Home, height: int, time_ms: int) -> None:
    with StoreWriter(home.store, 1 << 20) as writer:
        writer.append_final(height, header_bytes(height, time_ms), b"proof")


def executed(home: Home, height: int) -> None:
    progress = ProgressFile(home.progress_file)
    progress.write(height, CHAIN.empty_heads())
    progress.close()


def hear(home: Home, heights: dict[int, int]) -> None:
    """The validators that are heard, and the heights that they say."""
    heard = {KEYS[of]: Heard(replace(RECORD, height=height), 0, height) for of, height in heights.items()}
    write_known(home, Known(heard), now_ms=0)


def reasons(home: Home, settings: Settings = SETTINGS) -> list[str]:
    health = health_of(home, settings)
    document = health.document()
    assert (document["ready"], document["reasons"]) == (not health.reasons, list(health.reasons))
    return list(health.reasons)


def test_a_node_that_runs_and_is_where_the_others_are_is_ready(home: Home) -> None:
    assert reasons(home) == []


@pytest.mark.parametrize(
    ("folder", "what"),
    [("journal", "the journal"), ("pg", "the embedded Postgres")],
)
def test_a_folder_on_a_disk_of_its_own_is_watched_too(home: Home, folder: str, what: str) -> None:
    place = home.path / folder
    if place.exists():
        place.rmdir()
    place.symlink_to("/proc")  # nothing is free there
    assert reasons(home) == [f"The disk of {what} is full: 0 MiB are free."]


@pytest.mark.parametrize(
    ("state", "pid", "said"),
    [
        (status.STARTING, None, "order is starting: why."),
        (status.HALTED, None, "order is halted: why."),
        (status.CRASHED, None, "order is crashed: why."),
        (status.DRAINING, None, "order is draining: why."),
        (status.RUNNING, NO_SUCH_PID, "order is gone: why."),
        (status.DRAINING, NO_SUCH_PID, "order is gone: why."),
    ],
)
def test_a_process_that_does_not_run_is_named_with_its_own_words(
    home: Home, state: str, pid: int | None, said: str
) -> None:
    StatusFile(home.status_file("order")).write(state, "why.", pid)
    assert reasons(home) == [said]


@pytest.mark.parametrize(
    ("state", "pid", "said"),
    [
        (status.CRASHED, None, ["drills is crashed."]),
        (status.RUNNING, NO_SUCH_PID, ["drills is gone."]),
        (status.HALTED, None, ["drills is halted."]),
        (status.PAUSED, None, []),
        (status.STOPPED, None, []),
        (status.STARTING, None, []),
    ],
)
def test_a_process_that_ended_unasked_is_a_reason_where_the_settings_want_it(
    home: Home, state: str, pid: int | None, said: list[str]
) -> None:
    StatusFile(home.status_file("drills")).write(state, pid=pid)
    without = SETTINGS.model_copy(update={"drills": SETTINGS.drills.model_copy(update={"every_ms": 0})})
    assert reasons(home, without) == []
    every_hour = SETTINGS.model_copy(update={"drills": SETTINGS.drills.model_copy(update={"every_ms": 3_600_000})})
    assert reasons(home, every_hour) == said


def test_an_embedded_database_is_needed_and_one_elsewhere_is_not_looked_for(home: Home) -> None:
    assert reasons(home, read_settings(None, {"MOMUS_VALIDATOR": "v0"})) == ["postgres was never started."]


def test_a_paused_process_is_told_of_with_what_lets_it_go_on(home: Home) -> None:
    ControlFile(home.control_file).change(paused=["execute"])
    assert reasons(home) == ["execute is paused; `momus admin resume` lets it go on."]


@pytest.mark.parametrize(("behind", "is_told"), [(BEHIND_BLOCKS_MAX, False), (BEHIND_BLOCKS_MAX + 1, True)])
def test_a_database_that_is_behind_is_told_of(home: Home, behind: int, is_told: bool) -> None:
    executed(home, FINAL - behind)
    assert reasons(home) == ([f"The database is {behind} blocks behind the chain."] if is_told else [])


def test_fewer_than_a_quorum_that_are_heard_are_a_reason(home: Home) -> None:
    hear(home, {0: FINAL, 1: FINAL, 2: FINAL})
    assert reasons(home) == []
    hear(home, {0: FINAL, 1: FINAL})
    assert reasons(home) == ["Only 2 of 4 validators are heard of, this one among them: no quorum."]


def test_what_one_says_of_a_chain_far_ahead_is_not_believed_and_what_two_of_four_say_is(home: Home) -> None:
    far = FINAL + BEHIND_BLOCKS_MAX + 1
    hear(home, {0: FINAL, 1: 1 << 60, 2: FINAL, 3: FINAL})
    assert reasons(home) == []
    hear(home, {0: FINAL, 1: 1 << 60, 2: far, 3: FINAL})
    assert reasons(home) == [f"This node is {far - FINAL} blocks behind the others."]


def test_a_home_without_a_genesis_is_said_and_nothing_raises(home: Home) -> None:
    home.genesis_file.unlink()
    assert reasons(home)


def test_a_chain_whose_time_is_ahead_of_the_own_clock_is_a_reason(home: Home) -> None:
    append_final(home, FINAL + 1, time_ms=time.time_ns() // 1_000_000 + 86_400_000)
    executed(home, FINAL + 1)
    said = reasons(home)
    assert len(said) == 1
    assert "ahead of this machine's clock" in said[0]


@pytest.mark.parametrize("doubted_ms", [86_400_000, -86_400_000])
def test_a_clock_that_was_set_while_the_node_ran_is_a_reason(home: Home, doubted_ms: int) -> None:
    wall_s = [1_000_000.0]
    clock = ToldClock(home.clock_file, 0, SteadyClock(lambda: 0.0, lambda: wall_s[0]))
    assert reasons(home) == []
    wall_s[0] += doubted_ms / 1000
    clock.ahead_ms()
    clock.close()
    assert [sentence.startswith("This machine's clock was set 1.0 days ") for sentence in reasons(home)] == [True]

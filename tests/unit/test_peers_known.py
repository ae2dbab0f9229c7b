"""The file of what is known of the others, and the rows that are made of it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ledger.committee import Committees
from node.home import known_peers as discovery
from node.home.context import NodeContext
from node.home.known_peers import Known, Peer, peers, peers_of, read_known, write_known
from node.home.layout import Home
from sync.registry import Heard
from tests.builders import genesis, genesis_bytes
from tests.unit.test_node_record import RECORD

GENESIS = genesis(3)
COMMITTEE = Committees.of(GENESIS).current
KEYS = [validator.consensus_key for validator in GENESIS.validators]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make_folders()
    home.genesis_file.write_bytes(genesis_bytes(3))
    home.settings_file.write_text('validator = "v1"\n')
    return home


def context(home: Home) -> NodeContext:
    return NodeContext.at(home, home.settings({}))


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The wall clock, ms; a test may set it."""
    now = [1_700_000_000_000]
    monkeypatch.setattr(discovery, "_wall_ms", lambda: now[0])
    return now


def test_every_validator_of_genesis_has_a_row_in_its_order(home: Home) -> None:
    write_known(home, Known({KEYS[1]: Heard(RECORD, 0, 20)}), now_ms=0)
    rows = peers(context(home))
    assert [(row.validator, row.is_self, row.state) for row in rows] == [
        ("v0", False, "never seen"), ("v1", True, "fresh"), ("v2", False, "never seen"),
    ]  # fmt: skip
    assert rows[0] == Peer("v0", KEYS[0].hex(), False, "never seen")
    assert rows[1].height == RECORD.height
    assert rows[1].behind_blocks == 20 - RECORD.height
    assert rows[1].sync_address == RECORD.sync_address
    json.dumps([asdict(row) for row in rows])


def test_age_goes_on_while_nobody_writes(home: Home, wall: list[int]) -> None:
    write_known(home, Known({KEYS[0]: Heard(RECORD, 1_000, 0)}), now_ms=11_000)
    wall[0] += 20_000
    assert (peers(context(home))[0].age_ms, peers(context(home))[0].state) == (30_000, "fresh")
    wall[0] += 6_000
    assert (peers(context(home))[0].age_ms, peers(context(home))[0].state) == (36_000, "expired")


def test_wall_clock_that_is_set_back_makes_nobody_younger(home: Home, wall: list[int]) -> None:
    write_known(home, Known({KEYS[0]: Heard(RECORD, 1_000, 0)}), now_ms=11_000)
    wall[0] -= 3_600_000
    assert peers(context(home))[0].age_ms == 10_000


def test_what_was_known_is_known_after_a_restart(home: Home, wall: list[int]) -> None:
    known = Known({KEYS[0]: Heard(RECORD, 400, 3), KEYS[2]: Heard(replace(RECORD, roles=()), 500, 4)}, 77)
    write_known(home, known, now_ms=1_000)
    assert read_known(home) == Known(
        {KEYS[0]: Heard(RECORD, -600, 3), KEYS[2]: Heard(replace(RECORD, roles=()), -500, 4)}, 77
    )


def test_rows_can_be_made_of_what_is_in_memory() -> None:
    (row, *_) = peers_of(COMMITTEE, Known({KEYS[0]: Heard(RECORD, 0, 20)}), "v0", now_ms=RECORD.valid_for_ms + 1)
    assert (row.state, row.is_self, row.age_ms) == ("expired", True, RECORD.valid_for_ms + 1)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"format": 9}', b'{"format": 1, "written_ms": 1, "heard": [{}]}', b"\xff"]
)
def test_file_that_is_damaged_is_as_none(home: Home, content: bytes) -> None:
    home.peers_file.write_bytes(content)
    assert read_known(home) == Known({})
    assert {row.state for row in peers(context(home))} == {"never seen"}


def test_home_without_the_file_knows_nobody(home: Home) -> None:
    assert read_known(home) == Known({})

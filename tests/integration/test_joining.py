"""Organisations that do not share a machine make a chain: keys, a draft that goes round, one seal, a home each."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from backbone.log.embedded import EmbeddedLog
from cli.main import run_line
from ledger.committee import Committees
from node import wiring
from node.home.layout import Home

pytestmark = [pytest.mark.postgres]
PARTIES = ("apple", "pear", "plum")

Run = Callable[..., Any]


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line; what it printed as JSON, or what it said where it failed."""

    def run(*arguments: object, code: int = 0) -> Any:
        assert run_line([*map(str, arguments), "--json"]) == code, capsys.readouterr().err
        told = capsys.readouterr()
        return told.err if code else json.loads(told.out)

    return run


def draft_of(folder: Path, run: Run) -> Path:
    """Each party's key stays with it; only its public part goes into the draft."""
    draft = folder / "draft.json"
    for number, name in enumerate(PARTIES):
        key = run("keys", "new", "--key", folder / f"{name}.json")
        first = ["--chain", "orchard"] if number == 0 else []
        added = ["--name", name, "--public-key", key["public_key"], "--power", number + 1]
        run("genesis", "add", "--draft", draft, *added, *first)
    return draft


def seal(folder: Path, run: Run, draft: Path) -> Any:
    place = ["--backbone", "embedded", "--log-path", folder / "log"]
    return run("genesis", "seal", "--draft", draft, "--out", folder / "genesis.json", *place)


def init(folder: Path, party: str, url: str) -> list[object]:
    """The command line of one party."""
    (folder / f"{party}.url").write_text(url)
    return [
        *("init", "--home", folder / f"{party}-home", "--genesis", folder / "genesis.json"),
        *("--key", folder / f"{party}.json", "--log-path", folder / "log", "--postgres", folder / f"{party}.url"),
    ]


def test_parties_that_hand_a_draft_round_get_a_home_each_on_one_chain(
    folder: Path, run: Run, new_database: Callable[[], str]
) -> None:
    sealed = seal(folder, run, draft_of(folder, run))
    made = [run(*init(folder, party, new_database())) for party in PARTIES]
    assert {told["genesis_digest"] for told in made} == {sealed["genesis_digest"]}
    for number, party in enumerate(PARTIES):
        home = Home(folder / f"{party}-home")
        genesis, settings = home.genesis(), home.settings({})
        seat = genesis.validators[number]
        assert (settings.validator, seat.name, seat.power) == (party, party, number + 1)
        assert wiring.validator_key(home, settings, Committees.of(genesis).current).public_key == seat.consensus_key
        assert home.journal_file.exists()


def test_sealing_makes_the_topics_of_the_chain_and_never_twice(folder: Path, run: Run) -> None:
    draft = draft_of(folder, run)
    sealed = seal(folder, run, draft)
    log = EmbeddedLog(folder / "log")
    assert sealed["topics"][2:] == [
        "momus.orchard.checkpoints",
        *(f"momus.orchard.consensus.{party}" for party in PARTIES),
        "momus.orchard.registry",
    ]
    assert [log.describe(topic).partitions for topic in sealed["topics"]] == [4, 1, 1, 1, 1, 1, 1]
    place = ["--backbone", "embedded", "--log-path", folder / "log"]
    again = ["genesis", "seal", *place, "--out", folder / "again.json", "--draft"]
    assert "exists already" in run(*again, draft, code=2)
    assert "is sealed" in run(*again, folder / "genesis.json", code=2)


def test_draft_is_refused_as_a_genesis(folder: Path, run: Run) -> None:
    draft = draft_of(folder, run)
    told = run("init", "--home", folder / "home", "--genesis", draft, "--key", folder / "plum.json", code=2)
    assert "is a draft" in told
    assert not (folder / "home").exists()


@pytest.mark.parametrize("twice", ["name", "key"])
def test_name_or_key_that_is_in_the_draft_already_is_refused(folder: Path, run: Run, twice: str) -> None:
    draft = draft_of(folder, run)
    before = draft.read_bytes()
    run("keys", "new", "--key", folder / "new.json")
    name, key = ("plum", "new.json") if twice == "name" else ("quince", "plum.json")
    told = run("genesis", "add", "--draft", draft, "--name", name, "--key", folder / key, code=2)
    assert "must be another" in told
    assert draft.read_bytes() == before


def test_key_that_genesis_does_not_name_gets_no_home(folder: Path, run: Run) -> None:
    seal(folder, run, draft_of(folder, run))
    run("keys", "new", "--key", folder / "stranger.json")
    assert "names no validator" in run(*init(folder, "stranger", "postgresql:///nowhere"), code=2)
    assert not (folder / "stranger-home").exists()


def test_log_without_the_topics_of_genesis_gets_no_home(folder: Path, run: Run, postgres_url: str) -> None:
    seal(folder, run, draft_of(folder, run))
    elsewhere = init(folder, "pear", postgres_url)
    elsewhere[elsewhere.index("--log-path") + 1] = folder / "another-log"
    assert "genesis seal" in run(*elsewhere, code=3)
    assert not (folder / "pear-home").exists()


def test_key_file_is_never_overwritten(folder: Path, run: Run) -> None:
    key = run("keys", "new", "--key", folder / "key.json")
    assert "never overwritten" in run("keys", "new", "--key", folder / "key.json", code=2)
    assert json.loads((folder / "key.json").read_text())["public_key"] == key["public_key"]

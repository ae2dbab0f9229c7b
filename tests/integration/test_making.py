"""A home is made once, by one, whole or not at all; what somebody closed stays closed, and so is a home."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backbone.log import TopicExists
from backbone.log.embedded import EmbeddedLog
from backbone.topics import chain_topics
from cli.main import run_line
from lab.demo.scratch import ScratchTaken, fresh_scratch
from ledger.errors import Unavailable
from node.home import exits
from node.home.layout import Home
from node.home.locks import command_lock
from tests.fresh_machine import ORDINARY, on_fresh_machine
from tests.home_modes import open_to_others

pytestmark = [pytest.mark.postgres]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def url_file(tmp_path: Path, postgres_url: str) -> Path:
    file = tmp_path / "url"
    file.write_text(postgres_url)
    return file


@pytest.fixture
def users_umask() -> Iterator[None]:
    """As most have it: others may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def make_at_once(folder: Path, url_file: Path, how: str) -> str:
    argv = [sys.executable, "-m", "tests.make_at_once", str(folder), str(url_file), how]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_of_two_that_make_one_home_at_once_one_does_and_the_other_touches_nothing(
    tmp_path: Path, url_file: Path
) -> None:
    for made in json.loads(make_at_once(tmp_path, url_file, "3")):
        assert made["left"] == ["validator.json", "genesis.json", "momus.toml", "statements", "admin.token"]
        assert [told for told in made["told"] if told is None] == [None]
        assert [told.split(":")[0] for told in made["told"] if told] == ["HomeUnusable"]


def test_what_a_killed_init_left_is_no_home_and_is_not_removed(
    tmp_path: Path, url_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    assert int(make_at_once(home, url_file, "killed")) == 9
    before = sorted(home.rglob("*"))
    for command in (["init"], ["run"], ["status"]):
        assert run_line([*command, "--home", str(home)]) == 2
        assert "is not whole" in (told := capsys.readouterr().err)
        assert "emove" in told
    assert sorted(home.rglob("*")) == before


def test_init_that_is_asked_to_stop_takes_back_what_it_made(tmp_path: Path, url_file: Path) -> None:
    home = tmp_path / "new" / "home"
    assert make_at_once(home, url_file, "terminated").split()[-1] != "0"
    assert list(tmp_path.iterdir()) == [url_file]


def test_a_link_to_what_is_not_there_is_no_place_for_a_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (link := tmp_path / "home").symlink_to(tmp_path / "gone")
    assert run_line(["init", "--home", str(link)]) == 2
    assert "is a link to what is not there" in capsys.readouterr().err


def test_init_that_fails_leaves_the_folder_that_was_there_and_none_that_it_made(tmp_path: Path) -> None:
    given, failing = tmp_path / "given", ["--postgres", f"postgresql://nobody@/none?host={tmp_path}&port=1"]
    given.mkdir()
    assert run_line(["init", "--home", str(given), *failing]) == 4
    assert list(given.iterdir()) == []
    assert run_line(["init", "--home", str(tmp_path / "new" / "deep" / "home"), *failing]) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


@pytest.mark.usefixtures("users_umask")
def test_folders_above_a_home_stay_closed_and_the_home_is_its_owners_alone(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "below" / "home"
    assert run_line(["init", "--home", str(home), "--dev"]) == 0
    above = [path for path in (closed, tmp_path, tmp_path.parent) if path.stat().st_mode & 0o001]
    assert above == []
    assert open_to_others(home) == []


def test_topics_that_another_makes_at_the_same_time_are_left_to_it(tmp_path: Path) -> None:
    specs = chain_topics("orchard", ["apple"], 1, 1)
    log = EmbeddedLog(tmp_path / "log")
    log.create(specs[2:3])
    with pytest.raises(TopicExists):
        log.create(specs)
    assert [spec.name for spec in specs if (tmp_path / "log" / f"{spec.name}.topic").exists()] == [specs[2].name]
    log.close()


def test_genesis_that_cannot_be_written_leaves_no_topics(tmp_path: Path) -> None:
    key, draft, log = tmp_path / "key.json", tmp_path / "draft.json", tmp_path / "log"
    assert run_line(["keys", "new", "--key", str(key)]) == 0
    entry = ["genesis", "add", "--draft", str(draft), "--name", "apple", "--key", str(key), "--chain", "orchard"]
    assert run_line(entry) == 0
    options = ["--draft", str(draft), "--backbone", "embedded", "--log-path", str(log)]
    assert run_line(["genesis", "seal", *options, "--out", str(tmp_path / "none" / "genesis.json")]) == 2
    assert run_line(["genesis", "seal", *options, "--out", str(tmp_path / "genesis.json")]) == 0


def test_a_folder_that_a_demo_works_in_is_not_anothers(tmp_path: Path) -> None:
    scratch = fresh_scratch(tmp_path / "scratch")
    code = "from pathlib import Path; from lab.demo.scratch import fresh_scratch; fresh_scratch(Path('scratch'))"
    other = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Another demo works in" in other.stderr
    assert list(scratch.iterdir()) != []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    with pytest.raises(ScratchTaken, match="not made by a demo"):
        fresh_scratch(tmp_path / "mine")


def test_a_command_with_a_database_of_its_own_runs_once_at_a_time(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    with command_lock(home, "replay"), command_lock(home, "at"):
        again = command_lock(home, "replay")
        with pytest.raises(Unavailable, match="under way"):
            again.__enter__()


FIRST_RUN = """
set -e
umask 077
mkdir -p "$1/closed/venv"
mount --bind "$2" "$1/closed/venv"
shift 2
exec "$@"
"""
"""As in a clone below root's own home: nobody else can reach its programs."""


@pytest.mark.parametrize("is_ordinary", [False, True], ids=["root", "ordinary"])
def test_first_use_of_a_machine_needs_no_user_and_opens_no_folder(tmp_path: Path, is_ordinary: bool) -> None:
    home = tmp_path / "closed" / "home"
    momus = [str(tmp_path / "closed" / "venv" / "bin" / "python"), "-P", "-m", "momus", "init", "--home", str(home)]
    as_user = ["unshare", "--user", f"--map-user={ORDINARY}", f"--map-group={ORDINARY}"] if is_ordinary else []
    argv = ["sh", "-c", FIRST_RUN, "sh", str(tmp_path), sys.prefix, *as_user, *momus, "--json"]
    bare = {"PATH": os.environ["PATH"]}
    done = on_fresh_machine(argv, environment=bare)
    if os.geteuid() != 0 and not is_ordinary:
        # Root of a namespace that an ordinary user made is the only user there is.
        assert (done.returncode, "is not mapped" in done.stdout) == (exits.UNAVAILABLE, True), done.stdout
        return
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["homes"] == [str(home)]
    assert open_to_others(tmp_path / "closed") == []

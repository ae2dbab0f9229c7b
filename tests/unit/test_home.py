"""A home: what lies where, and what a folder that is none says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.home.files import create_file, replace_file
from node.home.layout import Home, HomeUnusable, parse_genesis_file
from node.home.status import is_running
from node.settings.tree import read_settings
from node.setup.make_settings import Endpoints, settings_text


def test_folder_without_settings_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match="momus init"):
        Home(tmp_path).settings({})


def test_missing_genesis_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match="momus init"):
        Home(tmp_path).genesis()


def test_damaged_genesis_is_named(tmp_path: Path) -> None:
    file = tmp_path / "genesis.json"
    file.write_text("{}")
    with pytest.raises(HomeUnusable, match="is not a genesis that can be used"):
        parse_genesis_file(file)


def test_keys_are_in_a_folder_of_their_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make_folders()
    assert home.keys.stat().st_mode & 0o777 == 0o700


def test_relative_paths_of_settings_are_relative_to_the_home(tmp_path: Path) -> None:
    assert Home(tmp_path).resolve(Path("log")) == tmp_path / "log"
    assert Home(tmp_path).resolve(Path("/shared/log")) == Path("/shared/log")


@pytest.mark.parametrize("kafka", [None, {"bootstrap.servers": "h:9092", "sasl.password_file": '/s"x'}])
@pytest.mark.parametrize("postgres", ["embedded", "postgresql://h/d", "/run/secrets/url"])
def test_new_settings_file_says_what_was_asked_for(tmp_path: Path, kafka: dict[str, str] | None, postgres: str) -> None:
    file = tmp_path / "momus.toml"
    file.write_text(settings_text("alice", Endpoints(kafka, Path("/shared log"), postgres, Path("/pass"))))
    settings = read_settings(file, {})
    assert settings.validator == "alice"
    assert (settings.log.kind, settings.log.path) == ("embedded" if kafka is None else "kafka", Path("/shared log"))
    assert settings.kafka == (kafka or {})
    assert (str(settings.postgres.url_file) if postgres[0] == "/" else settings.postgres.url) == postgres
    assert settings.keys.passphrase_file == Path("/pass")


def test_created_file_is_never_overwritten_and_a_replaced_one_is(tmp_path: Path) -> None:
    file = tmp_path / "file"
    create_file(file, b"old", 0o600)
    with pytest.raises(FileExistsError):
        create_file(file, b"new")
    replace_file(file, b"new", 0o600)
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_folder_of_homes_is_no_home_and_names_them(tmp_path: Path) -> None:
    for name in ("pear", "apple"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "momus.toml").touch()
    with pytest.raises(HomeUnusable, match="Give one of those in it: apple, pear"):
        Home(tmp_path).settings({})


def test_process_that_ended_unwaited_for_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_running(child.pid)
    assert is_running(os.getpid())

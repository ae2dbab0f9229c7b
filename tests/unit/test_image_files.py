"""The container image is built from what it needs and nothing else, and runs without rights."""

import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from node.embedded.broker import free_ports
from node.settings.tree import read_settings
from tests.deployed import ROOT, health_check, image_environment, instructions, last_stage

PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS: Final = ("deploy/requirements.lock", "deploy/build.lock")


def _pins(lock: str) -> dict[str, tuple[str, ...]]:
    """Version and hashes by name."""
    entries = (ROOT / lock).read_text().replace("\\\n", "").splitlines()
    words = [entry.split() for entry in entries if entry and not entry.lstrip().startswith("#")]
    return {
        name: (version, *(word for word in rest if word.startswith("--hash=sha256:")))
        for first, *rest in words
        for name, _, version in [first.partition("==")]
    }


def _health_check() -> list[str]:
    """The command, for this machine's Python."""
    program, *arguments = health_check()
    assert program == "python"
    return [sys.executable, *arguments]


@contextmanager
def _answering(status: int) -> Iterator[int]:
    """A server on loopback that answers `/healthz` so; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _asked(port: int) -> int:
    """The exit code of the health check, were this the node's port; a proxy that the environment names is nobody."""
    proxied = os.environ | {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    argv = [word.replace("9464", str(port)) for word in _health_check()]
    return subprocess.run(argv, capture_output=True, check=False, env=proxied).returncode


def test_build_gets_the_packages_of_the_wheel_and_what_building_reads_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    first, *let, last = [line for line in lines if line and not line.startswith("#")]
    assert (first, last) == ("**", "**/__pycache__")
    wheel, project = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"], PROJECT["project"]
    packages, hook = wheel["only-include"], wheel["hooks"]["custom"]["path"]
    read = ["pyproject.toml", project["readme"], *project["license-files"], hook, *LOCKS]
    assert let == [f"!{name}" for name in (*read, *packages)]
    assert all((ROOT / name).exists() for name in (*read, *packages))


def test_what_the_build_copies_is_let_through() -> None:
    let = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for name, rest in instructions() if name == "COPY" for word in rest.split()[:-1]]
    assert {word for word in copied if "/" in word and not word.startswith(("--", "/"))} == set(LOCKS) <= let


def test_python_of_the_image_is_one_that_the_project_runs_on() -> None:
    (python,) = [rest for name, rest in instructions() if name == "ARG"]
    version = python.removeprefix("PYTHON=python:").removesuffix("-slim-trixie")
    assert f"{version}.0" in SpecifierSet(PROJECT["project"]["requires-python"])
    assert [rest for name, rest in instructions() if name == "FROM"] == ["${PYTHON} AS build", "${PYTHON}"]


def test_image_has_every_package_in_the_version_that_is_tested_and_none_of_development() -> None:
    tested, shipped = _pins("requirements.lock"), _pins("deploy/requirements.lock")
    assert shipped.items() <= tested.items()
    assert {Requirement(line).name for line in PROJECT["project"]["dependencies"]} <= shipped.keys()
    assert not {"pytest", "mypy", "hatchling", "hypothesis"} & shipped.keys()


def test_image_is_built_with_the_build_tool_of_the_project_in_the_version_that_is_tested() -> None:
    tested, tools = _pins("requirements.lock"), _pins("deploy/build.lock")
    assert tools.items() <= tested.items()
    assert {Requirement(line).name for line in PROJECT["build-system"]["requires"]} <= tools.keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_is_known_by_its_hash(lock: str) -> None:
    assert all(version and hashes for version, *hashes in _pins(lock).values())


def test_every_installation_from_a_lock_asks_for_hashes_and_builds_nothing() -> None:
    commands = [part for name, rest in instructions() if name == "RUN" for part in rest.split("&&")]
    from_locks = [command for command in commands if " -r " in command]
    assert len(from_locks) == len(LOCKS)
    assert all("--require-hashes --only-binary :all:" in command for command in from_locks)
    others = [command for command in commands if "pip" in command and command not in from_locks]
    assert all("--no-deps" in command or "venv" in command for command in others)


def test_image_runs_as_a_user_without_rights_who_owns_its_home_alone() -> None:
    said = dict(last_stage())
    assert said["USER"] == "10001:10001"
    assert said["VOLUME"] == image_environment()["MOMUS_HOME"]
    assert f"install --directory --owner=momus --group=momus /var/lib/momus {said['VOLUME']}" in said["RUN"]
    assert (said["ENTRYPOINT"], said["CMD"], said["STOPSIGNAL"]) == ('["momus"]', '["run"]', "SIGTERM")


def test_variables_of_the_image_are_settings_that_can_be_reached_from_outside() -> None:
    settings = read_settings(None, image_environment())
    assert (settings.api.host, settings.metrics.host) == ("0.0.0.0", "0.0.0.0")
    assert dict(last_stage())["EXPOSE"] == f"{settings.api.port} {settings.metrics.port}"
    assert f"'127.0.0.1', {settings.metrics.port}," in _health_check()[-1]


def test_health_check_passes_where_the_node_says_that_it_is_alive() -> None:
    with _answering(200) as port:
        assert _asked(port) == 0


def test_health_check_fails_where_the_node_says_something_else_or_nothing() -> None:
    with _answering(503) as port:
        assert _asked(port) != 0
    (nobody,) = free_ports(1)
    assert _asked(nobody) != 0

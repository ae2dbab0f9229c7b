"""Where management is answered, and what must be given with that."""

import os
import socket
from pathlib import Path

import pytest

from api.admin.process import PATH_BYTES_MAX, _unix_socket, socket_path
from node.home.layout import Home
from node.settings.tree import BadSettings, read_settings

FILES = {"MOMUS_ADMIN__CERTIFICATE_FILE": "c.pem", "MOMUS_ADMIN__CERTIFICATE_KEY_FILE": "k.pem"}
CA = {"MOMUS_ADMIN__CLIENT_CA_FILE": "a.pem"}


def at(listen: str) -> dict[str, str]:
    return {"MOMUS_ADMIN__LISTEN": listen}


@pytest.mark.parametrize(
    "environment",
    [
        at(""),
        at("unix"),
        at("127.0.0.1:7000"),
        at("localhost:7000"),
        at("[::1]:7000"),
        at("0.0.0.0:7000") | FILES,
        at("node.example:7000") | FILES | CA,
    ],
)
def test_management_is_answered_where_tokens_are_safe(environment: dict[str, str]) -> None:
    assert read_settings(None, environment).admin.listen == environment["MOMUS_ADMIN__LISTEN"]


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        (at("0.0.0.0:7000"), "clear text"),
        (at("node.example:7000"), "clear text"),
        (at("127.0.0.1"), "host:port"),
        (at("127.0.0.1:0"), "host:port"),
        (at("unix") | FILES, "needs `host:port`"),
        (at("127.0.0.1:7000") | CA, "needs certificate_file"),
        (at("127.0.0.1:7000") | {"MOMUS_ADMIN__CERTIFICATE_FILE": "c.pem"}, "go together"),
    ],
)
def test_anything_else_is_refused(environment: dict[str, str], what: str) -> None:
    with pytest.raises(BadSettings, match=what):
        read_settings(None, environment)


@pytest.mark.parametrize("depth", [1, 40])
def test_the_socket_is_the_owners_alone_however_long_its_path_is(tmp_path: Path, depth: int) -> None:
    home = Home(tmp_path / "/".join(["home"] * depth))
    home.path.parent.mkdir(parents=True, exist_ok=True)
    home.make_folders()
    assert (len(str(home.admin_socket)) > PATH_BYTES_MAX) == (depth > 1)
    for _ in range(2):  # the second finds that of a process that was killed
        with _unix_socket(home) as listening, socket.socket(socket.AF_UNIX) as caller:
            listening.listen()
            assert home.admin_socket.stat().st_mode & 0o777 == 0o600
            folder = os.open(home.run, os.O_RDONLY)
            caller.connect(socket_path(home, folder))
            os.close(folder)

"""A bundle for a support case holds no secret, wherever the database's settings have one."""

import tarfile
from pathlib import Path

import psycopg
import pytest

from api.admin.diagnostics import make_bundle
from node.home.layout import Home
from node.settings.tree import read_settings
from projections.maintenance.migrate import migrate
from tests.builders import genesis_bytes

pytestmark = pytest.mark.postgres

SECRET = "hunter2-kmz"
SYSTEM = {
    "primary_conninfo": f"host=elsewhere password={SECRET}",
    "archive_cleanup_command": f"curl -H 'Authorization: Bearer {SECRET}' https://elsewhere",
    "restore_command": f"fetch --token={SECRET} %f %p",
}


def bundle(home: Home, url: str) -> bytes:
    home.make_folders()
    home.genesis_file.write_bytes(genesis_bytes())
    found = b""
    with tarfile.open(make_bundle(home, read_settings(None, {"MOMUS_POSTGRES__URL": url}), url, 1)) as archive:
        for entry in archive.getmembers():
            file = archive.extractfile(entry)
            found += b"" if file is None else file.read()
    return found


@pytest.mark.parametrize("name", SYSTEM)
def test_settings_of_the_server_are_masked(name: str, postgres: str, postgres_url: str, tmp_path: Path) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(psycopg.sql.SQL("alter system set {} = {}").format(psycopg.sql.Identifier(name), SYSTEM[name]))
        try:
            admin.execute("select pg_reload_conf()")
            while not _is_loaded(postgres, name):
                pass
            found = bundle(Home(tmp_path / "home"), postgres_url)
        finally:
            admin.execute(f"alter system reset {name}")
            admin.execute("select pg_reload_conf()")
    assert SECRET.encode() not in found
    assert name.encode() in found
    assert b"max_connections" in found


def _is_loaded(url: str, name: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute("select current_setting(%s)", [name]).fetchone()
        return row is not None and SECRET in str(row[0])

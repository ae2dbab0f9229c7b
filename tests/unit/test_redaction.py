"""The settings in force, as they may be shown."""

from pathlib import Path

import pytest

from node.settings.redaction import changed, shown, without_password
from node.settings.tree import read_settings


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("s3://key:secret@bucket/prefix", "s3://key:***@bucket/prefix"),
        ("https://user@host:1/x?token=abc", "https://user@host:1/x?***"),
        ("postgresql://momus:p%40ss@db:5432/momus", "postgresql://momus:***@db:5432/momus"),
        ("postgresql://db/momus", "postgresql://db/momus"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("http://[", "***"),
        ("127.0.0.1:9092", "127.0.0.1:9092"),
        ("", ""),
    ],
)
def test_of_an_address_who_logs_in_is_shown_and_not_how(text: str, seen: str) -> None:
    assert without_password(text) == seen


def test_all_settings_are_shown_and_those_that_differ_are_named(tmp_path: Path) -> None:
    settings = read_settings(
        None,
        {
            "MOMUS_ORDER__IDLE_MS": "7",
            "MOMUS_SNAPSHOTS__PLACE": "s3://a:b@bucket",
            "MOMUS_KAFKA__SASL_PASSWORD_FILE": str(tmp_path),
            "MOMUS_PEERS__URLS": "http://one:1,http://two:2",
        },
    )
    assert changed(settings) == {
        "order.idle_ms": 7,
        "snapshots.place": "s3://a:***@bucket",
        "kafka.sasl.password_file": str(tmp_path),
        "peers.urls": ["http://one:1", "http://two:2"],
    }
    tree = shown(settings)
    assert tree["order"]["lag_max"] == 200_000
    assert tree["keys"]["passphrase_file"] is None

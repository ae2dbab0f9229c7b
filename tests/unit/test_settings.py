"""Settings: one frozen tree from a file and variables; nothing unknown, no secret inline, all of it documented."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from node.settings.page import page_with_tables
from node.settings.secrets import read_secret, with_secrets
from node.settings.tree import BadSettings, Settings, read_settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "momus.toml"


def test_without_a_file_and_variables_every_setting_has_its_default() -> None:
    assert read_settings(None, {"PATH": "/bin"}) == Settings()


def test_file_gives_values(file: Path) -> None:
    file.write_text('validator = "alice"\n[order]\nidle_ms = 7\n')
    settings = read_settings(file, {})
    assert (settings.validator, settings.order.idle_ms) == ("alice", 7)


def test_variable_beats_the_file(file: Path) -> None:
    file.write_text("[order]\nidle_ms = 7\ndrift_ms = 9\n")
    settings = read_settings(file, {"MOMUS_ORDER__IDLE_MS": "8"})
    assert (settings.order.idle_ms, settings.order.drift_ms) == (8, 9)


@pytest.mark.parametrize(
    ("text", "variables", "key"),
    [
        ("foo = 1", {}, "foo"),
        ("[order]\nidle = 1", {}, "order.idle"),
        ("", {"MOMUS_ORDER__IDLE": "1"}, "order.idle"),
        ("", {"MOMUS_FOO": "1"}, "foo"),
        ("[order]\nidle_ms = -1", {}, "order.idle_ms"),
        ("[order]\nidle_ms = 'soon'", {}, "order.idle_ms"),
        ("[log]\nkind = 'pigeon'", {}, "log.kind"),
        ("[postgres]\nurl = 'mysql://x'", {}, "postgres.url"),
        ("kafka = 3", {}, "kafka"),
    ],
)
def test_wrong_key_or_value_refuses_to_start_and_is_named(
    file: Path, text: str, variables: dict[str, str], key: str
) -> None:
    file.write_text(text)
    with pytest.raises(BadSettings, match=key):
        read_settings(file, variables)


def test_all_wrong_keys_are_named_at_once(file: Path) -> None:
    file.write_text("foo = 1\n[order]\nbar = 1\n")
    with pytest.raises(BadSettings, match=r"order\.bar is not a setting; foo is not a setting"):
        read_settings(file, {})


def test_file_that_is_not_toml_refuses_to_start(file: Path) -> None:
    file.write_text("= 3")
    with pytest.raises(BadSettings, match=r"momus\.toml cannot be read"):
        read_settings(file, {})


def test_variables_that_contradict_each_other_refuse_to_start() -> None:
    with pytest.raises(BadSettings, match="contradicts"):
        read_settings(None, {"MOMUS_ORDER": "1", "MOMUS_ORDER__IDLE_MS": "1"})


def test_variables_of_the_command_line_are_not_settings() -> None:
    variables = {"MOMUS_HOME": "/x", "MOMUS_KAFKA": "h:9092", "MOMUS_POSTGRES": "postgresql://h/x"}
    assert read_settings(None, variables) == Settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().order.idle_ms = 1


def test_kafka_properties_pass_through_from_file_and_variables(file: Path) -> None:
    file.write_text('[kafka]\n"bootstrap.servers" = "h:9092"\n"log.connection.close" = false\n')
    settings = read_settings(file, {"MOMUS_KAFKA__SASL_USERNAME": "u", "MOMUS_KAFKA__SASL_PASSWORD_FILE": "/s"})
    assert settings.kafka == {
        "bootstrap.servers": "h:9092",
        "log.connection.close": "false",
        "sasl.username": "u",
        "sasl.password_file": "/s",
    }


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ('[kafka]\n"sasl.password" = "hunter2"', "sasl.password_file"),
        ('[kafka]\n"ssl.key.password" = "hunter2"', "ssl.key.password_file"),
        ('[postgres]\nurl = "postgresql://u:hunter2@h/d"', "postgres.url_file"),
        ('[postgres]\nurl = "postgresql://h/d?password=hunter2"', "postgres.url_file"),
        ('[api]\npostgres_url = "postgresql://u:hunter2@h/d"', "api.postgres_url_file"),
        ('[api]\npostgres_url = "postgresql://h/d?password=hunter2"', "api.postgres_url_file"),
    ],
)
def test_inline_secret_refuses_to_start_and_is_not_repeated(file: Path, text: str, remedy: str) -> None:
    file.write_text(text)
    with pytest.raises(BadSettings, match=remedy) as caught:
        read_settings(file, {})
    assert "hunter2" not in str(caught.value)


def test_secret_properties_are_read_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    given = {"sasl.username": "u", "sasl.password_file": str(tmp_path / "secret")}
    assert with_secrets(given) == {"sasl.username": "u", "sasl.password": "hunter2"}


def test_secret_file_of_unreasonable_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 70_000)
    with pytest.raises(ValueError, match="over 65536 bytes"):
        read_secret(tmp_path / "secret")


def test_documentation_lists_every_setting_as_it_is() -> None:
    page = PAGE.read_text()
    assert page == page_with_tables(page), "run `python -m node.settings.page`"


def test_every_setting_has_a_description_and_a_unit() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert len(lines) > 30
    assert all(line.rstrip(" |").rpartition("|")[2].strip() for line in lines)


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
    ],
)
def test_no_secret_of_a_kafka_client_may_stand_in_the_settings(name: str) -> None:
    with pytest.raises(BadSettings, match="put it into a file") as raised:
        read_settings(None, {"MOMUS_KAFKA__" + name.replace(".", "_").upper(): "hunter2"})
    assert "hunter2" not in str(raised.value)

"""A node on a Kafka that wants TLS and a password: it works with both, and says which one is wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.main import run_line
from lab.demo.local_node import LocalNode, momus
from node.home import exits
from tests.certificates import Certificate, certificate
from tests.patience import WAIT_S
from tests.secured_kafka import SecuredBroker

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.processes]

NAME, PASSWORD = "orchard", "a long one; with = signs"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SecuredBroker, Certificate]]:
    folder = tmp_path_factory.mktemp("secured")
    shown = certificate(folder)
    with SecuredBroker(folder / "kafka", shown, {NAME: PASSWORD}) as running:
        yield running, shown


def init(home: Path, url: str, broker: SecuredBroker, ca: Path, password: str) -> int:
    """The exit code of `momus init`, whose settings have a password in a file."""
    file = home.parent / f"{home.name}.password"
    file.write_text(f"{password}\n")
    properties = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": NAME,
        "sasl.password_file": str(file),
        "ssl.ca.location": str(ca),
    }
    words = ["init", "--home", str(home), "--dev", "--postgres", url, "--backbone", "kafka", "--kafka", broker.secured]
    return run_line([*words, *(f"--kafka-property={name}={value}" for name, value in properties.items())])


def test_a_node_runs_on_tls_and_a_password(
    broker: tuple[SecuredBroker, Certificate], new_database: Callable[[], str], tmp_path: Path
) -> None:
    kafka, shown = broker
    home = tmp_path / "home"
    assert init(home, new_database(), kafka, shown.certificate_file, PASSWORD) == 0
    with LocalNode(home) as node:
        node.wait_running(["order", "execute"], WAIT_S)
        paid = momus("submit", "create-object", "note", '"x"', "--home", str(home))
        assert paid["state"] == "executed"
        said = node.log_file.read_text()
    written = [path for path in home.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()], "the password stays in its file"
    assert PASSWORD not in said


def test_what_is_wrong_is_said(
    broker: tuple[SecuredBroker, Certificate],
    new_database: Callable[[], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kafka, shown = broker
    (tmp_path / "stranger").mkdir()
    stranger = certificate(tmp_path / "stranger")
    url = new_database()
    for number, (ca, password, words) in enumerate(
        (
            (shown.certificate_file, "another", "authentication failed"),
            (stranger.certificate_file, PASSWORD, "certificate verify failed"),
        )
    ):
        assert init(tmp_path / str(number), url, kafka, ca, password) == exits.UNAVAILABLE
        told = capsys.readouterr().err
        assert words in told.lower(), told
        assert kafka.secured in told
        assert PASSWORD not in told
        assert "Traceback" not in told

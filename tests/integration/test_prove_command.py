"""`momus prove` beside a running node and without one; `momus verify` and a stranger check what it writes."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cli.main import run_line
from client import Client
from lab.demo.local_node import LocalNode, NodeFailed
from node.home import exits
from node.home.layout import Home
from node.wiring import database_url
from node.wiring.databases import running_postgres
from projections.session.connect import connect
from tests import stranger_verifier
from tests.command_here import momus
from tests.patience import WAIT_S
from tests.recovery.payments import FUNDS, KEYS, Payments

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
BANK_LESS = "77" * 32


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Path, Payments]]:
    """A home in which every account has its funds and a certificate says so; its node runs no more."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "home"
        assert run_line(["init", "--home", str(path), "--dev", "--checkpoint-heights", "1"]) == 0
        with LocalNode(path) as node, Client.at_home(path) as client:
            payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
            client.wait(client.submit_all(payments.opening()), WAIT_S)
            prove_until_there(path, payments)
            assert node.stop() == 0
        with running_postgres(Home(path), Home(path).settings({})):
            yield path, payments


def prove_until_there(path: Path, payments: Payments) -> None:
    """Beside the running node, until the opening is under a certificate."""
    deadline = time.monotonic() + WAIT_S
    told = None
    while told is None or not told["exists"]:
        assert time.monotonic() < deadline
        try:
            told = prove(path, "balance", payments.asset.hex(), KEYS[0].address.hex())
        except NodeFailed as failed:
            if "no certified checkpoint yet" not in str(failed):
                raise


def prove(path: Path, *what: str) -> dict[str, object]:
    told = momus("prove", *what, "--home", str(path), "--out", str(path / "state.proof"))
    assert isinstance(told, dict)
    return told


def verify(path: Path) -> dict[str, object]:
    told = momus("verify", str(path / "state.proof"), "--genesis", str(path / "genesis.json"))
    assert isinstance(told, dict)
    return told


def test_what_one_node_proves_verifies_with_genesis_alone(made: tuple[Path, Payments]) -> None:
    path, payments = made
    asset, address = payments.asset.hex(), KEYS[3].address.hex()
    genesis_file = (path / "genesis.json").read_bytes()
    for what, row in (
        (("balance", asset, address), {"amount": FUNDS}),
        (("balance", asset, BANK_LESS), None),
        (("object", BANK_LESS), None),
        (("asset", BANK_LESS), None),
    ):
        told = prove(path, *what)
        assert (told["row"], told["has_changed_since"]) == (row, False)
        verified = verify(path)
        assert verified == {name: told[name] for name in verified}
        assert verified["time_ms"] is not None
        stranger = stranger_verifier.verify((path / "state.proof").read_bytes(), genesis_file)
        assert (stranger["row"], stranger["height"]) == (row, told["height"])
    told = prove(path, "asset", asset)
    assert verify(path)["row"] == told["row"]
    assert (told["kind"], told["exists"]) == ("asset", True)


def test_wrong_ids_are_wrong_usage(made: tuple[Path, Payments], capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = made
    assert run_line(["prove", "object", "xyz", "--home", str(path)]) == exits.USAGE
    assert "an object is 64 hex digits" in capsys.readouterr().err


def test_a_balance_changed_by_hand_is_a_halt_with_its_reason(
    made: tuple[Path, Payments], capsys: pytest.CaptureFixture[str]
) -> None:
    path, payments = made
    address = KEYS[5].address
    home = Home(path)
    out = path / "never.proof"
    with connect(database_url(home, home.settings({}))) as database:
        query = "update ledger.balances set amount = amount + 1 where address = %s"
        assert database.execute(query, [address]).rowcount == 1
    line = ["prove", "balance", payments.asset.hex(), address.hex(), "--home", str(path), "--out", str(out)]
    assert run_line(line) == exits.HALT
    assert "changed this database by hand" in capsys.readouterr().err
    assert not out.exists()

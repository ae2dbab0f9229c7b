"""`momus verify` as somebody without a node runs it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pytest

from cli.main import run_line
from ledger.leaves import balance_key
from node.home import exits
from tests.builders import address
from tests.fresh_python import in_fresh_python
from tests.proof_files import ABSENT, ASSET, ROWS, State

STATE = State()
BALANCE = balance_key(ASSET, address(1))
NEVER = (
    "psycopg",
    "psycopg2",
    "sqlalchemy",
    "alembic",
    "sqlite3",
    "confluent_kafka",
    "backbone",
    "projections",
    "sync",
)


@pytest.fixture
def genesis_file(tmp_path: Path) -> Path:
    path = tmp_path / "genesis.json"
    path.write_bytes(STATE.genesis_file)
    return path


def written(folder: Path, data: bytes) -> Path:
    path = folder / "state.proof"
    path.write_bytes(data)
    return path


def test_what_is_proven_is_told_to_people(
    tmp_path: Path, genesis_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, STATE.file(BALANCE))
    assert run_line(["verify", str(file), "--genesis", str(genesis_file)]) == exits.OK
    told = capsys.readouterr().out
    assert f"Balance: address {address(1).hex()} of asset {ASSET.hex()}" in told
    assert "amount: 1234" in told
    assert "As of height 40 of chain test, 2023-11-14T22:13:20.000+00:00." in told
    assert "Signed by v0 (3), v1 (2), v2 (2): power 7 of 9." in told


@pytest.mark.parametrize("key", [*ROWS, *ABSENT[:3]])
def test_every_kind_is_told_as_json(
    key: bytes, tmp_path: Path, genesis_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, STATE.file(key))
    assert run_line(["verify", str(file), "--genesis", str(genesis_file), "--json"]) == exits.OK
    told = json.loads(capsys.readouterr().out)
    assert told["exists"] == (key in ROWS)
    assert (told["row"] is None) == (key not in ROWS)
    assert told["kind"] == {1: "object", 2: "balance", 3: "asset"}[key[0]]
    assert (told["height"], told["power"], told["power_total"]) == (40, 7, 9)


@pytest.mark.parametrize("key", [*ROWS, *ABSENT[:3]])
@pytest.mark.parametrize(
    "form",
    [
        lambda data: data.hex(),
        lambda data: data.hex() + "\n",
        lambda data: f'"{data.hex()}"\n',
        lambda data: "\ufeff" + data.hex() + "\r\n",
        lambda data: json.dumps({"exists": True, "row": {}, "file": data.hex()}),
        lambda data: json.dumps({"object": "00", "content": "\u0000" * 200_000, "proof": {"file": data.hex()}}),
    ],
)
def test_a_proof_is_taken_as_the_api_answers_it(
    key: bytes,
    form: Callable[[bytes], str],
    tmp_path: Path,
    genesis_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = []
    for data in (STATE.file(key), form(STATE.file(key)).encode()):
        file = written(tmp_path, data)
        assert run_line(["verify", str(file), "--genesis", str(genesis_file), "--json"]) == exits.OK
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"file": 7}',
        '{"file": "c301"}',
        '{"proof": []}',
        '{"proof": {"file": null}}',
        "c30",
        '"c301"',
        '"c301',
        '"',
        "[" * 10_000,
        "[]",
    ],
)
def test_an_answer_without_a_proof_is_a_failed_check(
    text: str, tmp_path: Path, genesis_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in (text.encode(), text.encode() + b"\xff"):
        assert run_line(["verify", str(written(tmp_path, data)), "--genesis", str(genesis_file)]) == exits.FAILED
        assert "not proven" in capsys.readouterr().err


@pytest.mark.parametrize("key", [*ROWS, *ABSENT])
def test_of_an_absence_it_is_said_what_it_does_not_bind(
    key: bytes, tmp_path: Path, genesis_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(written(tmp_path, STATE.file(key)))
    assert run_line(["verify", file, "--genesis", str(genesis_file)]) == exits.OK
    text = capsys.readouterr().out
    assert run_line(["verify", file, "--genesis", str(genesis_file), "--json"]) == exits.OK
    absence = json.loads(capsys.readouterr().out)["absence"]
    if key in ROWS:
        assert absence is None
        return
    assert absence in text
    for words in ("at height 40", "before or after", "compare it with the one that you asked for"):
        assert words in absence
    assert {1: "was deleted", 2: "other assets", 3: "issued"}[key[0]] in absence


def test_a_file_that_proves_nothing_is_a_failed_check(
    tmp_path: Path, genesis_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in (STATE.file(BALANCE)[:-1], b"", bytes(100_000)):
        assert run_line(["verify", str(written(tmp_path, data)), "--genesis", str(genesis_file)]) == exits.FAILED
        assert "not proven" in capsys.readouterr().err


def test_another_genesis_is_a_failed_check_and_none_is_wrong_usage(
    tmp_path: Path, genesis_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(written(tmp_path, STATE.file(BALANCE)))
    genesis_file.write_bytes(State(chain="other").genesis_file)
    assert run_line(["verify", file, "--genesis", str(genesis_file)]) == exits.FAILED
    genesis_file.write_bytes(b"{}")
    assert run_line(["verify", file, "--genesis", str(genesis_file)]) == exits.USAGE
    assert run_line(["verify", file, "--genesis", str(tmp_path / "nowhere")]) == exits.USAGE
    assert run_line(["verify", str(tmp_path / "nowhere"), "--genesis", str(genesis_file)]) == exits.USAGE
    assert run_line(["verify", file]) == exits.USAGE
    assert "Traceback" not in capsys.readouterr().err


def test_the_process_that_verifies_has_no_sql_and_no_log_in_it(tmp_path: Path, genesis_file: Path) -> None:
    file = written(tmp_path, STATE.file(BALANCE))
    code = f"""
import sys
sys.argv = ["momus", "verify", {str(file)!r}, "--genesis", {str(genesis_file)!r}, "--json"]
from momus.__main__ import main
try:
    main()
except SystemExit as end:
    print(end.code, sorted({{name.split(".")[0] for name in sys.modules}} & set({NEVER!r})))
"""
    told, ended = in_fresh_python(code, 1).splitlines()
    assert json.loads(told)["row"] == {"amount": 1234}
    assert ended == "0 []"


def test_the_command_line_verifies(tmp_path: Path, genesis_file: Path) -> None:
    file = written(tmp_path, STATE.file(BALANCE))
    line = [sys.executable, "-m", "momus", "verify", str(file), "--genesis", str(genesis_file)]
    done = run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (exits.OK, "")
    assert done.stdout.startswith("Proven.")

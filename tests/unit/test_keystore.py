"""Key files: private, never overwritten, opened by the right passphrase only."""

import json
from pathlib import Path

import pytest

from ledger.keys import PrivateKey
from node.home.keystore import KeyUnusable, create_key, load_key

KEY = PrivateKey.from_seed(bytes(range(32)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "key.json"


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_key_comes_back_from_its_file(file: Path, passphrase: str | None) -> None:
    create_key(file, "validator", KEY, passphrase)
    assert load_key(file, passphrase).seed == KEY.seed
    assert file.stat().st_mode & 0o777 == 0o600


def test_encrypted_file_does_not_hold_the_seed(file: Path) -> None:
    create_key(file, "validator", KEY, "correct horse")
    assert KEY.seed.hex() not in file.read_text()


def test_key_file_is_never_overwritten(file: Path) -> None:
    create_key(file, "validator", KEY)
    with pytest.raises(KeyUnusable, match="never overwritten"):
        create_key(file, "validator", PrivateKey.generate())


@pytest.mark.parametrize(("passphrase", "why"), [(None, "passphrase_file"), ("wrong", "does not open")])
def test_encrypted_key_needs_its_passphrase(file: Path, passphrase: str | None, why: str) -> None:
    create_key(file, "validator", KEY, "correct horse")
    with pytest.raises(KeyUnusable, match=why):
        load_key(file, passphrase)


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_file_under_another_public_key_is_refused(file: Path, passphrase: str | None) -> None:
    create_key(file, "validator", KEY, passphrase)
    document = json.loads(file.read_text())
    document["public_key"] = PrivateKey.generate().public_key.hex()
    file.write_text(json.dumps(document))
    with pytest.raises(KeyUnusable):
        load_key(file, passphrase)


def test_file_that_others_can_read_is_refused(file: Path) -> None:
    create_key(file, "validator", KEY)
    file.chmod(0o644)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        load_key(file)


def test_missing_file_says_what_makes_it(file: Path) -> None:
    with pytest.raises(KeyUnusable, match="momus init"):
        load_key(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "public_key": "zz", "seed": "00"}'])
def test_file_that_is_no_key_file_is_refused(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(KeyUnusable):
        load_key(file)

"""Key files: one Ed25519 seed each, mode 0600, encrypted where a passphrase is given.

The file is JSON: ``{format, use, public_key, address, seed}`` in the clear, or with ``encrypted`` in place of ``seed``:
``{kdf: "scrypt", n, r, p, salt, cipher: "aes-256-gcm", nonce, ciphertext}``, all bytes as hex. The public key is
authenticated with the ciphertext, so a file cannot be given another name for the same seed.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ledger.errors import CallerError
from ledger.formats import KEY_FILE
from ledger.keys import PrivateKey
from node.home.files import create_file
from node.home.quoting import quoted

FILE_BYTES_MAX: Final = 16_384
SCRYPT_N: Final = 1 << 15
SCRYPT_N_MAX: Final = 1 << 20
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1


class KeyUnusable(CallerError):
    """The key file cannot be read or opened. The message says which, why, and what to do."""


def create_key(path: Path, use: str, key: PrivateKey, passphrase: str | None = None) -> None:
    """Write a key file; `use` says what it is for. Raises: KeyUnusable where the file exists already."""
    document: dict[str, Any] = {
        "format": KEY_FILE.version,
        "use": use,
        "public_key": key.public_key.hex(),
        "address": key.address.hex(),
    }
    if passphrase is None:
        document["seed"] = key.seed.hex()
    else:
        document["encrypted"] = _encrypt(key, passphrase)
    try:
        create_file(path, (json.dumps(document, indent=2) + "\n").encode(), 0o600)
    except FileExistsError as error:
        raise KeyUnusable(f"{path} exists; a key file is never overwritten.") from error


def load_key(path: Path, passphrase: str | None = None) -> PrivateKey:
    """The key in a file, whose public key is checked against the file's. Raises: KeyUnusable."""
    document = _read(path)
    try:
        public_key = bytes.fromhex(document["public_key"])
        seed = bytes.fromhex(document["seed"]) if "seed" in document else _decrypt(path, document, passphrase)
        key = PrivateKey.from_seed(seed)
    except (KeyError, TypeError, ValueError) as error:
        raise KeyUnusable(f"{path} is not a key file of format {KEY_FILE.version}: {error}.") from error
    if key.public_key != public_key:
        raise KeyUnusable(f"{path} names a public key that is not its seed's; the file was altered.")
    return key


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_mode & 0o077:
            raise KeyUnusable(f"{path} can be read by others; run `chmod 600 {quoted(str(path.absolute()))}`.")
        document = json.loads(path.read_bytes()[:FILE_BYTES_MAX])
    except FileNotFoundError as error:
        raise KeyUnusable(f"There is no key file {path}; `momus init` or `momus keys new` makes one.") from error
    except (OSError, ValueError) as error:
        raise KeyUnusable(f"{path} cannot be read: {error}.") from error
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise KeyUnusable(f"{path} is not a key file.")
    if refused := KEY_FILE.refusal(document["format"]):
        raise KeyUnusable(f"{path} {refused}.")
    return document


def _encrypt(key: PrivateKey, passphrase: str) -> dict[str, Any]:
    salt, nonce = os.urandom(16), os.urandom(12)
    box = AESGCM(_derive(passphrase, salt, SCRYPT_N, _SCRYPT_R, _SCRYPT_P))
    return {
        "kdf": "scrypt",
        "n": SCRYPT_N,
        "r": _SCRYPT_R,
        "p": _SCRYPT_P,
        "salt": salt.hex(),
        "cipher": "aes-256-gcm",
        "nonce": nonce.hex(),
        "ciphertext": box.encrypt(nonce, key.seed, key.public_key).hex(),
    }


def _decrypt(path: Path, document: dict[str, Any], passphrase: str | None) -> bytes:
    if passphrase is None:
        raise KeyUnusable(f"{path} is encrypted; name the file with its passphrase as keys.passphrase_file.")
    box = document["encrypted"]
    n, r, p = int(box["n"]), int(box["r"]), int(box["p"])
    if (box["kdf"], box["cipher"]) != ("scrypt", "aes-256-gcm") or not (2 <= n <= SCRYPT_N_MAX and r <= 16 and p <= 4):
        raise KeyUnusable(f"{path} is encrypted in a way that this version does not open.")
    cipher = AESGCM(_derive(passphrase, bytes.fromhex(box["salt"]), n, r, p))
    try:
        return cipher.decrypt(
            bytes.fromhex(box["nonce"]), bytes.fromhex(box["ciphertext"]), bytes.fromhex(document["public_key"])
        )
    except InvalidTag as error:
        raise KeyUnusable(f"The passphrase does not open {path}.") from error


def _derive(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode())

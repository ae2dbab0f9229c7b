"""A verifier of proof files, written from docs/proofs.md alone: it imports nothing of this project.

`verify(file, genesis file)` answers what is proven as a dict, or raises `Refused`.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE_PREFIX = bytes.fromhex("c3015c2a700799712d77")
CERTIFICATE_PREFIX = bytes.fromhex("c301f901a05aef84ae3e")
KEY_SIZES = {1: 33, 2: 65, 3: 33}
NOTHING = bytes(32)
NUMBER_MAX = 2**63 - 1


class Refused(Exception):
    """The file proves nothing."""


def check(condition: bool, what: str) -> None:
    if not condition:
        raise Refused(what)


def digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


class Reader:
    """Takes values off the front of bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        check(0 <= size <= len(self.data) - self.at, "bytes end early")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, width: int, low: int = 0, high: int = NUMBER_MAX) -> int:
        found = int.from_bytes(self.take(width), "big")
        check(low <= found <= high, "a number is out of range")
        return found

    def text(self, size: int, size_max: int) -> str:
        check(1 <= size <= size_max, "a text's length")
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("a text is not UTF-8") from None

    def end(self) -> None:
        check(self.at == len(self.data), "bytes follow")

    # --- canonical Avro ---

    def long(self, bits: int = 64) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            check(shift < 70, "a number is too long")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        check(byte != 0 or shift == 7, "a number is padded")
        check(value < 1 << bits, "a number is too large")
        return value >> 1 if value % 2 == 0 else -(value >> 1) - 1

    def bytes_(self) -> bytes:
        return self.take(self.long())

    def optional_bytes(self) -> bytes | None:
        branch = self.take(1)
        check(branch in (b"\0", b"\2"), "a branch")
        return None if branch == b"\0" else self.bytes_()

    def array(self, item: Callable[[], Any]) -> list[Any]:
        count = self.long()
        check(0 <= count <= len(self.data), "an array's count")
        if count == 0:
            return []
        items = [item() for _ in range(count)]
        check(self.take(1) == b"\0", "an array in several blocks")
        return items


# --- rows ---


def read_row(key: bytes, value: bytes) -> dict[str, Any]:
    v = Reader(value)
    row: dict[str, Any] = {}
    if key[0] == 1:
        row = read_object(v)
    elif key[0] == 2:
        row = {"amount": v.number(8, 1)}
    else:
        row = {"decimals": v.number(1, 0, 18), "issuer": v.take(32).hex(), "supply": v.number(8)}
        row["name"] = v.text(len(value) - v.at, 64)
    v.end()
    return row


def read_object(v: Reader) -> dict[str, Any]:
    row: dict[str, Any] = {"version": v.number(8, 1), "ownership": v.number(1, 0, 2)}
    row["owner"] = v.take(32).hex() if row["ownership"] == 0 else None
    row["writers_count"] = v.number(2, 0, 256)
    row["details_digest"] = v.take(32)
    row["content_version"] = v.number(8, 1, row["version"])
    row["content_size"] = v.number(4, 0, 1_048_576)
    row["content_digest"] = v.take(32)
    return row


def read_details(f: Reader) -> dict[str, Any] | None:
    """What an object's row has the hashes of."""
    branch = f.take(1)
    check(branch in (b"\0", b"\2"), "a branch")
    if branch == b"\0":
        return None
    kind, writers, media_type = f.text(f.long(), 128), f.bytes_(), f.text(f.long(), 128)
    return {"type": kind, "writers": writers, "media_type": media_type, "content_hash": f.take(32)}


def with_details(row: dict[str, Any], details: dict[str, Any]) -> dict[str, Any]:
    """The object, where the details are what its row has the hashes of."""
    writers, media_type = details["writers"], details["media_type"].encode()
    found = digest(details["type"].encode())
    if row["ownership"] == 1:
        found = digest(found, writers)
    check(found == row["details_digest"], "type or writers")
    check(len(writers) == 32 * row["writers_count"], "the number of writers")
    content = digest(bytes([len(media_type)]), media_type, details["content_hash"])
    check(content == row["content_digest"], "media type or content")
    return {
        **row,
        "type": details["type"],
        "writers": [writers[at : at + 32].hex() for at in range(0, len(writers), 32)],
        "media_type": details["media_type"],
        "content_hash": details["content_hash"].hex(),
    }


# --- the tree ---


def bit(key_hash: bytes, index: int) -> int:
    return key_hash[index // 8] >> (7 - index % 8) & 1


def leaf(key_hash: bytes, value_hash: bytes) -> bytes:
    return digest(b"momus/leaf/v1", key_hash, value_hash)


def root_of(key: bytes, value: bytes | None, proof: bytes) -> bytes:
    """The root to which a proof leads."""
    key_hash = digest(b"momus/key/v1", key)
    p = Reader(proof)
    count = p.number(2, 0, 256)
    mask = p.take((count + 7) // 8)
    check(all(bit(mask, index) == 0 for index in range(count, 8 * len(mask))), "the mask's padding")
    siblings = []
    for index in range(count):
        sibling = p.take(32) if bit(mask, index) else None
        check(sibling != NOTHING, "a sibling of zeros")
        siblings.append(sibling or NOTHING)
    end = p.number(1, 0, 2)
    check((value is not None) == (end == 1), "the proof is of something else")
    found = NOTHING
    if value is not None:
        found = leaf(key_hash, digest(b"momus/value/v1", value))
    elif end == 2:
        other = p.take(32)
        check(other != key_hash, "the other row is this row")
        check(all(bit(other, d) == bit(key_hash, d) for d in range(count)), "the other row is in another place")
        found = leaf(other, p.take(32))
    p.end()
    for d in range(count - 1, -1, -1):
        pair = (siblings[d], found) if bit(key_hash, d) else (found, siblings[d])
        found = digest(b"momus/branch/v1", *pair)
    return found


# --- checkpoint, certificate, header ---


def read_checkpoint(data: bytes, partitions: int) -> dict[str, Any]:
    c = Reader(data)
    found: dict[str, Any] = {"epoch": c.long(), "height": c.long(), "block_digest": c.take(32)}
    heads = c.array(lambda: (c.long(32), c.long(), c.long(), c.take(32)))
    found["state_root"] = c.take(32)
    c.take(32)
    c.end()
    check(found["epoch"] == 0 and found["height"] >= 1, "epoch or height")
    check([head[0] for head in heads] == list(range(partitions)), "heads")
    check(all(0 <= head[1] < 2**32 and head[2] >= 0 for head in heads), "a head")
    return found


def read_certificate(data: bytes, genesis: dict[str, Any], genesis_digest: bytes) -> dict[str, Any]:
    """The checkpoint, and who signed it."""
    validators = genesis["validators"]
    limit = 64 + 76 * len(validators) + 4246 + 160 * genesis["partitions"]
    check(len(data) <= limit, "the certificate's size")
    c = Reader(data)
    check(c.take(10) == CERTIFICATE_PREFIX, "no certificate")
    checkpoint = c.bytes_()
    signatures = c.array(lambda: (c.long(32), c.take(64)))
    c.end()
    found = read_checkpoint(checkpoint, genesis["partitions"])
    members = [member for member, _ in signatures]
    check(members == sorted(set(members)), "the signers do not rise")
    check(all(0 <= member < len(validators) for member in members), "an unknown signer")
    power = sum(validators[member]["power"] for member in members)
    check(3 * power > 2 * sum(one["power"] for one in validators), "no quorum")
    signed = b"momus/certify/v1" + genesis_digest + checkpoint
    for member, signature in signatures:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(validators[member]["consensus_key"]))
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            raise Refused("a signature") from None
    return {**found, "signers": [validators[member]["name"] for member in members], "power": power}


def time_of(header: bytes) -> int:
    h = Reader(header)
    h.long(32), h.long(), h.long(), h.long(), h.take(32), h.long(), h.long(32)
    return h.long()


def verify(data: bytes, genesis_file: bytes) -> dict[str, Any]:
    """What a proof file proves. Raises: Refused."""
    genesis = json.loads(genesis_file)
    genesis_digest = digest(b"momus/genesis/v1", genesis_file)
    block_max = 4246 + 160 * genesis["partitions"]
    check(
        len(data) <= 65 + 136 + 8496 + 8291 + 2 * block_max + 64 + 76 * len(genesis["validators"]) + 64,
        "the file's size",
    )
    f = Reader(data)
    check(f.take(10) == FILE_PREFIX, "no proof file")
    key, value, details = f.bytes_(), f.optional_bytes(), read_details(f)
    proof, header, certificate = f.bytes_(), f.optional_bytes(), f.bytes_()
    f.end()
    check(len(key) > 0 and KEY_SIZES.get(key[0]) == len(key), "the key")
    row = None if value is None else read_row(key, value)
    check((details is not None) == (row is not None and key[0] == 1), "details of something else")
    if row is not None and details is not None:
        row = with_details(row, details)
    found = read_certificate(certificate, genesis, genesis_digest)
    check(root_of(key, value, proof) == found["state_root"], "the proof leads to another root")
    time_ms = None
    if header is not None:
        check(digest(b"momus/block/v1", genesis_digest, header) == found["block_digest"], "the header")
        time_ms = time_of(header)
    return {"key": key, "row": row, "time_ms": time_ms, **found}

"""What a snapshot consists of: one JSON document, written last. Without it there is no snapshot.

Nothing in it is believed: the certificate is checked against genesis, the subtrees that it names against the certified
state root, the leaves of each file against their subtrees, and the remembered digests by the running hashes that lead
to the leaves of their buckets. So a file that is not what was written is found by itself, whoever keeps it; and what
the subtrees leave out, or have twice, is found before any file is read.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.digests import block_digest
from ledger.encoding import strict_json
from ledger.errors import PeerError
from ledger.formats import SNAPSHOT
from ledger.genesis import Genesis
from ledger.header import Header, decode_header
from ledger.rejection import Rejection
from sync.snapshots.container import FILE_BYTES_MAX
from tree.build import build_above
from tree.hashing import EMPTY
from tree.nodes import NIBBLES, Child

NAME: Final = "manifest.json"
FORMAT: Final = "momus.snapshot.v"
SIZE_MAX: Final = 64 << 20
LEAVES_MAX: Final = 1 << 22
"""Of a file: more than any is written with, and what can be held in memory."""
DIGESTS_MAX: Final = 1 << 16
"""Of a piece of a bucket."""
_COUNT_MAX: Final = 2**53 - 1
_PARTS_MAX: Final = 1 << 20
_SUBTREE: Final = re.compile(rf"([0-9a-f]{{0,{NIBBLES}}}) ([1-9][0-9]{{0,6}}) ([0-9a-f]{{64}})", re.ASCII)


class BadManifest(PeerError):
    """The document is not that of a snapshot of this chain. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Subtree:
    """`count` leaves, whose key hashes begin with the nibbles of `path` (a byte each), and their hash. The path of a
    single leaf is its whole key hash."""

    path: bytes
    count: int
    hash: bytes

    def top(self, version: int) -> Child:
        """As a node that was written at `version` would know of it."""
        is_leaf = len(self.path) == NIBBLES
        return Child(version, self.hash, bytes.fromhex(_hex(self.path)) if is_leaf else None)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A file with all leaves of some subtrees, one after the other."""

    file: str
    size_bytes: int
    sha256: str
    subtrees: tuple[Subtree, ...]

    @property
    def count(self) -> int:
        """Of leaves."""
        return sum(subtree.count for subtree in self.subtrees)


@dataclass(frozen=True, slots=True)
class DigestChunk:
    """A file with some remembered digests of a bucket: `count` from rank `first` on; `before`: the hash up to there."""

    file: str
    size_bytes: int
    sha256: str
    count: int
    bucket: int
    first: int
    before: bytes


Part = Chunk | DigestChunk


@dataclass(frozen=True, slots=True)
class Manifest:
    """`header` and `certificate` are those of the checkpoint's block. The subtrees of the chunks are in order, and what
    is in none of them is empty."""

    genesis_digest: bytes
    header: bytes
    certificate: bytes
    chunks: tuple[Chunk, ...]
    digests: tuple[DigestChunk, ...]

    @property
    def parts(self) -> Sequence[Part]:
        """All files."""
        return *self.chunks, *self.digests

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(part.size_bytes for part in self.parts)


@dataclass(frozen=True, slots=True)
class Certified:
    """What a manifest's certificate vouches for."""

    checkpoint: Checkpoint
    header: Header


def root_of(chunks: Sequence[Chunk]) -> bytes:
    """The state root to which these chunks lead, if nothing else has a leaf."""
    top = build_above(0, [(it.path, it.top(0)) for chunk in chunks for it in chunk.subtrees]).top
    return EMPTY if top is None else top.hash


def encode_manifest(manifest: Manifest) -> bytes:
    """The document, in lines that a person can read."""
    document = {
        "format": f"{FORMAT}{SNAPSHOT.version}",
        "genesis_digest": manifest.genesis_digest.hex(),
        "header": manifest.header.hex(),
        "certificate": manifest.certificate.hex(),
        "chunks": [_file(chunk) | {"subtrees": list(map(_subtree_text, chunk.subtrees))} for chunk in manifest.chunks],
        "digests": [
            _file(it) | {"count": it.count, "bucket": it.bucket, "first": it.first, "before": it.before.hex()}
            for it in manifest.digests
        ],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def decode_manifest(data: bytes) -> Manifest:
    """Raises: BadManifest."""
    try:
        fields = strict_json.load(data, SIZE_MAX)
        found = fields.text("format", FORMAT.replace(".", r"\.") + "[0-9]{1,9}")
        if refused := SNAPSHOT.refusal(int(found.removeprefix(FORMAT))):
            raise BadManifest(f"The manifest {refused}.")
        manifest = Manifest(
            fields.hex("genesis_digest", 32),
            bytes.fromhex(fields.text("header", r"([0-9a-f]{2})+")),
            bytes.fromhex(fields.text("certificate", r"([0-9a-f]{2})+")),
            tuple(_chunk(item, f"chunks.{at}") for at, item in enumerate(fields.list("chunks", 1, _PARTS_MAX))),
            tuple(_digests(item, f"digests.{at}") for at, item in enumerate(fields.list("digests", 0, _PARTS_MAX))),
        )
        fields.finish()
    except strict_json.StrictJsonError as error:
        raise BadManifest(f"The manifest is none: {error}.") from error
    paths = [subtree.path for chunk in manifest.chunks for subtree in chunk.subtrees]
    if any(low >= high or high.startswith(low) for low, high in pairwise(paths)):
        raise BadManifest("The subtrees of the manifest are not in order, or one is within another.")
    return manifest


def certified(manifest: Manifest, genesis: Genesis, committees: Committees) -> Certified:
    """The checkpoint, once its certificate has been verified. Raises: BadManifest."""
    if manifest.genesis_digest != genesis.digest:
        raise BadManifest("The snapshot is another chain's.")
    wire = CheckpointWire(genesis, committees)
    message = wire.decode(manifest.certificate)
    if not isinstance(message, CheckpointCertificate) or not wire.is_certified(message):
        raise BadManifest("The snapshot's certificate is not good.")
    checkpoint = message.claim.checkpoint
    header = decode_header(manifest.header, genesis.partitions)
    if isinstance(header, Rejection) or block_digest(genesis.digest, manifest.header) != checkpoint.block_digest:
        raise BadManifest("The snapshot's header is not that of the certified block.")
    if root_of(manifest.chunks) != checkpoint.state_root:
        raise BadManifest("The chunks of the snapshot do not lead to the certified state root.")
    return Certified(checkpoint, header)


def _file(part: Part) -> dict[str, Any]:
    return {"file": part.file, "size_bytes": part.size_bytes, "sha256": part.sha256}


def _read_file(fields: strict_json.Fields) -> tuple[str, int, str]:
    return (
        fields.text("file", r"[a-z0-9-]{1,64}\.avro"),
        fields.integer("size_bytes", 1, FILE_BYTES_MAX),
        fields.text("sha256", r"[0-9a-f]{64}"),
    )


def _chunk(item: Any, path: str) -> Chunk:
    fields = strict_json.Fields(item, path)
    found = fields.list("subtrees", 1, LEAVES_MAX)
    chunk = Chunk(*_read_file(fields), tuple(_subtree(text, f"{path}.subtrees") for text in found))
    fields.finish()
    if chunk.count > LEAVES_MAX:
        raise strict_json.StrictJsonError(f"{path} has more than {LEAVES_MAX} leaves")
    return chunk


def _subtree(text: Any, path: str) -> Subtree:
    match = _SUBTREE.fullmatch(text) if isinstance(text, str) else None
    if match is None or (int(match[2]) == 1) != (len(match[1]) == NIBBLES):
        raise strict_json.StrictJsonError(f"{path} must hold texts of path, count and hash")
    return Subtree(bytes(int(digit, 16) for digit in match[1]), int(match[2]), bytes.fromhex(match[3]))


def _subtree_text(subtree: Subtree) -> str:
    return f"{_hex(subtree.path)} {subtree.count} {subtree.hash.hex()}"


def _hex(path: bytes) -> str:
    return "".join(f"{number:x}" for number in path)


def _digests(item: Any, path: str) -> DigestChunk:
    fields = strict_json.Fields(item, path)
    bucket = fields.integer("bucket", 0, _COUNT_MAX)
    first, before = fields.integer("first", 0, _COUNT_MAX), fields.hex("before", 32)
    count = fields.integer("count", 0, DIGESTS_MAX)
    chunk = DigestChunk(*_read_file(fields), count, bucket, first, before)
    fields.finish()
    return chunk

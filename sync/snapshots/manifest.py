"""What a snapshot consists of: one JSON document, written last. Without it there is no snapshot.

Nothing in it is believed: the certificate is checked against genesis, the leaves of each chunk against the certified
state root by the chunk's proof, and the remembered digests by the running hashes that lead to the leaves of their
buckets. So a file that is not what was written is found by itself, whoever keeps it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from consensus.checkpoint_messages import CheckpointCertificate, CheckpointWire
from ledger import strict_json
from ledger.checkpoint import Checkpoint
from ledger.digests import block_digest
from ledger.genesis import Genesis
from ledger.header import Header, decode_header
from ledger.rejection import Rejection
from sync.snapshots.container import FILE_BYTES_MAX
from tree.proofs import BadProof, PrefixProof, decode_prefix_proof, encode_prefix_proof

NAME: Final = "manifest.json"
FORMAT: Final = "momus.snapshot.v1"
SIZE_MAX: Final = 64 << 20
NIBBLES_MAX: Final = 4
LEAVES_MAX: Final = 1 << 22
"""Of a chunk: many times what one has on the average, and what can be held in memory."""
DIGESTS_MAX: Final = 1 << 16
"""Of a piece of a bucket."""
_COUNT_MAX: Final = 2**53 - 1
_PARTS_MAX: Final = 1 << 20


class BadManifest(Exception):
    """The document is not that of a snapshot of this chain. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A file with all leaves whose key hashes begin with its number, in hexadecimal of the manifest's width."""

    file: str
    size_bytes: int
    sha256: str
    count: int
    proof: PrefixProof


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
    """`header` and `certificate` are those of the checkpoint's block. There are 16 ** `nibbles` chunks, in order."""

    genesis_digest: bytes
    header: bytes
    certificate: bytes
    nibbles: int
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


def path_of(number: int, nibbles: int) -> bytes:
    """A chunk's place in the tree: a byte per nibble."""
    return bytes(number >> 4 * (nibbles - 1 - place) & 15 for place in range(nibbles))


def encode_manifest(manifest: Manifest) -> bytes:
    """The document, in lines that a person can read."""
    document = {
        "format": FORMAT,
        "genesis_digest": manifest.genesis_digest.hex(),
        "header": manifest.header.hex(),
        "certificate": manifest.certificate.hex(),
        "nibbles": manifest.nibbles,
        "chunks": [_file(chunk) | {"proof": encode_prefix_proof(chunk.proof).hex()} for chunk in manifest.chunks],
        "digests": [
            _file(it) | {"bucket": it.bucket, "first": it.first, "before": it.before.hex()} for it in manifest.digests
        ],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def decode_manifest(data: bytes) -> Manifest:
    """Raises: BadManifest."""
    try:
        fields = strict_json.load(data, SIZE_MAX)
        fields.text("format", FORMAT.replace(".", r"\."))
        nibbles = fields.integer("nibbles", 0, NIBBLES_MAX)
        manifest = Manifest(
            fields.hex("genesis_digest", 32),
            bytes.fromhex(fields.text("header", r"([0-9a-f]{2})+")),
            bytes.fromhex(fields.text("certificate", r"([0-9a-f]{2})+")),
            nibbles,
            tuple(_chunk(item, f"chunks.{at}") for at, item in enumerate(fields.list("chunks", 1, 16**nibbles))),
            tuple(_digests(item, f"digests.{at}") for at, item in enumerate(fields.list("digests", 0, _PARTS_MAX))),
        )
        fields.finish()
    except (strict_json.StrictJsonError, BadProof) as error:
        raise BadManifest(f"The manifest is none: {error}.") from error
    if len(manifest.chunks) != 16**nibbles:
        raise BadManifest(f"The manifest has {len(manifest.chunks)} chunks of {16**nibbles}.")
    return manifest


def certified(manifest: Manifest, genesis: Genesis) -> Certified:
    """The checkpoint, once its certificate has been verified. Raises: BadManifest."""
    if manifest.genesis_digest != genesis.digest:
        raise BadManifest("The snapshot is another chain's.")
    wire = CheckpointWire(genesis)
    message = wire.decode(manifest.certificate)
    if not isinstance(message, CheckpointCertificate) or not wire.is_certified(message):
        raise BadManifest("The snapshot's certificate is not good.")
    checkpoint = message.claim.checkpoint
    header = decode_header(manifest.header, genesis.partitions)
    if isinstance(header, Rejection) or block_digest(genesis.digest, manifest.header) != checkpoint.block_digest:
        raise BadManifest("The snapshot's header is not that of the certified block.")
    return Certified(checkpoint, header)


def _file(part: Part) -> dict[str, Any]:
    return {"file": part.file, "size_bytes": part.size_bytes, "sha256": part.sha256, "count": part.count}


def _read_file(fields: strict_json.Fields, count_max: int) -> tuple[str, int, str, int]:
    return (
        fields.text("file", r"[a-z0-9-]{1,64}\.avro"),
        fields.integer("size_bytes", 1, FILE_BYTES_MAX),
        fields.text("sha256", r"[0-9a-f]{64}"),
        fields.integer("count", 0, count_max),
    )


def _chunk(item: Any, path: str) -> Chunk:
    fields = strict_json.Fields(item, path)
    proof = decode_prefix_proof(bytes.fromhex(fields.text("proof", r"([0-9a-f]{2})*")))
    chunk = Chunk(*_read_file(fields, LEAVES_MAX), proof)
    fields.finish()
    return chunk


def _digests(item: Any, path: str) -> DigestChunk:
    fields = strict_json.Fields(item, path)
    bucket = fields.integer("bucket", 0, _COUNT_MAX)
    first, before = fields.integer("first", 0, _COUNT_MAX), fields.hex("before", 32)
    chunk = DigestChunk(*_read_file(fields, DIGESTS_MAX), bucket, first, before)
    fields.finish()
    return chunk

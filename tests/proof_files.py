"""Proof files of a small state, made without a database: every kind of row, there and not there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from ledger import leaves
from ledger.checkpoint import Checkpoint
from ledger.commands import Ownership
from ledger.committee import Committees
from ledger.digests import block_digest
from ledger.genesis import Genesis, parse_genesis
from ledger.header import Epoch, Header, encode_header
from ledger.state import Asset
from proofs.proof_file import StateProof, encode_state_proof
from tests.builders import TIME_MS, address, genesis_bytes, validator_key
from tests.tree_store import TreeStore
from tests.whole_objects import Whole
from tree.proofs import encode_proof, prove

POWERS = (3, 2, 2, 2)
HEIGHT = 40
OBJECT, ASSET = sha256(b"object").digest(), sha256(b"asset").digest()
OBJECTS = {
    item.id: item
    for item in (
        Whole(OBJECT, 7, Ownership.SHARED, b"", (address(1), address(2)), "note", "text/plain", b"hello", 5),
        Whole(address(9), 1, Ownership.ADDRESS, address(3), (), "note", "text/plain", b""),
    )
}
ROWS = {
    **{leaves.object_key(item.id): leaves.object_value(item.narrow) for item in OBJECTS.values()},
    leaves.balance_key(ASSET, address(1)): leaves.balance_value(1234),
    leaves.asset_key(ASSET): leaves.asset_value(Asset(ASSET, "Thäler", 2, address(0), 10**12)),
}
ABSENT = tuple(
    key
    for number in range(4)
    for key in (
        leaves.object_key(address(100 + number)),
        leaves.balance_key(ASSET, address(100 + number)),
        leaves.asset_key(address(100 + number)),
    )
)


@dataclass
class State:
    """A chain with one checkpoint over `ROWS` and its genesis leaves."""

    chain: str = "test"
    powers: Sequence[int] = POWERS
    height: int = HEIGHT
    genesis_file: bytes = field(init=False)
    genesis: Genesis = field(init=False)
    tree: TreeStore = field(init=False)
    header: bytes = field(init=False)
    checkpoint: Checkpoint = field(init=False)

    def __post_init__(self) -> None:
        self.genesis_file = genesis_bytes(len(self.powers), chain=self.chain, powers=self.powers)
        self.genesis = parse_genesis(self.genesis_file)
        self.tree = TreeStore()
        filler = {leaves.balance_key(ASSET, address(1000 + n)): leaves.balance_value(n + 1) for n in range(20)}
        rows = {**dict(leaves.genesis_leaves(self.genesis)), **ROWS, **filler}
        self.tree.change({leaves.key_hash(key): leaves.value_hash(value) for key, value in rows.items()})
        heads = self.genesis.empty_heads()
        self.header = encode_header(Header(1, Epoch(0), self.height, 3, bytes(32), 41, 2, TIME_MS, heads))
        digest = block_digest(self.genesis.digest, self.header)
        self.checkpoint = Checkpoint(Epoch(0), self.height, digest, heads, self.tree.root_hash(), self.genesis.digest)

    def certificate(self, members: Sequence[int] = (0, 1, 2), keys: Sequence[int] | None = None) -> bytes:
        """Signed by members, with their own keys unless `keys` says otherwise."""
        wire = CheckpointWire(self.genesis, Committees.of(self.genesis))
        claim = wire.claim(self.checkpoint)
        signed = wire.signing_bytes(claim)
        pairs = zip(members, keys or members, strict=True)
        signatures = tuple((member, validator_key(key).sign(signed)) for member, key in pairs)
        return wire.encode(CheckpointCertificate(claim, signatures))

    def proof(self, key: bytes, *, with_header: bool = True) -> StateProof:
        """The proof of a key of `ROWS`, or that it is absent."""
        path = prove(self.tree.root, leaves.key_hash(key), self.tree.read, self.tree.value_hash)
        header = self.header if with_header else None
        item = OBJECTS.get(key[1:])
        details = None if item is None else item.details
        return StateProof(key, ROWS.get(key), details, encode_proof(path), header, self.certificate())

    def file(self, key: bytes) -> bytes:
        """The bytes of its file."""
        return encode_state_proof(self.proof(key))


def every_file(state: State) -> dict[str, bytes]:
    """Files by what they show: each kind, there and not."""
    return {f"{'there' if key in ROWS else 'absent'} {key.hex()[:8]}": state.file(key) for key in (*ROWS, *ABSENT)}

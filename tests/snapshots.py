"""Snapshots of small chains, made in tests: a store, its executed databases, and what one needs to sign."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backbone.store import StoreReader
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from ingest.pool import VerdictPool
from ledger import leaves
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.genesis import Genesis, parse_genesis
from node.execution.pipeline import PipelineLimits
from node.execution.session import LogIdentity, Session
from node.home.context import NodeContext
from node.home.layout import Home
from node.settings.tree import read_settings
from projections.maintenance.migrate import migrate
from projections.snapshots.exporting import ExportedView, imported_view
from sync.snapshots.export import export
from sync.snapshots.manifest import encode_manifest
from sync.snapshots.stores import SnapshotStore
from tests.builders import TIME_MS, genesis_bytes, key, record, transaction, transfer, validator_key
from tests.chain_builder import even_cuts, write_store
from tests.random_ledger import RandomLedger

CLUSTER = "cluster"
SEGMENT_BYTES = 1_000


@dataclass(frozen=True)
class SmallChain:
    """A chain of one validator and one partition with every kind of command in it."""

    genesis: Genesis
    store: Path
    height: int

    def context(self, home: Home) -> NodeContext:
        """Of a node of this chain."""
        return NodeContext.of(home, read_settings(None, {"MOMUS_LOG__CLUSTER_ID": CLUSTER}), self.genesis)

    def execute(self, url: str, until: int | None = None, rehash: bool = False) -> None:
        """From where the database is."""
        migrate(url)
        limits = PipelineLimits(job_records_max=20, flush_records_max=40)
        identity = LogIdentity(CLUSTER, self.genesis.topic_id)
        session = Session(self.genesis, identity, self.store, url, limits, rehash)
        with closing(VerdictPool(1, self.genesis.digest, self.genesis.limits)) as pool:
            session.run(pool, lambda cursor, checkpoints: None, lambda: False, until or self.height)

    def header(self, height: int) -> bytes:
        """Of the stored block."""
        with StoreReader(self.store) as stored:
            return stored.final_after(height - 1, 1)[0].header_bytes

    def certificate(self, checkpoint: Checkpoint) -> bytes:
        """Of the only validator."""
        wire = CheckpointWire(self.genesis, Committees.of(self.genesis))
        claim = wire.claim(checkpoint)
        signature = validator_key(0).sign(wire.signing_bytes(claim))
        return wire.encode(CheckpointCertificate(claim, ((0, signature),)))

    def snapshot(self, url: str, place: SnapshotStore, height: int) -> None:
        """Of a database that is at the checkpoint of a height."""
        folder = place.staging(height)
        with ExportedView(url) as view, imported_view(url, view.id, height) as connection:
            exported = export(connection, height, folder)
        manifest = exported.manifest(self.genesis, self.header(height), self.certificate(exported.checkpoint))
        place.publish(height, encode_manifest(manifest))


def small_chain(
    folder: Path, blocks: int = 24, checkpoint_heights: int = 5, drawn: int = 250, seed: int = 5
) -> SmallChain:
    """Blocks lie so far apart that expiry buckets go on the way; the store has many segments."""
    genesis = parse_genesis(
        genesis_bytes(partitions=1, checkpoint_heights=checkpoint_heights, checkpoint_time_ms=10**9)
    )
    source = RandomLedger(genesis, seed=seed)
    values: list[bytes | None] = [*source.opening(), *(source.draw() for _ in range(drawn))]
    height = write_store(folder / "store", genesis, [values], even_cuts([len(values)], blocks), 40_000, SEGMENT_BYTES)
    return SmallChain(genesis, folder / "store", height)


def ground_chain(folder: Path, ground: int, nibbles: int) -> SmallChain:
    """A block of money, and a checkpoint block in which it goes to addresses that were searched for: all their balances
    begin with the same nibbles in the tree, as many as are asked for."""
    genesis = parse_genesis(genesis_bytes(partitions=1, checkpoint_heights=2, checkpoint_time_ms=10**9))
    source = RandomLedger(genesis, seed=5)
    opening: list[bytes | None] = [*source.opening()]
    asset, number = source.assets[0], 0
    found: list[bytes] = []
    while len(found) < ground:
        recipient, number = number.to_bytes(32), number + 1
        if leaves.key_hash(leaves.balance_key(asset, recipient)).hex().startswith("a5a5a5"[:nibbles]):
            found.append(recipient)
    paid = transaction(
        genesis.digest,
        transfer(found, [1] * ground, asset),
        signer=key(0),
        nonce=10**6,
        expires_at_ms=TIME_MS + 600_000,
    )
    cuts = [(len(opening),), (len(opening) + 1,)]
    height = write_store(folder / "store", genesis, [[*opening, record(paid)]], cuts, 40_000, SEGMENT_BYTES)
    return SmallChain(genesis, folder / "store", height)

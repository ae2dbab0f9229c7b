"""Genesis: the constants of one chain. Every limit that decides validity or effects stands here.

Timers, drift, lag and the like are settings of a node, never part of genesis.
"""

from dataclasses import dataclass

from ledger.header import Head


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that decide validity or effects. All are positive."""

    records_max: int
    bytes_max: int
    record_bytes_max: int
    batch_max: int
    commands_max: int
    recipients_max: int
    content_bytes_max: int
    rejections_max: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class Validator:
    """A member of the first committee. `operator_address` is 32 bytes, `consensus_key` an Ed25519 public key."""

    name: str
    operator_address: bytes
    consensus_key: bytes
    power: int


@dataclass(frozen=True, slots=True)
class Genesis:
    """`digest` is that of the file's bytes as they are; two files that say the same differ in it."""

    digest: bytes
    chain: str
    protocol_version: int
    topic: str
    topic_id: str
    partitions: int
    shards: int
    validators: tuple[Validator, ...]
    asset_issuers: frozenset[bytes] | None
    """Addresses that may create assets; None: anyone may."""
    limits: Limits
    checkpoint_heights: int
    checkpoint_time_ms: int

    def topic_name(self, kind: str) -> str:
        """``momus.<chain>.<kind>``, e.g. kind "blocks" or "consensus.alice"."""
        return f"momus.{self.chain}.{kind}"

    def empty_heads(self) -> tuple[Head, ...]:
        """The heads of height 0."""
        raise NotImplementedError

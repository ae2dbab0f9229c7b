"""Genesis: the constants of one chain. Every limit that decides validity or effects stands here.

Timers, drift, lag and the like are settings of a node, never part of genesis.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from ledger import digests
from ledger.encoding import strict_json
from ledger.encoding.strict_json import Fields, StrictJsonError
from ledger.errors import CallerError
from ledger.formats import GENESIS
from ledger.header import PROTOCOL_VERSION, Head
from ledger.keys import is_acceptable_key


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
        return tuple(Head(p, 0, 0, digests.chain_start(self.digest, p)) for p in range(self.partitions))


class GenesisError(CallerError):
    """genesis.json is not a genesis: the message names the key and what it must be."""


DEFAULT_LIMITS: Final = Limits(
    records_max=10_000,
    bytes_max=4 * 2**20,
    record_bytes_max=1_000_000,
    batch_max=1000,
    commands_max=16,
    recipients_max=10_000,
    content_bytes_max=65_536,
    rejections_max=1000,
    window_ms=3_600_000,
)
DEFAULT_PARTITIONS: Final = 4
DEFAULT_CHECKPOINT_HEIGHTS: Final = 1000
DEFAULT_CHECKPOINT_TIME_MS: Final = 60_000


_FORMAT_VERSION_MAX: Final = 2**31 - 1
_GENESIS_BYTES_MAX: Final = 2**20
_PARTITIONS_MAX: Final = 1024
_SHARDS_MAX: Final = 65_536
_VALIDATORS_MAX: Final = 128
_POWER_MAX: Final = 2**31 - 1
_ISSUERS_MAX: Final = 10_000
CHECKPOINT_MAX: Final = 2**40
_NAME: Final = "[a-z0-9-]{1,32}"
_TOPIC: Final = "[a-zA-Z0-9._-]{1,249}"
_TOPIC_ID: Final = "[!-~]{1,64}"

LIMITS_MAX: Final = Limits(
    records_max=20_000,
    bytes_max=4 * 2**20,
    record_bytes_max=4 * 2**20,
    batch_max=10_000,
    commands_max=1_000,
    recipients_max=100_000,
    content_bytes_max=2**20,
    rejections_max=10_000,
    window_ms=7 * 86_400_000,
)
"""The largest limits that a genesis may set: with them a block is executed in bounded memory (docs/storage.md)."""


def parse_genesis(file_bytes: bytes) -> Genesis:
    """The genesis that the bytes of genesis.json say. Raises: GenesisError."""
    try:
        return _parse(strict_json.load(file_bytes, _GENESIS_BYTES_MAX), digests.genesis_digest(file_bytes))
    except StrictJsonError as error:
        raise GenesisError(str(error)) from error


def _parse(document: Fields, digest: bytes) -> Genesis:
    if refused := GENESIS.refusal(document.integer("format_version", 0, _FORMAT_VERSION_MAX)):
        raise StrictJsonError(f"by its format_version it {refused}")
    topic = document.fields("transactions_topic")
    checkpoint = document.fields("checkpoint")
    genesis = Genesis(
        digest=digest,
        chain=document.text("chain", _NAME),
        protocol_version=_protocol_version(document),
        topic=topic.text("name", _TOPIC),
        topic_id=topic.text("id", _TOPIC_ID),
        partitions=document.integer("partitions", 1, _PARTITIONS_MAX),
        shards=document.integer("shards", 1, _SHARDS_MAX),
        validators=_validators(document.list("validators", 1, _VALIDATORS_MAX)),
        asset_issuers=_asset_issuers(document),
        limits=_limits(document.fields("limits")),
        checkpoint_heights=checkpoint.integer("heights", 1, CHECKPOINT_MAX),
        checkpoint_time_ms=checkpoint.integer("time_ms", 1, CHECKPOINT_MAX),
    )
    for part in (document, topic, checkpoint):
        part.finish()
    return genesis


def _protocol_version(document: Fields) -> int:
    found = document.integer("protocol_version", 1, _FORMAT_VERSION_MAX)
    if found != PROTOCOL_VERSION:
        raise StrictJsonError(f"protocol_version is {found}, and this program has {PROTOCOL_VERSION}")
    return found


def _validators(items: list[Any]) -> tuple[Validator, ...]:
    validators = tuple(_validator(Fields(item, f"validators[{i}]"), i) for i, item in enumerate(items))
    for what, distinct in (
        ("name", {validator.name for validator in validators}),
        ("consensus_key", {validator.consensus_key for validator in validators}),
    ):
        if len(distinct) != len(validators):
            raise StrictJsonError(f"validators: every {what} must be another")
    return validators


def _validator(fields: Fields, index: int) -> Validator:
    validator = Validator(
        name=fields.text("name", _NAME),
        operator_address=fields.hex("operator_address", 32),
        consensus_key=fields.hex("consensus_key", 32),
        power=fields.integer("power", 1, _POWER_MAX),
    )
    fields.finish()
    if not is_acceptable_key(validator.consensus_key):
        raise StrictJsonError(f"validators[{index}].consensus_key is a weak or non-canonical Ed25519 key")
    return validator


def _asset_issuers(document: Fields) -> frozenset[bytes] | None:
    value = document.take("asset_issuers")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _ISSUERS_MAX:
        raise StrictJsonError(f"asset_issuers must be null or a list of at most {_ISSUERS_MAX} addresses")
    return frozenset(strict_json.hex_bytes(item, 32, f"asset_issuers[{i}]") for i, item in enumerate(value))


def _limits(document: Fields) -> Limits:
    limits = Limits(
        **{limit.name: document.integer(limit.name, 1, getattr(LIMITS_MAX, limit.name)) for limit in fields(Limits)}
    )
    document.finish()
    return limits


def render_genesis(
    *,
    chain: str,
    topic_id: str,
    validators: Sequence[Validator],
    topic: str | None = None,
    partitions: int = DEFAULT_PARTITIONS,
    shards: int = 1,
    asset_issuers: Collection[bytes] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    checkpoint_heights: int = DEFAULT_CHECKPOINT_HEIGHTS,
    checkpoint_time_ms: int = DEFAULT_CHECKPOINT_TIME_MS,
) -> bytes:
    """The bytes of a genesis.json that `parse_genesis` accepts; `topic` defaults to ``momus.<chain>.transactions``.

    Raises: GenesisError where a value is out of its range.
    """
    document = {
        "format_version": GENESIS.version,
        "chain": chain,
        "protocol_version": PROTOCOL_VERSION,
        "transactions_topic": {"name": topic or f"momus.{chain}.transactions", "id": topic_id},
        "partitions": partitions,
        "shards": shards,
        "validators": [
            {
                "name": validator.name,
                "operator_address": validator.operator_address.hex(),
                "consensus_key": validator.consensus_key.hex(),
                "power": validator.power,
            }
            for validator in validators
        ],
        "asset_issuers": None if asset_issuers is None else sorted(issuer.hex() for issuer in asset_issuers),
        "limits": asdict(limits),
        "checkpoint": {"heights": checkpoint_heights, "time_ms": checkpoint_time_ms},
    }
    file_bytes = (json.dumps(document, indent=2) + "\n").encode()
    parse_genesis(file_bytes)
    return file_bytes

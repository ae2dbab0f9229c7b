"""What the ledger's answers hold."""

from typing import Any, Literal

from pydantic import Field

from api.reading.values import Amount, Count, Height, Hex32, Row, Time, Whole

Ownership = Literal["address", "shared", "immutable"]
MoveKind = Literal["transfer", "mint", "burn"]


class Head(Row):
    """How far a partition of the log is ordered."""

    partition: Count
    incarnation: Count
    end_offset: Count
    chain_digest: Hex32


class Block(Row):
    """A final block, executed."""

    height: Height
    digest: Hex32
    parent_digest: Hex32
    epoch: Count
    view: Count
    proposer: Count = Field(description="Index of the proposing validator, see /v1/validators.")
    time: Time
    heads: list[Head]
    records: Count
    transactions: Count
    transfers: Count
    rejections: Count


class Executed(Row):
    """A transaction that executed."""

    height: Height
    index: Count
    digest: Hex32
    signer: Hex32
    reference: str | None
    reference_hex: str
    commands: Count
    time: Time
    expires_at: Time
    partition: Count
    offset: Count
    item: Count


class Rejected(Row):
    """A transaction or record without effect, and why."""

    height: Height
    index: Count
    code: int
    reason: str | None
    sentence: str | None
    digest: Hex32 | None
    signer: Hex32 | None
    reference: str | None
    time: Time
    partition: Count
    offset: Count
    item: int


class Transfer(Row):
    """A movement of units; a mint has no sender, a burn no recipient."""

    height: Height
    index: Count
    transaction: Count
    kind: MoveKind
    asset: Hex32
    sender: Hex32 | None
    recipient: Hex32 | None
    amount: Amount
    decimal_amount: Whole | None
    time: Time


class Balance(Row):
    """What an address holds of an asset."""

    address: Hex32
    asset: Hex32
    asset_name: str | None
    amount: Amount
    decimal_amount: Whole | None


class Asset(Row):
    """An asset."""

    asset: Hex32
    name: str
    decimals: Count
    issuer: Hex32
    supply: Amount
    decimal_supply: Whole


class ObjectSummary(Row):
    """An object as it is now, without its content."""

    object: Hex32
    version: Count
    ownership: Ownership
    owner: Hex32 | None
    type: str
    media_type: str


class Write(ObjectSummary):
    """That an object was written, without the content."""

    height: Height
    transaction: Count
    command: Count
    time: Time
    deleted: bool


class Object(Row):
    """An object as it is now."""

    object: Hex32
    version: Count
    ownership: Ownership
    owner: Hex32 | None
    writers: list[Hex32]
    type: str
    media_type: str
    content: str | None = Field(description="The content as text; null where it is not UTF-8.")
    content_bytes: bytes = Field(description="The content as hex.", json_schema_extra={"format": "hex"})


class ObjectVersion(Object):
    """A version that an object had, and the command that made it."""

    height: Height
    transaction: Count
    command: Count
    time: Time
    deleted: bool


class ObjectChange(Row):
    """That a transaction wrote an object, without the content."""

    object: Hex32
    version: Count
    command: Count
    deleted: bool
    ownership: Ownership
    owner: Hex32 | None


class Checkpoint(Row):
    """What the state was after a checkpoint block."""

    height: Height
    time: Time
    epoch: Count
    block_digest: Hex32
    state_root: Hex32
    digest: Hex32
    previous: Hex32
    certified: bool


class Drill(Row):
    """A recovery that this node has rehearsed."""

    drill: Count
    started_at: Time
    verdict: str
    injected: str | None
    source: str | None
    height: Height | None
    records: Count | None
    seconds: Whole | None
    records_per_s: Whole | None
    report: dict[str, Any]

"""What is answered of a node: its state, the committee, evidence, peers."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from api.reading.values import Count, Height, Hex32, Row, Time

BLOCKS_LOOKED_AT: Final = 1_000


class ProcessState(Row):
    """A process of the node. Its own words are for its operators: `momus status`, or the management API."""

    name: str
    state: str
    since_ms: Count
    is_alive: bool


class Consensus(Row):
    """What the order process says; of a node without metrics there is none of it."""

    view: Count
    finality_p50_ms: float | None = Field(description="Upper bound, of all blocks since the process started.")
    finality_p99_ms: float | None
    final_blocks: Count = Field(description="Blocks that became final since the process started.")
    finality_ms: float = Field(description="Their times to finality, added up; take differences.")


class DatabaseState(Row):
    """How far the database is."""

    height: Height
    digest: Hex32
    time: Time
    final_height: Height
    lag_blocks: Count
    history_floor: Height
    certified_height: Height | None


class NodeStatus(Row):
    """`database` is null while the database does not answer."""

    chain: str
    genesis_digest: Hex32
    protocol_version: Count
    validator: str
    version: str
    log: str
    checkpoint_heights: Count
    window_ms: Count
    batch_max: Count
    database: DatabaseState | None
    consensus: Consensus | None
    processes: list[ProcessState]
    ready: bool
    reasons: list[str] = Field(description="Why it is not ready, as /readyz has it.")
    final_age_ms: Count | None = Field(description="Since the time that the last final block bears.")
    waiting_records: Count | None = Field(description="Read from the log, and not final; null: nobody says.")


class Member(Row):
    """A validator of the committee. Numbers of votes and views are what this node has seen since its order process
    started; null without metrics."""

    index: Count
    name: str
    operator_address: Hex32
    consensus_key: Hex32
    power: Count
    is_this_node: bool
    blocks: Count = Field(description=f"Of the last {BLOCKS_LOOKED_AT} blocks, those that it proposed.")
    missed_votes: Count | None
    nullified_views: Count | None
    is_heard: bool = Field(description="By this node: its announcements are fresh, and in a stall it says something.")
    behind_views: int | None


class Committee(BaseModel):
    """The validators, in the order of genesis."""

    items: list[Member]
    height: Height


class Evidence(Row):
    """A file with signed messages that speak against a validator, or the report of a fork."""

    name: str
    what: str
    size_bytes: Count
    kept_at_ms: Count


class EvidenceList(BaseModel):
    """What this node keeps, newest first."""

    items: list[Evidence]


class PeerAnswer(Row):
    """Another validator, by its own word: signed by its key, and not proven. From `age_ms` on null, where it was never
    heard; addresses are empty where it offers none."""

    validator: str
    public_key: Hex32
    is_self: bool
    state: Literal["fresh", "expired", "never seen"]
    age_ms: int | None
    valid_for_ms: int | None
    height: Height | None
    checkpoint_height: Height | None
    behind_blocks: int | None
    version: str | None
    roles: list[str] | None
    api_address: str | None
    sync_address: str | None
    sequence: int | None


class Peers(BaseModel):
    """The validators of genesis, this node among them."""

    items: list[PeerAnswer]

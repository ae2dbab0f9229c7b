"""Block headers: what a validator signs. A block carries no transactions, only one log head per partition."""

from dataclasses import dataclass
from typing import Final, NewType

Epoch = NewType("Epoch", int)
Height = NewType("Height", int)
View = NewType("View", int)
Offset = NewType("Offset", int)

PROTOCOL_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Head:
    """The whole history of one partition up to, and without, `end_offset` (last data record + 1)."""

    partition: int
    incarnation: int
    end_offset: int
    chain_digest: bytes


@dataclass(frozen=True, slots=True)
class Opening:
    """The next incarnation of a partition: from here on its records lie in `topic_id` from `from_offset`."""

    partition: int
    incarnation: int
    topic_id: str
    from_offset: int


@dataclass(frozen=True, slots=True)
class Header:
    """One block. `heads` holds exactly one head per partition, in order of partition.

    Height 0 is genesis and has no header: its digest is the genesis digest, its view 0, its time 0, its heads are
    the empty ones (incarnation 0, end_offset 0, `digests.chain_start`).
    """

    protocol_version: int
    epoch: int
    height: int
    parent_view: int
    parent_digest: bytes
    view: int
    proposer: int
    time_ms: int
    heads: tuple[Head, ...]
    openings: tuple[Opening, ...] = ()
    seal: bytes | None = None

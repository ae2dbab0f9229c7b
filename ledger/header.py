"""Block headers: what a validator signs. A block carries no transactions, only one log head per partition."""

from dataclasses import asdict, dataclass
from typing import Final, NewType

from ledger.encoding.codec import Codec
from ledger.rejection import Reason, Rejection

Epoch = NewType("Epoch", int)

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
    epoch: Epoch
    height: int
    parent_view: int
    parent_digest: bytes
    view: int
    proposer: int
    time_ms: int
    heads: tuple[Head, ...]
    openings: tuple[Opening, ...] = ()
    seal: bytes | None = None


TOPIC_ID_SIZE_MAX: Final = 64
SEAL_SIZE_MAX: Final = 4096
_HEAD_SIZE_MAX: Final = 60
_OPENING_SIZE_MAX: Final = 100
_FIXED_SIZE_MAX: Final = 150
_INCARNATION_MAX: Final = 2**32 - 1

_HEADER: Final = Codec("Header")


def header_bytes_max(partitions_max: int) -> int:
    """An upper bound of a header's bytes."""
    return _FIXED_SIZE_MAX + SEAL_SIZE_MAX + partitions_max * (_HEAD_SIZE_MAX + _OPENING_SIZE_MAX)


def encode_header(header: Header) -> bytes:
    """The bytes that are signed and hashed. Ranges are not checked. Raises: as `Codec.encode`."""
    return _HEADER.encode(asdict(header))


def decode_header(data: bytes, partitions_max: int) -> Header | Rejection:
    """The header of canonical bytes: 1 to `partitions_max` heads, partitions 0.. in order, numbers in range.

    Whether it fits a chain (its version, epoch, parent, proposer, time) is not looked at.
    """
    value = _HEADER.decode(data, header_bytes_max(partitions_max))
    if isinstance(value, Rejection):
        return value
    value["heads"] = tuple(Head(**head) for head in value["heads"])
    value["openings"] = tuple(Opening(**opening) for opening in value["openings"])
    header = Header(**value)
    wrong = _wrong_field(header, partitions_max)
    return header if wrong is None else Rejection(Reason.FIELD_RANGE, wrong)


def _wrong_field(header: Header, partitions_max: int) -> str | None:
    """The first field out of its range."""
    if not 1 <= len(header.heads) <= partitions_max:
        return "heads"
    if any(head.partition != index or not is_head(head) for index, head in enumerate(header.heads)):
        return "heads"
    opened = [opening.partition for opening in header.openings]
    if opened != sorted(set(opened)) or not all(_is_opening(o, len(header.heads)) for o in header.openings):
        return "openings"
    if header.seal is not None and len(header.seal) > SEAL_SIZE_MAX:
        return "seal"
    least = {"protocol_version": 1, "epoch": 0, "height": 1, "parent_view": 0, "view": 1, "proposer": 0, "time_ms": 0}
    return next((name for name, low in least.items() if getattr(header, name) < low), None)


def is_head(head: Head) -> bool:
    """Whether its numbers are in range."""
    return 0 <= head.incarnation <= _INCARNATION_MAX and head.end_offset >= 0


def _is_opening(opening: Opening, partitions: int) -> bool:
    return (
        0 <= opening.partition < partitions
        and 1 <= opening.incarnation <= _INCARNATION_MAX
        and opening.from_offset >= 0
        and 1 <= len(opening.topic_id) <= TOPIC_ID_SIZE_MAX
        and all("!" <= character <= "~" for character in opening.topic_id)
    )

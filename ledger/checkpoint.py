"""Checkpoints: what the state is after a checkpoint block, each naming the one before."""

from dataclasses import asdict, dataclass
from typing import Final

from ledger import digests
from ledger.encoding.codec import Codec
from ledger.genesis import Genesis
from ledger.header import Epoch, Head, header_bytes_max, is_head
from ledger.rejection import Reason, Rejection

_CHECKPOINT: Final = Codec("Checkpoint")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state root is that of all leaves (`ledger.leaves`) after the block of this height.

    `previous` is the digest of the checkpoint before; of the first one the genesis digest.
    """

    epoch: Epoch
    height: int
    block_digest: bytes
    heads: tuple[Head, ...]
    state_root: bytes
    previous: bytes


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The bytes that are hashed and signed. Ranges are not checked. Raises: as `Codec.encode`."""
    return _CHECKPOINT.encode(asdict(checkpoint))


def decode_checkpoint(data: bytes, partitions: int) -> Checkpoint | Rejection:
    """The checkpoint of canonical bytes: a head for each partition, numbers in range."""
    value = _CHECKPOINT.decode(data, header_bytes_max(partitions))
    if isinstance(value, Rejection):
        return value
    heads = tuple(Head(**head) for head in value["heads"])
    checkpoint = Checkpoint(**{**value, "heads": heads})
    wrong = _wrong_field(checkpoint, partitions)
    return checkpoint if wrong is None else Rejection(Reason.FIELD_RANGE, wrong)


def checkpoint_digest(genesis: Genesis, checkpoint_bytes: bytes) -> bytes:
    """What the next checkpoint names as its `previous`."""
    return digests.checkpoint_digest(genesis.digest, checkpoint_bytes)


def _wrong_field(checkpoint: Checkpoint, partitions: int) -> str | None:
    if checkpoint.epoch < 0:
        return "epoch"
    if checkpoint.height < 1:
        return "height"
    numbers = [head.partition for head in checkpoint.heads]
    return None if numbers == list(range(partitions)) and all(map(is_head, checkpoint.heads)) else "heads"

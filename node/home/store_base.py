"""What a pruned store must still know of the blocks that are gone: where its partitions' incarnations lie."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backbone.intake.intake import Source
from backbone.store.files import write_durably
from ledger.encoding import strict_json
from ledger.errors import Halt
from ledger.genesis import Genesis

NAME: Final = "base.json"
_SIZE_MAX: Final = 1 << 20
_NUMBER_MAX: Final = 2**53 - 1


class StoreUnusable(Halt):
    """The store is another chain's, or lacks what it must hold. The message names the remedy."""


@dataclass(frozen=True, slots=True)
class Base:
    """As of the block of a height, which is the lowest that is sure to be there: by partition."""

    height: int
    incarnations: tuple[int, ...]
    sources: tuple[Source, ...]


def write_base(store: Path, base: Base) -> None:
    """Durably. Raises: OSError."""
    partitions = [
        {"incarnation": incarnation, "topic_id": source.topic_id, "first_offset": source.first_offset}
        for incarnation, source in zip(base.incarnations, base.sources, strict=True)
    ]
    document = {"height": base.height, "partitions": partitions}
    write_durably(store / NAME, json.dumps(document, indent=1).encode() + b"\n")


def read_base(store: Path, genesis: Genesis) -> Base | None:
    """None of a store that was never pruned. Raises: StoreUnusable."""
    try:
        data = (store / NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        fields = strict_json.load(data, _SIZE_MAX)
        height = fields.integer("height", 1, _NUMBER_MAX)
        items = fields.list("partitions", genesis.partitions, genesis.partitions)
        fields.finish()
        parts = [strict_json.Fields(item, f"partitions.{at}") for at, item in enumerate(items)]
        incarnations = tuple(part.integer("incarnation", 0, _NUMBER_MAX) for part in parts)
        sources = tuple(Source(part.text("topic_id", ".{1,255}"), _first_offset(part)) for part in parts)
    except strict_json.StrictJsonError as error:
        raise StoreUnusable(f"{store / NAME} cannot be read: {error}. Restore the store.") from error
    return Base(height, incarnations, sources)


def _first_offset(part: strict_json.Fields) -> int:
    return part.integer("first_offset", 0, _NUMBER_MAX)

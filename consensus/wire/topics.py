"""The topics in which the validators of an epoch speak, and where each is read on from."""

from collections.abc import Iterable, Mapping
from typing import Final

from ledger.committee import Committee
from ledger.genesis import Genesis

COMPLETE: Final = "#complete-height"
"""Among the positions: the height up to which the `blocks` topic is known to be complete."""


def consensus_topics(genesis: Genesis, committee: Committee) -> list[str]:
    """The topics of all validators, by index."""
    return [genesis.topic_name(f"consensus.{name}") for name in committee.names]


def voting_topics(genesis: Genesis, committee: Committee) -> list[str]:
    """All topics in which validators speak to each other: those of `consensus_topics`, then `checkpoints`."""
    return [*consensus_topics(genesis, committee), genesis.topic_name("checkpoints")]


def all_positions(genesis: Genesis, committee: Committee, known: Mapping[str, int]) -> dict[str, int]:
    """Where to read each topic on from: the beginning, unless the journal knows better."""
    topics: Iterable[str] = (*voting_topics(genesis, committee), genesis.topic_name("blocks"), COMPLETE)
    return {**dict.fromkeys(topics, 0), **known}

"""What validators have signed, as their topics and journals hold it; and whether anybody contradicted himself."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from backbone.log import Log
from consensus.runtime.journal_file import open_journal
from consensus.runtime.readers import read_to_end
from consensus.wire.checkpoint_messages import CheckpointSignature, CheckpointWire, speaks_of_checkpoints
from consensus.wire.messages import Kind, Message, Proposal, Vote, Wire
from consensus.wire.topics import consensus_topics
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.keys import verify
from ledger.rejection import Rejection
from node import wiring
from node.home.layout import Home


def conflicts(homes: Iterable[Path]) -> list[str]:
    """`contradictions` in all topics and journals of a chain. The nodes must be stopped."""
    places = [Home(path) for path in homes]
    genesis = places[0].genesis()
    with wiring.open_log(places[0], places[0].settings({})) as log:
        values = [*_values_of_topics(log, genesis), *_values_of(places)]
    assert values, "nobody has said anything"
    return contradictions(genesis, values)


def contradictions(genesis: Genesis, values: Iterable[bytes | None]) -> list[str]:
    """A sentence for everything that no honest key signs: two proposals, two notarize or two finalize votes in a view,
    nullify and finalize in a view, two states of a height."""
    said: dict[tuple[int, int], dict[str, set[bytes]]] = defaultdict(lambda: defaultdict(set))
    for signer, view, what, digest in _said(genesis, values):
        said[signer, view][what].add(digest)
    return list(_contradictions(said))


def _contradictions(said: dict[tuple[int, int], dict[str, set[bytes]]]) -> Iterator[str]:
    for (signer, view), words in said.items():
        for what, digests in words.items():
            if len(digests) > 1:
                yield f"validator {signer} said {what} of {len(digests)} blocks in view {view}"
        if {Kind.NULLIFY.name, Kind.FINALIZE.name} <= words.keys():
            yield f"validator {signer} nullified and finalized view {view}"


def _said(genesis: Genesis, values: Iterable[bytes | None]) -> Iterator[tuple[int, int, str, bytes]]:
    """(signer, view, what, digest) of every statement with a good signature."""
    committees = Committees.of(genesis)
    wire, leader = Wire(genesis, committees, verify), committees.current.leader
    for value in set(values):
        if speaks_of_checkpoints(value):
            yield _certified(CheckpointWire(genesis, committees, verify), value)
            continue
        message = wire.decode(value)
        if isinstance(message, Rejection):
            raise AssertionError(f"a topic or journal holds what is no message: {message}")
        if not wire.is_authentic(message):
            raise AssertionError(f"a topic or journal holds a forged message: {message}")
        yield from _statements(message, leader)


def _certified(wire: CheckpointWire, value: bytes | None) -> tuple[int, int, str, bytes]:
    """What a signed checkpoint says; the height stands for the view."""
    message = wire.decode(value)
    if not isinstance(message, CheckpointSignature) or not wire.is_authentic(message):
        raise AssertionError(f"a topic or journal holds what is no signed checkpoint: {message}")
    return message.validator, message.claim.height, "CERTIFY", message.claim.digest


def _statements(message: Message, leader: Callable[[int], int]) -> Iterator[tuple[int, int, str, bytes]]:
    match message:
        case Proposal(view=view, block=block):
            yield leader(view), view, "PROPOSE", block.digest
        case Vote(kind, _, view, digest, validator):
            yield validator, view, kind.name, digest
        case _:
            for validator, _ in message.signatures:
                yield validator, message.view, message.kind.name, message.digest


def _values_of_topics(log: Log, genesis: Genesis) -> Iterator[bytes | None]:
    for topic in consensus_topics(genesis, Committees.of(genesis).current):
        yield from (record.value for record in read_to_end(log, topic, 0))


def _values_of(homes: Iterable[Home]) -> Iterator[bytes]:
    for home in homes:
        genesis = home.genesis()
        key = wiring.validator_key(home, home.settings({}), Committees.of(genesis).current)
        journal = open_journal(home.journal_file, genesis.digest, key.public_key)
        yield from journal.own
        journal.close()

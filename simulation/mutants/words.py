"""Planted bugs in what is read out of words, and in what a process says of itself."""

from collections.abc import Callable, Mapping
from typing import Any

from consensus.runtime.loop import Loop
from consensus.runtime.outbox import Outbox
from consensus.wire import final_blocks, fork_evidence
from consensus.wire.final_blocks import BlockReader
from consensus.wire.messages import Block, Certificate, Kind, Statement, Vote, Wire, signer
from ledger import digests
from ledger.committee import Committee
from ledger.header import decode_header
from ledger.rejection import Rejection
from simulation.mutants.mutant import Mutant


def _any_two(said: Mapping[Any, Statement]) -> tuple[Statement, Statement] | None:
    """Takes a notarize vote and a nullify vote for a contradiction, which a slow view makes of everybody."""
    first = {kind: statement for (kind, _), statement in said.items()}
    if Kind.NOTARIZE.name in first and Kind.NULLIFY.name in first:
        return first[Kind.NOTARIZE.name], first[Kind.NULLIFY.name]
    return _CONTRADICTION(said)


def _two_of_a_kind(said: Mapping[Any, Statement]) -> tuple[Statement, Statement] | None:
    """Overlooks who nullifies a view and finalizes it."""
    pair = _CONTRADICTION(said)
    kinds = {statement.kind for statement in pair or () if isinstance(statement, Vote)}
    return None if kinds == {Kind.NULLIFY, Kind.FINALIZE} else pair


def _note_unsigned(self: Any, statement: Statement) -> None:
    committee = self._committees.at(statement.epoch)
    said = self.said[statement.epoch, signer(statement, committee), statement.view]
    said.setdefault(fork_evidence._said(statement), statement)


def _any_certificate(self: Any, data: bytes) -> Certificate | Rejection:
    found = self._wire.decode(data)
    return found if isinstance(found, Certificate) else _FINALIZATION(self, data)


def _members_of_any_number(self: Any, members: Any) -> bool:
    return all(member >= 0 for member in members)


def _heads_of_any_number(self: Any, header_bytes: bytes) -> Block | Rejection:
    header = decode_header(header_bytes, self._genesis.partitions)
    if isinstance(header, Rejection):
        return header
    return Block(header, header_bytes, digests.block_digest(self._genesis.digest, header_bytes))


def _say_height_before(self: Any) -> Mapping[str, int]:
    status = dict(_STATUS(self))
    return {**status, "height": max(0, status["height"] - 1)}


def _never_acknowledged(self: Any, topic: str, value: bytes) -> Callable[[Any], None]:
    done = _ON_DELIVERY(self, topic, value)

    def counting(delivery: Any) -> None:
        done(delivery)
        self.under_way += delivery.error is None

    return counting


_CONTRADICTION: Callable[..., tuple[Statement, Statement] | None] = fork_evidence._contradiction
_FINALIZATION: Callable[..., Certificate | Rejection] = BlockReader._finalization
_STATUS: Callable[..., Mapping[str, int]] = Loop.status
_ON_DELIVERY: Callable[..., Callable[[Any], None]] = Outbox._on_delivery

WORDS: tuple[Mutant, ...] = (
    Mutant("convicts whoever notarizes a view and nullifies it", ((fork_evidence, "_contradiction", _any_two),)),
    Mutant(
        "convicts nobody who nullifies a view and finalizes it",
        ((fork_evidence, "_contradiction", _two_of_a_kind),),
        "nullify-and-finalize",
    ),
    Mutant("convicts by the name that a vote bears", ((fork_evidence._Docket, "_note", _note_unsigned),), "forger"),
    Mutant("takes any certificate for finality", ((BlockReader, "_finalization", _any_certificate),), "false-prover"),
    Mutant(
        "links any header to a final one", ((final_blocks, "is_child", lambda block, parent: True),), "false-prover"
    ),
    Mutant(
        "reads votes of members that there are not", ((Committee, "are_members", _members_of_any_number),), "outsider"
    ),
    Mutant("reads headers of any partitions", ((Wire, "read_block", _heads_of_any_number),), "out-of-range"),
    Mutant("says a height below its own", ((Loop, "status", _say_height_before),)),
    Mutant("forgets that the log has acknowledged", ((Outbox, "_on_delivery", _never_acknowledged),), kind="threads"),
)

"""Who made a fork: validators that contradicted themselves, named from the records of the topics alone.

What no honest validator ever signs (rule R10 of `consensus.core.core`): two proposals, two notarize or two finalize
votes for different blocks, or nullify and finalize, in one view. Both signed messages together prove it to anybody.

Why that is enough, while fewer than 2/3 of the power are Byzantine
-------------------------------------------------------------------
Every quorum then has an honest member. Let (v, B) and (w, C) be finalized, v <= w, neither block an ancestor of the
other. An honest member finalized C in w, so it held a notarization of (w, C); an honest member of that notarization
held the notarization of C's parent and a nullification of every view between; and so on down. On this path, whose
views fall from w to 0, let (u, X) be the last step with u >= v.

* If u = v: X is not B, or B were an ancestor of C. A notarization of (v, X) exists, and one of (v, B), since an honest
  member finalized B: more than 1/3 signed two different *notarize* votes in v (where w = v: or two *finalize* votes).
* If u > v: X stands on a parent notarized below v, so a nullification of v exists, and a finalization of (v, B): more
  than 1/3 signed *nullify and finalize* in v.

So each fork is covered by one pair of rules in the lower of its two views: notarize once (R4), or nullify excludes
finalize (R5, R6); never by what was said over several views. Whatever an honest validator relied on it read from a
topic, so the records of all topics hold the votes, unless their retention is over.

With 2/3 or more, Byzantine validators need nobody: a finalization of w that rests on no notarization contradicts none
of their messages. Then `culprits` may name fewer than 1/3, or nobody; the two finalizations prove that 1/3 are guilty
and not who. An honest voter could show the notarization that it held; who cannot is guilty, but that needs asking.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from consensus.wire.final_blocks import BlockReader, Proven
from consensus.wire.messages import Certificate, Kind, Message, Statement, Verify, Vote, Wire, signer
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.keys import verify
from ledger.rejection import Rejection

_Said = tuple[str, bytes]
"""What kind of statement it is, and of which block."""


def culprits(
    genesis: Genesis, committees: Committees, values: Iterable[bytes | None], verify_signature: Verify = verify
) -> Mapping[tuple[int, int], tuple[Statement, Statement]]:
    """Every (epoch, validator) that contradicted itself in some view, with the two signed messages of its lowest one.

    `values`: the records of all consensus topics and of `blocks`, in any order; what is no message is passed over, and
    what is signed by nobody counts for nothing. Holds one message per validator, view, kind and block.
    """
    docket = _Docket(genesis, committees, verify_signature)
    for value in values:
        docket.read(value)
    found: dict[tuple[int, int], tuple[Statement, Statement]] = {}
    for (epoch, validator, _), said in sorted(docket.said.items()):
        pair = _contradiction(said)
        if pair is not None:
            found.setdefault((epoch, validator), pair)
    return found


class _Docket:
    """All authentic statements, by epoch, signer and view."""

    def __init__(self, genesis: Genesis, committees: Committees, verify_signature: Verify) -> None:
        self.said: dict[tuple[int, int, int], dict[_Said, Statement]] = defaultdict(dict)
        self._committees = committees
        self._wire = Wire(genesis, committees, verify_signature)
        self._reader = BlockReader(genesis, committees, verify_signature)

    def read(self, value: bytes | None) -> None:
        message = self._wire.decode(value)
        if isinstance(message, Rejection):
            proven = self._reader.read(value)
            if not isinstance(proven, Proven):
                return
            message = proven.finalization
        for statement in _statements(message):
            self._note(statement)

    def _note(self, statement: Statement) -> None:
        committee = self._committees.at(statement.epoch)
        assert committee is not None, "the wire reads none of another epoch"
        said = self.said[statement.epoch, signer(statement, committee), statement.view]
        if (what := _said(statement)) not in said and self._wire.is_authentic(statement):
            said[what] = statement


def _statements(message: Message) -> Iterator[Statement]:
    """A vote or proposal itself; of a certificate the votes that it is made of, and the proposal that it carries."""
    if not isinstance(message, Certificate):
        yield message
        return
    bare = Vote(message.kind, message.epoch, message.view, message.digest, 0)
    for member, signature in message.signatures:
        yield replace(bare, validator=member, signature=signature)
    if message.proposal is not None:
        yield message.proposal


def _said(statement: Statement) -> _Said:
    if isinstance(statement, Vote):
        return statement.kind.name, statement.digest
    return "PROPOSE", statement.block.digest


def _contradiction(said: Mapping[_Said, Statement]) -> tuple[Statement, Statement] | None:
    """The first two statements of one signer and view that exclude each other (R10)."""
    first: dict[str, Statement] = {}
    for (kind, _), statement in sorted(said.items(), key=lambda item: item[0]):
        if kind in first:
            return first[kind], statement
        first[kind] = statement
    pair = first.get(Kind.NULLIFY.name), first.get(Kind.FINALIZE.name)
    return (pair[0], pair[1]) if pair[0] is not None and pair[1] is not None else None

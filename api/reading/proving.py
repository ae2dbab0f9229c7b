"""Making proofs of rows of state for whoever asks, a few at once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import Field

from api.reading.values import Count, Height, Row
from ledger.committee import Committees
from ledger.genesis import Genesis
from projections.session.errors import DatabaseUnavailable, DatabaseUnusable
from proofs.facts import proven_facts
from proofs.making import Made, make_state_proof
from serving.charging import PROOF, take
from serving.problems import Problem

AT_ONCE: Final = 2
WAITING_MAX: Final = 16
_AMOUNTS: Final = ("amount", "supply")

HeaderAt = Callable[[int], bytes | None]


class Proof(Row):
    """A proof file (docs/proofs.md) and what it shows; `momus verify` checks it offline."""

    exists: bool = Field(description="Whether there is such a row; that there is none is proven too.")
    row: dict[str, Any] | None
    height: Height = Field(description="Of the certified checkpoint that the proof leads to.")
    state_root: str
    power: Count = Field(description="That has signed the checkpoint.")
    power_total: Count
    has_changed_since: bool = Field(description="Whether the row is another now.")
    file: bytes = Field(description="The file, hex.", json_schema_extra={"format": "hex"})


@dataclass(slots=True)
class Prover:
    """Makes proofs, AT_ONCE side by side: each keeps a checkpoint waiting while it reads."""

    url: str
    genesis: Genesis
    committees: Committees
    header_at: HeaderAt
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _waiting: int = 0

    async def prove(self, key: bytes) -> Proof:
        """The proof of a leaf key. Raises: Problem."""
        take(PROOF)
        if self._waiting >= WAITING_MAX:
            raise Problem("back_pressure", "Many proofs are being made.")
        self._waiting += 1
        try:
            async with self._turns:
                made = await asyncio.to_thread(self._make, key)
        finally:
            self._waiting -= 1
        if made is None:
            raise Problem("nothing_certified", "Try again after the next checkpoint.")
        facts = proven_facts(made.proven, self.genesis)
        shown = {name: facts[name] for name in ("exists", "height", "state_root", "power", "power_total")}
        row = facts["row"] and {name: str(value) if name in _AMOUNTS else value for name, value in facts["row"].items()}
        return Proof(**shown, row=row, has_changed_since=made.has_changed_since, file=made.data)

    def _make(self, key: bytes) -> Made | None:
        try:
            return make_state_proof(self.url, self.genesis, self.committees, key, self.header_at)
        except DatabaseUnavailable as error:
            raise Problem("database_unavailable", "It did not answer while the proof was made.") from error
        except DatabaseUnusable as error:
            raise Problem("state_differs", str(error)) from error

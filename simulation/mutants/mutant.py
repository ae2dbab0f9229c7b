"""What a planted bug is: a small change to the production code, made for the time of a `with` block."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Change = tuple[type | ModuleType, str, Any]
"""What is put in the place of what: (owner, name, new)."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """Its name and changes, and the adversary or faults that find it soonest."""

    name: str
    changes: tuple[Change, ...]
    adversary: str = "any"
    faults: str = "any"
    validators: int = 4
    liars: int = 1
    """Adversaries in each of its worlds, where their kind is named. A third or more: worlds that are to fork."""
    blocks: int | None = None
    """How many blocks are final when each of its worlds begins; None: the seed says."""
    seed: int = 0
    """Of the first world in which it is looked for: one that finds it, as far as is known."""
    kind: str = "turns"
    """Of its worlds: a validator's turns, or all of its threads."""

    @property
    def byzantine(self) -> int | None:
        """How many adversaries its worlds have; None: the seed says."""
        if (self.adversary, self.faults) == ("any", "any"):
            return None
        return self.liars if self.adversary != "any" else 0

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While this lasts, the bug is in the code."""
        with ExitStack() as stack:
            for owner, name, new in self.changes:
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, new)
            yield

"""What an audit finds: each a sentence about one thing that is not as it must be, bounded in number."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

FINDINGS_MAX: Final = 100
"""Kept of one part; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`where`: the table or the log. `key`: which of its rows, as hex or a number. `what`: a sentence."""

    where: str
    key: str
    what: str


@dataclass(slots=True)
class Findings:
    """Those of one part: the first FINDINGS_MAX, and how many there are in all."""

    kept: list[Finding] = field(default_factory=list)
    count: int = 0

    def add(self, where: str, key: str, what: str) -> None:
        """Note one."""
        self.count += 1
        if len(self.kept) < FINDINGS_MAX:
            self.kept.append(Finding(where, key, what))

    def extend(self, found: Iterable[Finding]) -> None:
        """Note several."""
        for finding in found:
            self.add(finding.where, finding.key, finding.what)

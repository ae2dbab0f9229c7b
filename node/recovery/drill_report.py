"""What a drill showed."""

import json
from dataclasses import asdict, dataclass

PASSED, HEALED, DETECTED, FAILED = "passed", "healed", "detected", "failed"


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What a drill showed. Seconds are those of recovery, without the comparison."""

    started_at: str
    verdict: str
    injected: str | None
    source: str | None
    height: int
    above: int
    """The height of the snapshot that it began with; 0: genesis."""
    certified_height: int
    records: int
    seconds: float
    records_per_s: float
    is_root_certified: bool | None
    """None where there is no certificate yet."""
    rows_compared: int
    differing: tuple[str, ...]
    """A sentence per table of the rebuilt database that is not the live one's."""
    detected: tuple[str, ...]
    """What recovery reported of the damage."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), sort_keys=True)

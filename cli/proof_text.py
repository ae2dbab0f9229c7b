"""What a proof shows, for people."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def proven_lines(facts: Mapping[str, Any]) -> list[str]:
    """The same for people; texts that somebody chose are quoted and escaped."""
    what = " of ".join(f"{name} {facts[name]}" for name in ("address", "asset", "object") if name in facts)
    lines = [f"{facts['kind'].capitalize()}: {what}"]
    if facts["exists"]:
        lines += [f"  {name.replace('_', ' ')}: {_shown(value)}" for name, value in facts["row"].items()]
    else:
        lines += ["  does not exist", facts["absence"]]
    signers = ", ".join(f"{signer['name']} ({signer['power']})" for signer in facts["signers"])
    return [
        *lines,
        f"As of height {facts['height']} of chain {facts['chain']}, {_time(facts['time_ms'])}.",
        f"Signed by {signers}: power {facts['power']} of {facts['power_total']}.",
        f"Genesis digest {facts['genesis_digest']}",
        f"State root {facts['state_root']}",
    ]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return ascii(value) if isinstance(value, str) and not value.isalnum() else str(value)


def _time(time_ms: int | None) -> str:
    if time_ms is None:
        return "at a time that the file does not show"
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return f"{time_ms} ms after the Unix epoch"

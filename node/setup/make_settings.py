"""The text of a new `momus.toml`: what differs from the defaults, and where to read about the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps as quoted
from pathlib import Path
from typing import Final

VALIDATOR: Final = "{validator}"
"""In `postgres`: stands for the name of the validator, so that each of several gets a database of its own."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a node finds its parts. `kafka` are client properties, None: the embedded log, in `log_path` if given.

    `postgres` is "embedded", a URL, or the path of a file that holds one. `workers` None: as the default. `listen`:
    where the other validators get records, `peers`: the addresses of those. `metrics`, `api`: `host:port` of the
    numbers and of the API, none: as the default.
    """

    kafka: Mapping[str, str] | None = None
    log_path: Path | None = None
    postgres: str = "embedded"
    passphrase_file: Path | None = None
    workers: int | None = None
    listen: str = ""
    peers: tuple[str, ...] = ()
    metrics: str = ""
    api: str = ""


def settings_text(validator: str, places: Endpoints) -> str:
    """TOML."""
    kafka = places.kafka
    lines = ["# Every setting, with unit, default and range: docs/configuration.md", f"validator = {quoted(validator)}"]
    lines += ["", "[log]", f'kind = "{"embedded" if kafka is None else "kafka"}"']
    if places.log_path is not None:
        lines.append(f"path = {quoted(str(places.log_path.absolute()))}")
    if kafka is not None:
        lines += ["", "[kafka]", *(f"{quoted(name)} = {quoted(value)}" for name, value in kafka.items())]
    postgres = places.postgres.replace(VALIDATOR, validator)
    is_url = postgres == "embedded" or "://" in postgres
    where = postgres if is_url else str(Path(postgres).absolute())
    lines += ["", "[postgres]", f"{'url' if is_url else 'url_file'} = {quoted(where)}"]
    if places.workers is not None:
        lines += ["", "[execute]", f"workers = {places.workers}"]
    if places.listen:
        urls = ", ".join(map(quoted, places.peers))
        lines += ["", "[peers]", f"listen = {quoted(places.listen)}", f"urls = [{urls}]"]
    for part, place in (("metrics", places.metrics), ("api", places.api)):
        if place:
            host, _, port = place.rpartition(":")
            lines += ["", f"[{part}]", f"host = {quoted(host)}", f"port = {port}"]
    if places.passphrase_file is not None:
        lines += ["", "[keys]", f"passphrase_file = {quoted(str(places.passphrase_file.absolute()))}"]
    return "\n".join(lines) + "\n"

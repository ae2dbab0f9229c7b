"""The text of a new `momus.toml`: what differs from the defaults, and where to read about the rest."""

from collections.abc import Mapping
from json import dumps as quoted
from pathlib import Path


def settings_text(
    validator: str, kafka: Mapping[str, str] | None, log_path: Path | None, postgres: str, passphrase_file: Path | None
) -> str:
    """TOML. `kafka` None: the embedded log. `postgres`: "embedded", a URL, or the path of a file that holds one."""
    lines = ["# Every setting, with unit, default and range: docs/configuration.md", f"validator = {quoted(validator)}"]
    lines += ["", "[log]", f'kind = "{"embedded" if kafka is None else "kafka"}"']
    if log_path is not None:
        lines.append(f"path = {quoted(str(log_path.absolute()))}")
    if kafka is not None:
        lines += ["", "[kafka]", *(f"{quoted(name)} = {quoted(value)}" for name, value in kafka.items())]
    is_url = postgres == "embedded" or "://" in postgres
    where = postgres if is_url else str(Path(postgres).absolute())
    lines += ["", "[postgres]", f"{'url' if is_url else 'url_file'} = {quoted(where)}"]
    if passphrase_file is not None:
        lines += ["", "[keys]", f"passphrase_file = {quoted(str(passphrase_file.absolute()))}"]
    return "\n".join(lines) + "\n"

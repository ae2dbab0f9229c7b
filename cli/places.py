"""Options that say where the log and the database are."""

from pathlib import Path
from typing import Annotated

import typer

from cli.output import Failure
from node.home import exits
from node.settings.secrets import SecretInline, checked_properties, checked_url

KafkaOption = Annotated[str, typer.Option(envvar="MOMUS_KAFKA", help="Kafka's bootstrap servers, host:port.")]
KafkaPropertyOption = Annotated[
    list[str] | None, typer.Option(help="Kafka client property, name=value; repeat for more.")
]
LogPathOption = Annotated[Path | None, typer.Option(help="Folder of an embedded log that homes share.")]


def kafka_properties(backbone: str, servers: str, properties: list[str] | None) -> dict[str, str] | None:
    """The client properties of these options; None: the embedded log."""
    properties = properties or []
    if backbone == "embedded":
        return None
    if backbone != "kafka":
        raise Failure(exits.USAGE, f"--backbone is embedded or kafka, not {backbone}.")
    pairs = dict(item.split("=", 1) for item in properties if "=" in item)
    if not servers or len(pairs) != len(properties):
        raise Failure(exits.USAGE, "--backbone kafka needs --kafka HOST:PORT; --kafka-property is NAME=VALUE.")
    try:
        return checked_properties({"bootstrap.servers": servers} | pairs)
    except SecretInline as error:
        raise Failure(exits.USAGE, f"{error}.") from error


def postgres_place(where: str) -> str:
    """What `--postgres` says: "embedded", a URL, or an absolute path."""
    try:
        return checked_url(where) if where == "embedded" or "://" in where else str(Path(where).absolute())
    except ValueError as error:
        raise Failure(exits.USAGE, f"--postgres {error}.") from error

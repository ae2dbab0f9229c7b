"""The settings of the API, a branch of the tree."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from node.settings.declare import Part, whole, words
from node.settings.secrets import checked_replica


class ApiSettings(Part):
    """The HTTP API and the web UI."""

    host: str = words("127.0.0.1", "Address at which it is answered. Whoever reaches it may read everything.")
    port: int = whole(8464, 0, 65_535, "", "Its port; 0: nothing is answered, and no process for it.")
    connections_max: int = whole(
        512, 4, 100_000, "connections", "Open at once, three quarters by one caller; more are refused."
    )
    streams_max: int = whole(100, 1, 100_000, "streams", "Of events, open at once; more are refused.")
    stream_ms: int = whole(3_600_000, 100, 10**9, "ms", "Longest life of one; consumers go on where it ended.")
    rate_per_s: int = whole(
        200, 1, 10**6, "tokens/s", "For one address: a request takes one, and what is dear takes more."
    )
    burst: int = whole(400, 1, 10**6, "tokens", "For one address at once, before `rate_per_s` counts.")
    body_bytes_max: int = whole(4 << 20, 1 << 10, 1 << 30, "bytes", "Of a request.")
    body_ms: int = whole(10_000, 10, 600_000, "ms", "By then a request is whole.")
    postgres_url: Annotated[str, AfterValidator(checked_replica)] = words(
        "", "URL of a read replica to read from, without a password; none: the node's database."
    )
    postgres_url_file: Path | None = words(None, "File that holds it, with a password. Beats `api.postgres_url`.")
    connections: int = whole(8, 1, 100, "connections", "To the database.")
    statement_ms: int = whole(2_000, 10, 600_000, "ms", "Longest query of a request.")

"""The settings of one node: one frozen tree, read once, from `momus.toml` in its home and from MOMUS_* variables.

A variable beats the file. `order.idle_ms` is MOMUS_ORDER__IDLE_MS; the Kafka client property `sasl.username` is
MOMUS_KAFKA__SASL_USERNAME. Whatever is not a setting refuses to start. Secrets are given as paths of files only.
Nothing here decides validity or effects: that is genesis.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ledger.errors import CallerError
from node.settings.admin import AdminSettings
from node.settings.api import ApiSettings
from node.settings.declare import Part
from node.settings.declare import whole as _whole
from node.settings.declare import words as _words
from node.settings.discovery import DiscoverySettings
from node.settings.effects import EffectsSettings
from node.settings.secrets import SecretInline, checked_properties, checked_url
from sync.address import checked_address, host_and_port

PREFIX: Final = "MOMUS_"
NOT_SETTINGS: Final = frozenset({"MOMUS_HOME", "MOMUS_KAFKA", "MOMUS_POSTGRES", "MOMUS_TOKEN_FILE"})
"""Variables with our prefix that the command line and the tests read, not a node."""


class BadSettings(CallerError):
    """The settings cannot be used. The message names every key that is wrong, and where it stands."""


class LogSettings(Part):
    """The log that clients and validators share."""

    kind: Literal["embedded", "kafka"] = _words("embedded", "Which log: `embedded` (a file, one machine) or `kafka`.")
    path: Path = _words(
        Path("log"),
        "Folder of the embedded log, relative to the home. Nodes that share a machine share it.",
    )
    cluster_id: str = _words(
        "", "Identity of the cluster, noted by `momus init`. Another cluster at the address stops the node."
    )


class PostgresSettings(Part):
    """The node's database."""

    url: Annotated[str, AfterValidator(checked_url)] = _words(
        "embedded", "`embedded` (Postgres 18 in the home, started by `momus run`) or a URL without a password."
    )
    url_file: Path | None = _words(None, "File that holds the URL, for one with a password. Beats `postgres.url`.")


class KeysSettings(Part):
    """The validator's key."""

    passphrase_file: Path | None = _words(
        None, "File whose first line opens the key file; none where the key file is not encrypted."
    )


class StoreSettings(Part):
    """The store: records, headers and proofs, between the two processes."""

    segment_bytes: int = _whole(64 << 20, 1 << 16, 1 << 31, "bytes", "Size at which a segment file is closed.")


class OrderSettings(Part):
    """The order process: timers and bounds of consensus."""

    idle_ms: int = _whole(50, 0, 10_000, "ms", "A leader with nothing to order waits this long before it proposes.")
    view_timeout_ms: int = _whole(1_000, 20, 600_000, "ms", "First timeout of a view in which something is pending.")
    view_timeout_max_ms: int = _whole(20_000, 20, 3_600_000, "ms", "Largest timeout that growing may reach.")
    view_timeout_growth_percent: int = _whole(
        150, 101, 1_000, "%", "Each view since the last finalization has this much of the timeout before it."
    )
    drift_ms: int = _whole(
        5_000,
        1,
        600_000,
        "ms",
        "A block this far ahead of the own clock is not voted for yet, unless it is one millisecond after its parent.",
    )
    lag_max: int = _whole(
        200_000, 1, 10**9, "records", "No vote for a block with new records while execution is further behind."
    )
    suffix_records_max: int = _whole(
        200_000, 100, 10**9, "records", "Per partition, above its last final head; beyond, its reading pauses."
    )
    suffix_bytes_max: int = _whole(128 << 20, 1 << 20, 1 << 36, "bytes", "The same in bytes.")
    blocks_delay_ms: int = _whole(
        500, 1, 600_000, "ms", "A final block that its proposer did not publish is published by others after this."
    )
    fetch_ms: int = _whole(
        1_000,
        100,
        600_000,
        "ms",
        "Records that the log lacks for this long, while a quorum has them, are fetched from others.",
    )
    reread_ms: int = _whole(
        2_000,
        100,
        600_000,
        "ms",
        "Records of a partition that contradict a block are read again at most this often, and others are asked again.",
    )
    depth_max: int = _whole(64, 1, 10_000, "blocks", "Notarized and not final; beyond it, no child is proposed.")
    views_ahead_max: int = _whole(64, 2, 10_000, "views", "Votes this far above the own view are kept.")
    resend_ms: int = _whole(1_000, 50, 600_000, "ms", "On a stall, own messages are sent again, first after this.")
    resend_max_ms: int = _whole(15_000, 50, 3_600_000, "ms", "Largest wait between two re-sends.")
    resend_messages_max: int = _whole(64, 1, 10_000, "messages", "Sent again at once.")
    answer_ms: int = _whole(1_000, 50, 600_000, "ms", "A validator that lags is answered at most this often.")
    read_records_max: int = _whole(5_000, 1, 100_000, "records", "Records taken from the log at once.")


class ExecuteSettings(Part):
    """The execute process. These decide speed and memory, never effects."""

    workers: int = _whole(0, 0, 256, "processes", "Verdict workers; 0: one per core, at most 8.")
    ahead_records_max: int = _whole(40_000, 1, 10**8, "records", "Read ahead of what is executed.")
    ahead_bytes_max: int = _whole(4 << 20, 1 << 16, 1 << 36, "bytes", "The same in bytes.")
    job_records_max: int = _whole(2_000, 1, 1_000_000, "records", "Records that one job of the workers aims at.")
    flush_records_max: int = _whole(20_000, 1, 10**8, "records", "Records in one database transaction.")
    flush_transfers_max: int = _whole(200_000, 1, 10**8, "transfers", "Transfers in one database transaction.")
    flush_bytes_max: int = _whole(4 << 20, 1, 1 << 36, "bytes", "Records in one database transaction, in bytes.")
    state_bytes_max: int = _whole(
        64 << 20, 1 << 16, 1 << 40, "bytes", "Balances, objects and digests in memory, about."
    )


class ProjectionsSettings(Part):
    """The tables."""

    partition_heights: int = _whole(100_000, 10, 10**9, "heights", "Heights in one partition of the history tables.")
    statement_timeout_ms: int = _whole(30_000, 10, 3_600_000, "ms", "Longest query of `momus sql` and its reader.")


def _checked_listen(text: str) -> str:
    if text:
        host_and_port(text)
    return text


def _checked_urls(value: object) -> object:
    """A variable gives them in one text, separated by commas."""
    urls = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if isinstance(urls, list | tuple):
        return tuple(checked_address(str(url)) for url in urls)
    return urls


class PeersSettings(Part):
    """Records from and for the other validators, where the log does not show them any more."""

    listen: Annotated[str, AfterValidator(_checked_listen)] = _words(
        "", "`host:port` at which the others get the records that this node holds; none: they are not served."
    )
    urls: Annotated[tuple[str, ...], BeforeValidator(_checked_urls), Field(max_length=256)] = _words(
        (), "Addresses of the other validators, `http://host:port` or `https://host:port`; commas in the variable."
    )
    ca_file: Path | None = _words(
        None, "PEM file of who signs the certificates of `https` addresses; none: who the system trusts."
    )
    certificate_file: Path | None = _words(
        None, "PEM file of the certificate (with its chain) that `listen` shows; none: plain HTTP."
    )
    certificate_key_file: Path | None = _words(None, "PEM file of its key, without a passphrase.")
    records_max: int = _whole(200_000, 100, 10**9, "records", "In one answer, given or taken; at least two blocks.")
    bytes_max: int = _whole(128 << 20, 1 << 20, 1 << 36, "bytes", "The same in bytes.")
    requests_max: int = _whole(4, 1, 256, "requests", "Carried out at once for others; more are refused.")
    connections_max: int = _whole(
        64, 1, 10_000, "connections", "Open from others, three quarters by one; more are refused."
    )
    connection_ms: int = _whole(
        30_000, 100, 600_000, "ms", "By then a request is here; and in as much again its answer is taken."
    )
    connect_ms: int = _whole(
        1_000, 10, 60_000, "ms", "A peer that does not take a connection for this long has failed."
    )
    silence_ms: int = _whole(2_000, 10, 60_000, "ms", "So has one that says nothing for this long,")
    request_ms: int = _whole(10_000, 10, 600_000, "ms", "and one whose answer is not whole after this.")
    fetch_ms: int = _whole(20_000, 10, 600_000, "ms", "Longest time to ask all peers for one range.")

    @model_validator(mode="after")
    def _has_both_files(self) -> "PeersSettings":
        if (self.certificate_file is None) != (self.certificate_key_file is None):
            raise ValueError("certificate_file and certificate_key_file go together")
        return self


class PruningSettings(Part):
    """How much history the database keeps. The strictest bound wins; 0: none. Old tree nodes always go."""

    keep_heights: int = _whole(0, 0, 10**15, "heights", "Blocks below the last one whose history stays.")
    keep_ms: int = _whole(0, 0, 10**14, "ms", "Age of history that stays, counted back from the last block's time.")
    keep_bytes: int = _whole(0, 0, 1 << 50, "bytes", "Size of the history tables with their indexes.")


class SnapshotSettings(Part):
    """Snapshots of the state, from which a lost database comes back without executing everything again."""

    place: str = _words(
        "snapshots",
        "Where they are kept: a folder, relative to the home, or the URL of an object store (`s3://bucket/prefix`, "
        "`gs:`, `az:`), whose credentials are the environment's (AWS_* and so on). One place for one node.",
    )
    every_ms: int = _whole(
        3_600_000,
        0,
        10**12,
        "ms",
        "Block time is cut into spans of this; the first checkpoint of each has a snapshot, on all nodes; 0: none.",
    )
    keep_count: int = _whole(3, 1, 10_000, "snapshots", "How many stay.")
    keep_ms: int = _whole(0, 0, 10**14, "ms", "Age that stays, before the newest one, which always does; 0: any age.")


class DrillSettings(Part):
    """Drills on schedule; `momus drill` runs one by hand."""

    every_ms: int = _whole(0, 0, 10**12, "ms", "Time from one drill to the next; 0: none, and no process for them.")


class MetricsSettings(Part):
    """Numbers for Prometheus, of all processes of the node at one address."""

    host: str = _words("127.0.0.1", "Address at which `http://host:port/metrics` is answered.")
    port: int = _whole(9464, 0, 65_535, "", "Its port; 0: nothing is answered, and no numbers are written.")
    connections_max: int = _whole(
        16, 1, 1_000, "connections", "Open at once, three quarters by one caller; more are refused."
    )
    connection_ms: int = _whole(
        5_000, 100, 60_000, "ms", "By then a request is here; and in as much again its answer is taken."
    )


class SupervisorSettings(Part):
    """`momus run`, which keeps the processes alive."""

    backoff_ms: int = _whole(100, 1, 60_000, "ms", "Wait before the first restart of a crashed process.")
    backoff_max_ms: int = _whole(10_000, 1, 600_000, "ms", "Largest wait; each crash in a row doubles it.")
    steady_ms: int = _whole(10_000, 1, 3_600_000, "ms", "A process that ran this long starts from `backoff_ms` again.")
    drain_ms: int = _whole(15_000, 0, 600_000, "ms", "SIGTERM: how long each process may take to finish.")


class LoggingSettings(Part):
    """What the processes write about themselves, to stderr."""

    level: Literal["debug", "info", "warning", "error"] = _words("info", "`debug`, `info`, `warning` or `error`.")
    format: Literal["auto", "json", "console"] = _words(
        "auto", "`json`, `console` (for people), or `auto`: console on a terminal, else json."
    )
    file: Path | None = _words(None, "File that gets JSON lines instead of stderr, relative to the home.")


def _checked_kafka(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("is a table of Kafka client properties")
    return checked_properties(value)


class Settings(BaseSettings):
    """All settings of a node."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    validator: str = Field(
        default="validator-1",
        pattern=r"^[a-z0-9-]{1,32}$",
        description="Name in genesis of the validator whose key this home holds.",
        json_schema_extra={"unit": ""},
    )
    log: LogSettings = LogSettings()
    kafka: Annotated[dict[str, str], BeforeValidator(_checked_kafka)] = Field(
        default_factory=dict,
        description="Kafka client properties, passed through (`bootstrap.servers`, `security.protocol`, ...). "
        "A secret one is given as `<property>_file`.",
        json_schema_extra={"unit": ""},
    )
    postgres: PostgresSettings = PostgresSettings()
    keys: KeysSettings = KeysSettings()
    store: StoreSettings = StoreSettings()
    order: OrderSettings = OrderSettings()
    execute: ExecuteSettings = ExecuteSettings()
    projections: ProjectionsSettings = ProjectionsSettings()
    peers: PeersSettings = PeersSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    pruning: PruningSettings = PruningSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    drills: DrillSettings = DrillSettings()
    metrics: MetricsSettings = MetricsSettings()
    api: ApiSettings = ApiSettings()
    admin: AdminSettings = AdminSettings()
    effects: EffectsSettings = EffectsSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values reach the tree as the one mapping that `read_settings` has merged."""
        return (init_settings,)

    def worker_count(self) -> int:
        """How many verdict workers to start."""
        return self.execute.workers or min(os.cpu_count() or 1, 8)


class _Variables(PydanticBaseSettingsSource):
    """MOMUS_* variables as a nested mapping. Every one of them must be a setting: the tree refuses the others."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self._environment = environment

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Part of the base's protocol; unused, since `__call__` answers for all fields at once."""
        raise NotImplementedError(field_name)

    def __call__(self) -> dict[str, Any]:
        """`MOMUS_A__B=c` is ``{"a": {"b": "c"}}``; below `kafka`, `_` is a dot, except before a last `file`."""
        tree: dict[str, Any] = {}
        for variable, value in self._environment.items():
            if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
                continue
            head, *rest = variable.removeprefix(PREFIX).lower().split("__")
            if head == "kafka" and len(rest) == 1:
                rest = [_property_of(rest[0])]
            branch = tree
            for name in [head, *rest][:-1]:
                branch = branch.setdefault(name, {})
                if not isinstance(branch, dict):
                    raise BadSettings(f"{variable} contradicts another variable that gives {name} a value.")
            branch[[head, *rest][-1]] = value
        return tree


def _property_of(name: str) -> str:
    stem, is_file = name.removesuffix("_file"), name.endswith("_file")
    return stem.replace("_", ".") + ("_file" if is_file else "")


def read_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings from a TOML file (None: defaults) and variables. Raises: BadSettings."""
    try:
        from_file = {} if file is None else TomlConfigSettingsSource(Settings, file)()
        return Settings(**_merged(from_file, _Variables(environment)()))
    except ValidationError as error:
        where = "the settings" if file is None else str(file)
        raise BadSettings(f"{where}, with the MOMUS_* variables: " + "; ".join(_sentences(error)) + ".") from error
    except (SettingsError, SecretInline, ValueError) as error:
        raise BadSettings(f"{file} cannot be read: {error}.") from error


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _sentences(error: ValidationError) -> list[str]:
    told = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        what = problem["msg"].removeprefix("Value error, ")
        told.append(f"{key} is not a setting" if problem["type"] == "extra_forbidden" else f"{key}: {what}")
    return told

"""A node's home directory: what lies where.

genesis.json    the chain            momus.toml   this node's settings
keys/           key files, 0600      journal/     everything this validator ever signed above its floor
store/          records, headers     log/         the embedded log (may be shared with other homes)
pg/             embedded Postgres    run/         status and metrics of each process, the executor's progress
control.json    what operators want      actions.jsonl    what they did      tokens.json    who may, as hashes
evidence/       who contradicted itself, and reports of forks; made when there is something to keep
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import CallerError
from ledger.genesis import Genesis, GenesisError, parse_genesis
from node.settings.tree import Settings, read_settings

GENESIS_BYTES_MAX: Final = 16 << 20
UNFINISHED: Final = ".unfinished"
"""The file in a home, or in a folder of homes, that is not whole yet."""


class HomeUnusable(CallerError):
    """The folder is not the home of a node, or not a complete one. The message says what is missing."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one home directory. Making one touches nothing."""

    path: Path

    @property
    def genesis_file(self) -> Path:
        return self.path / "genesis.json"

    @property
    def settings_file(self) -> Path:
        return self.path / "momus.toml"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def validator_key_file(self) -> Path:
        return self.keys / "validator.json"

    @property
    def client_key_file(self) -> Path:
        return self.keys / "client.json"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def journal_file(self) -> Path:
        return self.journal / "statements"

    @property
    def store(self) -> Path:
        return self.path / "store"

    @property
    def retained(self) -> Path:
        """Records that were voted for and had to leave their place in the store."""
        return self.store / "aside"

    @property
    def postgres(self) -> Path:
        return self.path / "pg"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def progress_file(self) -> Path:
        return self.run / "progress"

    @property
    def clock_file(self) -> Path:
        """What the order process says of its clock."""
        return self.run / "clock"

    @property
    def checkpoint_mailbox(self) -> Path:
        """The executor's newest checkpoints."""
        return self.run / "checkpoints"

    @property
    def peers_file(self) -> Path:
        """What is known of the other validators' nodes."""
        return self.run / "peers"

    @property
    def drills_page(self) -> Path:
        """Results of drills on schedule."""
        return self.path / "drills.html"

    @property
    def control_file(self) -> Path:
        """What operators want of the node."""
        return self.path / "control.json"

    @property
    def actions_file(self) -> Path:
        """What operators did."""
        return self.path / "actions.jsonl"

    @property
    def tokens_file(self) -> Path:
        """Who may manage the node."""
        return self.path / "tokens.json"

    @property
    def own_token_file(self) -> Path:
        """The token of who holds this home."""
        return self.keys / "admin.token"

    @property
    def admin_socket(self) -> Path:
        """Where management is answered, by default."""
        return self.run / "admin.sock"

    @property
    def diagnostics(self) -> Path:
        """Bundles for a support case."""
        return self.path / "diagnostics"

    @property
    def evidence(self) -> Path:
        """What speaks against validators, and reports of forks."""
        return self.path / "evidence"

    def status_file(self, process: str) -> Path:
        """Where `process` says what it is doing."""
        return self.run / f"{process}.json"

    def pulse_file(self, process: str) -> Path:
        """Where `process` says what it has found out."""
        return self.run / f"{process}.pulse"

    def metrics_file(self, process: str) -> Path:
        """Where `process` writes its numbers."""
        return self.run / f"{process}.metrics"

    def resolve(self, path: Path) -> Path:
        """A path from the settings: relative ones are relative to the home."""
        return (self.path / path).absolute()

    def make_folders(self) -> None:
        """The folders that processes write to, for their owner alone. Raises: OSError."""
        for folder in (self.path, self.keys, self.journal, self.store, self.run):
            folder.mkdir(mode=0o700, exist_ok=True)

    def settings(self, environment: dict[str, str]) -> Settings:
        """Raises: HomeUnusable, BadSettings."""
        for folder in (self.path, self.path.parent):
            if (folder / UNFINISHED).exists():
                raise HomeUnusable(
                    f"{folder} is not whole: a `momus init` is making it, or was ended half-way. Wait for it, or "
                    "remove the folder and make it again."
                )
        if not self.settings_file.is_file():
            below = sorted(file.parent.name for file in self.path.glob("*/momus.toml"))
            remedy = f"Give one of those in it: {', '.join(below)}." if below else "Run `momus init` first."
            raise HomeUnusable(f"{self.path} is not the home of a node: it has no momus.toml. {remedy}")
        return read_settings(self.settings_file, environment)

    def genesis(self) -> Genesis:
        """Raises: HomeUnusable."""
        return parse_genesis_file(self.genesis_file)


def parse_genesis_file(file: Path) -> Genesis:
    """The genesis in a file. Raises: HomeUnusable."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(GENESIS_BYTES_MAX + 1)
    except OSError as error:
        raise HomeUnusable(f"{file} cannot be read: {error.strerror}. `momus init` makes it.") from error
    if len(raw) > GENESIS_BYTES_MAX:
        raise HomeUnusable(f"{file} is over {GENESIS_BYTES_MAX} bytes.")
    try:
        return parse_genesis(raw)
    except GenesisError as error:
        raise HomeUnusable(f"{file} is not a genesis that can be used: {error}.") from error

"""A home while it is made. Its settings file comes last: without one nobody takes a folder for a home."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from backbone.log import Log
from consensus.runtime.journal_file import create as create_journal
from ledger.genesis import parse_genesis
from ledger.keys import PrivateKey
from node import wiring
from node.home.files import create_file
from node.home.keystore import create_key
from node.home.layout import Home
from node.home.tokens import ADMIN, Tokens
from node.settings.tree import Settings, read_settings
from node.setup.make_settings import Endpoints, settings_text
from node.wiring.databases import make_database

_DRAFT = "momus.toml.draft"
OWNER = "owner"
"""Whose token lies in the home: who can read that can do everything anyway."""


class NewHome:
    """The steps of making a home, in the order of the methods.

    Raises (all of them): BadSettings, KeyUnusable, LogUnavailable, DatabaseUnavailable, PostgresUnusable, OSError.
    """

    def __init__(self, path: Path, validator: str, places: Endpoints) -> None:
        """Make the folders, and read the settings that it will have."""
        self.home = Home(path.absolute())
        self.home.make_folders()
        self.validator = validator
        self._text = settings_text(validator, places)
        draft = self.home.path / _DRAFT
        create_file(draft, self._text.encode(), 0o600)
        self.settings: Settings = read_settings(draft, dict(os.environ))
        draft.unlink()

    def put_key(self, key: PrivateKey) -> None:
        """The key that signs votes, into a file of the home."""
        create_key(self.home.validator_key_file, "validator", key, wiring.passphrase(self.settings))

    def put_client_key(self, key: PrivateKey) -> None:
        """The key of a user of the chain, into a file of the home."""
        create_key(self.home.client_key_file, "client", key, wiring.passphrase(self.settings))

    def make_database(self) -> None:
        """The node's database, with its tables."""
        make_database(self.home, self.settings)

    def open_log(self) -> AbstractContextManager[Log]:
        """The log that the settings name."""
        return wiring.open_log(self.home, self.settings)

    def finish(self, genesis: bytes, public_key: bytes, cluster_id: str) -> bytes:
        """Genesis, the journal of a key that has never signed, a token to manage the node with, the settings file. The
        digest of genesis."""
        digest = parse_genesis(genesis).digest
        create_file(self.home.genesis_file, genesis)
        create_journal(self.home.journal_file, digest, public_key)
        own = Tokens(self.home.tokens_file).add(OWNER, ADMIN)
        create_file(self.home.own_token_file, own.encode() + b"\n", 0o600)
        text = self._text.replace("[log]\n", f'[log]\ncluster_id = "{cluster_id}"\n')
        create_file(self.home.settings_file, text.encode())
        return digest

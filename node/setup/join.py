"""A home on the machine of one organisation, for a chain that several agreed on: genesis and key come from files."""

from pathlib import Path

from backbone.log import TopicMissing
from ledger.committee import Committee, Committees
from ledger.errors import Halt
from ledger.genesis import Genesis, Validator
from ledger.keys import PrivateKey
from node import wiring
from node.home.keystore import load_key
from node.home.layout import HomeUnusable, parse_genesis_file
from node.ordering import checks
from node.setup.draft import UNSEALED
from node.setup.make_home import Made
from node.setup.make_settings import Endpoints
from node.setup.making import making
from node.setup.new_home import NewHome


def join_chain(path: Path, genesis_file: Path, key_file: Path, places: Endpoints) -> Made:
    """Make the home of the validator whose key this is, or nothing. The key file stays where it is, too.

    Raises: HomeUnusable, KeyUnusable, BadSettings, Halt (the topics are not those of genesis), LogUnavailable,
    DatabaseUnavailable, PostgresUnusable, OSError.
    """
    genesis = parse_genesis_file(genesis_file)
    key = load_key(key_file, wiring.passphrase_in(places.passphrase_file))
    committee = Committees.of(genesis).current
    validator = _seat(genesis, committee, genesis_file, key)
    with making(path.absolute()):
        new = NewHome(path, validator.name, places)
        with new.open_log() as log:
            cluster_id = log.cluster_id()
            try:
                checks.check_log(log, genesis, committee, new.settings)
            except TopicMissing as error:
                raise Halt(f"{error} The topics are made by `momus genesis seal`; is this the same cluster?") from error
        new.put_key(key)
        new.make_database()
        digest = new.finish(genesis_file.read_bytes(), key.public_key, cluster_id)
        return Made((new.home,), digest, cluster_id, genesis.topic_id, None)


def _seat(genesis: Genesis, committee: Committee, file: Path, key: PrivateKey) -> Validator:
    """The validator whose key this is. Raises: HomeUnusable."""
    if genesis.topic_id == UNSEALED:
        raise HomeUnusable(f"{file} is a draft: one party seals it with `momus genesis seal`, then all use the result.")
    index = committee.index_of(key.public_key)
    if index is None:
        raise HomeUnusable(f"{file} names no validator with the key {key.public_key.hex()}.")
    return committee.members[index]

"""`momus init --genesis`, `momus keys` and `momus genesis`: for organisations that do not share a machine."""

from pathlib import Path
from typing import Annotated, Any

import typer

from backbone.topics import chain_topics
from cli.command_parsing import BadCommand, hex_digest
from cli.options import JsonOption
from cli.output import Failure, show
from cli.places import KafkaOption, KafkaPropertyOption, LogPathOption, kafka_properties
from cli.streams import public_mode
from cli.typed import typed
from ledger.committee import Committees
from ledger.digests import address_of
from ledger.genesis import Validator, parse_genesis
from ledger.keys import PrivateKey
from node import wiring
from node.home import exits
from node.home.files import changing, create_file, replace_file
from node.home.keystore import create_key, load_key
from node.home.layout import GENESIS_BYTES_MAX, Home
from node.settings.tree import LogSettings, Settings
from node.setup.draft import new_draft, sealed, with_validator
from node.setup.join import join_chain
from node.setup.make_settings import Endpoints

keys_app = typer.Typer(help="Keys of validators.", no_args_is_help=True)
genesis_app = typer.Typer(help="Write the genesis of a chain together (docs/joining.md).", no_args_is_help=True)

KeyOption = Annotated[Path, typer.Option("--key", help="Key file.")]
DraftOption = Annotated[Path, typer.Option("--draft", help="The draft that the parties hand on.")]
PassphraseOption = Annotated[Path | None, typer.Option(help="File whose first line encrypts or opens the key file.")]


def join(home: Path, genesis: Path, key: Path | None, places: Endpoints, as_json: bool) -> None:
    """The body of `momus init --genesis`."""
    if key is None:
        raise Failure(exits.USAGE, "--genesis needs --key: the key file of this validator.")
    made = join_chain(home, genesis, key, places)
    joined = made.home.genesis()
    run = typed("run", "--home", home)
    facts = {
        "home": str(made.home.path),
        "homes": [str(made.home.path)],
        "chain": joined.chain,
        "genesis_digest": made.genesis_digest.hex(),
        "topic_id": made.topic_id,
        "cluster_id": made.cluster_id,
        "client_address": None,
        "asset": None,
        "transactions": [],
        "next": [run],
    }
    name = made.home.settings({}).validator
    lines = [f"Made the home of {name} on the chain {joined.chain} in {made.home.path}."]
    lines += [
        f"genesis {made.genesis_digest.hex()} (all parties must see the same)",
        "",
        "Next:",
        f"  {run}",
    ]
    show(as_json, facts, lines)


@keys_app.command("new")
def new_key(
    key: KeyOption = Path("validator-key.json"),
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a validator's key. Its file never leaves this machine; prints {key, public_key, address}."""
    made = PrivateKey.generate()
    create_key(key, "validator", made, wiring.passphrase_in(passphrase_file))
    facts = {"key": str(key.absolute()), "public_key": made.public_key.hex(), "address": made.address.hex()}
    show(True, facts, "")


@genesis_app.command("add")
def add(
    draft: DraftOption = Path("genesis-draft.json"),
    name: Annotated[str, typer.Option(help="Name of the validator: a-z, 0-9 and -.")] = "",
    key: Annotated[Path | None, typer.Option(help="Key file of the validator; or --public-key.")] = None,
    public_key: Annotated[str, typer.Option(help="Its public key, as `momus keys new` printed it.")] = "",
    operator: Annotated[str, typer.Option(help="Address of its operator; default: that of the key.")] = "",
    power: Annotated[int, typer.Option(min=1, help="Voting power.")] = 1,
    chain: Annotated[str, typer.Option(help="Name of the chain, where this entry starts the draft.")] = "",
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of transactions, of a new draft.")] = 4,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a validator to a draft; the first one starts it with --chain. --json prints {draft, chain, validators}."""
    if not name or (key is None) == (not public_key):
        raise Failure(exits.USAGE, "genesis add needs --name, and either --key FILE or --public-key HEX.")
    consensus_key = _public_key(key, public_key, passphrase_file)
    address = _hex(operator, "--operator") if operator else address_of(consensus_key)
    validator = Validator(name, address, consensus_key, power)
    with changing(draft.absolute().parent):
        text = _with_entry(draft, chain, partitions, validator)
        replace_file(draft, text, public_mode())
    seal = typed("genesis", "seal", "--draft", draft, "--kafka", "HOST:PORT")
    _tell(as_json, "draft", draft, text, ["", "Hand it to the next party; the last one seals it:", f"  {seal}"])


def _with_entry(draft: Path, chain: str, partitions: int, validator: Validator) -> bytes:
    """Raises: Failure, GenesisError."""
    if not draft.exists():
        if not chain:
            raise Failure(exits.USAGE, f"There is no {draft}; the first entry starts it with --chain NAME.")
        return new_draft(chain, partitions, validator)
    if chain:
        raise Failure(exits.USAGE, f"{draft} is there already: --chain starts a new draft.")
    return with_validator(_read(draft), validator)


@genesis_app.command("seal")
def seal_draft(
    draft: DraftOption = Path("genesis-draft.json"),
    out: Annotated[Path, typer.Option(help="File to write; what is there is not overwritten.")] = Path("genesis.json"),
    backbone: Annotated[str, typer.Option(help="embedded or kafka.")] = "kafka",
    kafka: KafkaOption = "",
    kafka_property: KafkaPropertyOption = None,
    log_path: LogPathOption = None,
    replicas: Annotated[int, typer.Option(min=1, help="Replicas of each topic on Kafka.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Make the chain's topics and write its genesis. One party does this once, with the rights to make topics.

    --json prints {genesis, chain, validators, genesis_digest, topics}.
    """
    if out.exists():
        raise Failure(exits.USAGE, f"{out} exists; a genesis is never overwritten.")
    if backbone == "embedded" and log_path is None:
        raise Failure(exits.USAGE, "--backbone embedded needs --log-path: the folder of the log that the homes share.")
    properties = kafka_properties(backbone, kafka, kafka_property)
    settings = Settings(
        log=LogSettings(kind="embedded" if properties is None else "kafka", path=log_path or Path("log")),
        kafka=properties or {},
    )
    with wiring.open_log(Home(Path.cwd()), settings) as log, sealed(_read(draft), log, replicas) as text:
        create_file(out, text, public_mode())
    place = ("--kafka", kafka) if log_path is None else ("--log-path", log_path)
    init = typed("init", "--genesis", out, "--key", Path("validator-key.json"), "--backbone", backbone, *place)
    after = ["", "Give it to all parties. Each makes its home with its own key:", f"  {init}"]
    _tell(as_json, "genesis", out, text, after)


def _public_key(file: Path | None, text: str, passphrase_file: Path | None) -> bytes:
    if file is None:
        return _hex(text, "--public-key")
    return load_key(file, wiring.passphrase_in(passphrase_file)).public_key


def _hex(text: str, option: str) -> bytes:
    try:
        return hex_digest(text, option)
    except BadCommand as error:
        raise Failure(exits.USAGE, f"{error}.") from error


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(GENESIS_BYTES_MAX)
    except OSError as error:
        raise Failure(exits.USAGE, f"{file} cannot be read: {error.strerror}.") from error


def _tell(as_json: bool, what: str, file: Path, text: bytes, after: list[str]) -> None:
    genesis = parse_genesis(text)
    names = Committees.of(genesis).current.names
    facts: dict[str, Any] = {what: str(file.absolute()), "chain": genesis.chain, "validators": names}
    lines = [f"{file}: the chain {genesis.chain} with {len(names)} validators: {', '.join(names)}."]
    if what == "genesis":
        specs = chain_topics(genesis.chain, names, genesis.partitions, 1)
        facts |= {"genesis_digest": genesis.digest.hex(), "topics": [spec.name for spec in specs]}
        lines += [f"genesis {genesis.digest.hex()}", "Topics made:", *(f"  {spec.name}" for spec in specs)]
    show(as_json, facts, lines + after)

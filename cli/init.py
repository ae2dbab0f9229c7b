"""`momus init`: a chain and a node's home on this machine."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.joining import join
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, show
from cli.places import KafkaOption, KafkaPropertyOption, LogPathOption, kafka_properties, postgres_place
from cli.typed import typed
from client import Client, ClientSettings
from ledger.commands import CreateAsset, Mint
from ledger.digests import asset_id
from ledger.genesis import CHECKPOINT_MAX, DEFAULT_CHECKPOINT_HEIGHTS, DEFAULT_CHECKPOINT_TIME_MS
from ledger.keys import PrivateKey
from node import wiring
from node.home import exits
from node.settings.tree import read_settings
from node.setup.make_home import DEV_WINDOW_MS, Made, Plan, make_homes
from node.setup.make_settings import VALIDATOR, Endpoints

DEV_ASSET = "dev"
DEV_FUNDS = 1_000_000
_DELIVERY_S = 30.0


def command(
    home: HomeOption = DEFAULT_HOME,
    chain: Annotated[str, typer.Option(help="Name of the chain and of its topics: a-z, 0-9 and -.")] = "dev",
    validators: Annotated[
        int, typer.Option(min=1, max=32, help="Validators on this machine; several get a home each below --home.")
    ] = 1,
    validator: Annotated[str, typer.Option(help="Name of this validator.")] = "validator-1",
    backbone: Annotated[str, typer.Option(help="embedded or kafka.")] = "embedded",
    kafka: KafkaOption = "",
    kafka_property: KafkaPropertyOption = None,
    log_path: LogPathOption = None,
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of the transactions topic.")] = 4,
    replicas: Annotated[int, typer.Option(min=1, help="Replicas of each topic on Kafka.")] = 1,
    checkpoint_heights: Annotated[
        int, typer.Option(min=1, max=CHECKPOINT_MAX, help="A checkpoint after so many blocks at the latest,")
    ] = DEFAULT_CHECKPOINT_HEIGHTS,
    checkpoint_ms: Annotated[
        int, typer.Option(min=1, max=CHECKPOINT_MAX, help="and with the first block that is so much later.")
    ] = DEFAULT_CHECKPOINT_TIME_MS,
    postgres: Annotated[
        str,
        typer.Option(
            help="embedded, a URL without a password, or the path of a file that holds a URL; {validator} in it stands "
            "for the validator's name."
        ),
    ] = "embedded",
    passphrase_file: Annotated[Path | None, typer.Option(help="Encrypt key files with this file's first line.")] = None,
    genesis: Annotated[
        Path | None, typer.Option(help="Join the chain of this genesis.json instead of making one; with --key.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The key file of `momus keys new` whose key genesis names.")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="A client key with funds, to try things out.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a chain and the homes of its validators: keys, topics, genesis, journals, databases. Overwrites nothing.

    With --dev also a client key; its first transactions are in the log already and execute when the node runs.
    With --genesis the home of one validator of a chain that several organisations agreed on (docs/joining.md).
    --json prints home, homes, chain, genesis_digest, topic_id, cluster_id, client_address, asset, transactions, next.
    """
    places = Endpoints(
        kafka=kafka_properties(backbone, kafka, kafka_property or []),
        log_path=log_path,
        postgres=postgres_place(postgres),
        passphrase_file=passphrase_file,
    )
    if genesis is not None:
        join(home, genesis, key, places, as_json)
        return
    plan = Plan(
        chain=chain,
        validators=_names(validators, validator, postgres),
        partitions=partitions,
        replicas=replicas,
        places=places,
        is_dev=dev,
        checkpoint_heights=checkpoint_heights,
        checkpoint_ms=checkpoint_ms,
    )
    funds: dict[str, Any] = {}
    made = make_homes(home, plan, lambda made: funds.update(fund(made) if made.client is not None else {}))
    _tell(as_json, home, chain, made, funds)


def _names(count: int, name: str, postgres: str) -> tuple[str, ...]:
    """validator-1 and so on; one alone is called as it is told to."""
    if count == 1:
        return (name,)
    if postgres != "embedded" and VALIDATOR not in postgres:
        raise Failure(exits.USAGE, f"--postgres: each validator needs a database of its own; put {VALIDATOR} into it.")
    return tuple(f"validator-{number}" for number in range(1, count + 1))


def fund(made: Made) -> dict[str, Any]:
    """An asset and units of it for the client key, submitted: they execute when the node runs."""
    assert made.client is not None
    settings = read_settings(made.home.settings_file, {})
    options = ClientSettings(follow=False, linger_ms=0)
    with wiring.open_log(made.home, settings) as log, closing(Client(log, made.home.genesis(), options)) as client:
        return _submit_funds(client, made.client)


def _submit_funds(client: Client, key: PrivateKey) -> dict[str, Any]:
    valid_for_ms = DEV_WINDOW_MS - 3_600_000
    created = client.submit(client.sign(key, CreateAsset(DEV_ASSET, 0, key.address), valid_for_ms=valid_for_ms))
    asset = asset_id(created.digest, 0)
    minted = client.submit(client.sign(key, Mint(asset, key.address, DEV_FUNDS), valid_for_ms=valid_for_ms))
    client.wait([created, minted], _DELIVERY_S, "delivered")
    for submission in (created, minted):
        if submission.failure is not None:
            raise Failure(exits.UNAVAILABLE, f"the log did not take the first transactions: {submission.failure}")
    return {"asset": asset.hex(), "transactions": [created.digest.hex(), minted.digest.hex()]}


def _tell(as_json: bool, home: Path, chain: str, made: Made, funds: dict[str, Any]) -> None:
    following = [typed("run", "--home", home)]
    what = "its node" if len(made.homes) == 1 else f"its {len(made.homes)} validators"
    lines = [f"Made the chain {chain} and {what} in {home.absolute()}.", f"genesis {made.genesis_digest.hex()}"]
    if made.client is not None:
        address = made.client.address.hex()
        lines += [f"Your key is {made.home.client_key_file}, your address {address}."]
        lines += [f"It gets {DEV_FUNDS} units of the asset {DEV_ASSET} as soon as the node runs."]
        following += [
            typed("sql", "--home", made.home.path, "select address, asset_name, amount from balances"),
            typed("submit", "transfer", DEV_ASSET, "5", "--to", f"{1:064x}", "--home", made.home.path),
        ]
    facts = {
        "home": str(home.absolute()),
        "homes": [str(node.path) for node in made.homes],
        "chain": chain,
        "genesis_digest": made.genesis_digest.hex(),
        "topic_id": made.topic_id,
        "cluster_id": made.cluster_id,
        "client_address": None if made.client is None else made.client.address.hex(),
        "asset": funds.get("asset"),
        "transactions": funds.get("transactions", []),
        "next": following,
    }
    second = ["", "Next:", f"  {following[0]}"]
    if len(following) > 1:
        second += ["and, while it runs, in another terminal:", *(f"  {line}" for line in following[1:])]
    show(as_json, facts, lines + second)

"""`momus effects`: the topic into which a node writes what became of each transaction (docs/effects.md)."""

import os
from typing import Annotated

import typer

from api.effects.process import topic_of
from backbone.topics import effects_topic
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import show
from node import wiring
from node.home.layout import Home

DAY_MS = 86_400_000
app = typer.Typer(help="The topic of what became of each transaction.", no_args_is_help=True)


@app.callback()
def effects() -> None:
    """The topic of what became of each transaction."""


@app.command()
def create(
    home: HomeOption = DEFAULT_HOME,
    replicas: Annotated[int, typer.Option(min=1, help="Replicas on Kafka.")] = 1,
    retention_days: Annotated[int, typer.Option(min=0, max=36_500, help="How long records stay; 0: for ever.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Make the effects topic of this home's validator. `effects.enabled` then lets the node write it.

    --json prints topic. Exit codes: 2 it is there already, 4 the log does not answer.
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    topic = place.genesis().topic_name(topic_of(settings.validator))
    with wiring.open_log(place, settings) as log:
        log.create([effects_topic(topic, replicas, retention_days * DAY_MS)])
    text = [f"Made {topic}.", "The node writes it with this in momus.toml:", "  [effects]", "  enabled = true"]
    show(as_json, {"topic": topic}, text)

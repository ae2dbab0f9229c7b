"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_HOME = Path("momus-home")

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="MOMUS_HOME", help="The node's home directory.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]

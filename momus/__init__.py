"""Momus: a Byzantine-fault-tolerant ledger whose log is Apache Kafka and whose state is Postgres.

The public face: `Client` builds, signs, submits and follows transactions; the commands it sends, keys and the chain's
genesis are here too. A node is run by the command `momus`.
"""

import sys

_WORDS = list(zip(sys.orig_argv, sys.orig_argv[1:], strict=False))
_IS_COMMAND = sys.argv[:1] == ["-m"] and any(
    one[:1] == "-" and one[-1:] == "m" and two == "momus" for one, two in _WORDS
)
if _IS_COMMAND and not sys.flags.safe_path and sys.path[0] != __file__.removesuffix("/momus/__init__.py"):
    # `python -m momus` looks for modules in the current folder first: what lies there is not ours, except in our own.
    del sys.path[0]

from typing import TYPE_CHECKING  # noqa: E402

from ledger.commands import (  # noqa: E402
    Burn,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    ShareObject,
    Transfer,
    TransferObject,
    UpdateObject,
)
from ledger.encoding.codec import load_schema  # noqa: E402
from ledger.genesis import Genesis, parse_genesis  # noqa: E402
from ledger.keys import PrivateKey  # noqa: E402
from ledger.transaction import Transaction  # noqa: E402

if TYPE_CHECKING:
    from client import (
        BackPressure,
        Client,
        ClientSettings,
        ClientStopped,
        HeightWatch,
        NotFinal,
        Submission,
        TooLarge,
        outcome,
    )

__all__ = [
    "BackPressure",
    "Burn",
    "Client",
    "ClientSettings",
    "ClientStopped",
    "CreateAsset",
    "CreateObject",
    "DeleteObject",
    "FreezeObject",
    "Genesis",
    "HeightWatch",
    "Mint",
    "NotFinal",
    "PrivateKey",
    "ShareObject",
    "Submission",
    "TooLarge",
    "Transaction",
    "Transfer",
    "TransferObject",
    "UpdateObject",
    "load_schema",
    "outcome",
    "parse_genesis",
]


def __getattr__(name: str) -> object:
    """The client's names, loaded when first asked for: to verify a proof needs neither the log nor SQL."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import client as client

    return getattr(client, name)

"""Producing transactions: build, sign, submit, and follow them to finality.

In: commands and a key, or transactions that somebody signed. Out: a `Submission` per transaction, which learns its
position when the log has taken it and its height when a verified final header has passed that position.
"""

from client.client import Client
from client.database import Executed, HeightWatch, Rejected, outcome
from client.outbox import BackPressure, Position, Submission, TooLarge, partition_of
from client.values import ClientSettings, ClientStopped, NotFinal, Progress

__all__ = [
    "BackPressure",
    "Client",
    "ClientSettings",
    "ClientStopped",
    "Executed",
    "HeightWatch",
    "NotFinal",
    "Position",
    "Progress",
    "Rejected",
    "Submission",
    "TooLarge",
    "outcome",
    "partition_of",
]

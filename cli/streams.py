"""What a command has of its process: standard streams, and the modes of the files that it makes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final

_PRIVATE: Final = 0o077
_others = 0o022


@contextmanager
def private_files() -> Iterator[None]:
    """What is made meanwhile, by processes that are started meanwhile too, only its user may read."""
    global _others
    _others = os.umask(_PRIVATE)
    try:
        yield
    finally:
        os.umask(_others)


@contextmanager
def public_files() -> Iterator[None]:
    """What is made meanwhile is no file of a home: its mode is as the user's umask has it."""
    before = os.umask(_others)
    try:
        yield
    finally:
        os.umask(before)


def public_mode() -> int:
    """Of a file that is not of a home: as the user's umask has it."""
    return 0o666 & ~_others


def open_streams() -> None:
    """A closed standard stream is the null device: else the next file that is opened takes its number, and gets what is
    printed there. All take any text: a path may hold what no encoding has."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_told() -> bool:
    """Whether all that was said has reached standard output: nobody reads it any more, or its disk is full, else."""
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try again at its end, and say so in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True

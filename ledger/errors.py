"""The four families of error. What is raised anywhere derives from one of them, and whoever ends a command or a process
by an error goes by its family.

What another part raises is wrapped where it enters, `from` its cause. Bad data from outside is a value
(`ledger.rejection`) wherever a node must go on.
"""


class PeerError(Exception):
    """What came from outside is not what it must be. What it was for fails; nothing here is wrong."""


class CallerError(Exception):
    """What was asked for cannot be done as asked: a command line, settings, a key, a home, an argument."""


class Unavailable(Exception):
    """A part (log, database, disk, peer, worker) did not answer or is taken. Try again later."""


class Halt(Exception):
    """Going on would be unsafe, and trying again does not help. The message names the remedy."""

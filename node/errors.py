"""What ends a process of a node, told apart by what its supervisor does next."""


class Halted(Exception):
    """The node must not go on before somebody acted; the message names the remedy."""


class Unavailable(Exception):
    """The log, the database or the disk did not answer; trying again later is right."""

"""Words for a shell, in commands that people are to paste: each on one line, whatever it holds."""

import os
import shlex


def quoted(word: str) -> str:
    """One word of a shell. What a terminal would not show as it is stands there by its number, as bash and zsh, and
    POSIX since 2024, read it."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    return character if character.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))

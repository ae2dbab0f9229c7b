"""Texts of other people as a terminal may show them: what would move its cursor, colour it, end a line or turn the
order of reading is written out.
"""

import re
from typing import Final

_HIDDEN: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # which way is read
    "\u2028\u2029"  # ends of lines
    "\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"  # not seen at all
    "\ud800-\udfff"  # cannot be written
    "]"
)


def printable(text: str, keep: str = "") -> str:
    """The text with such characters as escapes (``\\x1b``, ``\\u202e``), but for those in `keep`."""
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _escaped(ord(found[0])), text)


def _escaped(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

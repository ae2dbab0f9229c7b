"""What the system refused, as a sentence that names the place and the remedy, and the exit code that goes with it."""

import errno
import os
from pathlib import Path
from typing import Final

from node.home import exits

_SPACE: Final = "free space there, then try again"
_RIGHTS: Final = "run as the user that it belongs to, or let this one write there"
_REMEDIES: Final = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: f"{_SPACE}, or have the quota raised",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or use another file system",
    errno.EIO: "the disk fails: see the system's log, and use another one",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files (fs.file-max)",
    errno.ENOMEM: "free memory, then try again",
    errno.EADDRINUSE: "stop whoever listens there, or use another port",
}
"""Of what may be better the next time."""
_REMEDIES_OF_USE: Final = {
    errno.EROFS: "mount it for writing, or give another place",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOENT: "it is not there; look at the path",
    errno.EEXIST: "give another place, or remove it",
    errno.ENOTDIR: "give a path below a folder",
    errno.EISDIR: "give the path of a file",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "its links lead in a circle; give another path",
}
"""Of what stays as it is until somebody changes it."""


def refused(error: OSError, place: Path | None = None) -> tuple[int, str]:
    """(exit code, sentence). `place`: where it was, if the error does not say."""
    number = error.errno or 0
    where = error.filename if error.filename is not None else place
    what = error.strerror or str(error) or type(error).__name__
    remedy = _REMEDIES.get(number) or _REMEDIES_OF_USE.get(number)
    code = exits.USAGE if number in _REMEDIES_OF_USE else exits.UNAVAILABLE
    said = what if where is None else f"{os.fsdecode(where) if isinstance(where, bytes) else where}: {what}"
    return code, f"{said}; {remedy}." if remedy else said

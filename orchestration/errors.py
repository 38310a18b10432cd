"""How an error reaches the user: one line, and an exit code.

Belongs here: turning exceptions into a sentence. Does not belong here: raising them. Standard library only.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection

OK = 0
FAILED = 1
BUSY = 75
"""EX_TEMPFAIL of sysexits.h: try again later."""


class UserError(RuntimeError):
    """Something the user can put right; the message says what and how."""


def unknown_site(site: str, known: Collection[str]) -> UserError:
    """What every command says of a site that has no site file."""
    return UserError(f"there is no site {site!r}. Known sites: {', '.join(sorted(known))}. Remedy: write a site file (CONTRIBUTING.md)")


def explain(error: BaseException) -> tuple[str, int]:
    """One line for the user, and the exit code.

    Our own errors say what to do. Of any other only the kind and place are shown: a library's message may quote a value of a record.
    """
    if type(error).__name__ == "LakeBusy":
        return str(error), BUSY
    if isinstance(error, UserError) or type(error).__module__.split(".")[0] in ("assets", "orchestration"):
        return " ".join(str(error).split()), FAILED
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full. Remedy: make room, then run the same command again; nothing was lost", FAILED
    if isinstance(error, PermissionError):
        return f"no permission: {error.filename}. Remedy: see who owns it", FAILED
    if isinstance(error, OSError) and error.errno:
        return f"{os.strerror(error.errno)}: {error.filename or ''}".rstrip(": "), FAILED
    from assets.alerts import safe_message

    return safe_message(error), FAILED

"""A file that is replaced as a whole: at any moment there is the old one or the new one.

The new content is written beside the target, under a name that tells whose it is, and then renamed. The writer holds a
lock on what it writes, so that what a killed one has left can be told from what another one is writing.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from functools import partial

if sys.platform != "win32":  # there a file that is open cannot be removed, which is as good as a lock
    import fcntl

_ENDING = ".schuss.tmp"


def replace(target: str, data: bytes) -> None:
    """Write a file.

    One that is there keeps its permissions and, where that is allowed, its owner; a new one follows the umask.

    Parameters
    ----------
    target : str
        The file itself, not a link to it.
    data : bytes
        Its new content.

    Raises
    ------
    OSError
        If it cannot be written, or is there and no regular file; the old one is still there. The error names the
        target.
    """
    folder, name = os.path.split(target)
    try:
        before = _before(target)
        _remove_abandoned(folder, name)
        path, file = _opened(folder, name, 0o666 if before is None else 0o600)
        try:
            try:
                _write(file, data)
                if before is not None:
                    _keep(file.fileno(), before)
                os.fsync(file.fileno())
                if sys.platform != "win32":  # while the lock is held
                    os.replace(path, target)
            finally:
                file.close()
            if sys.platform == "win32":  # an open file cannot be renamed
                os.replace(path, target)
        except BaseException:
            _unlink(path)
            raise
    except OSError as error:  # name the file that was asked for
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, target) from None
    _settle(folder)


def _before(target: str) -> os.stat_result | None:
    """What is there."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return found


def _prefix(name: str) -> str:
    """How the names of a target's temporary files begin: as short for any name."""
    from hashlib import sha256

    return f".{sha256(os.fsencode(name)).hexdigest()[:16]}."


def _opened(folder: str, name: str, mode: int) -> tuple[str, io.FileIO]:
    """A new file beside the target, locked. Where an interrupt loses it, it closes itself, and counts as abandoned."""
    while True:
        path = os.path.join(folder, f"{_prefix(name)}{os.urandom(8).hex()}{_ENDING}")
        file = io.FileIO(path, "xb", opener=partial(os.open, mode=mode))
        if _locked(file.fileno(), path):
            return path, file
        file.close()  # another writer took it for abandoned before it was locked


def _locked(file: int, path: str) -> bool:
    """Lock a file that is open; whether it still has its name."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing is ever taken for abandoned there
        return True
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _remove_abandoned(folder: str, name: str) -> None:
    """Remove what writers of this target have left that were killed."""
    prefix = _prefix(name)
    with contextlib.suppress(OSError):
        left = [entry for entry in os.listdir(folder or ".") if entry.startswith(prefix) and entry.endswith(_ENDING)]
        for entry in left:
            _remove_if_abandoned(os.path.join(folder, entry))


def _remove_if_abandoned(path: str) -> None:
    if sys.platform == "win32":
        _unlink(path)
        return
    with contextlib.suppress(OSError):
        opened: list[int] = []
        try:
            _open_into(opened, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.flock(opened[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            _unlink(path)
        finally:
            for file in opened:
                os.close(file)


def _open_into(opened: list[int], path: str, flags: int) -> None:
    """Put an open file into a list, in one compiled call: no interrupt comes between, which would lose it."""
    opened.extend(map(os.open, [path], [flags]))


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _write(file: io.FileIO, data: bytes) -> None:
    """All of it: a system call may write less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file.fileno(), rest[: 1 << 30]) :]


def _keep(file: int, before: os.stat_result) -> None:
    """Owner, group and permissions of what is replaced; the owner first, which clears some permissions."""
    now = os.fstat(file)
    if hasattr(os, "fchown") and (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.fchown(file, before.st_uid, before.st_gid)
        except OSError:
            with contextlib.suppress(OSError):
                os.fchown(file, -1, before.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(file, stat.S_IMODE(before.st_mode))


def _settle(folder: str) -> None:
    """Have the renaming itself on disk, where that can be asked for."""
    with contextlib.suppress(OSError):
        opened: list[int] = []
        try:
            _open_into(opened, folder or ".", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            os.fsync(opened[0])
        finally:
            for file in opened:
                os.close(file)

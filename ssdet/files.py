"""Files that are written whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

HELD = (errno.EACCES, errno.EAGAIN)  # of a lock that another process holds
# What a disk does to a writer, and no input can be blamed for.
OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` if the block succeeds.

    The data is on disk before the rename, so that `path` is never half written, also
    after a power cut. On an error the temporary file is removed, `path` is as before;
    what a killed writer left is removed by the next one.

    Raises:
        OSError: the file cannot be written; the message says where.
    """
    path = Path(path)
    host = platform.node()
    temporary = path.with_name(f".{path.name}.{host}.{os.getpid()}.tmp")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_left(path, host)
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Say of an error in the block which file it kept from being written.

    Raises:
        OSError: the block raised one.
    """
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write {path}: {error.strerror or error}. Free some space or choose"
            " another folder with the config key `results`, then run again",
        ) from error


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """See that no other process works in a folder, which is made if need be.

    The lock is gone with the process, however it ends. Within the block the folder may
    be removed.

    Args:
        folder: gets a file `lock`.
        what: they would both do, for the message.

    Raises:
        OSError: another process does; or the folder cannot be written.
    """
    path = folder / "lock"
    while True:
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:
                continue  # another process has just removed the folder
        try:
            if _lock(descriptor, path, what):
                try:
                    yield
                finally:
                    _remove_if_empty(path)
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int, path: Path, what: str) -> bool:
    """Take a lock; False if its file was removed meanwhile."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in HELD:
            log.warning("%s: this file system has no locks (%s)", path, error.strerror)
            return True
        raise OSError(
            error.errno,
            f"another process {what} at this moment (it holds {path}). Wait for it, or"
            " end it; then run again",
        ) from None
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: str | Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data: bytes) -> str:
    """Hex sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_text(text: str) -> str:
    """Hex sha256 of a text in UTF-8."""
    return sha256_bytes(text.encode())


def _remove_if_empty(lock: Path) -> None:
    """Remove a folder that holds nothing but its lock."""
    with suppress(OSError):
        if os.listdir(lock.parent) == [lock.name]:
            lock.unlink()
            lock.parent.rmdir()


def _remove_left(path: Path, host: str) -> None:
    """Remove what killed writers left; one that still lives on this host keeps its."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        process = left.name.removesuffix(".tmp").rpartition(f".{host}.")[2]
        others = process.isdigit() and int(process) != os.getpid()
        if not (others and os.path.exists(f"/proc/{process}")):
            left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

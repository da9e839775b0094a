"""Files and folders that only the user who runs us may read, whatever the umask says."""

import contextlib
import errno
import os
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def make_folder(folder: Path) -> None:
    """Make a folder, and those it is in; what is there already keeps its mode."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            told = errno.ENOTDIR
            raise NotADirectoryError(told, os.strerror(told), str(folder)) from None
        return  # another process was faster
    folder.chmod(FOLDER_MODE)


def create_file(path: Path, flags: int = os.O_WRONLY) -> int:
    """Create a file that must not exist, and return its descriptor."""
    file = os.open(path, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)
    os.fchmod(file, FILE_MODE)
    return file


def create_if_missing(path: Path) -> None:
    """Create an empty file, unless there is one; that keeps its mode."""
    with contextlib.suppress(FileExistsError):
        os.close(create_file(path))

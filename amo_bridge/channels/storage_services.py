"""Services that keep copies of deals' files: what each can do, and the plain folder on this server.

Nothing is ever deleted, overwritten or put into a bin. Where a copy goes (its ``ref``) is settled and kept before it is
uploaded, so that after a lost answer the service can be asked for exactly that copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelRefused, why_not
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.private_files import make_folder

LONGEST_NAME_BYTES = 200
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


class NameTaken(ChannelRefused):
    """Something else lies there under this name; it stays as it is."""


@dataclass(frozen=True)
class LocalCopy:
    """A file as it lies on this server until it is uploaded. ``md5``, ``sha256``: hexadecimal."""

    path: Path
    size: int
    md5: str
    sha256: str
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class DealFolder:
    """``ref``: the service's id or path. ``url``: for people; empty where the bridge's own pages show the files.
    ``is_new``: it was made just now."""

    ref: str
    url: str = ""
    is_new: bool = False


class StorageService(Protocol):
    """A service. Every method raises ChannelError.

    ``vendor``: its section of the config. ``has_links``: people open its files by its own links; otherwise they do by
    a page of the bridge.
    """

    vendor: str
    has_links: bool

    def check(self) -> str:
        """What to say when the service lets us in (Russian)."""

    def folder(self, deal_id: int, title: str, known: str) -> DealFolder:
        """The deal's folder, made if it is not there. ``known``: the ref it had last; whoever renamed it meanwhile does
        no harm."""

    def new_ref(self, folder: DealFolder, name: str) -> str:
        """Where a new copy is to go."""

    def put(self, folder: DealFolder, ref: str, name: str, copy: LocalCopy) -> str:
        """Upload; the copy's address, empty without ``has_links``. Doing it again for the same ref and content changes
        nothing. Raises NameTaken."""

    def find(self, ref: str, size: int, md5: str) -> str | None:
        """The address of a copy that was perhaps uploaded; None: it is not there, or not whole."""

    def open(self, deal_id: int, ref: str, name: str) -> Path | str:
        """For the bridge's page: the file on this server, or an address that works for a short time."""


def safe_name(name: str) -> str:
    """A file's name that every service takes, as near to what people see as can be."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(" .") or "файл"
    suffix = PurePosixPath(name).suffix if len(PurePosixPath(name).suffix) <= 12 else ""
    stem = name[: len(name) - len(suffix)] if suffix else name
    while len(f"{stem}{suffix}".encode()) > LONGEST_NAME_BYTES:
        stem = stem[:-1].rstrip()
    return f"{stem}{suffix}"


def versioned(name: str, version: int) -> str:
    """«КП.pdf» of the second version is «КП (2).pdf»."""
    if version == 1:
        return name
    path = PurePosixPath(name)
    return f"{path.stem} ({version}){path.suffix}"


def folder_title(deal_id: int, title: str) -> str:
    """A folder's name begins with the deal's number, so that it is found whatever people call it."""
    return safe_name(f"{deal_id} {title}")


def is_folder_of(name: str, deal_id: int) -> bool:
    """Does a folder's name begin with the deal's number?"""
    return re.match(rf"{deal_id}(?!\d)", name) is not None


# --- a folder on this server ------------------------------------------------------------------------------------------

MARK = ".amo-deal"
"""A file in each folder that holds the deal's number: the folder is found by it after people have renamed it."""
INCOMING = ".incoming"
"""Where files wait in the same folder until they are whole."""
UNREADABLE = (PermissionError, NotADirectoryError, IsADirectoryError)


class FolderStorage:
    """``root`` holds a folder for each deal. ``is_private``: for the bridge's own user alone, as all of its data."""

    vendor = "storage"
    has_links = False

    def __init__(self, root: Path, *, is_private: bool = True) -> None:
        self._root = root
        self._is_private = is_private

    def check(self) -> str:
        with _disk_errors():
            there = next(path for path in (self._root, *self._root.parents) if path.exists())
            if not self._is_private and there not in (self._root, self._root.parent):
                # The bridge would make it on the disk below the one that is not mounted.
                raise ChannelDown(f"папки {self._root.parent} нет: создайте её или подключите диск с ней")
            if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
                raise ChannelDown(f"в папку документов {self._root} нельзя писать")
            free = shutil.disk_usage(there).free
        return f"документы складываются в папку {self._root}, свободно {free / 2**30:.1f} ГБ"

    def folder(self, deal_id: int, title: str, known: str) -> DealFolder:
        with _disk_errors():
            self._make(self._root)
            if (found := self._folder_of(deal_id, known)) is not None:
                return DealFolder(found.name)
            made = self._free_path(folder_title(deal_id, title))
            self._make(made)
            (made / MARK).write_text(str(deal_id), "utf-8")
            return DealFolder(made.name, is_new=True)

    def new_ref(self, folder: DealFolder, name: str) -> str:
        return f"{folder.ref}/{name}"

    def put(self, folder: DealFolder, ref: str, name: str, copy: LocalCopy) -> str:
        target = self._root / folder.ref / name
        with _disk_errors():
            if not target.exists():
                with copy.path.open("rb+") as opened:
                    os.fsync(opened.fileno())
                copy.path.chmod(0o600 if self._is_private else 0o644)
                if self._placed(copy.path, target):
                    _sync_folder(target.parent)
                    return ""
            if target.is_file() and target.stat().st_size == copy.size and _md5(target) == copy.md5:
                return ""
        raise NameTaken(f"«{target.name}» в папке уже есть")

    def find(self, ref: str, size: int, md5: str) -> str | None:
        with _disk_errors():
            path = self._root / ref
            return "" if path.is_file() and path.stat().st_size == size and _md5(path) == md5 else None

    def open(self, deal_id: int, ref: str, name: str) -> Path | str:
        with _disk_errors():
            folder = self._folder_of(deal_id, PurePosixPath(ref).parent.name)
            path = folder / name if folder is not None else None
            if path is None or not path.is_file() or path.is_symlink():
                raise ChannelRefused("этого файла в папке документов больше нет")
            return path

    def _placed(self, whole: Path, target: Path) -> bool:
        """Give a whole file its second name; False if somebody has put another one there meanwhile, which stays."""
        try:
            # Unlike a rename, a link never takes the place of what is there.
            os.link(whole, target)
        except FileExistsError:
            return False
        except OSError:
            # Another disk, or a file system without hard links.
            arriving = target.with_name(f".{whole.name}")
            try:
                shutil.copy(whole, arriving)
                if target.exists():
                    return False
                arriving.rename(target)
            finally:
                arriving.unlink(missing_ok=True)
        return True

    def _folder_of(self, deal_id: int, known: str) -> Path | None:
        """By its last name, by the number at the beginning of its name; one that was known, by the mark inside."""
        if known and (self._root / known).is_dir():
            try:
                if self._is_of(self._root / known, deal_id):
                    return self._root / known
            except UNREADABLE as error:
                # Not made anew beside it; and other deals do not wait for this one.
                raise ChannelBusy(f"папка документов {self._root / known}: {why_not(error)}") from error
        paths = sorted(path for path in self._root.iterdir() if path.name != INCOMING)
        named = [path for path in paths if is_folder_of(path.name, deal_id)]
        # A deal without a folder is in nobody else's: thousands of marks need not be read for each new deal.
        others = paths if known else []
        return next((path for path in (*named, *others) if self._is_surely_of(path, deal_id)), None)

    def _is_surely_of(self, folder: Path, deal_id: int) -> bool:
        """A folder of somebody else's (``lost+found``), or what is none, is no deal's."""
        try:
            return folder.is_dir() and self._is_of(folder, deal_id)
        except UNREADABLE:
            return False

    def _is_of(self, folder: Path, deal_id: int) -> bool:
        try:
            return (folder / MARK).read_text("utf-8").strip() == str(deal_id)
        except FileNotFoundError:
            # The process died before it could mark what it had made.
            if is_folder_of(folder.name, deal_id) and not any(folder.iterdir()):
                (folder / MARK).write_text(str(deal_id), "utf-8")
                return True
            return False
        except UnicodeDecodeError:
            return False

    def _free_path(self, name: str) -> Path:
        for number in range(1, 1000):
            path = self._root / (name if number == 1 else f"{name} ({number})")
            if not path.exists():
                return path
        raise ChannelRefused(f"папки «{name}» заняты")

    def _make(self, folder: Path) -> None:
        if self._is_private:
            make_folder(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)


def _md5(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """A disk that fails holds up all files; what is written half is written anew."""
    try:
        yield
    except OSError as error:
        raise ChannelDown(f"папка документов: {why_not(error)}") from error

"""Why the operating system would not, in Russian."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

WORDS: Mapping[int, str] = {
    errno.EADDRINUSE: "он уже занят другой программой",
    errno.EADDRNOTAVAIL: "такого адреса у этой машины нет",
    errno.EACCES: "нет прав",
    errno.EPERM: "нет прав",
    errno.ENOENT: "такого файла или папки нет",
    errno.EISDIR: "это папка, а нужен файл",
    errno.ENOTDIR: "на пути стоит файл, а не папка",
    errno.EEXIST: "такой файл уже есть",
    errno.ENOSPC: "на диске нет места",
    errno.EROFS: "диск открыт только для чтения",
    errno.EIO: "диск не отвечает",
    errno.ENAMETOOLONG: "слишком длинное имя",
    socket.EAI_NONAME: "такого адреса нет",
}


def why_not(error: OSError) -> str:
    """What nobody has put into words here is told as the system tells it."""
    return WORDS.get(error.errno or 0) or error.strerror or str(error)

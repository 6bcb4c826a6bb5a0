"""Where the bridge that served last listens: a command that prints a link to a page must name its port."""

from __future__ import annotations

from pathlib import Path

import structlog

log = structlog.get_logger()
FILE = "pages-address"
UNKNOWN = "http://127.0.0.1:8080"


def leave(folder: Path, address: str) -> None:
    """Tell the commands. A folder that can't be written costs only them something."""
    try:
        (folder / FILE).write_text(address, "utf-8")
    except OSError as error:
        log.warning("commands will not know our address", error=str(error))


def left_in(folder: Path) -> str:
    """The address; where ``serve`` listens by itself if none was left."""
    try:
        return (folder / FILE).read_text("utf-8").strip() or UNKNOWN
    except OSError:
        return UNKNOWN

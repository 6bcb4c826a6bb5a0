"""Options of ``amo-bridge serve``, and how a refused start is passed to the listening process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.private_files import make_file

if TYPE_CHECKING:
    from amo_bridge.runtime.account import Role

CONFIG_BROKEN = 2
# Those of runtime.account: importing that would bring all of the bridge into the process that waits.
ROLES = ("all", "web", "worker")


class StartRefused(Exception):
    """The server can't start. ``problems``: mistakes of the config (exit code 2), or one sentence that says why and
    what to do (exit code 1). Both are for people."""

    def __init__(self, problems: list[str] | str) -> None:
        super().__init__(problems if isinstance(problems, str) else "; ".join(problems))
        self.problems = problems
        self.exit_code = 1 if isinstance(problems, str) else CONFIG_BROKEN


@dataclass(frozen=True)
class ServeOptions:
    """``configs``: a folder of configs instead of the one at ``config_path``. ``proxies``: how many of our own stand
    before the bridge. ``report``: tells people why the server can't start, or which account it leaves out.
    ``may_begin``: nobody named a config, so that one that is not there is still to be made, by pages."""

    config_path: Path
    configs: Path | None
    host: str
    port: int
    role: Role
    proxies: int
    report: Callable[[list[str] | str], None]
    may_begin: bool = False

    @property
    def begins(self) -> bool:
        """Is there nothing yet but the pages by which a config is made?"""
        return self.may_begin and not self.configs and self.role == "all" and not self.config_path.exists()

    @property
    def takes_hooks(self) -> bool:
        return self.role != "worker"

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        return f"http://{self.host}:{self.port}"

    @property
    def own_url(self) -> str:
        """Where the bridge finds itself."""
        return f"http://{self.host if self.host != '0.0.0.0' else '127.0.0.1'}:{self.port}"


# Where the bridge that served last listens: a command that prints a link to a page must name its port.

FILE = "pages-address"
UNKNOWN = "http://127.0.0.1:8080"


def leave(folder: Path, address: str) -> None:
    """Tell the commands. A folder that can't be written costs only them something."""
    try:
        make_file(folder / FILE)
        (folder / FILE).write_text(address, "utf-8")
    except OSError as error:
        # Only here: the process that waits holds nothing for logs.
        from amo_bridge.logs import log

        log.warning("commands will not know our address", error=str(error))


def left_in(folder: Path) -> str:
    """The address; where ``serve`` listens by itself if none was left."""
    try:
        return (folder / FILE).read_text("utf-8").strip() or UNKNOWN
    except OSError:
        return UNKNOWN

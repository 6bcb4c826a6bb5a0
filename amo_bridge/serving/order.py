"""What the command line asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from amo_bridge.engine.role import Role


@dataclass(frozen=True)
class Order:
    """``configs``: a folder of configs instead of the one at ``config_path``. ``proxies``: how many of our own stand
    before the bridge."""

    config_path: Path
    configs: Path | None
    host: str
    port: int
    role: Role
    proxies: int

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

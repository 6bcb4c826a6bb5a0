"""What nobody else may read: the token for Bizon365's API and the secret of the path by which it tells of reports."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.storage.secrets import account_name, small_state

TOKEN = "AMO_BRIDGE_BIZON_TOKEN"


class BizonSettings:
    """The environment's token (or the file's that it names) comes before the one that was typed on the page. Everything
    raises StoreUnavailable, ConfigError for a wrong key."""

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._state = small_state(config, environment)
        self._account = account_name(config)

    @property
    def token(self) -> str:
        """Empty if there is none."""
        return secret(self._environment, TOKEN) or str(self._state.secrets.read(self._name("token")) or "")

    def keep_token(self, token: str) -> None:
        """Keep it, encrypted; an empty one is forgotten."""
        if token:
            self._state.secrets.write(self._name("token"), token)
        else:
            self._state.secrets.remove(self._name("token"))

    @property
    def hook_secret(self) -> str:
        """Made once."""
        with self._state.lock("secrets"):
            kept = self._state.secrets.read(self._name("hook"))
            if kept is None:
                kept = secrets.token_urlsafe(32)
                self._state.secrets.write(self._name("hook"), kept)
        return str(kept)

    def _name(self, what: str) -> str:
        return f"bizon {what} {self._account}"

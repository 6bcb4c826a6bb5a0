"""``/accounts/NAME/…``: the same pages for one of several accounts.

The prefix is taken off before Flask sees the address and put before every address that Flask makes, so pages know
nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from amo_bridge.runtime.startup import ACCOUNTS

WHERE = ACCOUNTS
NAME = "amo_bridge.account"
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class AccountPrefix:
    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(WHERE):
            # WSGI hands bytes over in Latin-1.
            name, slash, rest = path[len(WHERE) :].partition("/")
            if name and slash:
                environ[NAME] = name.encode("latin-1").decode("utf-8", "replace")
                environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}{WHERE}{name}"
                environ["PATH_INFO"] = f"/{rest}"
        return self._app(environ, start_response)

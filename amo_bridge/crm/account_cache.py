"""The account's names, read once and kept over restarts; read again when something unknown turns up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import structlog

from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.errors import UnknownName
from amo_bridge.keyvalue import JsonStore, Values

log = structlog.get_logger()

Found = TypeVar("Found")
# Whatever goes wrong, the account is not read more often than this (seconds): it costs some eight requests.
NOT_SOONER = 60.0
FORMAT = 1


class AccountCache:
    """``kept``: a file, or where else the copy is. ``name`` tells accounts apart that share it; its address is a good
    one. Safe for several threads."""

    def __init__(
        self,
        kept: Path | Values,
        name: str,
        client: CrmClient,
        *,
        not_sooner: float = NOT_SOONER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = JsonStore(kept, "accounts") if isinstance(kept, Path) else kept
        self._name = name
        self._client = client
        self._not_sooner = not_sooner
        self._clock = clock
        self._lock = threading.Lock()
        self._account: Account | None = None
        self._tried_at = float("-inf")

    @property
    def account(self) -> Account:
        """The account as far as it is known; the first time it is read. Raises CrmError, StoreUnavailable."""
        with self._lock:
            if self._account is None:
                self._account = self._kept() or self._read()
            return self._account

    def refresh(self) -> Account:
        """The account read anew, unless that was tried within the last minute; then as it is known."""
        with self._lock:
            if self._account is None or self._clock() - self._tried_at >= self._not_sooner:
                self._account = self._read()
            return self._account

    def find(self, look_up: Callable[[Account], Found]) -> Found:
        """What ``look_up`` finds, in an account read anew if need be. Raises UnknownName if it is not there either."""
        known = self.account
        try:
            return look_up(known)
        except UnknownName:
            newer = self.refresh()
            if newer is known:
                raise
            return look_up(newer)

    def _read(self) -> Account:
        # Counted before the try: a failing account must not be asked again at once either.
        self._tried_at = self._clock()
        account = Account.read(self._client)
        self._store.write(self._name, {"format": FORMAT, "account": account.to_json()})
        log.info("account read", account_id=account.id, stages=len(account.stages), fields=len(account.all_fields))
        return account

    def _kept(self) -> Account | None:
        kept: Any = self._store.read(self._name)
        if not isinstance(kept, dict) or kept.get("format") != FORMAT:
            return None
        return Account.from_json(kept["account"])

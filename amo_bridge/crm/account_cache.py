"""Account names stored over restarts, read again from amoCRM when something unknown turns up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.errors import UnknownName
from amo_bridge.keyvalue import JsonStore, Values
from amo_bridge.logs import log

Found = TypeVar("Found")
# The account is not read more often, whatever fails: that costs some eight requests.
MIN_REFRESH_INTERVAL_SECONDS = 60.0
FORMAT = 1


class AccountCache:
    """``store``: a file, or another place of small values. ``name`` tells the accounts apart that share it: the
    account's address. Safe for several threads."""

    def __init__(
        self,
        store: Path | Values,
        name: str,
        client: CrmClient,
        *,
        min_interval: float = MIN_REFRESH_INTERVAL_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = JsonStore(store, "accounts") if isinstance(store, Path) else store
        self._name = name
        self._client = client
        self._min_interval = min_interval
        self._clock = clock
        self._lock = threading.Lock()
        self._account: Account | None = None
        self._tried_at = float("-inf")

    @property
    def account(self) -> Account:
        """The account as stored; read if it never was. Raises CrmError, StoreUnavailable."""
        with self._lock:
            if self._account is None:
                self._account = self._stored() or self._read()
            return self._account

    def refresh(self) -> Account:
        """The account read anew; as it is known if that was tried within the last minute."""
        with self._lock:
            if self._account is None or self._clock() - self._tried_at >= self._min_interval:
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

    def _stored(self) -> Account | None:
        value: Any = self._store.read(self._name)
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            return None
        return Account.from_json(value["account"])

"""Names of contacts and companies on cards: from the mirror, else read from amoCRM and cached."""

from __future__ import annotations

import threading

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import api_text
from amo_bridge.errors import BridgeError
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.storage.database import AccountStore

KEPT_SECONDS = 600.0
MOST_KEPT = 10_000


class CardNames:
    """Safe for several threads."""

    def __init__(self, store: AccountStore, client: CrmClient, clock: Clock) -> None:
        self._contacts = ContactIndex(store)
        self._client = client
        self._clock = clock
        self._kept: dict[tuple[str, int], tuple[float, str]] = {}
        self._lock = threading.Lock()

    def name(self, entity: str, card_id: int) -> str:
        """``entity``: contacts or companies. Empty if it can't be known just now: texts then say «—»."""
        try:
            if entity == "contacts" and (known := self._contacts.get([card_id]).get(card_id)) and known.name:
                return known.name
            return self._asked(entity, card_id)
        except BridgeError as error:
            log.warning("a card's name is not known", entity=entity, card=card_id, error=str(error))
            return ""

    def _asked(self, entity: str, card_id: int) -> str:
        now = self._clock.now().timestamp()
        with self._lock:
            kept = self._kept.get((entity, card_id))
        if kept is not None and now - kept[0] < KEPT_SECONDS:
            return kept[1]
        name = api_text((self._client.get(f"/api/v4/{entity}/{card_id}") or {}).get("name"))
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[entity, card_id] = (now, name)
        return name

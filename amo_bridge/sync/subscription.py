"""Watchdog of amoCRM's webhook: is it subscribed, switched on, and heard while things happen.

amoCRM switches a hook off after a hundred bad answers in two hours (amoCRM docs, webhooks-format), and people delete
what they don't recognise. The bridge subscribes again and tells the person named in ``[bridge] tell``.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import embedded
from amo_bridge.logs import log
from amo_bridge.storage.accounts import HOOK_MENDED, HOOK_SEEN, Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import inbox
from amo_bridge.sync.reconciliation import Reconciler

# All that the API offers (amoCRM docs, webhooks-api). A stage change comes as status and as update, and either may get
# lost, so both are subscribed.
SETTINGS = (
    *("add_lead", "update_lead", "delete_lead", "restore_lead", "status_lead", "responsible_lead", "note_lead"),
    *("add_contact", "update_contact", "delete_contact", "restore_contact", "note_contact"),
    *("add_company", "update_company", "delete_company", "note_company"),
    *("add_task", "update_task", "delete_task", "responsible_task"),
)


class Subscription(Enum):
    """State of the subscription. ``SILENT`` is not amoCRM's: the webhook is on, and none arrives."""

    GOOD = "good"
    MISSING = "missing"
    DISABLED = "disabled"
    INCOMPLETE = "incomplete"
    SILENT = "silent"


def state_of(client: CrmClient, destination: str) -> Subscription:
    """The state of the subscription of this address. Raises CrmError."""
    answer = client.get("/api/v4/webhooks", {"filter": {"destination": destination}}) or {}
    for hook in embedded(answer, "webhooks"):
        if hook.get("destination") == destination:
            if hook.get("disabled"):
                return Subscription.DISABLED
            complete = set(SETTINGS) <= set(hook.get("settings") or ())
            return Subscription.GOOD if complete else Subscription.INCOMPLETE
    return Subscription.MISSING


def subscribe(client: CrmClient, destination: str) -> None:
    """Have amoCRM send its webhooks to this address. That replaces the settings of an address that is subscribed, and
    switches it on again if amoCRM disabled it."""
    client.post("/api/v4/webhooks", {"destination": destination, "settings": list(SETTINGS), "sort": 1})


# When the hook was looked at last, and when it had to be put right last: for people who ask whether all is well.
WORDS = {
    Subscription.MISSING: "amoCRM не сообщала мосту о переменах: мост подписался снова",
    Subscription.DISABLED: "amoCRM перестала сообщать мосту о переменах: мост подписался снова",
    Subscription.INCOMPLETE: "amoCRM сообщала мосту не обо всём: мост подписался на всё",
    Subscription.SILENT: "amoCRM молчала, хотя сделки менялись: мост подписался снова",
}


class Watchdog:
    """``destination`` is the hook's full address; ``tell`` passes a sentence to a person."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        clock: Clock,
        reconciler: Reconciler,
        destination: str,
        tell: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._client = client
        self._clock = clock
        self._cursors = Cursors(store)
        self._reconciler = reconciler
        self._destination = destination
        self._tell = tell
        # Nothing is said about silence after the first look: what it finds happened while the bridge was down.
        self._looked_at: float | None = None

    def run(self) -> None:
        """Find what hooks did not tell of, and see to the hook. Raises CrmError."""
        missed = self._reconciler.run()
        if missed is None:
            # It is not over yet, and will be asked for again.
            return
        state = state_of(self._client, self._destination)
        if state is Subscription.GOOD and missed and self._is_silent():
            state = Subscription.SILENT
        if state is not Subscription.GOOD:
            subscribe(self._client, self._destination)
            log.error("webhook subscribed again", why=state.value, missed=missed)
            self._tell(WORDS[state], f"hook:{state.value}")
        self._looked_at = self._clock.now().timestamp()
        with self._store.write() as connection:
            self._cursors.write(connection, HOOK_SEEN, self._looked_at)
            if state is not Subscription.GOOD:
                self._cursors.write(connection, HOOK_MENDED, self._looked_at)

    def _is_silent(self) -> bool:
        if self._looked_at is None:
            return False
        heard = select(inbox.c.id).where(self._store.owns(inbox), inbox.c.received_at >= self._looked_at).limit(1)
        with self._store.read() as connection:
            return connection.execute(heard).first() is None

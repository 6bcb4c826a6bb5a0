"""The bridge's own webhook in the account: subscribed by the API, and again when amoCRM switched it off."""

from __future__ import annotations

from enum import Enum

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.values import embedded

# Only these can be asked for by the API (amoCRM docs, webhooks-api); a stage change comes as status and as update,
# and either may get lost, so both are taken.
SETTINGS = (
    *("add_lead", "update_lead", "delete_lead", "restore_lead", "status_lead", "responsible_lead", "note_lead"),
    *("add_contact", "update_contact", "delete_contact", "restore_contact", "note_contact"),
    *("add_company", "update_company", "delete_company", "note_company"),
    *("add_task", "update_task", "delete_task", "responsible_task"),
)


class Subscription(Enum):
    """What the account says of our hook. ``SILENT`` is nothing it says: it is on, and no hook comes."""

    GOOD = "good"
    MISSING = "missing"
    DISABLED = "disabled"
    INCOMPLETE = "incomplete"
    SILENT = "silent"


def state_of(client: CrmClient, destination: str) -> Subscription:
    """How it stands with the hook to this address. Raises CrmError."""
    answer = client.get("/api/v4/webhooks", {"filter": {"destination": destination}}) or {}
    for hook in embedded(answer, "webhooks"):
        if hook.get("destination") == destination:
            if hook.get("disabled"):
                return Subscription.DISABLED
            complete = set(SETTINGS) <= set(hook.get("settings") or ())
            return Subscription.GOOD if complete else Subscription.INCOMPLETE
    return Subscription.MISSING


def subscribe(client: CrmClient, destination: str) -> None:
    """Have amoCRM send its hooks to this address. The same address replaces the settings, and switches a disabled hook
    on again."""
    client.post("/api/v4/webhooks", {"destination": destination, "settings": list(SETTINGS), "sort": 1})

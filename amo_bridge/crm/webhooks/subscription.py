"""Subscription of the bridge's webhook in the account, by the API."""

from __future__ import annotations

from enum import Enum

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.values import embedded

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

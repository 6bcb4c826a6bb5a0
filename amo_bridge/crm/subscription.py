"""The bridge's own webhook in the account: subscribed by the API, and again when amoCRM switched it off."""

from __future__ import annotations

from amo_bridge.crm.client import CrmClient

# Only these can be asked for by the API (amoCRM docs, webhooks-api); a stage change comes as status and as update,
# and either may get lost, so both are taken.
SETTINGS = (
    *("add_lead", "update_lead", "delete_lead", "restore_lead", "status_lead", "responsible_lead", "note_lead"),
    *("add_contact", "update_contact", "delete_contact", "restore_contact", "note_contact"),
    *("add_company", "update_company", "delete_company", "note_company"),
    *("add_task", "update_task", "delete_task", "responsible_task"),
)


def subscribe(client: CrmClient, destination: str) -> bool:
    """Make sure that amoCRM sends its hooks to ``destination``; True if something had to be done about it."""
    answer = client.get("/api/v4/webhooks", {"filter": {"destination": destination}}) or {}
    for hook in answer.get("_embedded", {}).get("webhooks", []):
        if hook.get("destination") == destination:
            if not hook.get("disabled") and set(SETTINGS) <= set(hook.get("settings", [])):
                return False
            break
    # The same destination replaces the settings, and switches a disabled hook on again.
    client.post("/api/v4/webhooks", {"destination": destination, "settings": list(SETTINGS), "sort": 1})
    return True

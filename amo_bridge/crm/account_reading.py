"""Reading all names of an account: some eight requests, gathered as the JSON that amoCRM gave."""

from __future__ import annotations

from typing import Any

from amo_bridge.crm.client import CrmClient
from amo_bridge.errors import CrmRefused

ENTITIES = ("leads", "contacts", "companies")
WITH = "amojo_id,task_types,datetime_settings,drive_url,is_api_filter_enabled"


def gather(client: CrmClient) -> dict[str, Any]:
    """Everything an Account is made of. Needs an administrator's token: users are closed to others (CrmForbidden)."""
    return {
        "account": client.get("/api/v4/account", {"with": WITH}) or {},
        "pipelines": list(client.pages("/api/v4/leads/pipelines", None, "pipelines")),
        "fields": {
            entity: list(client.pages(f"/api/v4/{entity}/custom_fields", None, "custom_fields")) for entity in ENTITIES
        },
        "users": [_without_rights(row) for row in client.pages("/api/v4/users", None, "users")],
        "loss_reasons": _loss_reasons(client),
    }


def _loss_reasons(client: CrmClient) -> list[dict[str, Any]]:
    try:
        return list(client.pages("/api/v4/leads/loss_reasons", None, "loss_reasons"))
    except CrmRefused:
        # An account may have them switched off; then there are none to name.
        return []


def _without_rights(row: dict[str, Any]) -> dict[str, Any]:
    """A user without the long tables of rights that nobody here reads."""
    rights = row.get("rights") or {}
    kept = {key: row.get(key) for key in ("id", "name", "email")}
    return {**kept, "rights": {key: rights.get(key) for key in ("is_active", "is_admin")}}

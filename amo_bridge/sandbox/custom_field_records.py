"""The record of a custom field (amoCRM docs, custom-fields)."""

from __future__ import annotations

from typing import Any


def field_record(
    field_id: int,
    entity: str,
    account_id: int,
    *,
    name: str,
    type: str,
    sort: int,
    code: str | None = None,
    enums: list[dict[str, Any]] | None = None,
    is_predefined: bool = False,
    is_api_only: bool = False,
    required_statuses: list[dict[str, int]] | None = None,
) -> dict[str, Any]:
    return {
        "id": field_id,
        "name": name,
        "type": type,
        "account_id": account_id,
        "code": code,
        "sort": sort,
        "is_api_only": is_api_only,
        "enums": enums,
        "group_id": "statistic" if type == "tracking_data" else None,
        "required_statuses": required_statuses or [],
        "hidden_statuses": [],
        "is_deletable": not is_predefined,
        "is_predefined": is_predefined,
        "is_computed": False,
        "entity_type": entity,
        "tracking_callback": "" if type == "tracking_data" else None,
        "remind": "never" if type == "birthday" else None,
        "currency": None,
        "chained_lists": None,
        "search_in": None,
        "settings": None,
    }

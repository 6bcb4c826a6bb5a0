"""The filters of GET /events (amoCRM docs, events-and-notes)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from amo_bridge.sandbox.http import Refused
from amo_bridge.sandbox.query import branch, integers, strings
from amo_bridge.sandbox.world import Record

CUSTOM_FIELD = re.compile(r"custom_field_(\d+_)?value_changed")
ANY_CUSTOM_FIELD = "custom_field_value_changed"
MOST = 10
"""How many users or entities one filter may name."""


class EventFilter:
    """The filter part of one request. Raises Refused for what amoCRM answers with an error."""

    def __init__(self, query: Mapping[str, Any]) -> None:
        told = branch(query, "filter")
        self.ids = set(strings(branch(told, "id")))
        self.types = _types(strings(branch(told, "type")))
        self.created_by = integers(branch(told, "created_by"))
        self.entities = set(strings(branch(told, "entity")))
        self.entity_ids = integers(branch(told, "entity_id"))
        self.after, self.start, self.end = _times(branch(told, "created_at"))
        self.values = {side: branch(told, side) for side in ("value_after", "value_before")}
        if self.entity_ids and len(self.entities) != 1:
            raise Refused(400, "filter[entity_id] needs exactly one filter[entity]")
        for name, told_ids in (("created_by", self.created_by), ("entity_id", self.entity_ids)):
            if len(told_ids) > MOST:
                raise Refused(400, f"filter[{name}] takes at most {MOST} values")

    @property
    def since(self) -> int:
        """No event before this second fits."""
        return self.start or self.after or 0

    def fits(self, event: Record) -> bool:
        at = event["created_at"]
        return (
            (not self.ids or event["id"] in self.ids)
            and (not self.types or _type_fits(event["type"], self.types))
            and (not self.created_by or event["created_by"] in self.created_by)
            and (self.after is None or at > self.after)
            and (self.start is None or at >= self.start)
            and (self.end is None or at <= self.end)
            and self._entity_fits(event)
            and all(_values_fit(event[side], wanted) for side, wanted in self.values.items() if wanted)
        )

    def _entity_fits(self, event: Record) -> bool:
        kind, entity_id = event.get("found_as") or (event["entity_type"], event["entity_id"])
        return (not self.entities or kind in self.entities) and (not self.entity_ids or entity_id in self.entity_ids)


def _types(named: list[str]) -> set[str]:
    """A custom field's type in the filter excludes all other types."""
    of_fields = {name for name in named if CUSTOM_FIELD.fullmatch(name)}
    return of_fields or set(named)


def _type_fits(event_type: str, wanted: set[str]) -> bool:
    return event_type in wanted or (ANY_CUSTOM_FIELD in wanted and bool(CUSTOM_FIELD.fullmatch(event_type)))


def _times(told: object) -> tuple[int | None, int | None, int | None]:
    """(after, from, to): one number is "after", "from,to" is a pair, as are [from] and [to]."""
    if isinstance(told, str):
        numbers = [int(part) if part.strip().isdecimal() else None for part in told.split(",")]
        return (numbers[0], None, None) if len(numbers) == 1 else (None, numbers[0], numbers[1])
    start, end = (min(integers(branch(told, name)), default=None) for name in ("from", "to"))
    return None, start, end


def _values_fit(values: list[Mapping[str, Any]], wanted: object) -> bool:
    if isinstance(wanted, str):
        return any(_plain_value(value) == wanted for value in values)
    stages = branch(wanted, "leads_statuses")
    if isinstance(stages, Mapping):
        pairs = {tuple(sorted(_stage(stage).items())) for stage in stages.values()}
        return any(tuple(sorted(_stage_of(value).items())) in pairs for value in values)
    users = integers(branch(wanted, "responsible_user_id"))
    if users:
        return any((value.get("responsible_user") or {}).get("id") in users for value in values)
    enums = integers(branch(wanted, "custom_field_values"))
    if enums:
        return any((value.get("custom_field_value") or {}).get("enum_id") in enums for value in values)
    plain = branch(wanted, "value")
    return plain is None or any(_plain_value(value) == plain for value in values)


def _stage(told: object) -> dict[str, int | None]:
    return {name: min(integers(branch(told, name)), default=None) for name in ("pipeline_id", "status_id")}


def _stage_of(value: Mapping[str, Any]) -> dict[str, int | None]:
    stage = value.get("lead_status") or {}
    return {"pipeline_id": stage.get("pipeline_id"), "status_id": stage.get("id")}


def _plain_value(value: Mapping[str, Any]) -> str:
    inner: Mapping[str, Any] = next(iter(value.values()), {})
    for name in ("sale", "name", "rate", "ltv", "text"):
        if name in inner:
            return str(inner[name])
    return ""

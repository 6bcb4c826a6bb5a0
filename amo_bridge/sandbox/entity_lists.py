"""Lists of leads, contacts and companies: filters, search and order (amoCRM docs, filters-api)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from amo_bridge.sandbox.query import Span, Tree, branch, integers, query, strings
from amo_bridge.sandbox.world import Record, World

ORDERED_BY = ("created_at", "updated_at", "id")
TIMES = ("created_at", "updated_at", "closed_at", "price")
IDS = ("pipeline_id", "created_by", "updated_by", "responsible_user_id")
BY_ENUM = ("select", "multiselect", "radiobutton", "category", "multitext")

Test = Callable[[Record], bool]


def asked_for(world: World, kind: str, closest: Callable[[int], int | None], is_listed: Test) -> list[Record]:
    """The records that ``is_listed`` takes and the request's ``filter``, ``query`` and ``order`` ask for.

    Filters are a paid function of an account: where it is off, they are ignored without a word.
    """
    asked, table = query(), world.table(kind)
    rows: Iterable[Record] = table.values()
    tests: list[Test] = [is_listed]
    if world.account["is_api_filter_enabled"]:
        told = branch(asked, "filter")
        tests += _filters(world, kind, told, closest)
        if ids := integers(branch(told, "id")):
            rows = [table[entity_id] for entity_id in ids if entity_id in table]
    text = asked.get("query")
    if isinstance(text, str) and text.strip():
        tests.append(_search(text.strip().casefold()))
    for test in tests:
        rows = [row for row in rows if test(row)]
    return ordered(rows, asked)


def ordered(rows: Iterable[Record], asked: Tree, by: Iterable[str] = ORDERED_BY) -> list[Record]:
    """``order[updated_at]=desc``; by id ascending if nothing (known) is asked."""
    found = [(name, way) for name, way in (branch(asked, "order") or {}).items() if name in by]
    rows = sorted(rows, key=itemgetter("id"))
    for name, way in reversed(found):
        rows.sort(key=itemgetter(name), reverse=str(way).lower() == "desc")
    return rows


def _filters(world: World, kind: str, asked: object, closest: Callable[[int], int | None]) -> Iterable[Test]:
    if not isinstance(asked, Mapping):
        return
    for name in IDS:
        if wanted := integers(asked.get(name)):
            yield lambda row, name=name, wanted=wanted: row.get(name) in wanted  # type: ignore[misc]
    for name in TIMES:
        if (span := Span.of(asked.get(name))) is not None:
            yield lambda row, name=name, span=span: span.holds(row.get(name))  # type: ignore[misc]
    if (span := Span.of(asked.get("closest_task_at"))) is not None:
        yield lambda row: span.holds(closest(row["id"]))
    if names := strings(asked.get("name"), commas=False):
        yield lambda row: row["name"] in names
    if pairs := _stages(asked.get("statuses")):
        yield lambda row: (row["pipeline_id"], row["status_id"]) in pairs
    for field_id, wanted in (asked.get("custom_fields_values") or {}).items():
        yield _field_filter(world, kind, field_id, wanted)


def _stages(asked: object) -> set[tuple[int, int]]:
    """Only whole pairs count: 142 and 143 say nothing without their pipeline."""
    pairs = set()
    for item in asked.values() if isinstance(asked, Mapping) else ():
        for pipeline_id in integers(branch(item, "pipeline_id")):
            pairs |= {(pipeline_id, status_id) for status_id in integers(branch(item, "status_id"))}
    return pairs


def _field_filter(world: World, kind: str, field_id: str, wanted: object) -> Test:
    field = world.table(f"custom_fields/{kind}").get(int(field_id)) if field_id.isdecimal() else None
    span = Span.of(wanted) if isinstance(wanted, Mapping) and ("from" in wanted or "to" in wanted) else None
    words = set(strings(wanted, commas=False))

    def holds(row: Record) -> bool:
        for item in _values(row, field["id"] if field else None):
            if span is not None:
                if span.holds(_as_number(item.get("value"))):
                    return True
            elif _as_asked(field, item) in words:
                return True
        return False

    return holds


def _as_asked(field: Record | None, item: Mapping[str, Any]) -> str:
    if field is not None and field["type"] in BY_ENUM:
        return str(item.get("enum_id"))
    value = item.get("value")
    return str(int(value)) if isinstance(value, bool) else str(value)


def _as_number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _values(row: Record, field_id: int | None) -> Iterable[Mapping[str, Any]]:
    for field in row["custom_fields_values"] or ():
        if field_id is None or field["field_id"] == field_id:
            yield from field["values"]


def _search(part: str) -> Test:
    """``query``: the text anywhere in the name, the id or a filled field; phones are compared as typed."""
    return lambda row: (
        part in row["name"].casefold()
        or part == str(row["id"])
        or any(part in str(item.get("value", "")).casefold() for item in _values(row, None))
    )

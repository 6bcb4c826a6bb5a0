"""Lists of plain records: read, added, changed, deleted in the way that amoCRM's lesser areas share.

What an area has of its own (addresses, keys, status codes) stands in its ``RecordList``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.http import (
    Refused,
    branch,
    hal,
    integers,
    link,
    listing,
    no_content,
    query,
    self_link,
    strings,
)
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_json, read_one
from amo_bridge.sandbox.world import Record, Table, World

Where = Mapping[str, Any]
"""The variable parts of an address: ``{"catalog_id": 5}``."""

Kinds = Mapping[str, type]
NAMES: Mapping[type, str] = {str: "string", int: "int", bool: "bool", dict: "array", list: "array"}
CALLS = frozenset({"list", "get", "add", "change_many", "change_one", "delete_one", "delete_many"})


def _no_more(reader: Reader, known: Record | None, where: Where) -> dict[str, Any]:
    return {}


def _open(world: World, where: Where) -> None:
    return None


@dataclass(frozen=True)
class RecordList:
    """One area: its address after ``/api/v4/``, what its records hold, how its calls answer."""

    name: str
    """The key under ``_embedded``."""
    path: str
    kinds: Kinds
    """What a request may set; other keys are ignored."""
    required: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    calls: frozenset[str] = CALLS
    counter: str = ""
    """Of which counter the ids are; the name's if empty."""
    is_stamped: bool = False
    """Do records tell who made and changed them, and when?"""
    is_brief: bool = False
    """Does adding answer with the ids alone?"""
    added: int = 200
    changed: int = 200
    missing: int = 404
    """The answer for a single record that is not there."""
    totals: bool = True
    most: int = 250
    """How many can be added at once."""
    table: Callable[[Where], str] | None = None
    read_more: Callable[[Reader, Record | None, Where], dict[str, Any]] = _no_more
    """Reads what is more than one plain key, and notes what is wrong with the whole."""
    guard: Callable[[World, Where], None] = _open
    """Raises Refused where the account doesn't have what the address names."""
    guard_writes: Callable[[World, Where], None] = _open
    filters: tuple[str, ...] = ("id",)
    embed: Callable[[World, Record], dict[str, Any]] | None = None

    def records(self, world: World, where: Where) -> Table:
        return world.table(self.table(where) if self.table else self.name)

    def shown(self, world: World, where: Where, record: Record) -> dict[str, Any]:
        body = {**record, "_links": link(f"{self._address(where)}/{record['id']}")}
        return body if self.embed is None else {**body, "_embedded": self.embed(world, record)}

    def _address(self, where: Where) -> str:
        path = self.path
        for name, value in where.items():
            path = path.replace(f"<int:{name}>", str(value)).replace(f"<fielded:{name}>", str(value))
        return path


def register_lists(app: Flask, world: World, *areas: RecordList) -> None:
    for area in areas:
        _register(app, world, area)


def _register(app: Flask, world: World, area: RecordList) -> None:
    def list_all(**where: Any) -> Response:
        area.guard(world, where)
        rows = [row for row in area.records(world, where).values() if _is_here(row, where) and _fits(area, row)]
        rows.sort(key=lambda row: (row.get("sort") or 0, row["id"]))
        return listing(area.name, rows, lambda row: area.shown(world, where, row), totals=area.totals)

    def get_one(record_id: int, **where: Any) -> Response:
        area.guard(world, where)
        record = area.records(world, where).get(record_id)
        if record is not None and _is_here(record, where):
            return hal(area.shown(world, where, record))
        if area.missing == 204:
            return no_content()
        raise Refused(area.missing, "Not found")

    def add(**where: Any) -> Response:
        _guard_write(area, world, where)
        drafts = checked(_readers(world, area), lambda reader: _read(area, reader, None, where))
        items = []
        for reader, plain in drafts:
            record = store(area, world, where, plain)
            shown = area.shown(world, where, record)
            if area.is_brief:
                shown = {name: shown[name] for name in ("id", "_links")}
            items.append({**shown, "request_id": reader.request_id})
        return _written(area, items, area.added)

    def change_many(**where: Any) -> Response:
        _guard_write(area, world, where)

        def read(reader: Reader) -> dict[str, Any]:
            known = area.records(world, where).get(reader.integer("id") or 0)
            if known is None:
                reader.not_a_choice("id") if "id" in reader else reader.fail("FieldMissing", "id")
                return {}
            return {"id": known["id"], **_read(area, reader, known, where)}

        drafts = checked(read_batch(world), read)
        items = [
            {**area.shown(world, where, _changed(area, world, where, plain)), "request_id": reader.request_id}
            for reader, plain in drafts
        ]
        return _written(area, items, area.changed)

    def change_one(record_id: int, **where: Any) -> Response:
        known = _known(area, world, where, record_id)
        ((reader, plain),) = checked([read_one(world)], lambda reader: _read(area, reader, known, where))
        record = _changed(area, world, where, {**plain, "id": record_id})
        return hal({**area.shown(world, where, record), "request_id": reader.request_id}, area.changed)

    def delete_one(record_id: int, **where: Any) -> Response:
        del area.records(world, where)[_known(area, world, where, record_id)["id"]]
        return no_content()

    def delete_many(**where: Any) -> Response:
        for reader in read_batch(world):
            del area.records(world, where)[_known(area, world, where, reader.integer("id"))["id"]]
        return no_content()

    path, one = f"/api/v4/{area.path}", f"/api/v4/{area.path}/<int:record_id>"
    views: tuple[tuple[str, str, str, Callable[..., Response]], ...] = (
        ("list", path, "GET", list_all),
        ("get", one, "GET", get_one),
        ("add", path, "POST", add),
        ("change_many", path, "PATCH", change_many),
        ("change_one", one, "PATCH", change_one),
        ("delete_one", one, "DELETE", delete_one),
        ("delete_many", path, "DELETE", delete_many),
    )
    for call, rule, method, view in views:
        if call in area.calls:
            app.add_url_rule(rule, f"{area.path} {call}", view, methods=[method])


def _fits(area: RecordList, row: Record) -> bool:
    """The filters that the area has, and ``query``, which looks into the name."""
    params = query()
    for name in area.filters:
        wanted = branch(params, "filter", name) or (params.get(name) if name != "id" else None)
        if wanted is not None and row.get(name) not in (integers(wanted) | set(strings(wanted, commas=False))):
            return False
    return str(params.get("query", "")).casefold() in str(row.get("name", "")).casefold()


def _guard_write(area: RecordList, world: World, where: Where) -> None:
    area.guard(world, where)
    area.guard_writes(world, where)


def _known(area: RecordList, world: World, where: Where, record_id: int | None) -> Record:
    _guard_write(area, world, where)
    record = area.records(world, where).get(record_id)
    if record is None or not _is_here(record, where):
        raise Refused(404, "Not found")
    return record


def _is_here(record: Record, where: Where) -> bool:
    """Does the record belong to what the address names (a purchase to its customer)?"""
    return all(record.get(name, value) == value for name, value in where.items())


def _written(area: RecordList, items: list[dict[str, Any]], status: int) -> Response:
    totals = {"_total_items": len(items)} if area.totals else {}
    return hal({**totals, "_links": self_link(), "_embedded": {area.name: items}}, status)


# --- reading ---------------------------------------------------------------------------------------------------------


def _readers(world: World, area: RecordList) -> list[Reader]:
    """A list of objects; the documentation shows some of these areas with one bare object, which is taken, too."""
    if isinstance(read_json(), dict):
        return [read_one(world)]
    return read_batch(world, area.most)


def _read(area: RecordList, reader: Reader, known: Record | None, where: Where) -> dict[str, Any]:
    if known is None:
        reader.require(*area.required)
    plain: dict[str, Any] = {}
    for name, kind in area.kinds.items():
        if name not in reader:
            continue
        value = reader.body[name]
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            reader.wrong_type(name, NAMES[kind])
        plain[name] = value
    return plain | area.read_more(reader, known, where)


# --- writing ---------------------------------------------------------------------------------------------------------


def store(area: RecordList, world: World, where: Where, plain: dict[str, Any]) -> Record:
    """Add a record with its id, its defaults and stamps."""
    now, user_id = world.clock.now(), acting_user()
    stamps = {"created_by": user_id, "updated_by": user_id, "created_at": now, "updated_at": now}
    record = {
        "id": world.next_id(area.counter or area.name),
        **area.defaults,
        **(stamps if area.is_stamped else {}),
        **plain,
        "account_id": world.account["id"],
    }
    area.records(world, where)[record["id"]] = record
    return record


def _changed(area: RecordList, world: World, where: Where, plain: dict[str, Any]) -> Record:
    stamps = {"updated_by": acting_user(), "updated_at": world.clock.now()} if area.is_stamped else {}
    record = {**area.records(world, where)[plain["id"]], **stamps, **plain}
    area.records(world, where)[record["id"]] = record
    return record

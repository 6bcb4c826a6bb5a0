"""Contacts and companies, which differ in little (amoCRM docs, contacts-api, companies-api).

No DELETE, as in amoCRM.
"""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import links
from amo_bridge.sandbox.entities import (
    Draft,
    closest_tasks,
    draft,
    find,
    kind_of,
    listed_rows,
    must_exist,
    new_record,
    patched,
    put,
    read_common,
)
from amo_bridge.sandbox.http import embedded, hal, link, listing, single, words
from amo_bridge.sandbox.links import linked
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

NAMES = ("first_name", "last_name")
HIDDEN = ("tags", "is_unsorted")
"""Parts of a record that the API doesn't show as they are."""

COMPARED_DIGITS = 10


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    for kind in ("contacts", "companies"):
        _register(app, world, kind)


def _register(app: Flask, world: World, kind: str) -> None:
    """The calls under ``/api/v4/<kind>``."""

    def read_changed(reader: Reader) -> Draft:
        return read_patch(reader, kind)

    def list_all() -> Response:
        closest, wanted = closest_tasks(world, kind), words("with")
        rows = listed_rows(world, kind, closest, _in_lists)
        return listing(kind, rows, lambda row: _shown(world, kind, row, closest(row["id"]), wanted))

    def get_one(entity_id: int) -> Response:
        record = find(world, kind, entity_id)
        if record is None:
            return single(None)
        return single(_shown(world, kind, record, closest_tasks(world, kind)(entity_id), words("with")))

    def add() -> Response:
        drafts = checked(read_batch(world), lambda reader: read_new(reader, kind))
        added = []
        for reader, wanted in drafts:
            new_id = create(world, kind, wanted, acting_user())["id"]
            added.append({"id": new_id, "request_id": reader.request_id, "_links": link(f"{kind}/{new_id}")})
        return embedded(kind, added)

    def change_many() -> Response:
        drafts = checked(read_batch(world), read_changed)
        changed = [change(world, kind, reader.body["id"], wanted, acting_user()) for reader, wanted in drafts]
        return embedded(kind, [_changed(kind, record) for record in changed])

    def change_one(entity_id: int) -> Response:
        ((_, wanted),) = checked([read_one(world, id=entity_id)], read_changed)
        return hal(_changed(kind, change(world, kind, entity_id, wanted, acting_user())))

    path = f"/api/v4/{kind}"
    app.add_url_rule(path, f"{kind}_list", list_all, methods=["GET"])
    app.add_url_rule(path, f"{kind}_add", add, methods=["POST"])
    app.add_url_rule(path, f"{kind}_change", change_many, methods=["PATCH"])
    app.add_url_rule(f"{path}/<int:entity_id>", f"{kind}_get", get_one, methods=["GET"])
    app.add_url_rule(f"{path}/<int:entity_id>", f"{kind}_change_one", change_one, methods=["PATCH"])


def _in_lists(record: Record) -> bool:
    return not record["is_deleted"] and not record.get("is_unsorted")


def _shown(world: World, kind: str, record: Record, closest_task_at: int | None, wanted: set[str]) -> dict[str, Any]:
    def sides(to: str) -> list[dict[str, Any]]:
        found = [item for item in linked(world, kind, record["id"], to) if find(world, to, item["id"])]
        return [{"id": item["id"], "_links": link(f"{to}/{item['id']}")} for item in found]

    parts: dict[str, Any] = {"tags": record["tags"]}
    if kind == "contacts":
        parts["companies"] = sides("companies")
    elif "contacts" in wanted:
        parts["contacts"] = sides("contacts")
    if "leads" in wanted:
        parts["leads"] = sides("leads")
    if "customers" in wanted:
        parts["customers"] = sides("customers")
    if "catalog_elements" in wanted:
        parts["catalog_elements"] = links.embedded_elements(world, kind, record["id"])
    body = {name: value for name, value in record.items() if name not in HIDDEN}
    body["closest_task_at"] = closest_task_at
    return {**body, "_links": link(f"{kind}/{record['id']}"), "_embedded": parts}


def _changed(kind: str, record: Record) -> dict[str, Any]:
    return {"id": record["id"], "updated_at": record["updated_at"], "_links": link(f"{kind}/{record['id']}")}


# --- reading ---------------------------------------------------------------------------------------------------------


def read_new(reader: Reader, kind: str) -> Draft:
    return draft(reader, kind, _read_plain(reader, kind), links=True)


def read_patch(reader: Reader, kind: str) -> Draft:
    must_exist(reader, kind)
    return draft(reader, kind, _read_plain(reader, kind), links=False)


def _read_plain(reader: Reader, kind: str) -> dict[str, Any]:
    plain = read_common(reader, kind)
    if kind == "contacts":
        plain |= {name: value for name in NAMES if (value := reader.text(name)) is not None}
    return plain


# --- writing ---------------------------------------------------------------------------------------------------------


def build(world: World, kind: str, wanted: Draft, user_id: int) -> dict[str, Any]:
    """A contact or a company that is in no table yet."""
    record = new_record(world, kind, wanted, user_id, **(dict.fromkeys(NAMES, "") if kind == "contacts" else {}))
    if not record["name"] and kind == "contacts":
        record["name"] = _full_name(record)
    return record


def create(world: World, kind: str, wanted: Draft, user_id: int) -> Record:
    """Adds a contact or a company and links the other side of it."""
    record = build(world, kind, wanted, user_id)
    put(world, kind_of(kind), record, user_id)
    for company in wanted.companies[:1] if kind == "contacts" else ():
        links.connect(world, kind, record["id"], "companies", company["id"], user_id)
    for contact in wanted.contacts if kind == "companies" else ():
        links.connect(world, kind, record["id"], "contacts", contact["id"], user_id)
    return world.table(kind)[record["id"]]


def change(world: World, kind: str, entity_id: int, wanted: Draft, user_id: int) -> Record:
    """The entity after the patch; first and last name sent without a name make the name."""
    before = world.table(kind)[entity_id]
    plain = dict(wanted.plain)
    if "name" not in plain and plain.keys() & set(NAMES):
        plain["name"] = _full_name({**before, **plain})
    after = patched(world, kind, before, Draft(plain, wanted.fields, wanted.tags), user_id)
    put(world, kind_of(kind), after, user_id)
    return after


def _full_name(record: Record) -> str:
    return " ".join(part for part in (record["first_name"], record["last_name"]) if part)


# --- phone numbers ---------------------------------------------------------------------------------------------------


def compared_digits(number: str) -> str:
    """The last ten digits; empty when there are fewer than ten, as short numbers are inner extensions."""
    digits = re.sub(r"\D", "", number)
    return digits[-COMPARED_DIGITS:] if len(digits) >= COMPARED_DIGITS else ""


def same_number(number: str, other: str) -> bool:
    return compared_digits(number) != "" and compared_digits(number) == compared_digits(other)

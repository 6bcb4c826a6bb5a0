"""Adding and changing contacts and companies, which differ in little (amoCRM docs, contacts-api, companies-api)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amo_bridge.sandbox import links
from amo_bridge.sandbox.entities import Draft, draft, kind_of, must_exist, new_record, patched, put, read_common
from amo_bridge.sandbox.validation import Reader

if TYPE_CHECKING:
    from amo_bridge.sandbox.world import Record, World


NAMES = ("first_name", "last_name")


def read_new(reader: Reader, kind: str) -> Draft:
    return draft(reader, kind, _read_plain(reader, kind), links=True)


def read_patch(reader: Reader, kind: str) -> Draft:
    must_exist(reader, kind)
    return draft(reader, kind, _read_plain(reader, kind), links=False)


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


def _read_plain(reader: Reader, kind: str) -> dict[str, Any]:
    plain = read_common(reader, kind)
    if kind == "contacts":
        plain |= {name: value for name in NAMES if (value := reader.text(name)) is not None}
    return plain


def _full_name(record: Record) -> str:
    return " ".join(part for part in (record["first_name"], record["last_name"]) if part)

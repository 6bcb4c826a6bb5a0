"""Links between leads, contacts and companies (amoCRM docs, entity-links-api)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amo_bridge.sandbox.changes import Action, Change
from amo_bridge.sandbox.entities import kind_of, stamp

if TYPE_CHECKING:
    from amo_bridge.sandbox.world import World


ALLOWED = {"leads": ("contacts", "companies"), "contacts": ("companies",), "companies": ("contacts", "leads")}
"""From → to, as documented: a contact's leads are linked from the lead."""

ONE_ONLY = frozenset({("leads", "companies"), ("contacts", "companies")})


def linked(world: World, kind: str, entity_id: int, to: str) -> list[dict[str, Any]]:
    """What an entity is linked to: ``[{"id", "is_main"}]``, ``is_main`` only for a lead's contacts."""
    return list(world.table("links").get(f"{kind}/{entity_id}", {}).get(to, ()))


def connect(
    world: World, kind: str, entity_id: int, to: str, to_id: int, user_id: int, *, is_main: bool | None = None
) -> None:
    """Links the two and tells of it: a second company takes the place of the first, a first contact is the main one."""
    known = any(item["id"] == to_id for item in linked(world, kind, entity_id, to))
    for source, source_id, target in ((kind, entity_id, to), (to, to_id, kind)):
        if not known and (source, target) in ONE_ONLY:
            for other in linked(world, source, source_id, target):
                disconnect(world, source, source_id, target, other["id"], user_id)
    turned = attach(world, kind, entity_id, to, to_id, is_main=is_main)
    if not known:
        _tell(world, "link", kind, entity_id, to, to_id, user_id)
    elif turned:
        lead_id, contact_id = (entity_id, to_id) if kind == "leads" else (to_id, entity_id)
        _tell(world, "update", "leads", lead_id, "contacts", contact_id, user_id)


def attach(world: World, kind: str, entity_id: int, to: str, to_id: int, *, is_main: bool | None = None) -> bool:
    """Puts the link into the table and tells nobody; True if the lead's contacts or their main one are others now."""
    if all(item["id"] != to_id for item in linked(world, kind, entity_id, to)):
        _add(world, kind, entity_id, to, to_id)
        _add(world, to, to_id, kind, entity_id)
    if {kind, to} != {"leads", "contacts"}:
        return False
    lead_id, contact_id = (entity_id, to_id) if kind == "leads" else (to_id, entity_id)
    return _choose_main(world, lead_id, contact_id if is_main else None)


def disconnect(world: World, kind: str, entity_id: int, to: str, to_id: int, user_id: int) -> None:
    """Takes the link away and tells of it; nothing happens if there is none."""
    if any(item["id"] == to_id for item in linked(world, kind, entity_id, to)):
        detach(world, kind, entity_id, to, to_id)
        _tell(world, "unlink", kind, entity_id, to, to_id, user_id)


def detach(world: World, kind: str, entity_id: int, to: str, to_id: int) -> None:
    """Takes the link out of the table and tells nobody; a lead that loses its main contact gets the next one."""
    _remove(world, kind, entity_id, to, to_id)
    _remove(world, to, to_id, kind, entity_id)
    if {kind, to} == {"leads", "contacts"}:
        _choose_main(world, entity_id if kind == "leads" else to_id, None)


def _choose_main(world: World, lead_id: int, contact_id: int | None) -> bool:
    """One contact of a lead is the main one; ``contact_id`` None: keep who is, or take the first."""
    contacts = linked(world, "leads", lead_id, "contacts")
    if not contacts:
        return False
    main = contact_id or next((item["id"] for item in contacts if item.get("is_main")), contacts[0]["id"])
    chosen = [{"id": item["id"], "is_main": item["id"] == main} for item in contacts]
    chosen.sort(key=lambda item: not item["is_main"])
    if chosen == contacts:
        return False
    _set(world, "leads", lead_id, "contacts", chosen)
    return True


def _add(world: World, kind: str, entity_id: int, to: str, to_id: int) -> None:
    _set(world, kind, entity_id, to, [*linked(world, kind, entity_id, to), {"id": to_id}])


def _remove(world: World, kind: str, entity_id: int, to: str, to_id: int) -> None:
    _set(world, kind, entity_id, to, [item for item in linked(world, kind, entity_id, to) if item["id"] != to_id])


def _set(world: World, kind: str, entity_id: int, to: str, items: list[dict[str, Any]]) -> None:
    key = f"{kind}/{entity_id}"
    world.table("links")[key] = {**world.table("links").get(key, {}), to: items}


def _tell(world: World, action: Action, kind: str, entity_id: int, to: str, to_id: int, user_id: int) -> None:
    """Both sides were changed by it, so that who polls by ``updated_at`` sees them."""
    before = world.table(kind)[entity_id]
    for side, side_id in ((kind, entity_id), (to, to_id)):
        world.table(side)[side_id] = {**world.table(side)[side_id], **stamp(world, user_id)}
    extra = {"to_entity_type": to, "to_entity_id": to_id}
    after = world.table(kind)[entity_id]
    world.record(Change(kind_of(kind), action, entity_id, before, after, user_id, world.clock.now(), extra))

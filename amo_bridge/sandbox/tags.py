"""Tags: one dictionary per entity type (amoCRM docs, tags-api), and changes of an entity's tags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, Response

from amo_bridge.sandbox.http import branch, embedded, integers, listing, query, strings
from amo_bridge.sandbox.validation import Reader, checked, read_batch

if TYPE_CHECKING:
    from amo_bridge.sandbox.world import World


Tag = dict[str, Any]
Named = int | str
"""A tag as a request names it: by id or by name."""

ENTITIES = "<any(leads, contacts, companies, customers):entity>"


@dataclass(frozen=True)
class TagChange:
    """``replace`` None: the set stays, apart from what is added and deleted."""

    replace: list[Named] | None = None
    add: list[Named] = field(default_factory=list)
    delete: list[Named] = field(default_factory=list)


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.get(f"/api/v4/{ENTITIES}/tags")
    def list_tags(entity: str) -> Response:
        params = query()
        ids, names = integers(branch(params, "filter", "id")), strings(branch(params, "filter", "name"), commas=False)
        part = str(params.get("query", "")).casefold()
        rows = [
            tag
            for tag in world.table(f"tags/{entity}").values()
            if (not ids or tag["id"] in ids) and (not names or tag["name"] in names) and part in tag["name"].casefold()
        ]
        return listing("tags", rows, dict)

    @app.post(f"/api/v4/{ENTITIES}/tags")
    def add_tags(entity: str) -> Response:
        drafts = checked(read_batch(world), _read_new)
        added = [{**_tag(world, entity, name), "request_id": reader.request_id} for reader, name in drafts]
        return embedded("tags", added)


# --- reading ---------------------------------------------------------------------------------------------------------


def read(reader: Reader, entity: str) -> TagChange:
    """The three ways a write names tags; ``_embedded.tags`` replaces the whole set, null clears it."""
    replace: list[Named] | None = None
    within = reader.embedded()
    if "tags" in within:
        replace = _names(reader, entity, reader.objects("tags", within, "_embedded."), "_embedded.tags")
    return TagChange(
        replace,
        _names(reader, entity, reader.objects("tags_to_add"), "tags_to_add"),
        _names(reader, entity, reader.objects("tags_to_delete"), "tags_to_delete"),
    )


def _read_new(reader: Reader) -> str:
    reader.require("name")
    return (reader.text("name") or "").strip()


def _names(reader: Reader, entity: str, items: list[dict[str, Any]], path: str) -> list[Named]:
    names: list[Named] = []
    for number, item in enumerate(items):
        tag_id, name = item.get("id"), item.get("name")
        if tag_id is not None:
            if isinstance(tag_id, int) and tag_id in reader.world.table(f"tags/{entity}"):
                names.append(tag_id)
            else:
                reader.not_a_choice(f"{path}.{number}.id")
        elif isinstance(name, str) and name.strip():
            names.append(name.strip())
        else:
            reader.fail("NotBlank" if "name" in item else "FieldMissing", f"{path}.{number}.name")
    return names


# --- writing ---------------------------------------------------------------------------------------------------------


def applied(world: World, entity: str, current: list[Tag], change: TagChange) -> list[Tag]:
    """The tags after the change; a new name enters the dictionary."""
    tags = list(current) if change.replace is None else []
    for name in (*(change.replace or []), *change.add):
        tag = _tag(world, entity, name)
        if all(other["id"] != tag["id"] for other in tags):
            tags.append(tag)
    gone = {name if isinstance(name, int) else name.casefold() for name in change.delete}
    return [tag for tag in tags if tag["id"] not in gone and tag["name"].casefold() not in gone]


def _tag(world: World, entity: str, name: Named) -> Tag:
    dictionary = world.table(f"tags/{entity}")
    if isinstance(name, int):
        return dict(dictionary[name])
    known = next((tag for tag in dictionary.values() if tag["name"].casefold() == name.casefold()), None)
    if known is None:
        known = {"id": world.next_id("tags"), "name": name, "color": None}
        dictionary[known["id"]] = known
    return dict(known)

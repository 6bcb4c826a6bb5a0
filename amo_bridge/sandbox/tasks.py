"""Tasks, ``/api/v4/tasks`` (amoCRM docs, tasks-api). No DELETE, as in amoCRM.

Used by the API and by people's acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.entities import Test, find, group_of, ordered, put, stamp
from amo_bridge.sandbox.http import Span, branch, embedded, hal, integers, link, listing, query, single, strings
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

ENTITIES = ("leads", "contacts", "companies", "customers")
MAX_TEXT = 20_000
ORDERED_BY = ("created_at", "complete_till", "id")
BY_IDS = {
    "id": "id",
    "responsible_user_id": "responsible_user_id",
    "created_by": "created_by",
    "task_type": "task_type_id",
    "task_type_id": "task_type_id",
}
"""Filter → the record's field. There is none by ``complete_till``."""


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/tasks")
    def list_tasks() -> Response:
        tests = list(_filters(branch(query(), "filter")))
        rows = [task for task in world.table("tasks").values() if all(test(task) for test in tests)]
        return listing("tasks", ordered(rows, query(), ORDERED_BY), _shown)

    @app.get("/api/v4/tasks/<int:task_id>")
    def get_task(task_id: int) -> Response:
        task = world.table("tasks").get(task_id)
        return single(None if task is None else _shown(task))

    @app.post("/api/v4/tasks")
    def add_tasks() -> Response:
        added = []
        for reader, plain in checked(read_batch(world), read_new):
            task_id = create(world, plain, acting_user())["id"]
            added.append({"id": task_id, "request_id": reader.request_id, "_links": link(f"tasks/{task_id}")})
        return embedded("tasks", added)

    @app.patch("/api/v4/tasks")
    def change_tasks() -> Response:
        changed = []
        for reader, plain in checked(read_batch(world), read_patch):
            task = change(world, reader.body["id"], plain, acting_user())
            changed.append(_changed(task, reader.request_id))
        return embedded("tasks", changed)

    @app.patch("/api/v4/tasks/<int:task_id>")
    def change_task(task_id: int) -> Response:
        ((reader, plain),) = checked([read_one(world, id=task_id)], read_patch)
        return hal(_changed(change(world, task_id, plain, acting_user()), reader.request_id))


def _filters(wanted: object) -> Iterable[Test]:
    if not isinstance(wanted, Mapping):
        return
    for name, field in BY_IDS.items():
        if ids := integers(wanted.get(name)):
            yield lambda task, field=field, ids=ids: task[field] in ids  # type: ignore[misc]
    if done := integers(wanted.get("is_completed")):
        yield lambda task: int(task["is_completed"]) in done
    if kinds := strings(wanted.get("entity_type")):
        yield lambda task: task["entity_type"] in kinds
        if ids := integers(wanted.get("entity_id")):
            yield lambda task: task["entity_id"] in ids
    if (span := Span.of(wanted.get("updated_at"))) is not None:
        yield lambda task: span.holds(task["updated_at"])


def _shown(task: Record) -> dict[str, Any]:
    """``result`` is an empty LIST when there is none and an object when there is."""
    result = {"text": task["result"]["text"]} if task["result"] else []
    return {**task, "result": result, "_links": link(f"tasks/{task['id']}")}


def _changed(task: Record, request_id: str) -> dict[str, Any]:
    return {
        "id": task["id"],
        "updated_at": task["updated_at"],
        "request_id": request_id,
        "_links": link(f"tasks/{task['id']}"),
    }


# --- reading ---------------------------------------------------------------------------------------------------------


def read_new(reader: Reader) -> dict[str, Any]:
    reader.require("text", "complete_till")
    plain = _read(reader)
    if plain.get("entity_id") is not None and plain.get("entity_type") is None:
        reader.fail("FieldMissing", "entity_type")
    return plain


def read_patch(reader: Reader) -> dict[str, Any]:
    reader.require("id")
    if (task_id := reader.integer("id")) is not None and task_id not in reader.world.table("tasks"):
        reader.not_a_choice("id")
    if "text" in reader and reader.body["text"] == "":
        reader.fail("NotBlank", "text")
    return _read(reader)


def _read(reader: Reader) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "text": reader.text("text", MAX_TEXT),
        "complete_till": reader.integer("complete_till"),
        "responsible_user_id": reader.user("responsible_user_id"),
        "created_by": reader.user("created_by", robot=True),
        "updated_by": reader.user("updated_by", robot=True),
        "created_at": reader.integer("created_at"),
        "updated_at": reader.integer("updated_at"),
        "task_type_id": reader.choice("task_type_id", reader.world.table("task_types")),
        "duration": reader.integer("duration"),
        "is_completed": reader.flag("is_completed"),
        "entity_type": reader.choice("entity_type", ENTITIES),
        "entity_id": reader.integer("entity_id"),
        "result": _result(reader),
    }
    plain = {name: value for name, value in plain.items() if value is not None}
    kind, entity_id = plain.get("entity_type"), plain.get("entity_id")
    if kind is not None and entity_id is not None and find(reader.world, kind, entity_id) is None:
        reader.not_a_choice("entity_id")
    return plain


def _result(reader: Reader) -> dict[str, str] | None:
    """``{"text": …}``; the empty list that a GET answers with is taken back, too."""
    value = reader.body.get("result")
    if value in (None, [], {}):
        return None
    if not isinstance(value, dict):
        reader.wrong_type("result", "array")
        return None
    text = value.get("text")
    if not isinstance(text, str):
        reader.wrong_type("result.text", "string")
        return None
    return {"text": text}


# --- writing ---------------------------------------------------------------------------------------------------------


def create(world: World, plain: Mapping[str, Any], user_id: int) -> Record:
    now = world.clock.now()
    record = {
        "id": world.next_id("tasks"),
        "created_by": user_id,
        "updated_by": user_id,
        "created_at": now,
        "updated_at": now,
        "responsible_user_id": user_id,
        "group_id": 0,
        "entity_id": None,
        "entity_type": None,
        "duration": 0,
        "is_completed": False,
        "task_type_id": 1,
        "account_id": world.account["id"],
        **plain,
    }
    record["group_id"] = group_of(world, record["responsible_user_id"])
    record["result"] = _stored_result(world, record, plain.get("result"), user_id)
    put(world, "tasks", record, user_id)
    return record


def change(world: World, task_id: int, plain: Mapping[str, Any], user_id: int, **extra: Any) -> Record:
    """The task after the patch. ``extra`` goes to the Change: ``from_task_list`` makes two webhooks of it."""
    before = world.table("tasks")[task_id]
    result = plain.get("result")
    same_result = result is None or (before["result"] is not None and before["result"]["text"] == result["text"])
    after = {**before, **plain, "result": before["result"]}
    if after == before and same_result:
        return before
    if not same_result:
        after["result"] = _stored_result(world, after, result, user_id)
    after["group_id"] = group_of(world, after["responsible_user_id"])
    stamps = {name: plain[name] for name in ("updated_at", "updated_by") if name in plain}
    after = {**after, **stamp(world, user_id), **stamps}
    put(world, "tasks", after, user_id, **extra)
    return after


def _stored_result(
    world: World, task: Mapping[str, Any], result: Mapping[str, str] | None, user_id: int
) -> dict[str, Any] | None:
    """Store a result as a note of the task too; its webhook and event are the task's."""
    if not result or not result["text"]:
        return None
    note_id, now = world.next_id("notes"), world.clock.now()
    world.table("notes")[note_id] = {
        "id": note_id,
        "entity_id": task["id"],
        "entity_type": "tasks",
        "created_by": user_id,
        "updated_by": user_id,
        "created_at": now,
        "updated_at": now,
        "responsible_user_id": task["responsible_user_id"],
        "group_id": task["group_id"],
        "note_type": "task_result",
        "params": {"text": result["text"]},
        "account_id": world.account["id"],
        "is_pinned": False,
    }
    return {"id": note_id, "text": result["text"]}

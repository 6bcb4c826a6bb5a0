"""``/api/v4/tasks`` (amoCRM docs, tasks-api). There is no DELETE, as in amoCRM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import task_writes
from amo_bridge.sandbox.entity_lists import Test, ordered
from amo_bridge.sandbox.http import embedded, hal, link, listing, one
from amo_bridge.sandbox.query import Span, branch, integers, query, strings
from amo_bridge.sandbox.validation import acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

ORDERED_BY = ("created_at", "complete_till", "id")
BY_IDS = {
    "id": "id",
    "responsible_user_id": "responsible_user_id",
    "created_by": "created_by",
    "task_type": "task_type_id",
    "task_type_id": "task_type_id",
}
"""Filter → the record's field. There is none by ``complete_till``."""


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/tasks")
    def list_tasks() -> Response:
        tests = list(_filters(branch(query(), "filter")))
        rows = [task for task in world.table("tasks").values() if all(test(task) for test in tests)]
        return listing("tasks", ordered(rows, query(), ORDERED_BY), _shown)

    @app.get("/api/v4/tasks/<int:task_id>")
    def get_task(task_id: int) -> Response:
        task = world.table("tasks").get(task_id)
        return one(None if task is None else _shown(task))

    @app.post("/api/v4/tasks")
    def add_tasks() -> Response:
        added = []
        for reader, plain in checked(read_batch(world), task_writes.read_new):
            task_id = task_writes.create(world, plain, acting_user())["id"]
            added.append({"id": task_id, "request_id": reader.request_id, "_links": link(f"tasks/{task_id}")})
        return embedded("tasks", added)

    @app.patch("/api/v4/tasks")
    def change_tasks() -> Response:
        changed = []
        for reader, plain in checked(read_batch(world), task_writes.read_patch):
            task = task_writes.change(world, reader.body["id"], plain, acting_user())
            changed.append(_changed(task, reader.request_id))
        return embedded("tasks", changed)

    @app.patch("/api/v4/tasks/<int:task_id>")
    def change_task(task_id: int) -> Response:
        ((reader, plain),) = checked([read_one(world, id=task_id)], task_writes.read_patch)
        return hal(_changed(task_writes.change(world, task_id, plain, acting_user()), reader.request_id))


def _filters(asked: object) -> Iterable[Test]:
    if not isinstance(asked, Mapping):
        return
    for name, field in BY_IDS.items():
        if wanted := integers(asked.get(name)):
            yield lambda task, field=field, wanted=wanted: task[field] in wanted  # type: ignore[misc]
    if done := integers(asked.get("is_completed")):
        yield lambda task: int(task["is_completed"]) in done
    if kinds := strings(asked.get("entity_type")):
        yield lambda task: task["entity_type"] in kinds
        if ids := integers(asked.get("entity_id")):
            yield lambda task: task["entity_id"] in ids
    if (span := Span.of(asked.get("updated_at"))) is not None:
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

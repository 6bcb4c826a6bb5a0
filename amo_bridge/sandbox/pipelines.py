"""Pipelines and their statuses, ``/api/v4/leads/pipelines`` (amoCRM docs, leads_pipelines)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.deals import CLOSED, UNSORTED, first_of, statuses_of
from amo_bridge.sandbox.entities import put, stamp
from amo_bridge.sandbox.http import Refused, hal, link, no_content, self_link, words
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_batch, read_one
from amo_bridge.sandbox.world import Record, World

COLORS = (
    "#fffeb2", "#fffd7f", "#fff000", "#ffeab2", "#ffdc7f", "#ffce5a", "#ffdbdb", "#ffc8c8", "#ff8f92", "#d6eaff",
    "#c1e0ff", "#98cbff", "#ebffb1", "#deff81", "#87f2c0", "#f9deff", "#f3beff", "#ccc8f9", "#eb93ff",
    "#f2f3f4", "#e6e8ea",
)  # fmt: skip
PIPELINES = "/api/v4/leads/pipelines"
STATUSES = f"{PIPELINES}/<int:pipeline_id>/statuses"
MAX_PIPELINES = 50
MAX_STATUSES = 100


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.get(PIPELINES)
    def list_pipelines() -> Response:
        rows = sorted(world.table("pipelines").values(), key=lambda row: row["sort"])
        return _listed("pipelines", [_pipeline(world, row) for row in rows])

    @app.get(f"{PIPELINES}/<int:pipeline_id>")
    def get_pipeline(pipeline_id: int) -> Response:
        return hal(_pipeline(world, _found(world, pipeline_id)))

    @app.post(PIPELINES)
    def add_pipelines() -> Response:
        drafts = checked(read_batch(world), _read_pipeline)
        if len(world.table("pipelines")) + len(drafts) > MAX_PIPELINES:
            raise Refused(400, f"Pipelines limit reached: {MAX_PIPELINES}")
        return _listed("pipelines", [_add_pipeline(world, reader, plain) for reader, plain in drafts])

    @app.patch(f"{PIPELINES}/<int:pipeline_id>")
    def change_pipeline(pipeline_id: int) -> Response:
        before = _found(world, pipeline_id)
        ((_, plain),) = checked([read_one(world)], _read_fields)
        if plain.get("is_main"):
            for other in list(world.table("pipelines").values()):
                world.table("pipelines")[other["id"]] = {**other, "is_main": False}
        world.table("pipelines")[pipeline_id] = {**before, **plain}
        return hal(_pipeline(world, world.table("pipelines")[pipeline_id]))

    @app.delete(f"{PIPELINES}/<int:pipeline_id>")
    def delete_pipeline(pipeline_id: int) -> Response:
        _found(world, pipeline_id)
        has_leads = any(
            lead["pipeline_id"] == pipeline_id for lead in world.table("leads").values() if not lead["is_deleted"]
        )
        if has_leads or len(world.table("pipelines")) == 1:
            raise Refused(400, "Pipeline has leads" if has_leads else "The last pipeline can not be deleted")
        for status in statuses_of(world, pipeline_id):
            del world.table("statuses")[f"{pipeline_id}/{status['id']}"]
        del world.table("pipelines")[pipeline_id]
        return no_content()

    _register_statuses(app, world)


def _register_statuses(app: Flask, world: World) -> None:
    @app.get(STATUSES)
    def list_statuses(pipeline_id: int) -> Response:
        _found(world, pipeline_id)
        return _listed("statuses", [_status(status) for status in statuses_of(world, pipeline_id)])

    @app.get(f"{STATUSES}/<int:status_id>")
    def get_status(pipeline_id: int, status_id: int) -> Response:
        return hal(_status(_found_status(world, pipeline_id, status_id)))

    @app.post(STATUSES)
    def add_statuses(pipeline_id: int) -> Response:
        _found(world, pipeline_id)
        drafts = checked(read_batch(world), lambda reader: _read_status(reader, new=True))
        if len(statuses_of(world, pipeline_id)) + len(drafts) > MAX_STATUSES:
            raise Refused(400, f"Statuses limit reached: {MAX_STATUSES}")
        added = []
        for reader, plain in drafts:
            record = _add_status(world, pipeline_id, plain)
            added.append({**_status(record), "request_id": reader.request_id})
        return _listed("statuses", added)

    @app.patch(f"{STATUSES}/<int:status_id>")
    def change_status(pipeline_id: int, status_id: int) -> Response:
        before = _found_status(world, pipeline_id, status_id)
        ((_, plain),) = checked([read_one(world)], lambda reader: _read_status(reader, new=False))
        world.table("statuses")[f"{pipeline_id}/{status_id}"] = {**before, **plain}
        return hal(_status({**before, **plain}))

    @app.delete(f"{STATUSES}/<int:status_id>")
    def delete_status(pipeline_id: int, status_id: int) -> Response:
        status = _found_status(world, pipeline_id, status_id)
        ordinary = [
            other["id"]
            for other in statuses_of(world, pipeline_id)
            if other["type"] != UNSORTED and other["id"] not in CLOSED
        ]
        if status_id not in ordinary or len(ordinary) == 1:
            raise Refused(400, "Status can not be deleted")
        del world.table("statuses")[f"{pipeline_id}/{status['id']}"]
        _move_leads(world, pipeline_id, status_id)
        return no_content()


def _found(world: World, pipeline_id: int) -> Record:
    record = world.table("pipelines").get(pipeline_id)
    if record is None:
        raise Refused(404, "Pipeline not found")
    return record


def _found_status(world: World, pipeline_id: int, status_id: int) -> Record:
    _found(world, pipeline_id)
    record = world.table("statuses").get(f"{pipeline_id}/{status_id}")
    if record is None:
        raise Refused(404, "Status not found")
    return record


def _pipeline(world: World, record: Record) -> dict[str, Any]:
    statuses = [_status(status) for status in statuses_of(world, record["id"])]
    return {**record, "_links": link(f"leads/pipelines/{record['id']}"), "_embedded": {"statuses": statuses}}


def _status(record: Record) -> dict[str, Any]:
    shown = {**record, "_links": link(f"leads/pipelines/{record['pipeline_id']}/statuses/{record['id']}")}
    return {**shown, "descriptions": []} if "descriptions" in words("with") else shown


def _listed(name: str, items: list[dict[str, Any]]) -> Response:
    """These lists are never paged: a pipeline list is short."""
    return hal({"_total_items": len(items), "_links": self_link(), "_embedded": {name: items}})


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_fields(reader: Reader) -> dict[str, Any]:
    plain = {
        "name": reader.text("name"),
        "sort": reader.integer("sort"),
        "is_main": reader.flag("is_main"),
        "is_unsorted_on": reader.flag("is_unsorted_on"),
    }
    return {name: value for name, value in plain.items() if value is not None}


def _read_pipeline(reader: Reader) -> dict[str, Any]:
    reader.require("name")
    stages = []
    for number, item in enumerate(reader.objects("statuses", reader.embedded(), "_embedded.")):
        inner = Reader(reader.world, item, reader.request_id, reader.user_id)
        # 142 and 143 may be sent only to be renamed; the pipeline has them anyway.
        stages.append({**_read_status(inner, new=True), "id": item.get("id")})
        reader.errors += [{**error, "path": f"_embedded.statuses.{number}.{error['path']}"} for error in inner.errors]
    return {**_read_fields(reader), "stages": stages}


def _read_status(reader: Reader, *, new: bool) -> dict[str, Any]:
    if new:
        reader.require("name")
    plain = {
        "name": reader.text("name"),
        "sort": reader.integer("sort"),
        "color": reader.choice("color", COLORS),
    }
    return {name: value for name, value in plain.items() if value is not None}


# --- writing ---------------------------------------------------------------------------------------------------------


def _add_pipeline(world: World, reader: Reader, plain: dict[str, Any]) -> dict[str, Any]:
    pipeline_id, account_id = world.next_id("pipelines"), world.account["id"]
    sort = plain.get("sort", len(world.table("pipelines")) + 1)
    record = pipeline_record(pipeline_id, plain["name"], sort, account_id, is_main=False)
    record["is_unsorted_on"] = plain.get("is_unsorted_on", True)
    world.table("pipelines")[pipeline_id] = record
    renamed = {stage["id"]: stage["name"] for stage in plain["stages"] if stage["id"] in CLOSED}
    for status in system_statuses(pipeline_id, world.next_id("statuses"), account_id):
        status["name"] = renamed.get(status["id"], status["name"])
        world.table("statuses")[f"{pipeline_id}/{status['id']}"] = status
    stages = [stage for stage in plain["stages"] if stage["id"] not in CLOSED]
    for stage in stages or [{"name": "Первичный контакт"}]:
        _add_status(world, pipeline_id, stage)
    return {**_pipeline(world, record), "request_id": reader.request_id}


def _add_status(world: World, pipeline_id: int, plain: dict[str, Any]) -> Record:
    last = max((status["sort"] for status in statuses_of(world, pipeline_id) if status["id"] not in CLOSED), default=10)
    status_id = world.next_id("statuses")
    sort = plain.get("sort") or last + 10
    account_id = world.account["id"]
    record = status_record(status_id, pipeline_id, plain["name"], sort, account_id, color=plain.get("color"))
    world.table("statuses")[f"{pipeline_id}/{status_id}"] = record
    return record


def _move_leads(world: World, pipeline_id: int, status_id: int) -> None:
    """The leads of a deleted status stand on the pipeline's first one."""
    user_id = acting_user()
    for lead in list(world.table("leads").values()):
        if (lead["pipeline_id"], lead["status_id"]) == (pipeline_id, status_id):
            moved = {**lead, "status_id": first_of(world, pipeline_id), **stamp(world, user_id)}
            put(world, "leads", moved, user_id)


def pipeline_record(pipeline_id: int, name: str, sort: int, account_id: int, *, is_main: bool) -> dict[str, Any]:
    return {
        "id": pipeline_id,
        "name": name,
        "sort": sort,
        "is_main": is_main,
        "is_unsorted_on": True,
        "is_archive": False,
        "account_id": account_id,
    }


def status_record(
    status_id: int,
    pipeline_id: int,
    name: str,
    sort: int,
    account_id: int,
    *,
    color: str | None = None,
    kind: int = 0,
    is_editable: bool = True,
) -> dict[str, Any]:
    """``kind`` is amoCRM's ``type``: 1 for «Неразобранное», 0 for any other."""
    return {
        "id": status_id,
        "name": name,
        "sort": sort,
        "is_editable": is_editable,
        "pipeline_id": pipeline_id,
        "color": color or COLORS[(sort // 10) % len(COLORS)],
        "type": kind,
        "account_id": account_id,
    }


def system_statuses(pipeline_id: int, unsorted_id: int, account_id: int) -> list[dict[str, Any]]:
    """The three every pipeline has; 142 and 143 are the same numbers in all of them."""

    def make(status_id: int, name: str, sort: int, color: str, kind: int, is_editable: bool) -> dict[str, Any]:
        return status_record(
            status_id, pipeline_id, name, sort, account_id, color=color, kind=kind, is_editable=is_editable
        )

    return [
        make(unsorted_id, "Неразобранное", 10, "#c1c1c1", 1, False),
        make(142, "Успешно реализовано", 10_000, "#CCFF66", 0, False),
        make(143, "Закрыто и не реализовано", 11_000, "#D5D8DB", 0, False),
    ]

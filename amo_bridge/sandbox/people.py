"""Acts of people in the web page that the API has no call for: deleting, merging and the like.

``POST /sandbox/ui/…`` with a JSON object that names the person as ``user_id``.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import links, tasks
from amo_bridge.sandbox.changes import Action, Change, Kind
from amo_bridge.sandbox.entities import find, kind_of, put, stamp
from amo_bridge.sandbox.http import Refused, hal
from amo_bridge.sandbox.validation import read_json
from amo_bridge.sandbox.world import Record, World

SEVERAL = ("multitext", "multiselect")
KINDS = {"lead": "leads", "contact": "contacts", "company": "companies"}
ENTITY = "<any(lead, contact, company):entity>"


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.post(f"/sandbox/ui/delete_{ENTITY}")
    def delete_entity(entity: str) -> Response:
        """``{user_id, lead_id}``: puts the lead (contact, company) into the bin."""
        sent, kind = sent_by_person(world, f"{entity}_id"), KINDS[entity]
        before = _found(find(world, kind, sent[f"{entity}_id"]))
        after = {**before, "is_deleted": True, **stamp(world, sent["user_id"])}
        world.table(kind)[before["id"]] = after
        _record(world, kind, "delete", before, None, sent["user_id"])
        return hal({"id": before["id"]})

    @app.post(f"/sandbox/ui/restore_{ENTITY}")
    def restore_entity(entity: str) -> Response:
        """``{user_id, lead_id}``: takes it out of the bin again."""
        sent, kind = sent_by_person(world, f"{entity}_id"), KINDS[entity]
        before = world.table(kind).get(sent[f"{entity}_id"])
        if before is None or not before["is_deleted"] or before.get("merged_into"):
            raise Refused(404, "Nothing to restore")
        after = {**before, "is_deleted": False, **stamp(world, sent["user_id"])}
        world.table(kind)[before["id"]] = after
        _record(world, kind, "restore", before, after, sent["user_id"])
        return hal({"id": before["id"]})

    @app.post("/sandbox/ui/delete_task")
    def delete_task() -> Response:
        """``{user_id, task_id}``: the task is gone at once, there is no bin for tasks."""
        sent = sent_by_person(world, "task_id")
        before = _found(world.table("tasks").pop(sent["task_id"], None))
        _record(world, "tasks", "delete", before, None, sent["user_id"])
        return hal({"id": before["id"]})

    @app.post("/sandbox/ui/complete_task")
    def complete_task() -> Response:
        """``{user_id, task_id, text}``: from the list of tasks, which sends two updates when there is a result."""
        sent = sent_by_person(world, "task_id")
        _found(world.table("tasks").get(sent["task_id"]))
        plain: dict[str, Any] = {"is_completed": True}
        if sent.get("text"):
            plain["result"] = {"text": sent["text"]}
        task = tasks.change(world, sent["task_id"], plain, sent["user_id"], from_task_list=True)
        return hal({"id": task["id"], "updated_at": task["updated_at"]})

    @app.post("/sandbox/ui/merge")
    def merge_cards() -> Response:
        """``{user_id, entity_type, winner_id, loser_id}``: the loser's data go to the winner, its id vanishes."""
        sent = sent_by_person(world, "entity_type", "winner_id", "loser_id")
        if sent["entity_type"] not in KINDS.values() or sent["winner_id"] == sent["loser_id"]:
            raise Refused(400, "entity_type is leads, contacts or companies, and there are two of them")
        winner, loser = (_found(find(world, sent["entity_type"], sent[f"{who}_id"])) for who in ("winner", "loser"))
        merge(world, kind_of(sent["entity_type"]), winner, loser, sent["user_id"])
        return hal({"id": winner["id"]})

    @app.post("/sandbox/ui/<any(activate, deactivate):action>_user")
    def switch_user(action: str) -> Response:
        """``{user_id, target_id}``: a deactivated user stays in the history and is no valid choice any more."""
        sent = sent_by_person(world, "target_id")
        target = _found(world.table("users").get(sent["target_id"]))
        world.table("users")[target["id"]] = {**target, "is_active": action == "activate"}
        return hal({"id": target["id"], "is_active": action == "activate"})

    @app.post("/sandbox/ui/rename_user")
    def rename_user() -> Response:
        """``{user_id, target_id, name}``: somebody marries."""
        sent = sent_by_person(world, "target_id", "name")
        target = _found(world.table("users").get(sent["target_id"]))
        world.table("users")[target["id"]] = {**target, "name": str(sent["name"])}
        return hal({"id": target["id"], "name": str(sent["name"])})

    @app.post("/sandbox/ui/delete_user")
    def delete_user() -> Response:
        """``{user_id, target_id}``: gone from the account; what was theirs keeps the id. Their tokens go on working."""
        sent = sent_by_person(world, "target_id")
        target = _found(world.table("users").get(sent["target_id"]))
        if target["id"] == sent["user_id"]:
            raise Refused(400, "nobody deletes themselves")
        world.table("users")[target["id"]] = {**target, "is_active": False, "is_deleted": True}
        return hal({"id": target["id"]})


# --- reading ---------------------------------------------------------------------------------------------------------


def sent_by_person(world: World, *names: str) -> dict[str, Any]:
    """The request's object, with ``user_id`` of someone in the account (0: a robot) and all of ``names``."""
    sent = read_json()
    if not isinstance(sent, dict):
        raise Refused(400, "a JSON object is awaited")
    missing = [name for name in ("user_id", *names) if sent.get(name) is None]
    if missing:
        raise Refused(400, f"missing: {', '.join(missing)}")
    if sent["user_id"] != 0 and sent["user_id"] not in world.table("users"):
        raise Refused(400, f"no user {sent['user_id']}")
    return sent


def _found(record: Record | None) -> Record:
    if record is None:
        raise Refused(404, "Entity not found")
    return record


# --- writing ---------------------------------------------------------------------------------------------------------


def merge(world: World, kind: Kind, winner: Record, loser: Record, user_id: int) -> None:
    """Both records are live ones of ``kind``. The loser's Change names the winner as ``merged_into``."""
    merged = {
        **winner,
        "custom_fields_values": _fields(winner, loser),
        "tags": [*winner["tags"], *(tag for tag in loser["tags"] if tag not in winner["tags"])],
        **stamp(world, user_id),
    }
    for to in ("leads", "contacts", "companies"):
        for item in links.linked(world, kind, loser["id"], to):
            links.detach(world, kind, loser["id"], to, item["id"])
            if to != "companies" or not links.linked(world, kind, winner["id"], to):
                links.attach(world, kind, winner["id"], to, item["id"])
    for owned in ("tasks", "notes"):
        for record in list(world.table(owned).values()):
            if (record["entity_type"], record["entity_id"]) == (kind, loser["id"]):
                world.table(owned)[record["id"]] = {**record, "entity_id": winner["id"]}
    gone = {**loser, "is_deleted": True, "merged_into": winner["id"], **stamp(world, user_id)}
    world.table(kind)[loser["id"]] = gone
    extra = {"merged_into": winner["id"]}
    world.record(Change(kind, "delete", loser["id"], loser, None, user_id, world.clock.now(), extra))
    put(world, kind, merged, user_id, merged_from=loser["id"])


def _fields(winner: Record, loser: Record) -> list[dict[str, Any]] | None:
    """The winner's own values win; phones, e-mails and multiselects are joined."""
    fields = {field["field_id"]: field for field in winner["custom_fields_values"] or ()}
    for field in loser["custom_fields_values"] or ():
        own = fields.get(field["field_id"])
        if own is None:
            fields[field["field_id"]] = field
        elif field["field_type"] in SEVERAL:
            known = {item["value"] for item in own["values"]}
            more = [item for item in field["values"] if item["value"] not in known]
            fields[field["field_id"]] = {**own, "values": [*own["values"], *more]}
    return list(fields.values()) or None


def _record(world: World, kind: str, action: Action, before: Record, after: Record | None, user_id: int) -> None:
    world.record(Change(kind_of(kind), action, before["id"], before, after, user_id, world.clock.now()))

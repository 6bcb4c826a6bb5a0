"""Fill a new account from its account file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from amo_bridge.sandbox import account_file as files
from amo_bridge.sandbox import contacts, field_values, links, tags
from amo_bridge.sandbox.account_file import AccountFile, AccountFileError, CustomField, Person, Pipeline
from amo_bridge.sandbox.custom_fields import field_record
from amo_bridge.sandbox.entities import Draft
from amo_bridge.sandbox.pipelines import pipeline_record, status_record, system_statuses
from amo_bridge.sandbox.users import user_record
from amo_bridge.sandbox.validation import Reader
from amo_bridge.sandbox.world import Filler, World


def load_world(account_file: Path | None = None, state_file: Path | None = None) -> World:
    """The account of ``state_file``, or a new one from ``account_file`` (None: the agency's).

    Without a state file everything is in memory only. Raises AccountFileError, which names the place.
    """

    def start() -> Filler:
        start_file = files.read(account_file)
        return lambda world: fill(world, start_file)

    return World.opened(start, state_file)


def fill(world: World, start: AccountFile) -> None:
    """Writes every record of the start into the tables; without a change, the account has always been so."""
    world.account.update(start.account.model_dump())
    _fill_people(world, start)
    founder = next((user["id"] for user in world.table("users").values() if user["is_admin"]), 0)
    world.account.update(stamps(world.clock.now(), founder))
    for number, pipeline in enumerate(start.pipelines):
        _fill_pipeline(world, number, pipeline)
    now = world.clock.now()
    for number, reason in enumerate(start.loss_reasons):
        reason_id = _id(world, "loss_reasons", reason.id)
        sort = 100 * (number + 1)
        times = {"created_at": now, "updated_at": now}
        world.table("loss_reasons")[reason_id] = {"id": reason_id, "name": reason.name, "sort": sort, **times}
    for kind in start.task_types:
        type_id = _id(world, "task_types", kind.id)
        shown = {"id": type_id, "name": kind.name, "color": None, "icon_id": None, "code": kind.code}
        world.table("task_types")[type_id] = shown
    for entity, fields in start.custom_fields.items():
        for number, field in enumerate(fields):
            _fill_field(world, entity, number, field)
    for entity, people in (("companies", start.companies), ("contacts", start.contacts)):
        for person in people:
            _fill_person(world, entity, person)
    _fill_tokens(world, start)


def stamps(now: int, user_id: int) -> dict[str, int]:
    """When an account was made and last changed, and by whom."""
    return {"created_at": now, "created_by": user_id, "updated_at": now, "updated_by": user_id}


def _id(world: World, kind: str, given: int | None) -> int:
    return world.next_id(kind) if given is None else world.reserve(kind, given)


def _fill_people(world: World, start: AccountFile) -> None:
    for group in start.groups:
        group_id = _id(world, "groups", group.id)
        world.table("groups")[group_id] = {"id": group_id, "name": group.name}
    groups = {group["name"]: group_id for group_id, group in world.table("groups").items()}
    for user in start.users:
        user_id = _id(world, "users", user.id)
        world.table("users")[user_id] = user_record(
            user_id,
            user.name,
            user.email,
            groups[user.group],
            is_admin=user.is_admin,
            is_active=user.is_active,
            rank=user.position or None,
        )


def _fill_pipeline(world: World, number: int, pipeline: Pipeline) -> None:
    pipeline_id = _id(world, "pipelines", pipeline.id)
    account_id = world.account["id"]
    world.table("pipelines")[pipeline_id] = pipeline_record(
        pipeline_id, pipeline.name, number + 1, account_id, is_main=pipeline.is_main
    )
    unsorted_id = _id(world, "statuses", pipeline.unsorted_id)
    statuses = system_statuses(pipeline_id, unsorted_id, account_id)
    for place, stage in enumerate(pipeline.stages):
        stage_id = _id(world, "statuses", stage.id)
        statuses.append(
            status_record(stage_id, pipeline_id, stage.name, 20 + 10 * place, account_id, color=stage.color)
        )
    for status in statuses:
        world.table("statuses")[f"{pipeline_id}/{status['id']}"] = status


def _fill_field(world: World, entity: str, number: int, field: CustomField) -> None:
    field_id = _id(world, "custom_fields", field.id)
    enums = [
        {"id": _id(world, "enums", enum.id), "value": enum.value, "sort": place * 10, "code": enum.code}
        for place, enum in enumerate(field.enums)
    ]
    described = field.model_dump(include={"name", "type", "code", "is_predefined", "is_api_only"})
    record = field_record(field_id, entity, world.account["id"], sort=500 + number, enums=enums or None, **described)
    world.table(f"custom_fields/{entity}")[field_id] = record


def _fill_person(world: World, entity: str, person: Person) -> None:
    user_id = next(user["id"] for user in world.table("users").values() if user["name"] == person.responsible)
    by_name = {field["name"]: field for field in world.table(f"custom_fields/{entity}").values()}
    sent = [
        {"field_id": by_name[name]["id"], "values": [{"value": part} for part in _as_list(value)]}
        for name, value in person.fields.items()
    ]
    reader = Reader(world, {"custom_fields_values": sent}, person.name, user_id)
    fields = field_values.read(reader, entity)
    if reader.errors:
        wrong = "; ".join(f"{error['path']}: {error['detail']}" for error in reader.errors)
        raise AccountFileError(f"{entity} «{person.name}»: {wrong}")
    wanted = Draft(_names(entity, person.name), fields, tags.TagChange(add=list(person.tags)))
    record = contacts.build(world, entity, wanted, user_id)
    world.table(entity)[record["id"]] = record
    for company in world.table("companies").values():
        if entity == "contacts" and company["name"] == person.company:
            links.attach(world, entity, record["id"], "companies", company["id"])


def _names(entity: str, name: str) -> dict[str, Any]:
    if entity != "contacts":
        return {"name": name}
    first, _, last = name.partition(" ")
    return {"name": name, "first_name": first, "last_name": last}


def _as_list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _fill_tokens(world: World, start: AccountFile) -> None:
    users = {user["name"]: user_id for user_id, user in world.table("users").items()}
    for token in start.tokens:
        record = {"token": token.token, "user_id": users[token.user], "client_id": None, "expires_at": None}
        world.table("tokens")[token.token] = record
    for client in start.oauth_clients:
        world.table("oauth_clients")[client.client_id] = client.model_dump()

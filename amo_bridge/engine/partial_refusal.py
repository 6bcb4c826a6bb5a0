"""Partial refusal: amoCRM names the parts it does not take; the rest of the object is written.

What is left out becomes writes of their own, to be tried after the rest: they are refused again, stand among what the
bridge gave up on with a reason that people understand, and can be repeated when the account is mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from amo_bridge.crm.account import Account
from amo_bridge.engine.effects import NEW_ID, Effect, Kind
from amo_bridge.errors import Complaint, UnknownName
from amo_bridge.lazy.dataclasses import dataclass

Instead = Callable[[int], int]
"""A user for whom amoCRM takes nothing → who works for him. Raises UnknownName."""

ELEMENT = re.compile(
    r"^(custom_fields_values|_embedded\.tags|_embedded\.contacts|_embedded\.companies|tags_to_add)\.(\d+)"
)
LISTS = {
    "_embedded.tags": "тег",
    "_embedded.contacts": "контакт",
    "_embedded.companies": "компания",
    "tags_to_add": "тег",
}
SCALARS = {"price": "бюджет", "loss_reason_id": "причина отказа", "task_type_id": "тип задачи"}
"""What an object can do without → what it is called."""
IDENTITY = ("id", "entity_id", "entity_type", "request_id")
PATCH: Mapping[str, Kind] = {"create_deal": "patch_deal", "patch_deal": "patch_deal", "create_task": "change_task",
                             "change_task": "change_task"}  # fmt: skip
"""By which kind of write a part is written into what the rest has made."""


@dataclass(frozen=True)
class Remainder:
    """``body``: without the refused parts. ``words``: to be added to the effect's own. ``left_out``: the parts, each a
    write of its own."""

    body: Mapping[str, Any]
    words: str
    left_out: tuple[Effect, ...]


def remainder(
    kind: str,
    body: Mapping[str, Any],
    deal_id: int,
    complaints: Iterable[Complaint],
    account: Account,
    instead: Instead,
) -> Remainder | None:
    """What can be written of an object all the same; None if amoCRM refused what it can't do without."""
    if kind not in PATCH:
        return None
    rest: dict[str, Any] = {**body, "_embedded": dict(body["_embedded"])} if "_embedded" in body else dict(body)
    dropped: dict[str, set[int]] = {}
    words, left_out = [], []
    for complaint in complaints:
        element = ELEMENT.match(complaint.path)
        if element:
            dropped.setdefault(element[1], set()).add(int(element[2]))
        elif complaint.path == "responsible_user_id" and "responsible_user_id" in rest:
            try:
                other = instead(int(rest["responsible_user_id"]))
            except UnknownName:
                return None
            if other == rest["responsible_user_id"]:
                return None
            words.append(f"исполнитель {_user(account, other)} (за {_user(account, rest['responsible_user_id'])})")
            rest["responsible_user_id"] = other
        elif complaint.path in SCALARS and complaint.path in rest:
            part = {complaint.path: rest.pop(complaint.path)}
            words.append(f"без части «{SCALARS[complaint.path]}»")
            left_out.append(_part(kind, body, deal_id, part, SCALARS[complaint.path]))
        else:
            return None
    for name, places in dropped.items():
        holder = rest["_embedded"] if name.startswith("_embedded.") else rest
        key = name.removeprefix("_embedded.")
        elements = holder.get(key) or []
        if any(place >= len(elements) for place in places):
            return None
        for place in sorted(places):
            called = _called(name, elements[place], account)
            words.append(f"без части «{called}»")
            if not name.startswith("_embedded."):
                left_out.append(_part(kind, body, deal_id, {key: [elements[place]]}, called))
        holder[key] = [element for place, element in enumerate(elements) if place not in places]
        if not holder[key]:
            del holder[key]
    if rest == body or not _says_anything(kind, rest):
        return None
    return Remainder(rest, "; ".join(words), tuple(left_out))


def in_russian(complaints: Iterable[Complaint], body: Mapping[str, Any], account: Account) -> str:
    """Why amoCRM refused, for people; empty where it is not known what its words mean."""
    return "; ".join(dict.fromkeys(filter(None, (_reason(one, body, account) for one in complaints))))


def _reason(complaint: Complaint, body: Mapping[str, Any], account: Account) -> str:
    element, is_no_choice = ELEMENT.match(complaint.path), complaint.code == "NotSupportedChoice"
    if element:
        parts = body.get("_embedded") or {} if element[1].startswith("_embedded.") else body
        elements = parts.get(element[1].removeprefix("_embedded.")) or []
        place = int(element[2])
        called = _called(element[1], elements[place], account) if place < len(elements) else ""
        if element[1] != "custom_fields_values":
            return f"{called}: amoCRM этого не приняла"
        if is_no_choice and re.search(r"\.field_(id|code)$", complaint.path):
            return f"{called}: такого поля в amoCRM больше нет"
        if is_no_choice:
            return f"{called}: такого значения у поля в amoCRM нет"
        return f"{called}: такое значение amoCRM в это поле не записывает"
    if complaint.path == "responsible_user_id":
        return "сотрудник, на которого это ставят, отключён или его нет"
    if complaint.path in ("status_id", "pipeline_id"):
        return "такого этапа или такой воронки в amoCRM нет"
    return f"{SCALARS[complaint.path]}: amoCRM такого не знает" if complaint.path in SCALARS else ""


def _part(kind: str, body: Mapping[str, Any], deal_id: int, part: Mapping[str, Any], called: str) -> Effect:
    """A write of its own into what the rest has made, or into what was to be changed."""
    own_id = body.get("id", NEW_ID)
    return Effect(PATCH[kind], deal_id, {"id": own_id, **part}, f"оставшаяся часть: {called}")


def _says_anything(kind: str, rest: Mapping[str, Any]) -> bool:
    return kind.startswith("create_") or any(key not in IDENTITY for key in rest)


def _called(name: str, element: Mapping[str, Any], account: Account) -> str:
    if name == "custom_fields_values":
        field_id = element.get("field_id")
        field = next((one.name for one in account.all_fields if one.id == field_id), str(field_id))
        return f"поле {field}"
    return f"{LISTS[name]} {element.get('name') or element.get('id')}"


def _user(account: Account, user_id: int) -> str:
    return next((user.name for user in account.users if user.id == user_id), str(user_id))

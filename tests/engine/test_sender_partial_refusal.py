"""What amoCRM refuses of an object is left out; the rest is written, and what was left out can be tried again."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakes import agency, user

from amo_bridge.engine.effects import NEW_ID
from amo_bridge.engine.sender import Remainder, in_russian, remainder
from amo_bridge.errors import Complaint, UnknownName

BRIEF = agency().field("Бриф").id
BRAND = agency().field("Клиент (бренд)").id
IVAN, HEAD = user("Иван Петров"), user("Елена Орлова")
NO_CHOICE = "NotSupportedChoice"
BODY: dict[str, Any] = {
    "name": "Ромашка",
    "pipeline_id": 1,
    "status_id": 2,
    "responsible_user_id": IVAN,
    "price": 100,
    "custom_fields_values": [
        {"field_id": BRAND, "values": [{"value": "Ромашка"}]},
        {"field_id": BRIEF, "values": [{"value": 5}]},
    ],
    "_embedded": {"tags": [{"name": "дорого"}], "contacts": [{"id": 7}, {"id": 8}]},
}


def left_of(*paths: str, kind: str = "create_deal", body: dict[str, Any] = BODY) -> Remainder | None:
    complaints = [Complaint(path, NO_CHOICE, "The value you selected is not a valid choice.") for path in paths]
    return remainder(kind, body, 30, complaints, agency(), lambda user_id: HEAD)


@pytest.mark.parametrize(
    ("path", "changed", "words"),
    [
        ("custom_fields_values.1.field_id", {"custom_fields_values": BODY["custom_fields_values"][:1]}, "поле Бриф"),
        ("custom_fields_values.1.values.0.value", {"custom_fields_values": BODY["custom_fields_values"][:1]}, "Бриф"),
        ("_embedded.contacts.0.id", {"_embedded": {**BODY["_embedded"], "contacts": [{"id": 8}]}}, "контакт 7"),
        ("_embedded.tags.0.name", {"_embedded": {"contacts": BODY["_embedded"]["contacts"]}}, "тег дорого"),
        ("responsible_user_id", {"responsible_user_id": HEAD}, "исполнитель Елена Орлова (за Иван Петров)"),
    ],
)
def test_the_named_part_is_left_out_and_the_rest_stays(path: str, changed: dict[str, Any], words: str) -> None:
    rest = left_of(path)
    assert rest is not None
    assert rest.body == BODY | changed
    assert words in rest.words


def test_several_parts_at_once_each_to_be_tried_again() -> None:
    rest = left_of("price", "custom_fields_values.0.field_id", "custom_fields_values.1.values.0.value")
    assert rest is not None
    assert "price" not in rest.body
    assert "custom_fields_values" not in rest.body
    assert [(effect.kind, effect.body) for effect in rest.left_out] == [
        ("patch_deal", {"id": NEW_ID, "price": 100}),
        ("patch_deal", {"id": NEW_ID, "custom_fields_values": [BODY["custom_fields_values"][0]]}),
        ("patch_deal", {"id": NEW_ID, "custom_fields_values": [BODY["custom_fields_values"][1]]}),
    ]


@pytest.mark.parametrize(
    ("kind", "body", "path"),
    [
        pytest.param("create_deal", BODY, "status_id", id="no stage, no deal"),
        pytest.param("create_deal", BODY, "custom_fields_values.9.field_id", id="a part that is not there"),
        pytest.param("patch_deal", {"id": 30, "custom_fields_values": BODY["custom_fields_values"][1:]},
                     "custom_fields_values.0.field_id", id="nothing would be left"),
        pytest.param("create_task", {"text": "Позвонить", "entity_id": 404}, "entity_id", id="a card that is gone"),
        pytest.param("add_note", {"entity_id": 404}, "entity_id", id="a kind without parts"),
        pytest.param("create_task", {"text": "", "responsible_user_id": HEAD}, "responsible_user_id",
                     id="nobody else is there"),
    ],
)  # fmt: skip
def test_what_an_object_can_not_do_without_is_refused_whole(kind: str, body: dict[str, Any], path: str) -> None:
    assert left_of(path, kind=kind, body=body) is None


def test_nobody_works_for_him() -> None:
    def nobody(user_id: int) -> int:
        raise UnknownName("пользователя", "Иван")

    complaint = Complaint("responsible_user_id", NO_CHOICE, "")
    assert remainder("create_deal", BODY, 30, [complaint], agency(), nobody) is None


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("custom_fields_values.1.field_id", NO_CHOICE, "поле Бриф: такого поля в amoCRM больше нет"),
        ("custom_fields_values.1.values.0.value", NO_CHOICE, "поле Бриф: такого значения у поля в amoCRM нет"),
        ("custom_fields_values.1.values.0.value", "InvalidType",
         "поле Бриф: такое значение amoCRM в это поле не записывает"),
        ("responsible_user_id", NO_CHOICE, "сотрудник, на которого это ставят, отключён или его нет"),
        ("status_id", NO_CHOICE, "такого этапа или такой воронки в amoCRM нет"),
        ("complete_till", "InvalidType", ""),
    ],
)  # fmt: skip
def test_why_in_russian(path: str, code: str, words: str) -> None:
    assert in_russian([Complaint(path, code, "…")], BODY, agency()) == words

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from amo_bridge.crm.records import EPOCH, ContactRecord, DealRecord, NoteRecord, TaskRecord

# Bodies as amoCRM's documents and captured answers have them.
DEAL: dict[str, Any] = json.loads("""
{"id":3912171,"name":"Example","price":12,"responsible_user_id":504141,"group_id":0,
 "status_id":143,"pipeline_id":3104455,"loss_reason_id":4203748,"source_id":null,
 "created_by":504141,"updated_by":504141,"created_at":1585299171,"updated_at":1590683337,
 "closed_at":1590683337,"closest_task_at":null,"is_deleted":false,"custom_fields_values":null,
 "score":null,"account_id":28805383,"labor_cost":null,"is_price_modified_by_robot":false,
 "_links":{"self":{"href":"https://example.amocrm.ru/api/v4/leads/3912171"}},
 "_embedded":{"tags":[{"id":100667,"name":"t","color":null}],
  "companies":[{"id":10971463,"_links":{}}],
  "contacts":[{"id":10971461,"is_main":false,"_links":{}},{"id":10971465,"is_main":true,"_links":{}}],
  "loss_reason":[{"id":4203748,"name":"Пропала потребность","sort":100000,"created_at":0,"updated_at":0,"_links":{}}],
  "catalog_elements":[{"id":525439,"metadata":{"quantity":1,"catalog_id":4521}}],
  "source":{"id":1876532,"name":"API"}}}
""")
FIELDS = [
    {"field_id": 1, "field_name": "Площадь", "field_type": "numeric", "values": [{"value": "120.5"}]},
    {"field_id": 2, "field_type": "checkbox", "values": [{"value": True}]},
    {"field_id": 3, "field_type": "date", "values": [{"value": 1577836800}]},
    {
        "field_id": 4,
        "field_type": "multiselect",
        "values": [{"value": "А", "enum_id": 17, "enum_code": None}, {"value": "Б", "enum_id": 18}],
    },
    {"field_id": 5, "field_type": "chained_list", "values": [{"catalog_id": 7, "catalog_element_id": 8}]},
]


def test_a_deal() -> None:
    deal = DealRecord.from_api({**DEAL, "custom_fields_values": FIELDS})
    assert deal == DealRecord(
        id=3912171,
        name="Example",
        price=12,
        responsible_user_id=504141,
        pipeline_id=3104455,
        status_id=143,
        loss_reason_id=4203748,
        loss_reason="Пропала потребность",
        created_by=504141,
        updated_by=504141,
        created_at=datetime(2020, 3, 27, 8, 52, 51, tzinfo=UTC),
        updated_at=datetime(2020, 5, 28, 16, 28, 57, tzinfo=UTC),
        closed_at=datetime(2020, 5, 28, 16, 28, 57, tzinfo=UTC),
        tags=("t",),
        contact_ids=(10971465, 10971461),
        main_contact_id=10971465,
        company_id=10971463,
        fields={
            1: ("120.5",),
            2: (True,),
            3: (1577836800,),
            4: ("А", "Б"),
            5: ({"catalog_id": 7, "catalog_element_id": 8},),
        },
    )


def test_a_deal_without_anything() -> None:
    bare: dict[str, Any] = {"tags": [], "companies": [], "contacts": [], "loss_reason": []}
    deal = DealRecord.from_api({**DEAL, "loss_reason_id": None, "closed_at": None, "_embedded": bare})
    assert (deal.fields, deal.tags, deal.contact_ids, deal.main_contact_id, deal.company_id) == ({}, (), (), None, None)
    assert (deal.loss_reason, deal.loss_reason_id, deal.closed_at) == (None, None, None)


def test_a_deleted_deal_tells_almost_nothing() -> None:
    row = {**dict.fromkeys(DEAL), "id": 1, "updated_at": 1590683337, "updated_by": 5, "is_deleted": True}
    deal = DealRecord.from_api(row)
    assert deal.is_deleted
    assert (deal.name, deal.price, deal.pipeline_id, deal.created_at, deal.contact_ids) == ("", 0, 0, EPOCH, ())


@pytest.mark.parametrize(
    "contact",
    [
        {"id": 2, "is_main": True},
        {"id": 2, "main_contact": True},
        {"id": 2, "metadata": {"main_contact": True}},
        {"id": "2", "is_main": 1},
    ],
)
def test_the_main_contact_by_any_of_its_marks(contact: dict[str, Any]) -> None:
    deal = DealRecord.from_api({"id": 1, "_embedded": {"contacts": [{"id": 1, "is_main": False}, contact, {"id": 3}]}})
    assert (deal.contact_ids, deal.main_contact_id) == ((2, 1, 3), 2)


@pytest.mark.parametrize("reason", [{"id": 5, "name": "Цена"}, [{"id": 5, "name": "Цена"}]])
def test_a_loss_reason_as_a_list_or_not(reason: Any) -> None:
    assert DealRecord.from_api({"id": 1, "_embedded": {"loss_reason": reason}}).loss_reason == "Цена"


@pytest.mark.parametrize("row", [{}, {"id": None}, {"id": 0}, {"id": "x"}])
def test_an_entity_must_have_an_id(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="without an id"):
        DealRecord.from_api(row)


def test_a_record_can_be_kept_as_json() -> None:
    deal = DealRecord.from_api({**DEAL, "custom_fields_values": FIELDS})
    kept = json.dumps(deal.to_json())
    assert DealRecord.from_json(json.loads(kept)) == deal
    older = {"id": 7, "name": "Из прошлой версии", "gone_since_then": 1}
    assert DealRecord.from_json(older) == DealRecord(id=7, name="Из прошлой версии")


TASK: dict[str, Any] = json.loads("""
{"id":7087,"created_by":3987910,"updated_by":3987910,"created_at":1575364000,"updated_at":1575364851,
 "responsible_user_id":123123,"group_id":0,"entity_id":167353,"entity_type":"leads","duration":0,
 "is_completed":true,"task_type_id":2,"text":"Позвонить","result":[],"complete_till":1575665940,"account_id":321321,
 "_links":{}}
""")


def test_a_task_with_and_without_a_result() -> None:
    task = TaskRecord.from_api(TASK)
    assert (task.result, task.deal_id, task.task_type_id, task.is_completed) == (None, 167353, 2, True)
    assert task.complete_till == datetime(2019, 12, 6, 20, 59, tzinfo=UTC)
    assert TaskRecord.from_api({**TASK, "result": {"text": "Дозвонился"}}).result == "Дозвонился"
    assert TaskRecord.from_api({**TASK, "entity_type": "contacts"}).deal_id is None
    assert TaskRecord.from_api({**TASK, "entity_type": None, "entity_id": None}).entity_id is None
    assert TaskRecord.from_json(json.loads(json.dumps(task.to_json()))) == task


def test_a_note() -> None:
    row = json.loads("""
    {"id":42709325,"entity_id":26050861,"created_by":940088,"updated_by":940088,"created_at":1540407495,
     "updated_at":1540408317,"responsible_user_id":939801,"group_id":0,"note_type":"common",
     "params":{"text":"…"},"account_id":17079858,"_links":{}}
    """)
    note = NoteRecord.from_api(row)
    assert (note.entity_id, note.note_type, note.text, note.created_by) == (26050861, "common", "…", 940088)
    assert NoteRecord.from_api({**row, "params": []}).text == ""


@pytest.mark.parametrize("mark", [{"enum_id": 1325512, "enum_code": "WORK"}, {"enum": "WORK"}])
def test_a_contact_with_phones(mark: dict[str, Any]) -> None:
    fields = [
        {"field_id": 1, "field_code": "PHONE", "values": [{"value": "5531987424967", **mark}, {"value": "+7 (999)"}]},
        {"field_id": 2, "field_code": "EMAIL", "values": [{"value": "a@b.ru", **mark}]},
        {"field_id": 3, "field_code": "POSITION", "values": [{"value": "Директор"}]},
    ]
    row = {
        "id": 9,
        "name": "Иван",
        "custom_fields_values": fields,
        "_embedded": {"leads": [{"id": 5}], "companies": []},
    }
    contact = ContactRecord.from_api(row)
    assert contact.phones == ("5531987424967", "+7 (999)")
    assert contact.emails == ("a@b.ru",)
    assert contact.deal_ids == (5,)
    assert contact.fields[3] == ("Директор",)

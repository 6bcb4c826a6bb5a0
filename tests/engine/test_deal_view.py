"""Fields that hold more than a text: told in people's words, carried as they were read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.fakes import URL, agency, record

from amo_bridge.crm.records import field_values
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.name_resolver import NameResolver
from amo_bridge.engine.people import People
from amo_bridge.rules.deal import Compound, as_text

FILE = {"file_uuid": "6da97e19", "version_uuid": "475abc88", "file_name": "бриф.docx", "file_size": 606942}
FIRM = {"name": "ООО «Ромашка»", "entity_type": 1, "vat_id": "7701234567"}
GOODS = {"sku": "A-1", "description": "Чай", "unit_price": 5, "quantity": 2, "unit_type": "шт"}
CHAIN = [{"catalog_id": 12, "catalog_element_id": 55}]
STREET = [{"value": "ул. Ленина, 5", "enum_id": 1, "enum_code": "address_line_1"},
          {"value": "Москва", "enum_id": 3, "enum_code": "city"}]  # fmt: skip

COMPOUND: list[tuple[str, list[dict[str, Any]], str, list[dict[str, Any]]]] = [
    ("legal_entity", [{"value": FIRM | {"kpp": None}}], "ООО «Ромашка», ИНН 7701234567", [{"value": FIRM}]),
    ("legal_entity", [{"value": {"name": "ИП Иванов"}}], "ИП Иванов", [{"value": {"name": "ИП Иванов"}}]),
    ("file", [{"value": FILE | {"is_deleted": False}}], "бриф.docx", [{"value": FILE}]),
    ("linked_entity", [{"value": {"name": "Сделка", "entity_id": 7, "entity_type": "leads", "catalog_id": None}}],
     "Сделка", [{"value": {"name": "Сделка", "entity_id": 7, "entity_type": "leads"}}]),
    ("linked_entity", [{"value": {"entity_id": 7, "entity_type": "leads"}}], "№ 7",
     [{"value": {"entity_id": 7, "entity_type": "leads"}}]),
    ("chained_list", CHAIN, "элемент 55 списка 12", CHAIN),
    ("items", [{"value": GOODS}], "Чай × 2 шт по 5", [{"value": GOODS}]),
    ("smart_address", STREET, "ул. Ленина, 5, Москва", STREET),
    ("payer", [{"value": {"title": "Ромашка", "more": {"a": 1}}}], "Ромашка",
     [{"value": {"title": "Ромашка", "more": {"a": 1}}}]),
]  # fmt: skip
FIELD = agency().field("Бриф")


def viewed(kind: str, values: list[dict[str, Any]]) -> tuple[Compound, NameResolver]:
    fields = tuple(replace(one, type=kind) if one.id == FIELD.id else one for one in agency().all_fields)
    account = replace(agency(), all_fields=fields)
    row = {"custom_fields_values": [{"field_id": FIELD.id, "field_type": kind, "values": values}]}
    deal = Viewer(account, URL).deal(replace(record(), fields=field_values(row)))
    value = deal.value("Бриф")
    assert isinstance(value, Compound)
    return value, NameResolver(account, People(account, {}), CalendarOptions().calendar("Europe/Moscow"))


@pytest.mark.parametrize(("kind", "values", "words", "written"), COMPOUND)
def test_it_is_told_in_words_and_carried_as_it_was(
    kind: str, values: list[dict[str, Any]], words: str, written: list[dict[str, Any]]
) -> None:
    value, names = viewed(kind, values)
    assert as_text(value) == str(value) == words
    assert names.field_value("Бриф", value) == {"field_id": FIELD.id, "values": written}
    assert "{" not in words


@pytest.mark.parametrize(("kind", "values", "words", "written"), COMPOUND)
def test_a_text_field_gets_its_words(
    kind: str, values: list[dict[str, Any]], words: str, written: list[dict[str, Any]]
) -> None:
    value, names = viewed(kind, values)
    assert names.field_value("Тема запроса", value)["values"] == [{"value": words}]


def test_parts_that_say_nothing_are_an_empty_field() -> None:
    with pytest.raises(AssertionError):
        viewed("legal_entity", [{"value": {"name": "", "vat_id": None}}])

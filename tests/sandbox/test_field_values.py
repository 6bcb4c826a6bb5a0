"""Every type of custom field: what it takes, how it comes back, what it refuses and with which error."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from support.sandbox_account import SandboxAccount

from amo_bridge.sandbox.account_file import FieldType

ENTITIES = ("leads", "contacts", "companies")
ENUMS = [{"value": "Да", "sort": 1, "code": "yes"}, {"value": "Нет", "sort": 2}]
SETTINGS: dict[str, dict[str, Any]] = {
    **{field_type: {"enums": ENUMS} for field_type in ("select", "multiselect", "radiobutton")},
    "category": {"nested": [{"value": "Да", "sort": 0}, {"value": "Нет", "sort": 1}]},
    "monetary": {"currency": "RUB"},
    "chained_list": {"chained_lists": [{"title": "Товар", "catalog_id": 1001, "parent_catalog_id": 0}]},
    "linked_entity": {"search_in": "contacts"},
}
COMPANY = {
    "name": "ООО «Рога и копыта»",
    "entity_type": 2,
    "vat_id": "123123123",
    "tax_registration_reason_code": 213,
    "address": "Москва",
    "kpp": "23123123",
    "external_uid": "uuid",
}
FILE = {"file_uuid": "3b454645", "version_uuid": "13db6652", "file_name": "wiki.odt", "file_size": 20763}
PERSON = {"name": "Иван Иванов", "entity_id": 24833339, "entity_type": "contacts", "catalog_id": None}
ELEMENT = {"catalog_id": 1001, "catalog_element_id": 12235}
LINE = {
    "sku": "34N4124",
    "description": "Описание товара",
    "unit_price": 10.5,
    "quantity": 2,
    "unit_type": "шт.",
    "discount": {"type": "amount", "value": 1},
    "vat_rate_id": 1,
    "external_uid": "uid",
}
SUMS = {"is_discount_recalculated": False, "is_total_sum_recalculated": False}
MIDNIGHT = 1_634_590_800
NAMED = ("value", "enum_id", "enum_code")


def plain(value: Any) -> list[dict[str, Any]]:
    return [{"value": value}]


TAKEN: tuple[tuple[str, list[dict[str, Any]], list[dict[str, Any]]], ...] = (
    ("text", plain("текст"), plain("текст")),
    ("textarea", plain("1\n2"), plain("1\n2")),
    ("url", plain("example.org"), plain("example.org")),
    ("streetaddress", plain("Николоямская, 28"), plain("Николоямская, 28")),
    ("tracking_data", plain("yandex"), plain("yandex")),
    ("numeric", plain(1.5), plain("1.5")),
    ("numeric", plain("1.5"), plain("1.5")),
    ("numeric", plain(5.0), plain("5")),
    ("price", plain(100), plain("100")),
    ("monetary", plain("99.90"), plain("99.90")),
    ("checkbox", plain(True), plain(True)),
    ("date", plain(1_634_601_600), plain(MIDNIGHT)),
    ("date", plain(1_634_601_600.0), plain(MIDNIGHT)),
    ("date", plain("2021-10-19T12:00:00+03:00"), plain(MIDNIGHT)),
    ("birthday", plain(1_634_601_600), plain(MIDNIGHT)),
    ("date_time", plain(1_634_601_601), plain(1_634_601_601)),
    ("date_time", plain("2021-10-19T03:00:01+03:00"), plain(1_634_601_601)),
    ("legal_entity", plain(COMPANY), plain(COMPANY)),
    ("legal_entity", plain({"name": "ИП Котов", "unknown": 1}), plain({"name": "ИП Котов"})),
    ("legal_entity", plain({"name": "ИП Котов", "kpp": None}), plain({"name": "ИП Котов", "kpp": None})),
    ("file", plain(FILE), plain({**FILE, "is_deleted": False})),
    ("linked_entity", plain(PERSON), plain(PERSON)),
    ("chained_list", [ELEMENT], [ELEMENT]),
    ("items", plain(LINE), plain({**LINE, **SUMS, "total_sum": 20.0})),
    ("payer", plain({"name": "Иван", "address": "Москва"}), plain({"name": "Иван", "address": "Москва"})),
    ("supplier", plain({"entity_id": 521717}), plain({"entity_id": 521717})),
    (
        "smart_address",
        [{"value": "Москва", "enum_code": "city"}, {"value": "RU", "enum_id": 6}],
        [
            {"value": "Москва", "enum_id": 3, "enum_code": "city"},
            {"value": "RU", "enum_id": 6, "enum_code": "country"},
        ],
    ),
)
REFUSED: tuple[tuple[str, Any, str, str], ...] = (
    ("text", plain(5), "0.value", "InvalidType"),
    ("text", plain("я" * 257), "0.value", "TooLong"),
    ("url", plain(["a"]), "0.value", "InvalidType"),
    ("streetaddress", plain({"city": "Москва"}), "0.value", "InvalidType"),
    ("tracking_data", plain(True), "0.value", "InvalidType"),
    ("numeric", plain("много"), "0.value", "InvalidType"),
    ("price", plain("дорого"), "0.value", "InvalidType"),
    ("monetary", plain("1 000"), "0.value", "InvalidType"),
    ("checkbox", plain("да"), "0.value", "InvalidType"),
    ("date", plain("19.10.2021"), "0.value", "InvalidFormat"),
    ("date", plain(1.5), "0.value", "InvalidType"),
    ("birthday", plain("2000-01-01"), "0.value", "InvalidFormat"),
    ("date_time", plain({}), "0.value", "InvalidType"),
    ("select", plain("Может быть"), "0.value", "NotSupportedChoice"),
    ("select", [{"enum_id": 1}], "0.enum_id", "NotSupportedChoice"),
    ("radiobutton", [{"enum_code": "maybe"}], "0.enum_code", "NotSupportedChoice"),
    ("radiobutton", [{"value": "Да"}, {"value": "Нет"}], "", "TooMany"),
    ("multiselect", [{"value": "Да"}, {"value": "Может быть"}], "1.value", "NotSupportedChoice"),
    ("category", plain("Может быть"), "0.value", "NotSupportedChoice"),
    ("select", [{}], "0.value", "FieldMissing"),
    ("smart_address", plain("Москва"), "0.enum_id", "FieldMissing"),
    ("smart_address", [{"value": "Москва", "enum_code": "town"}], "0.enum_code", "NotSupportedChoice"),
    ("smart_address", [{"value": "x", "enum_id": 1}] * 7, "", "TooMany"),
    ("legal_entity", plain("ООО «Ромашка»"), "0.value", "InvalidType"),
    ("legal_entity", plain({"vat_id": "1"}), "0.value.name", "FieldMissing"),
    ("legal_entity", plain({"name": ""}), "0.value.name", "NotBlank"),
    ("legal_entity", plain({"name": "А", "entity_type": 3}), "0.value.entity_type", "NotSupportedChoice"),
    ("legal_entity", plain({"name": "А", "kpp": ["1"]}), "0.value.kpp", "InvalidType"),
    ("legal_entity", [*plain(COMPANY), *plain(COMPANY)], "", "TooMany"),
    ("file", plain("бриф.docx"), "0.value", "InvalidType"),
    ("file", plain({"file_name": "бриф.docx"}), "0.value.file_uuid", "FieldMissing"),
    ("file", plain({"file_uuid": "nowhere"}), "0.value.file_uuid", "NotSupportedChoice"),
    ("file", plain({**FILE, "file_size": "20763"}), "0.value.file_size", "InvalidType"),
    ("linked_entity", plain("Иван"), "0.value", "InvalidType"),
    ("linked_entity", plain({"name": "Иван"}), "0.value.entity_id", "FieldMissing"),
    ("linked_entity", plain({**PERSON, "entity_type": "leads"}), "0.value.entity_type", "NotSupportedChoice"),
    ("linked_entity", plain({**PERSON, "entity_type": "catalog_elements"}), "0.value.catalog_id", "FieldMissing"),
    ("chained_list", plain("Товар"), "0.catalog_id", "FieldMissing"),
    ("chained_list", [{"catalog_id": 1001}], "0.catalog_element_id", "FieldMissing"),
    ("chained_list", [{**ELEMENT, "catalog_element_id": "12235"}], "0.catalog_element_id", "InvalidType"),
    ("chained_list", [ELEMENT] * 6, "", "TooMany"),
    ("chained_list", ["Товар"], "0", "InvalidType"),
    ("items", plain("Товар"), "0.value", "InvalidType"),
    ("items", plain({"unit_price": "10"}), "0.value.unit_price", "InvalidType"),
    ("items", plain({"discount": {"type": "gift"}}), "0.value.discount.type", "NotSupportedChoice"),
    ("payer", plain({"name": "Иван", "type": "человек"}), "0.value.type", "NotSupportedChoice"),
    ("supplier", plain({"name": "Мы"}), "0.value.entity_id", "FieldMissing"),
)


def make(account: SandboxAccount, entity: str, field_type: str) -> int:
    body = {"name": f"Поле {field_type}", "type": field_type, **SETTINGS.get(field_type, {})}
    answer = account.post(f"{entity}/custom_fields", [body])
    assert answer.status == 201, answer.raw.decode()
    return int(answer.json["_embedded"]["custom_fields"][0]["id"])


def test_the_tables_leave_no_type_out() -> None:
    """Phones and e-mails are the account's own, and their tests stand with the fields."""
    told = {row[0] for row in TAKEN} | set(SETTINGS)
    assert told | {"multitext"} == set(get_args(FieldType))
    assert {row[0] for row in REFUSED} | {"textarea", "multitext"} == set(get_args(FieldType))


@pytest.mark.parametrize(("field_type", "sent", "read"), TAKEN)
def test_what_a_type_takes_and_how_it_comes_back(
    account: SandboxAccount, field_type: str, sent: Any, read: Any
) -> None:
    for entity in ENTITIES:
        field_id = make(account, entity, field_type)
        (field,) = written(account, entity, {"field_id": field_id, "values": sent})
        assert (field["field_id"], field["field_type"], field["values"]) == (field_id, field_type, read)
        # What was read can be sent back, to another card too: rules carry values over.
        assert written(account, entity, field) == [field]


def written(account: SandboxAccount, entity: str, field: dict[str, Any]) -> Any:
    """``custom_fields_values`` of a new card as they are read."""
    answer = account.post(entity, [{"name": "А", "custom_fields_values": [field]}])
    assert answer.status == 200, answer.raw.decode()
    card_id = answer.json["_embedded"][entity][0]["id"]
    return account.get(f"{entity}/{card_id}").json["custom_fields_values"]


@pytest.mark.parametrize(("field_type", "sent", "path", "code"), REFUSED)
def test_what_a_type_refuses(account: SandboxAccount, field_type: str, sent: Any, path: str, code: str) -> None:
    for entity in ENTITIES:
        field = {"field_id": make(account, entity, field_type), "values": sent}
        answer = account.post(entity, [{"name": "А", "custom_fields_values": [field]}])
        place = "custom_fields_values.0.values" + (f".{path}" if path else "")
        assert (answer.status, answer.errors[0]) == (400, (place, code))
        assert answer.json["detail"] == "Request validation failed"
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("field_type", "named"),
    [
        *((kind, named) for kind in ("select", "radiobutton", "multiselect") for named in NAMED),
        *(("category", named) for named in NAMED if named != "enum_code"),  # its items have no codes
    ],
)
def test_an_option_is_named_by_text_id_or_code(account: SandboxAccount, field_type: str, named: str) -> None:
    field_id = make(account, "leads", field_type)
    enum = account.get(f"leads/custom_fields/{field_id}").json["enums"][0]
    wanted = {named: {"value": enum["value"], "enum_id": enum["id"], "enum_code": enum["code"]}[named]}
    lead_id = account.add_lead(custom_fields_values=[{"field_id": field_id, "values": [wanted]}])
    read = {"value": enum["value"], "enum_id": enum["id"], "enum_code": enum["code"]}
    assert account.value(lead_id, f"Поле {field_type}") == [read]


def test_a_smart_address_has_its_six_lines_from_the_start(account: SandboxAccount) -> None:
    field = account.get(f"leads/custom_fields/{make(account, 'leads', 'smart_address')}").json
    lines = ["address_line_1", "address_line_2", "city", "state", "zip", "country"]
    assert [(enum["id"], enum["code"]) for enum in field["enums"]] == list(enumerate(lines, 1))


def test_the_search_and_the_events_tell_an_object_by_its_name(account: SandboxAccount) -> None:
    field_id = make(account, "leads", "legal_entity")
    lead_id = account.add_lead(name="А")
    account.patch(f"leads/{lead_id}", {"custom_fields_values": [{"field_id": field_id, "values": plain(COMPANY)}]})
    assert account.get("leads?query=Рога").json["_embedded"]["leads"][0]["id"] == lead_id
    assert account.get("leads?query=vat_id").status == 204
    (event,) = account.get(f"events?filter[type]=custom_field_{field_id}_value_changed").json["_embedded"]["events"]
    assert event["value_after"][0]["custom_field_value"]["text"] == COMPANY["name"]


def test_a_file_of_the_account_needs_only_its_uuid(account: SandboxAccount) -> None:
    field_id = make(account, "leads", "file")
    session = account.call("POST", "/drive/v1.0/sessions", {"file_name": "бриф.txt", "file_size": 4}).json
    path = "/" + session["upload_url"].split("/", 3)[3]
    file = account.call("POST", path, raw=b"text").json
    value = plain({"file_uuid": file["uuid"]})
    lead_id = account.add_lead(custom_fields_values=[{"field_id": field_id, "values": value}])
    (read,) = account.value(lead_id, "Поле file")
    names = ("file_uuid", "version_uuid", "file_name", "file_size")
    assert [read["value"][name] for name in names] == [file["uuid"], file["version_uuid"], "бриф.txt", 4]


def test_an_element_of_a_known_list_must_be_in_it(account: SandboxAccount) -> None:
    catalog = account.post("catalogs", [{"name": "Товары"}]).json["_embedded"]["catalogs"][0]
    element = account.post(f"catalogs/{catalog['id']}/elements", [{"name": "Пост"}]).json["_embedded"]["elements"][0]
    field_id = make(account, "leads", "chained_list")
    value = {"catalog_id": catalog["id"], "catalog_element_id": element["id"]}
    lead_id = account.add_lead(custom_fields_values=[{"field_id": field_id, "values": [value]}])
    assert account.value(lead_id, "Поле chained_list") == [value]
    wrong = {"field_id": field_id, "values": [{**value, "catalog_element_id": 1}]}
    place = "custom_fields_values.0.values.0.catalog_element_id"
    assert account.post("leads", [{"custom_fields_values": [wrong]}]).errors == [(place, "NotSupportedChoice")]


def test_a_deleted_option_is_gone_from_the_cards_and_refused(account: SandboxAccount) -> None:
    field_id = make(account, "leads", "select")
    field = {"field_id": field_id, "values": plain("Да")}
    lead_id = account.add_lead(custom_fields_values=[field])
    left = [enum for enum in account.get(f"leads/custom_fields/{field_id}").json["enums"] if enum["value"] == "Нет"]
    assert account.patch(f"leads/custom_fields/{field_id}", {"enums": left}).status == 200
    assert account.lead(lead_id)["custom_fields_values"] is None
    place = "custom_fields_values.0.values.0.value"
    assert account.post("leads", [{"custom_fields_values": [field]}]).errors == [(place, "NotSupportedChoice")]

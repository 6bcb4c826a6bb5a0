"""Custom field values: each type as it is sent and as it comes back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.sandbox_account import SandboxAccount

MOSCOW = ZoneInfo("Europe/Moscow")


def sent(account: SandboxAccount, name: str, values: Any) -> Any:
    """What a lead's field holds after ``values`` were sent."""
    lead_id = account.add_lead(custom_fields_values=[{"field_id": account.field(name), "values": values}])
    return account.value(lead_id, name)


def refused(account: SandboxAccount, name: str, values: Any, entity: str = "leads") -> list[tuple[str, str]]:
    field = {"field_id": account.field(name, entity), "values": values}
    return [(path.removeprefix("custom_fields_values.0."), code) for path, code in account.post(
        entity, [{"custom_fields_values": [field]}]
    ).errors]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Клиент (бренд)", "Ромашка"),
        ("Бриф", "Строка\nи ещё одна"),
        ("Ссылка на КП", "https://example.org/кп"),
        ("Закрывающие документы получены", True),
        ("Дата первой встречи", 1_634_601_601),
        ("utm_source", "yandex"),
    ],
)
def test_plain_values_come_back_as_they_were_sent(account: SandboxAccount, name: str, value: Any) -> None:
    assert sent(account, name, [{"value": value}]) == [{"value": value}]


def test_a_number_comes_back_as_a_text(account: SandboxAccount) -> None:
    account.post("leads/custom_fields", [{"name": "Подписчиков", "type": "numeric"}])
    for value, read in ((5, "5"), (1.5, "1.5"), ("1.5", "1.5")):
        assert sent(account, "Подписчиков", [{"value": value}]) == [{"value": read}]
    assert refused(account, "Подписчиков", [{"value": "много"}]) == [("values.0.value", "InvalidType")]


def test_a_date_is_snapped_to_midnight_of_the_account(account: SandboxAccount) -> None:
    assert sent(account, "Дата дедлайна", [{"value": 1_634_601_600}]) == [{"value": 1_634_590_800}]
    late = datetime(2026, 3, 10, 23, 30, tzinfo=MOSCOW)
    midnight = int(datetime(2026, 3, 10, tzinfo=MOSCOW).timestamp())
    assert sent(account, "Дата дедлайна", [{"value": int(late.timestamp())}]) == [{"value": midnight}]
    assert sent(account, "Дата дедлайна", [{"value": midnight}]) == [{"value": midnight}]


def test_a_moment_may_be_rfc_3339(account: SandboxAccount) -> None:
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert sent(account, "Дата первой встречи", [{"value": noon.isoformat()}]) == [{"value": int(noon.timestamp())}]
    assert refused(account, "Дата дедлайна", [{"value": "10.03.2026"}]) == [("values.0.value", "InvalidFormat")]


def test_a_select_is_named_by_text_or_by_id_and_read_with_both(account: SandboxAccount) -> None:
    (by_text,) = sent(account, "Тип оплаты", [{"value": "Предоплата"}])
    assert by_text.keys() == {"value", "enum_id", "enum_code"}
    assert sent(account, "Тип оплаты", [{"enum_id": by_text["enum_id"]}]) == [by_text]


def test_an_unknown_option_is_refused_and_not_made(account: SandboxAccount) -> None:
    assert refused(account, "Тип оплаты", [{"value": "Бартер"}]) == [("values.0.value", "NotSupportedChoice")]
    assert refused(account, "Тип оплаты", [{"enum_id": 1}]) == [("values.0.enum_id", "NotSupportedChoice")]


def test_a_single_field_takes_no_two_values_and_a_multiselect_does(account: SandboxAccount) -> None:
    two = [{"value": "клиент"}, {"value": "блогер"}]
    field = {"field_id": account.field("Классификация", "contacts"), "values": two}
    contact_id = account.add_contact(custom_fields_values=[field])
    (read,) = account.get(f"contacts/{contact_id}").json["custom_fields_values"]
    assert [item["value"] for item in read["values"]] == ["клиент", "блогер"]
    assert refused(account, "Тип оплаты", [{"value": "Предоплата"}, {"value": "Постоплата"}]) == [("values", "TooMany")]


def test_phones_are_kept_as_typed_with_their_kind(account: SandboxAccount) -> None:
    phones = [{"value": "8 (900) 1-2-3", "enum_code": "MOB"}, {"value": "123"}]
    contact_id = account.add_contact(custom_fields_values=[{"field_code": "PHONE", "values": phones}])
    (read,) = account.get(f"contacts/{contact_id}").json["custom_fields_values"]
    assert (read["field_code"], read["field_type"]) == ("PHONE", "multitext")
    assert [(item["value"], item["enum_code"]) for item in read["values"]] == [
        ("8 (900) 1-2-3", "MOB"),
        ("123", "WORK"),
    ]


@pytest.mark.parametrize("value", ["да", 1, None])
def test_a_checkbox_is_a_bool(account: SandboxAccount, value: Any) -> None:
    wrong = refused(account, "Закрывающие документы получены", [{"value": value}])
    assert wrong == [("values.0.value", "InvalidType")]


def test_wrong_types_and_unknown_fields_are_named(account: SandboxAccount) -> None:
    assert refused(account, "Клиент (бренд)", [{"value": 5}]) == [("values.0.value", "InvalidType")]
    assert refused(account, "Клиент (бренд)", "текст") == [("values", "InvalidType")]
    assert refused(account, "Клиент (бренд)", []) == [("values", "NotBlank")]
    answer = account.post("leads", [{"custom_fields_values": [{"field_id": 1, "values": [{"value": "x"}]}]}])
    assert answer.errors == [("custom_fields_values.0.field_id", "NotSupportedChoice")]


def test_a_patch_replaces_one_field_whole_and_null_clears_it(account: SandboxAccount) -> None:
    brand, product = account.field("Клиент (бренд)"), account.field("Основной продукт")
    both = [{"field_id": field, "values": [{"value": "а"}]} for field in (brand, product)]
    lead_id = account.add_lead(custom_fields_values=both)
    account.patch(f"leads/{lead_id}", {"custom_fields_values": [{"field_id": brand, "values": [{"value": "б"}]}]})
    assert account.value(lead_id, "Клиент (бренд)") == [{"value": "б"}]
    assert account.value(lead_id, "Основной продукт") == [{"value": "а"}]
    clear = [{"field_id": field, "values": None} for field in (brand, product)]
    account.patch(f"leads/{lead_id}", {"custom_fields_values": clear})
    assert account.lead(lead_id)["custom_fields_values"] is None


def test_fields_are_listed_fifty_a_page(account: SandboxAccount) -> None:
    before = account.get("leads/custom_fields").json["_total_items"]
    extra = [{"name": f"Поле {number}", "type": "text"} for number in range(51 - before)]
    assert account.post("leads/custom_fields", extra).status == 201
    page = account.get("leads/custom_fields").json
    assert (page["_total_items"], len(page["_embedded"]["custom_fields"])) == (51, 50)
    assert len(account.get("leads/custom_fields?page=2").json["_embedded"]["custom_fields"]) == 1


def test_a_renamed_option_is_renamed_in_the_leads(account: SandboxAccount) -> None:
    field_id = account.field("Тип оплаты")
    (value,) = sent(account, "Тип оплаты", [{"value": "Предоплата"}])
    enums = account.get(f"leads/custom_fields/{field_id}").json["enums"]
    renamed = [{**enum, "value": "Аванс"} if enum["id"] == value["enum_id"] else enum for enum in enums]
    assert account.patch(f"leads/custom_fields/{field_id}", {"name": "Оплата", "enums": renamed}).status == 200
    (lead,) = account.get("leads").json["_embedded"]["leads"]
    (field,) = lead["custom_fields_values"]
    assert (field["field_name"], field["values"][0]["value"]) == ("Оплата", "Аванс")


def test_a_deleted_field_is_gone_from_the_leads(account: SandboxAccount) -> None:
    field_id = account.field("Клиент (бренд)")
    sent(account, "Клиент (бренд)", [{"value": "а"}])
    assert account.call("DELETE", f"leads/custom_fields/{field_id}").status == 204
    assert account.get("leads").json["_embedded"]["leads"][0]["custom_fields_values"] is None
    assert account.get(f"leads/custom_fields/{field_id}").status == 404

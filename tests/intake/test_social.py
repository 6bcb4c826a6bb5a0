"""VK communities, VK Ads and Meta: messages and lead forms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.vendor_requests import SECRETS, enquiry_in, hmac_sha256, post, reason_in

from amo_bridge.intake.model import Enquiry, NoEnquiry
from amo_bridge.intake.reception import VENDORS, Reception
from amo_bridge.intake.request import VendorRequest, VendorSettings


def vk(kind: str, document: Any) -> Reception:
    envelope = {"type": kind, "group_id": 2, "event_id": "e1", "v": "5.199", "object": document}
    return post("vk", {**envelope, "secret": SECRETS["vk_secret"]})


def vk_message(**message: Any) -> Reception:
    return vk("message_new", {"message": {"from_id": 300, "peer_id": 300, "out": 0, "text": "", **message}})


def test_a_message_to_the_community() -> None:
    enquiry = enquiry_in(vk_message(text="Нужен таргет. +7 900 000-00-61", ref="d1"))
    assert (enquiry.source, enquiry.key, enquiry.phones) == ("vk", "e1", ("+79000000061",))
    assert (enquiry.name, enquiry.profile, enquiry.link_param) == (None, "https://vk.com/id300", "d1")


def test_a_message_as_older_versions_send_it() -> None:
    body = {
        "type": "message_new",
        "object": {"id": 7, "user_id": 300, "body": "Привет"},
        "secret": SECRETS["vk_secret"],
    }
    enquiry = enquiry_in(post("vk", body))
    assert (enquiry.key, enquiry.text, enquiry.profile) == ("message:300:7", "Привет", "https://vk.com/id300")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"attachments": [{"type": "photo", "photo": {}}]}, "Вложение: фотография"),
        ({"attachments": [{"type": "doc", "doc": {"title": "бриф.docx", "url": "https://d/1"}}]}, "бриф.docx"),
        ({"attachments": [{"type": "новое"}]}, "Вложение: новое"),
        ({"fwd_messages": [{"text": "Смотрите"}]}, "Пересланное: Смотрите"),
        ({}, "Сообщение без слов"),
    ],
)
def test_a_message_without_words_has_a_note(message: dict[str, Any], text: str) -> None:
    assert text in enquiry_in(vk_message(**message)).text


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"out": 1, "text": "а"}, "от самого сообщества"),
        ({"peer_id": 2_000_000_001, "text": "а"}, "беседа"),
        ({"from_id": -5, "peer_id": -5, "text": "а"}, "пишет сообщество"),
        ({"text": "Начать", "payload": '{"command":"start"}'}, "«Начать»"),
    ],
)
def test_what_is_no_enquiry_in_vk(message: dict[str, Any], words: str) -> None:
    assert words in reason_in(vk_message(**message))


@pytest.mark.parametrize("kind", ["message_reply", "group_join", "wall_post_new", "message_allow", "новое"])
def test_other_events_are_answered_ok(kind: str) -> None:
    reception = vk(kind, {})
    assert (reception.answer.body, kind in reason_in(reception)) == ("ok", True)


def test_a_lead_form_of_the_community() -> None:
    answers = [
        {"key": "first_name", "question": "Имя", "answer": "Софья"},
        {"key": "last_name", "question": "Фамилия", "answer": {"value": "Тестова"}},
        {"key": "patronymic_name", "question": "Отчество", "answer": "Ивановна"},
        {"key": "phone_number", "question": "Телефон", "answer": "8 900 000-00-62"},
        {"key": "email", "question": "E-mail", "answer": "Sofya@example.com"},
        {
            "key": "custom_0",
            "question": "Что?",
            "answer": [{"key": "a", "value": "Салон"}, {"key": "b", "value": "Бар"}],
        },
        {"key": "custom_1", "question": "Что?", "answer": "Кафе"},
    ]
    lead = {"lead_id": 5501, "user_id": 300, "form_name": "Расчёт", "ad_id": 777, "answers": answers}
    enquiry = enquiry_in(vk("lead_forms_new", lead))
    assert (enquiry.key, enquiry.name) == ("lead:5501", "Софья Ивановна Тестова")
    assert (enquiry.phones, enquiry.emails) == (("+79000000062",), ("sofya@example.com",))
    assert enquiry.text == "Форма «Расчёт»\nЧто?: Салон, Бар\nЧто? (custom_1): Кафе"
    assert enquiry.extra == {"ad_id": "777"}


# --- VK Ads ------------------------------------------------------------------------------------------------------

LEAD = {
    "id": 4, "form_id": 19, "banner_id": 2, "created_at": "2026-11-29 08:29:58.26 +0000 UTC",
    "answers": [
        {"question_text": "Ниша", "answer_text": "Стоматология", "answer_options": []},
        {"question_text": "Где", "answer_text": "", "answer_options": [{"text": "VK"}, {"text": "Дзен"}]},
    ],
    "contact_info": {"first_name": "Роман", "phone": "+79000000071", "email": "R@example.com", "city": "Тверь"},
}  # fmt: skip


@pytest.mark.parametrize("resource", ["LEAD", "OKLEADAD", "lead"])
def test_a_lead_of_vk_ads(resource: str) -> None:
    enquiry = enquiry_in(post("vkads", {"id": "07c0", "resource_id": 4, "resource": resource, "data": LEAD}))
    assert (enquiry.key, enquiry.name, enquiry.phones) == ("lead:4", "Роман", ("+79000000071",))
    assert enquiry.emails == ("r@example.com",)
    assert enquiry.text == "Лид-форма VK Рекламы\nНиша: Стоматология\nГде: VK, Дзен\nГород: Тверь"


@pytest.mark.parametrize(
    "document", [{"id": "1", "resource": "BANNER", "data": {"id": 1}}, {"resource": "LEAD", "id": "2"}]
)
def test_what_is_no_lead(document: dict[str, Any]) -> None:
    assert reason_in(post("vkads", document))


def fetched(vendor: str, body: bytes | str | dict[str, Any], kind: str = "application/json") -> list[Any]:
    raw = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    request = VendorRequest("GET", raw, headers={"Content-Type": kind})
    return list(VENDORS[vendor].parse(request, VendorSettings()))


def test_a_list_is_read_oldest_first_and_by_the_same_keys() -> None:
    items = [{**LEAD, "id": 6, "created_at": "2026-11-29 11:40:00"}, {**LEAD, "created_at": "2026-11-29 11:29:58"}]
    assert [lead.key for lead in fetched("vkads", {"count": 2, "items": items})] == ["lead:4", "lead:6"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_the_cabinets_csv(encoding: str, separator: str) -> None:
    rows = [
        "Время лида;ID Кампании;ID Объявления;Имя;Телефон;Ниша",
        "2026-11-29 11:00;1;2;Белла;89000000072;Кафе",
        ";;;;;",
    ]
    lead, empty = fetched("vkads", "\n".join(rows).replace(";", separator).encode(encoding), "text/csv")
    assert isinstance(lead, Enquiry)
    assert (lead.name, lead.phones, lead.text) == ("Белла", ("+79000000072",), "Лид-форма VK Рекламы\nНиша: Кафе")
    assert lead.extra == {"ad_plan_id": "1", "banner_id": "2", "created_at": "2026-11-29T08:00"}
    assert isinstance(empty, NoEnquiry)


def test_another_table_is_told_to_be_none_of_vk_ads() -> None:
    reception = post("vkads", "Товар;Цена\nСтол;5", kind="text/csv")
    assert reception.kind == "broken"


# --- Meta --------------------------------------------------------------------------------------------------------


def meta(vendor: str, *entries: dict[str, Any]) -> Reception:
    body = json.dumps({"object": "page", "entry": list(entries)}).encode()
    return post(
        vendor, body, headers={"X-Hub-Signature-256": f"sha256={hmac_sha256(SECRETS['meta_app_secret'], body)}"}
    )


def test_meta_is_off_unless_somebody_switches_it_on_and_says_why() -> None:
    assert "запрещена" in VENDORS["meta_leadgen"].law
    assert "запрещена" in VENDORS["messenger"].law
    assert not [
        vendor.name for vendor in VENDORS.values() if vendor.law and vendor.name not in ("meta_leadgen", "messenger")
    ]


def test_a_leads_answers_are_fetched_by_its_number() -> None:
    changes = [{"field": "leadgen", "value": {"leadgen_id": 15, "form_id": "13"}}, {"field": "feed", "value": {}}]
    more = [{"field": "leadgen", "value": {"leadgen_id": "16"}}]
    first, other, second = meta("meta_leadgen", {"changes": changes}, {"changes": more}).outcomes
    assert isinstance(first, Enquiry)
    assert isinstance(second, Enquiry)
    assert isinstance(other, NoEnquiry)
    assert (first.key, first.fetch) == ("leadgen:15", "GET /v25.0/15")
    assert second.key == "leadgen:16"


def test_the_answers_of_graph() -> None:
    data = [
        {"name": "full_name", "values": ["Дарья Тестова"]},
        {"name": "work_email", "values": ["D@example.com"]},
        {"name": "phone_number", "values": ["+79000000081"]},
        {"name": "что_рекламируем?", "values": ["Кофейня", "Бар"]},
    ]
    (enquiry,) = fetched("meta_leadgen", {"id": "15", "ad_name": "Осень", "field_data": data})
    assert (enquiry.key, enquiry.name, enquiry.emails) == ("leadgen:15", "Дарья Тестова", ("d@example.com",))
    assert enquiry.text == "Лид-форма Meta\nчто рекламируем?: Кофейня, Бар\nОбъявление: Осень"


def test_a_test_lead_is_none() -> None:
    data = [{"name": "full_name", "values": ["<test lead: dummy data for full_name>"]}]
    (outcome,) = fetched("meta_leadgen", {"id": "15", "field_data": data})
    assert isinstance(outcome, NoEnquiry)


def messenger(**event: Any) -> Reception:
    return meta("messenger", {"messaging": [{"sender": {"id": "16"}, "timestamp": 1, **event}]})


def test_a_message_to_the_page() -> None:
    enquiry = enquiry_in(messenger(message={"mid": "m_1", "text": "Сколько? 89000000081"}))
    assert (enquiry.source, enquiry.key, enquiry.phones) == ("messenger", "m_1", ("+79000000081",))
    assert enquiry.fetch == "GET /v25.0/16"


@pytest.mark.parametrize("event", [
    {"message": {"mid": "m", "is_echo": True, "text": "а"}}, {"read": {"watermark": 1}}, {"delivery": {"mids": ["m"]}},
    {"postback": {"mid": "m", "title": "Начать", "payload": "GET_STARTED"}},
])  # fmt: skip
def test_what_is_no_enquiry_in_messenger(event: dict[str, Any]) -> None:
    assert reason_in(messenger(**event))


@pytest.mark.parametrize("event", [
    {"postback": {"mid": "m", "title": "Начать", "referral": {"ref": "d1"}}}, {"referral": {"ref": "d1"}},
])  # fmt: skip
def test_a_link_tells_who_came_by_it(event: dict[str, Any]) -> None:
    (outcome,) = messenger(**event).outcomes
    assert isinstance(outcome, NoEnquiry)
    assert outcome.link_param == "d1"

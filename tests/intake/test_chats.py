"""Jivo, Telegram, MAX and Viber: who is a client, what he says, whose phone is trusted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.vendor_requests import SECRETS, call_in, enquiry_in, hmac_sha256, post, reason_in

from amo_bridge.intake.model import Enquiry, NoEnquiry, enquiry_of_call
from amo_bridge.intake.reception import Reception

VISITOR = {"name": "Алина", "phone": "8 900 000-00-51", "email": "Alina@Example.com"}
MASKED = "<Message text is not displayed here>"


def jivo(event: str, **more: Any) -> Reception:
    return post("jivo", {"event_name": event, "widget_id": "9", "chat_id": 7, "visitor": VISITOR, **more})


def test_a_message_left_offline_is_an_enquiry() -> None:
    session = {"utm_json": {"source": "yandex", "campaign": "brand", "term": None}}
    enquiry = enquiry_in(jivo("offline_message", message="Ответьте", offline_message_id=5, session=session))
    assert (enquiry.source, enquiry.key, enquiry.name) == ("jivo", "offline:5", "Алина")
    assert (enquiry.phones, enquiry.emails) == (("+79000000051",), ("alina@example.com",))
    assert (enquiry.text, dict(enquiry.utm)) == ("Ответьте", {"utm_source": "yandex", "utm_campaign": "brand"})


def test_marks_of_the_older_kind() -> None:
    enquiry = enquiry_in(
        jivo("offline_message", message="а", session={"utm": "source=ya|medium=cpc", "utm_json": None})
    )
    assert dict(enquiry.utm) == {"utm_source": "ya", "utm_medium": "cpc"}


@pytest.mark.parametrize(("plain", "text"), [("Сколько стоит?", "Сколько стоит?"), ("", "текст скрыт")])
def test_a_masked_text(plain: str, text: str) -> None:
    assert enquiry_in(jivo("offline_message", message=MASKED, plain_messages=plain)).text == text
    talk = {"messages": [{"message": MASKED, "type": "visitor"}]}
    assert enquiry_in(jivo("chat_finished", chat=talk, plain_messages=plain)).text == text


def test_a_finished_chat_is_told_whole() -> None:
    messages = [{"message": "Сколько?", "type": "visitor"}, {"message": "30 000", "type": "agent"}]
    enquiry = enquiry_in(jivo("chat_finished", chat={"messages": messages}))
    assert (enquiry.key, enquiry.text) == ("chat:9:7", "Клиент: Сколько?\nОператор: 30 000")


def test_a_phone_that_the_visitor_typed_counts_and_the_operators_does_not() -> None:
    messages = [{"message": "мой 89000000052", "type": "visitor"}, {"message": "наш 8 495 123-45-67", "type": "agent"}]
    enquiry = enquiry_in(jivo("chat_finished", visitor={"name": "А"}, chat={"messages": messages}))
    assert enquiry.phones == ("+79000000052",)


@pytest.mark.parametrize(
    ("event", "more", "words"),
    [
        ("chat_finished", {"visitor": {"name": "А"}, "chat": {"messages": []}}, "ни телефона, ни почты"),
        ("chat_finished", {"chat": {"blacklisted": True}}, "в чёрном списке"),
        ("chat_accepted", {}, "чат идёт"),
        ("chat_updated", {}, "чат идёт"),
        ("call_event", {"call": {"type": "incoming", "status": "start"}}, "звонок идёт"),
        ("client_updated", {}, "не обращение"),
        ("created_deal", {}, "не обращение"),
    ],
)
def test_what_is_no_enquiry(event: str, more: dict[str, Any], words: str) -> None:
    assert words in reason_in(jivo(event, **more))


def test_the_event_whose_sample_is_broken_is_never_parsed() -> None:
    reception = post("jivo", b'{"event_name": "client_attribute_updated", , }', kind="application/json")
    assert (reception.answer.body, reception.kind) == ('{"result": "ok"}', "accepted")


@pytest.mark.parametrize(
    ("call", "direction", "talked", "words"),
    [
        ({"type": "callback", "status": "end", "record_url": "https://r/1.mp3"}, "in", True, "https://r/1.mp3"),
        ({"type": "incoming", "status": "error", "reason": "busy"}, "in", False, "Пропущенный звонок"),
        ({"type": "outgoing", "status": "end"}, "out", True, ""),
    ],
)
def test_a_call_of_the_widget(call: dict[str, str], direction: str, talked: bool, words: str) -> None:
    heard = call_in(jivo("call_event", call={"phone": "79000000051", **call}))
    assert (heard.direction, heard.talked, heard.phone) == (direction, talked, "+79000000051")
    enquiry = enquiry_of_call(heard)
    assert (enquiry is None) == (direction == "out")
    assert enquiry is None or (words in enquiry.text and enquiry.name == "Алина")


# --- Telegram ----------------------------------------------------------------------------------------------------

MARK = {"id": 4, "first_name": "Марк", "last_name": "Тестов", "username": "mark_test"}


def telegram(chat: str = "private", sender: Any = MARK, **message: Any) -> Reception:
    update = {"update_id": 9, "message": {"message_id": 1, "from": sender, "chat": {"id": 4, "type": chat}, **message}}
    return post("telegram", update, headers={"x-telegram-bot-api-secret-token": SECRETS["telegram_secret_token"]})


def test_a_private_message_is_an_enquiry() -> None:
    enquiry = enquiry_in(telegram(text="Хочу рекламу, 8 900 000-00-91, M@example.com"))
    assert (enquiry.source, enquiry.key, enquiry.name) == ("telegram", "update:9", "Марк Тестов")
    assert (enquiry.phones, enquiry.emails) == (("+79000000091",), ("m@example.com",))
    assert enquiry.profile == "https://t.me/mark_test"


@pytest.mark.parametrize("number", ["79000000091", "+79000000091", "89000000091"])
def test_ones_own_contact_is_trusted(number: str) -> None:
    enquiry = enquiry_in(telegram(contact={"phone_number": number, "first_name": "Марк", "user_id": 4}))
    assert (enquiry.phones, enquiry.text) == (("+79000000091",), "Прислан номер телефона")


@pytest.mark.parametrize("user", [{"user_id": 5}, {}])
def test_somebody_elses_contact_is_only_words(user: dict[str, int]) -> None:
    enquiry = enquiry_in(telegram(contact={"phone_number": "79000000091", "first_name": "Пётр", **user}))
    assert (enquiry.phones, enquiry.text) == ((), "Прислан чужой контакт: Пётр 79000000091")


def test_a_picture_with_words() -> None:
    enquiry = enquiry_in(telegram(caption="вот", photo=[{"file_id": "small"}, {"file_id": "big"}]))
    assert (enquiry.text, [file.url for file in enquiry.files]) == ("вот\nВложение: фотография", ["big"])


def test_a_document_is_named() -> None:
    assert "бриф.docx" in enquiry_in(telegram(document={"file_id": "a", "file_name": "бриф.docx"})).text


def test_halves_of_letters_and_zeros_are_left_out() -> None:
    assert enquiry_in(telegram(text="да\x00 \ud83d\ude00 \ud83d")).text == "да 😀"


def test_a_start_tells_by_which_link_he_came() -> None:
    (start,) = telegram(text="/start d12345").outcomes
    assert isinstance(start, NoEnquiry)
    assert (start.link_param, start.profile) == ("d12345", "https://t.me/mark_test")


@pytest.mark.parametrize(
    ("reception", "words"),
    [
        (lambda: telegram(chat="group", text="а"), "группа"),
        (lambda: telegram(sender={"id": 1, "is_bot": True}, text="а"), "бот"),
        (lambda: telegram(new_chat_title="а"), "служебное"),
        (lambda: telegram(text="/start"), "запустили"),
    ],
)
def test_what_is_no_enquiry_in_telegram(reception: Any, words: str) -> None:
    assert words in reason_in(reception())


@pytest.mark.parametrize("kind", ["edited_message", "callback_query", "my_chat_member", "channel_post"])
def test_other_updates_are_no_enquiries(kind: str) -> None:
    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRETS["telegram_secret_token"]}
    assert kind in reason_in(post("telegram", {"update_id": 1, kind: {"text": "а"}}, headers=headers))


# --- MAX ---------------------------------------------------------------------------------------------------------

NINA = {"user_id": 5, "first_name": "Нина", "last_name": "Тестова", "is_bot": False}
CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nTEL;TYPE=cell:79000000099\r\nFN:Нина\r\nEND:VCARD"


def max_update(chat: str = "dialog", sender: Any = NINA, **body: Any) -> Reception:
    message = {"sender": sender, "recipient": {"chat_id": 6, "chat_type": chat}, "body": {"mid": "mid.1", **body}}
    return max_event({"update_type": "message_created", "message": message})


def max_event(document: dict[str, Any]) -> Reception:
    return post("max", document, headers={"X-Max-Bot-Api-Secret": SECRETS["max_secret"]})


def test_a_message_in_max() -> None:
    enquiry = enquiry_in(max_update(text="Нужна реклама"))
    assert (enquiry.source, enquiry.key, enquiry.name, enquiry.text) == (
        "max",
        "mid.1",
        "Нина Тестова",
        "Нужна реклама",
    )


@pytest.mark.parametrize(("info", "phones"), [
    ({"user_id": 5}, ("+79000000099",)), ({"user": {"user_id": 5}}, ("+79000000099",)), ({"user_id": 6}, ()), ({}, ()),
])  # fmt: skip
def test_only_ones_own_card_is_trusted(info: dict[str, Any], phones: tuple[str, ...]) -> None:
    attachments = [{"type": "contact", "payload": {"vcf_info": CARD, "max_info": info}}]
    enquiry = enquiry_in(max_update(text=None, attachments=attachments))
    assert enquiry.phones == phones
    assert phones or enquiry.text == "Прислан чужой контакт: Нина 79000000099"


def test_a_picture_in_max() -> None:
    attachments = [{"type": "image", "payload": {"url": "https://i/1.jpg"}}]
    assert enquiry_in(max_update(text=None, attachments=attachments)).text == "Вложение: изображение"


def test_a_bots_start_tells_by_which_link() -> None:
    (start,) = max_event({"update_type": "bot_started", "user": NINA, "payload": "d1", "chat_id": 6}).outcomes
    assert isinstance(start, NoEnquiry)
    assert start.link_param == "d1"


@pytest.mark.parametrize(
    ("reception", "words"),
    [
        (lambda: max_update(chat="chat", text="а"), "чат"),
        (lambda: max_update(sender={"user_id": 1, "is_bot": True}, text="а"), "бот"),
        (lambda: max_event({"update_type": "message_callback", "callback": {}}), "message_callback"),
        (lambda: max_event({"update_type": "bot_stopped"}), "bot_stopped"),
    ],
)
def test_what_is_no_enquiry_in_max(reception: Any, words: str) -> None:
    assert words in reason_in(reception())


# --- Viber -------------------------------------------------------------------------------------------------------


def viber(event: str = "message", **more: Any) -> Reception:
    document = {"event": event, "message_token": 5800000000000000003, "sender": {"id": "a=", "name": "Юлия"}, **more}
    body = json.dumps(document).encode()
    return post("viber", body, headers={"X-Viber-Content-Signature": hmac_sha256(SECRETS["viber_token"], body)})


def viber_enquiry(**message: Any) -> Enquiry:
    return enquiry_in(viber(message=message))


def test_a_number_beyond_a_float_is_kept_whole() -> None:
    assert viber_enquiry(type="text", text="Здравствуйте!").key == "token:5800000000000000003"


@pytest.mark.parametrize(("name", "phones"), [("", ("+79000000095",)), ("Юлия", ("+79000000095",)), ("Пётр", ())])
def test_a_contact_in_viber(name: str, phones: tuple[str, ...]) -> None:
    assert viber_enquiry(type="contact", contact={"name": name, "phone_number": "79000000095"}).phones == phones


def test_a_picture_in_viber() -> None:
    enquiry = viber_enquiry(type="picture", media="https://m/1.jpg")
    assert (enquiry.text, [file.url for file in enquiry.files]) == ("Вложение: изображение", ["https://m/1.jpg"])


@pytest.mark.parametrize("event", ["delivered", "seen", "failed", "subscribed", "unsubscribed", "conversation_started"])
def test_what_is_no_enquiry_in_viber(event: str) -> None:
    assert "не обращение" in reason_in(viber(event))


def test_news_of_a_message_is_not_the_message() -> None:
    assert viber("delivered").key != viber(message={"type": "text", "text": "а"}).key

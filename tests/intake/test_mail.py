"""Letters: a client's, the site's form mailer's, a machine's, a colleague's, an answer to one of ours."""

from __future__ import annotations

import pytest

from amo_bridge.intake.mail import of_mail
from amo_bridge.intake.model import DeliveryStatus, Enquiry, NoEnquiry, Outcome
from amo_bridge.intake.request import VendorRequest, VendorSettings


def read(text: str | bytes, encoding: str = "utf-8", **settings: tuple[str, ...]) -> Outcome:
    raw = text if isinstance(text, bytes) else text.encode(encoding)
    (outcome,) = of_mail(VendorRequest("(IMAP)", raw), VendorSettings(**settings))
    return outcome


def enquiry(text: str | bytes, encoding: str = "utf-8") -> Enquiry:
    outcome = read(text, encoding)
    assert isinstance(outcome, Enquiry)
    return outcome


def reason(text: str, **settings: tuple[str, ...]) -> str:
    outcome = read(text, **settings)
    assert isinstance(outcome, NoEnquiry)
    return outcome.reason


def letter(words: str, *headers: str, sender: str = "Зоя Тестова <Zoya@example.com>") -> str:
    first = [f"From: {sender}", "To: info@agency.example", "Subject: Реклама", "Message-ID: <a1@mail.example.com>"]
    kind = [] if any("Content-Type" in one for one in headers) else ["Content-Type: text/plain; charset=utf-8"]
    return "\n".join([*first, *kind, *headers, "", words])


def test_a_clients_letter() -> None:
    found = enquiry(letter("Нужна реклама, мой телефон 8 900 000-01-31."))
    assert (found.source, found.key, found.name) == ("mail", "<a1@mail.example.com>", "Зоя Тестова")
    assert (found.phones, found.emails) == (("+79000000131",), ("zoya@example.com",))
    assert found.text.startswith("Тема: Реклама\nНужна реклама")


@pytest.mark.parametrize("encoding", ["koi8-r", "cp1251", "utf-8"])
def test_letters_in_every_encoding(encoding: str) -> None:
    kind = f"Content-Type: text/plain; charset={encoding}"
    assert "Нужна реклама" in enquiry(letter("Нужна реклама", kind, sender="zoya@example.com"), encoding).text


def test_an_encoding_that_does_not_exist_stops_nothing() -> None:
    assert "Нужна реклама" in enquiry(letter("Нужна реклама", "Content-Type: text/plain; charset=no-such")).text


def test_at_a_public_mail_service_a_neighbour_is_no_colleague() -> None:
    text = letter("Нужна реклама", "Delivered-To: agency@gmail.com", sender="zoya@gmail.com")
    for settings in ({}, {"own_domains": ("gmail.com",)}):
        assert isinstance(read(text, **settings), Enquiry)
    own = letter("Заметка себе", "Delivered-To: agency@gmail.com", sender="agency@gmail.com")
    assert reason(own) == "письмо самому себе"


def test_a_letter_in_html_is_read_without_its_quotation() -> None:
    html = "<style>p{}</style><p>Нужен&nbsp;<b>таргет</b>: 8 900 000-01-31</p><blockquote>8 495 123-45-67</blockquote>"
    found = enquiry(letter(html, "Content-Type: text/html; charset=utf-8"))
    assert (found.phones, "{}" in found.text) == (("+79000000131",), False)


@pytest.mark.parametrize("quotation", [
    "29.11.2026 в 10:00, Агентство пишет:\n> 8 495 123-45-67", "> 8 495 123-45-67",
    "-----Original Message-----\nFrom: a@b.ru\n8 495 123-45-67", "On Sun, Ivan <a@b.ru> wrote:\n8 495 123-45-67",
    "От: Агентство <info@agency.example>\nОтправлено: вчера\n8 495 123-45-67",
])  # fmt: skip
def test_phones_are_read_above_the_quotation(quotation: str) -> None:
    found = enquiry(letter(f"Мой телефон +7 900 000-01-33\n\n{quotation}"))
    assert found.phones == ("+79000000133",)
    assert "123-45-67" not in found.text


def test_the_sites_form_mailer_speaks_for_the_client() -> None:
    words = "Имя: Зоя Тестова\nТелефон: 8 900 000-01-31\nСообщение: Привет"
    found = enquiry(letter(words, "Reply-To: client@example.com", sender="Сайт <robot@agency.example>"))
    assert (found.name, found.phones, found.emails) == ("Зоя Тестова", ("+79000000131",), ("client@example.com",))
    assert "Сообщение: Привет" in found.text


def test_a_form_mailer_without_reply_to_still_names_the_client() -> None:
    words = "Имя: Зоя\nE-mail: client@example.com"
    assert enquiry(letter(words, sender="robot@agency.example")).emails == ("client@example.com",)


@pytest.mark.parametrize(("headers", "sender", "words"), [
    (("Auto-Submitted: auto-replied",), "a@example.com", "автоответ"),
    (("Precedence: bulk",), "a@example.com", "рассылка"),
    (("List-Unsubscribe: <https://u.example>",), "a@example.com", "рассылка"),
    ((), "noreply@example.com", "от программы"),
    ((), "MAILER-DAEMON@example.com", "недоставке"),
    ((), "boss@agency.example", "от своих"),
    (("In-Reply-To: <out-501@agency.example>",), "a@example.com", "ответ на наше письмо"),
    (("References: <x@other.example> <out-1@agency.example>",), "a@example.com", "ответ на наше письмо"),
])  # fmt: skip
def test_what_is_no_enquiry(headers: tuple[str, ...], sender: str, words: str) -> None:
    assert words in reason(letter("Привет", *headers, sender=sender))


def test_an_answer_names_the_letter_that_it_answers() -> None:
    outcome = read(letter("Да", "References: <out-500@agency.example> <out-501@agency.example>"))
    assert isinstance(outcome, NoEnquiry)
    assert outcome.answer_to == "<out-501@agency.example>"


@pytest.mark.parametrize(
    ("to", "mark"), [("info+d12345", "d12345"), ("info+501", "501"), ("info+vk", None), ("info", None)]
)
def test_an_answer_is_known_by_our_own_mark_in_the_address(to: str, mark: str | None) -> None:
    outcome = read(letter("Да").replace("To: info@", f"To: {to}@"))
    assert isinstance(outcome, NoEnquiry) == (mark is not None)
    assert not isinstance(outcome, NoEnquiry) or outcome.link_param == mark


def test_a_calendars_part_is_no_words() -> None:
    body = "--b\nContent-Type: text/plain\n\nHi\n--b\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n--b--"
    assert "VCALENDAR" not in enquiry(letter(body, "Content-Type: multipart/mixed; boundary=b")).text


def test_the_agencys_other_domains_are_its_own() -> None:
    text = letter("Да", "In-Reply-To: <out-1@other.example>")
    assert isinstance(read(text), Enquiry)
    assert "ответ" in reason(text, own_domains=("other.example",))


def test_auto_submitted_no_is_a_person() -> None:
    assert enquiry(letter("Привет", "Auto-Submitted: no"))


BOUNCE = """\
From: MAILER-DAEMON@mx.example
To: info@agency.example
Subject: Undelivered
Message-ID: <b1@mx.example>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

Sorry
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; Ivan@example.com
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

Message-ID: <out-501@agency.example>
--b--
"""


def test_a_letter_that_came_back_is_a_state_of_ours() -> None:
    status = read(BOUNCE)
    assert isinstance(status, DeliveryStatus)
    assert (status.state, status.vendor_id, status.address) == (
        "bounced",
        "<out-501@agency.example>",
        "ivan@example.com",
    )
    delayed = read(BOUNCE.replace("failed", "delayed").replace("5.1.1", "4.4.1"))
    assert isinstance(delayed, DeliveryStatus)
    assert delayed.state == "failed"


def test_attachments_are_named_in_every_way_of_naming() -> None:
    parts = [
        "Content-Disposition: attachment; filename*0*=utf-8''%D0%91%D1%80; filename*1*=%D0%B8%D1%84.docx",
        "Content-Disposition: attachment; filename==?utf-8?B?0JHRgNC40YQ=?=.docx",
        'Content-Disposition: attachment; filename="Бриф.docx"',
    ]
    body = "".join(f"--b\nContent-Type: application/octet-stream\n{part}\n\nUEs=\n" for part in parts) + "--b--"
    found = enquiry(letter(body, "Content-Type: multipart/mixed; boundary=b"))
    assert [file.name for file in found.files] == ["Бриф.docx"] * 3
    assert "Файл: Бриф.docx" in found.text


def test_headers_with_bare_russian_letters() -> None:
    found = enquiry(letter("Привет", sender="Зоя <zoya@example.com>").replace("Реклама", "Реклама у нас"), "cp1251")
    assert found.name == "Зоя"

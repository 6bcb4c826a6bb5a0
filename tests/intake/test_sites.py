"""Forms of sites, in all the shapes that builders of sites send them in."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from support.vendor_requests import enquiry_in, form, post, reason_in

from amo_bridge.intake.model import Enquiry, NoEnquiry

VERA, PHONE = "Вера Тестова", "+79000000041"
KEY = {"X-Api-Key": "tilda-key"}


def tilda(**fields: str) -> Enquiry:
    return enquiry_in(post("tilda", form(tranid="1:2", **fields), headers=KEY))


def html(body: str | bytes | dict[str, Any], kind: str = "", **settings: Any) -> Enquiry:
    return enquiry_in(post("html", body, kind=kind, **settings))


CP1251 = f"name={quote(VERA.encode('cp1251'))}&phone=8+900+000-00-41&message={quote('Хочу бриф'.encode('cp1251'))}"


def multipart(boundary: str = "b7", ends: str = "\r\n", closing: str = "--b7--") -> str:
    parts = [
        f'Content-Disposition: form-data; name="name"\n\n{VERA}',
        'Content-Disposition: form-data; name="phone"\n\n8 (900) 000-00-41',
        'Content-Disposition: form-data; name="message"\n\nХочу бриф',
        'Content-Disposition: form-data; name="brief"; filename="бриф.txt"\nContent-Type: text/plain\n\nтекст',
    ]
    return "".join(f"--{boundary}\n{part}\n" for part in parts).replace("\n", ends) + closing


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(name=VERA, phone="8 (900) 000-00-41", message="Хочу бриф"), ""),
        (CP1251, ""),
        (CP1251, "application/x-www-form-urlencoded; charset=windows-1251"),
        (CP1251, "application/x-www-form-urlencoded; charset=utf-8"),
        (CP1251, "application/x-www-form-urlencoded; charset=no-such"),
        (f"{CP1251}&_charset_=windows-1251", ""),
        (f"name={VERA}&phone=89000000041&message=Хочу бриф".encode("cp1251"), ""),
        (f"name={VERA}&phone=+79000000041&message=Хочу бриф", ""),
        (("name=%u0412%u0435%u0440%u0430+%u0422%u0435%u0441%u0442%u043E%u0432%u0430&phone=89000000041&message="
         "%u0425%u043E%u0447%u0443%20%u0431%u0440%u0438%u0444"), ""),
        ({"name": VERA, "phone": 89000000041, "message": "Хочу бриф"}, ""),
        ({"name": VERA, "phone": "89000000041", "message": "Хочу бриф"}, "text/plain"),
        (f'{{"name":"{VERA}","phone":"89000000041","message":"Хочу бриф"}}'.encode("utf-16"), "application/json"),
        (f'{{"name":"{VERA}","phone":"89000000041","message":"Хочу бриф"}}'.encode("utf-16-le"), "application/json"),
        (f'{{"name":"{VERA}","phone":"89000000041","message":"Хочу бриф"}}'.encode("utf-16-be"), "application/json"),
        (f'\ufeff{{"name":"{VERA}","phone":"89000000041","message":"Хочу бриф"}}', "application/json"),
        (f'{{"name":"{VERA}","phone":"89000000041","message":"Хочу бриф"}}'.encode("cp1251"), "application/json"),
        ([{"name": VERA, "phone": "89000000041", "message": "Хочу бриф"}], ""),
        (multipart(), "multipart/form-data; boundary=b7"),
        (multipart().encode("cp1251"), "multipart/form-data; boundary=b7"),
        (multipart(ends="\n"), "multipart/form-data; boundary=b7"),
        (multipart(), "multipart/form-data; boundary=another"),
        (multipart(), "multipart/form-data"),
        (multipart(closing=""), "multipart/form-data; boundary=b7"),
    ],
)  # fmt: skip
def test_the_same_person_in_every_encoding(body: Any, kind: str) -> None:
    enquiry = html(body, kind)
    assert (enquiry.source, enquiry.name, enquiry.phones) == ("site", VERA, (PHONE,))
    assert "Хочу бриф" in enquiry.text


def test_a_file_is_named_and_measured() -> None:
    (file,) = html(multipart(), "multipart/form-data; boundary=b7").files
    assert (file.name, file.size) == ("бриф.txt", len("текст".encode()))


def test_letters_that_an_encoding_has_not_are_read() -> None:
    body = f"name={quote(VERA.encode('cp1251'))}&phone=89000000041&message=%26%239786%3B"
    assert "☺" in html(body).text


@pytest.mark.parametrize(
    ("typed", "phones"),
    [
        ("8 900 000-00-41", (PHONE,)),
        ("9000000041", (PHONE,)),
        ("79000000041", (PHONE,)),
        ("+380 50 123-45-67", ("+380501234567",)),
        ("0501234567", ("0501234567",)),
        ("8 900 000-00-41, +7 495 123-45-67", (PHONE, "+74951234567")),
        ("8 900 000-00-41 8 900 000-00-42", (PHONE, "+79000000042")),
        ("+7 777 123 45 67", ("+77771234567",)),
    ],
)
def test_phones(typed: str, phones: tuple[str, ...]) -> None:
    assert html(form(name="Ольга", phone=typed)).phones == phones


def test_the_own_country_comes_first() -> None:
    assert html(form(name="Ольга", phone="050 123 45 67"), home="UA").phones == ("+380501234567",)


def test_words_beside_a_phone_are_not_lost() -> None:
    enquiry = html(form(name="Ольга", phone="8 900 000-00-41 после шести"))
    assert enquiry.phones == (PHONE,)
    assert "после шести" in enquiry.text


def test_contacts_among_the_words_count_where_no_field_has_them() -> None:
    enquiry = html(form(name="Ольга", message="Звоните 8 900 000-00-41 или пишите OLGA@example.com"))
    assert (enquiry.phones, enquiry.emails) == ((PHONE,), ("olga@example.com",))


@pytest.mark.parametrize(
    "name", ["Ваше имя", "name", "FIO", "your-name", "Как к вам обращаться?", "client[name]", "Имя и фамилия"]
)
def test_a_name_is_found_by_its_field(name: str) -> None:
    assert html({name: "Ольга Рыжова", "phone": "89000000041"}).name == "Ольга Рыжова"


@pytest.mark.parametrize("thing", ["Название компании", "company[name]", "form_name", "Имя файла", "product_name"])
def test_names_of_things_are_no_names_of_people(thing: str) -> None:
    assert html({thing: "Ромашка", "phone": "89000000041"}).name is None


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"first_name": "Иван", "last_name": "Петров"}, "Иван Петров"),
        ({"firstname": "Иван", "lastname": "Петров"}, "Иван Петров"),
        ({"Фамилия": "Петров", "Имя": "Иван", "Отчество": "Ильич"}, "Иван Ильич Петров"),
        ({"name": "89000000041"}, None),
    ],
)
def test_parts_of_a_name_become_one(fields: dict[str, str], name: str | None) -> None:
    assert html(form(phone="89000000041", **fields)).name == name


@pytest.mark.parametrize("field", ["Бюджет", "ИНН", "Номер заказа", "amount"])
def test_a_long_number_is_not_always_a_phone(field: str) -> None:
    enquiry = html({field: "9000000042", "phone": "89000000041"})
    assert enquiry.phones == (PHONE,)
    assert "9000000042" in enquiry.text


def test_a_form_without_words_has_a_note_all_the_same() -> None:
    assert html(form(name="Ольга", phone="89000000041")).text == "Заявка без слов"


def test_marks_come_from_fields_and_from_the_pages_address() -> None:
    enquiry = html(form(phone="89000000041", page="https://a.example/?utm_source=vk&utm_medium=cpc&roistat_visit=55",
                        utm_source="yandex"))  # fmt: skip
    assert dict(enquiry.utm) == {"utm_source": "yandex", "utm_medium": "cpc"}
    assert enquiry.roistat_visit == "55"


def test_a_robots_form_is_thanked_and_dropped() -> None:
    body = form(name="Bot", phone="89000000041", website="https://spam.example")
    reception = post("html", body, honeypot=("website",))
    assert (reception.answer.status, reason_in(reception)) == (200, "заполнена ловушка для роботов")
    assert enquiry_in(post("html", form(name="Ольга", phone="89000000041", website=""), honeypot=("website",)))


@pytest.mark.parametrize(
    ("opened", "is_robot"),
    [
        ("1795999999", True),
        ("1795999999500", True),
        ("1795999990", False),
        ("", False),
        ("завтра", False),
        ("1796009999", False),
    ],
)
def test_a_form_that_nobody_could_fill_so_quickly_is_dropped(opened: str, is_robot: bool) -> None:
    body = form(name="Вера", phone="89000000041", opened=opened)
    (outcome,) = post("html", body, began_field="opened", least_seconds=3).outcomes
    assert isinstance(outcome, NoEnquiry) == is_robot
    assert is_robot or "17959" not in outcome.text


def test_a_part_may_have_an_encoding_of_its_own() -> None:
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\nContent-Type: text/plain; charset={}\r\n\r\n'
    body = part.format("name", "koi8-r").encode() + VERA.encode("koi8-r")
    body += b"\r\n" + part.format("message", "utf-8").encode() + "Хочу бриф".encode() + b"\r\n--b--"
    enquiry = html(body, "multipart/form-data; boundary=b")
    assert (enquiry.name, "Хочу бриф" in enquiry.text) == (VERA, True)


def test_an_empty_form_is_thanked_and_dropped() -> None:
    assert reason_in(post("html", form(name="", phone=" "))) == "форма пустая: ни контактов, ни слов"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://agency.example", 200), ("https://AGENCY.example/", 200), ("", 200), ("https://evil.example", 403),
     ("null", 403), ("http://agency.example", 403)],
)  # fmt: skip
def test_only_own_sites_may_post(origin: str, status: int) -> None:
    body = form(name="Ольга", phone="89000000041")
    reception = post("html", body, headers={"Origin": origin}, origins=("https://agency.example",))
    assert reception.answer.status == status


def test_the_map_of_the_config_comes_first() -> None:
    body = {"client": {"full": "Ольга", "tels": ["8 900 000-00-41"]}, "wish": "Бриф", "id": 77, "more": {"a": 1}}
    fields = {"name": "client.full", "phone": "client.tels", "text": "wish", "key": "id"}
    enquiry = enquiry_in(post("mapped", body, fields=fields))
    assert (enquiry.key, enquiry.name, enquiry.phones) == ("77", "Ольга", (PHONE,))
    assert enquiry.text == "Бриф\nmore[a]: 1"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_any_form_may_come_as_a_query(method: str) -> None:
    enquiry = enquiry_in(post("mapped", b"", method=method, query=form(name="Ольга", phone="89000000041")))
    assert enquiry.phones == (PHONE,)


# --- Contact Form 7, Elementor -----------------------------------------------------------------------------------


def test_files_of_contact_form_7_come_as_links_or_whole() -> None:
    linked = {"tel-1": "89000000041", "file-a": ["https://a.example/up/%D0%B1%D1%80%D0%B8%D1%84.docx"]}
    (file,) = enquiry_in(post("cf7", linked)).files
    assert (file.name, file.url) == ("бриф.docx", "https://a.example/up/%D0%B1%D1%80%D0%B8%D1%84.docx")
    whole = {"tel-1": "89000000041", "file-a": [{"filename": "бриф.docx", "content": "UEsDBA=="}]}
    enquiry = enquiry_in(post("cf7", whole))
    assert [one.name for one in enquiry.files] == ["бриф.docx"]
    assert "UEsDBA" not in enquiry.text


@pytest.mark.parametrize("kind", ["application/json", ""])
def test_contact_form_7_may_send_a_form(kind: str) -> None:
    body = form(**{"your-name": "Глеб", "tel-1": "89000000041", "_remote_ip": "203.0.113.1", "menu-1": "Таргет"})
    enquiry = enquiry_in(post("cf7", body, kind=kind))
    assert (enquiry.name, enquiry.text) == ("Глеб", "menu-1: Таргет")


def test_what_elementor_adds_is_nobodys_words() -> None:
    fields = {
        "Имя": "Ирина", "Телефон": "89000000041", "No Label field_1": "Перезвоните", "Дата": "29.11.2026",
        "Время": "11:20", "URL страницы": "https://a.example/?utm_source=vk", "Агент пользователя": "Mozilla/5.0",
        "Удаленный IP": "203.0.113.10", "Работает на": "Elementor", "form_id": "a1", "form_name": "Контакты",
    }  # fmt: skip
    enquiry = enquiry_in(post("elementor", form(**fields)))
    assert enquiry.text == "field_1: Перезвоните\nФорма «Контакты»\nСтраница: https://a.example/?utm_source=vk"
    assert dict(enquiry.utm) == {"utm_source": "vk"}


def test_a_type_says_more_than_a_title() -> None:
    fields = {
        "fields[a][title]": "Куда позвонить", "fields[a][type]": "tel", "fields[a][value]": "8 900 000-00-41",
        "fields[b][title]": "Куда написать", "fields[b][type]": "email", "fields[b][value]": "I@example.com",
        "form[id]": "7", "meta[page_url][value]": "https://a.example/",
    }  # fmt: skip
    enquiry = enquiry_in(post("elementor", form(**fields)))
    assert (enquiry.phones, enquiry.emails) == ((PHONE,), ("i@example.com",))


def test_elementors_own_minute_tells_repeats_apart() -> None:
    keys = [
        post("elementor", form(Телефон="89000000041", Date="29.11.2026", Time=time, form_id="a")).key
        for time in ("11:20", "11:20", "11:21")
    ]
    assert keys[0] == keys[1] != keys[2]


# --- Tilda -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["field", "header", "query"])
def test_tildas_key_may_stand_in_any_of_three_places_and_is_never_told(place: str) -> None:
    body = form(Name="Анна", Phone="89000000041", tranid="1:2", **({"mykey": "tilda-key"} if place == "field" else {}))
    headers = {"X-Some": "tilda-key"} if place == "header" else {}
    reception = post("tilda", body, headers=headers, query="k=tilda-key" if place == "query" else "")
    assert "tilda-key" not in enquiry_in(reception).text


def test_without_a_key_of_its_own_the_address_proves_tilda() -> None:
    assert post("tilda", form(Phone="89000000041", tranid="1:2"), secrets={}).kind == "accepted"


def test_of_the_cookies_only_the_marks_are_taken() -> None:
    cookies = (
        "roistat_visit=1000123; _ga=GA1.2.3; TILDAUTM=utm_source%3Dya%7C%7C%7Cutm_term%3D%D0%B0%7C%7C%7C; s=private"
    )
    enquiry = tilda(Phone="89000000041", COOKIES=cookies)
    assert (dict(enquiry.utm), enquiry.roistat_visit) == ({"utm_source": "ya", "utm_term": "а"}, "1000123")
    assert "private" not in enquiry.text


@pytest.mark.parametrize("is_json", [True, False])
def test_a_cart_is_told_in_words(is_json: bool) -> None:
    flat = {
        "Name": "Пётр", "Phone": "89000000041", "tranid": "1:9", "payment[orderid]": "15", "payment[amount]": "450",
        "payment[products][0][name]": "Аудит", "payment[products][0][quantity]": "2",
        "payment[products][0][amount]": "400", "payment[products][0][options][0][option]": "Срок",
        "payment[products][0][options][0][variant]": "Срочно", "payment[products][1][name]": "Лого",
        "payment[promocode]": "ЛЕТО",
    }  # fmt: skip
    product = {"name": "Аудит", "quantity": 2, "amount": 400, "options": [{"option": "Срок", "variant": "Срочно"}]}
    payment = {"orderid": 15, "amount": 450, "products": [product, {"name": "Лого"}], "promocode": "ЛЕТО"}
    tree = {"Name": "Пётр", "Phone": "89000000041", "tranid": "1:9", "payment": payment}
    enquiry = enquiry_in(post("tilda", tree if is_json else form(**flat), headers=KEY))
    assert enquiry.key == "1:9"
    assert enquiry.text.splitlines() == [
        "Заказ 15", "Аудит (Срок: Срочно) × 2 = 400", "Лого", "Сумма заказа: 450", "Промокод: ЛЕТО",
    ]  # fmt: skip


# --- a word of ours that the builder sends along --------------------------------------------------------------------

WORD = {"form_token": "our-word", "path_token": "path-token"}


@pytest.mark.parametrize("vendor", ["cf7", "elementor", "mapped"])
@pytest.mark.parametrize(
    ("headers", "field", "query", "status"),
    [
        ({"X-Form-Token": "our-word"}, "", "", 200),
        ({}, "our-word", "", 200),
        ({}, "", "t=our-word", 200),
        ({"X-Form-Token": "wrong"}, "", "", 403),
        ({}, "", "", 403),
    ],
)
def test_a_word_that_is_set_must_come_and_is_never_told(
    vendor: str, headers: dict[str, str], field: str, query: str, status: int
) -> None:
    body = {"your-name": "Глеб", "tel-1": "89000000041", "word": field}
    reception = post(vendor, body, headers=headers, query=query, secrets=WORD)
    assert reception.answer.status == status
    assert status == 403 or "our-word" not in enquiry_in(reception).text

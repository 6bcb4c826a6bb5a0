"""A vendor connected, changed and disconnected on the page «Каналы», its secret kept and never shown."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin
from urllib.parse import unquote

import pytest
import responses
from playwright.sync_api import Browser, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of
from support.running_bridge import ENVIRONMENT

from amo_bridge.channels.vendors import AUDIENCES, STORAGE, VENDORS
from amo_bridge.config.channels import VENDOR_SECTIONS
from amo_bridge.config.loader import load
from amo_bridge.errors import CrmTemporary
from amo_bridge.storage.secrets import KeptSecrets, small_state
from amo_bridge.web.auth.users import Role
from amo_bridge.web.services.channel_setup import FORMS, setup_of

BALANCE = "https://sms.ru/my/balance"
VARIABLE = "AMO_BRIDGE_SMSRU_ID"
WORD = "very-secret-key"


@pytest.fixture
def office(pages: Pages) -> Pages:
    pages.meet_account()
    pages.know_account(agency())
    return pages


def form_of(visit: Visit, section: str, **typed: str) -> dict[str, str]:
    """What the browser would send of the form as it stands, with what a person types."""
    page = visit.get(f"/channels/{section}/setup").text
    tags = re.findall(
        r"<input [^>]*>", page.partition(f'action="/channels/{section}/setup"')[2].partition("</form>")[0]
    )
    values = {}
    for tag in tags:
        told = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if told.get("type") != "checkbox" or " checked" in tag:
            values[told.get("name", "")] = told.get("value", "")
    return {**{name: value for name, value in values.items() if name}, **typed}


def submit(visit: Visit, section: str, **typed: str) -> Any:
    return visit.client.post(f"/channels/{section}/setup", data=form_of(visit, section, **typed))


def text_of(office: Pages) -> str:
    return office.bridge.config.path.read_text("utf-8")


def test_every_vendor_has_a_form_and_every_field_is_one_of_its_section() -> None:
    assert set(FORMS) == {vendor.section for vendor in VENDORS} - {AUDIENCES.section, STORAGE.section}
    for section, form in FORMS.items():
        fields = {info.alias or name: info for name, info in VENDOR_SECTIONS[section].model_fields.items()}
        assert set(form.labels) <= set(fields), section
        assert {key for key, info in fields.items() if info.is_required()} <= set(form.labels), section
        for key in form.labels:
            kind = fields[key].annotation
            parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
            assert not any(get_origin(part) in (tuple, list, dict) for part in parts), "a form has one line for a key"


@responses.activate
def test_it_is_connected_by_a_form_and_asked_at_once(office: Pages, admin: Visit) -> None:
    asked = responses.post(BALANCE, json={"status": "OK", "balance": 120})
    before = text_of(office)
    answer = submit(admin, "smsru", sender="Agency", low_balance="250,5", secret=WORD)
    assert answer.status_code == 302
    assert "[smsru] подключён. SMS.ru пускает, на счёте 120 ₽" in words_of(admin.get("/channels"))
    assert WORD in unquote(str(asked.calls[0].request.body))
    assert text_of(office) == f'{before.rstrip()}\n\n[smsru]\nsender = "Agency"\nlow_balance = 250.5\n'
    section = office.bridge.config.channels.smsru
    assert section is not None
    assert (section.sender, section.low_balance, section.test) == ("Agency", 250.5, False)


@responses.activate
def test_the_secret_is_encrypted_and_shown_nowhere(office: Pages, admin: Visit) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    submit(admin, "smsru", secret=WORD)
    assert office.bridge.environment[VARIABLE] == WORD
    for path in ("/channels", "/channels/smsru/setup", "/audit", "/config"):
        assert WORD not in admin.get(path).text, path
    assert "Задан секрет для [smsru]" in words_of(admin.get("/audit"))
    assert "задан впишите, только чтобы заменить" in words_of(admin.get("/channels/smsru/setup"))
    kept = [one.read_bytes() for one in Path(office.bridge.config.data_folder).rglob("*") if one.is_file()]
    assert not any(WORD.encode() in content or json.dumps(WORD).encode() in content for content in kept)


@responses.activate
def test_every_process_takes_a_new_secret_though_the_file_is_the_same(
    office: Pages, admin: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    submit(admin, "smsru", secret=WORD)
    other = Pages.of(load(office.bridge.config.path, {}))
    other.know_account(agency())
    assert other.bridge.environment[VARIABLE] == WORD
    assert other.bridge.watch.look().problems == ()
    mine, theirs, text = office.bridge.config, other.bridge.config, text_of(office)
    submit(admin, "smsru", secret="another")
    assert text_of(office) == text
    assert office.bridge.config is not mine, "whoever leads in this process begins anew"
    assert other.bridge.config is theirs, "it has not looked yet"
    monkeypatch.setattr(other.bridge.watch, "_try_again_at", 0.0)
    other.bridge.watch.look()
    assert other.bridge.config is not theirs
    assert other.bridge.environment[VARIABLE] == "another"
    taken = other.bridge.config
    other.bridge.watch.look(again=True)
    assert other.bridge.config is taken, "nothing is different"


@responses.activate
def test_what_is_there_is_changed_and_what_has_no_field_stays(office: Pages, admin: Visit) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    path = office.bridge.config.path
    path.write_text(
        f'{text_of(office)}\n# наши SMS\n[smsru] # вот\nmost_parts = 3 # дороже нельзя\nsender = "A"\n# конец\n'
    )
    office.bridge.watch.look()
    assert form_of(admin, "smsru")["sender"] == "A"
    submit(admin, "smsru", sender="", test="on", quiet="22:00-08:00", secret=WORD)
    assert text_of(office).partition("# наши SMS\n")[2] == (
        '[smsru] # вот\nquiet = "22:00-08:00"\ntest = true\nmost_parts = 3 # дороже нельзя\n# конец\n'
    )
    again = form_of(admin, "smsru")
    assert (again["quiet"], again["test"]) == ("22:00-08:00", "on")
    del again["test"]
    admin.client.post("/channels/smsru/setup", data=again)
    assert "test = false" in text_of(office)


@responses.activate
@pytest.mark.parametrize(
    ("section", "typed", "words"),
    [
        ("smsru", {}, "Впишите: api_id."),
        ("smsru", {"secret": "k", "low_balance": "сто"}, "«Предупредить, когда на счёте меньше»: нужно число"),
        ("smsru", {"secret": "k", "low_balance": "nan"}, "нужно число"),
        ("smsru", {"secret": "k", "low_balance": "1e22"}, "нужно число"),
        ("smsru", {"secret": "ключ"}, "В секрете русские буквы"),
        ("smsru", {"secret": "k", "quiet": "ночью"}, "тихие часы «ночью» непонятны"),
        ("smsru", {"secret": "k", "sender": "две\nстроки"}, "не в одну строку"),
        ("smsru", {"secret": "k" * 10_001}, "Секрет слишком длинный"),
        ("smsc", {"secret": "k"}, "«Логин»: впишите."),
        ("onlinepbx", {"secret": "k", "domain": "не домен"}, "не домен АТС"),
        ("mail", {"host": "h", "from": "не адрес"}, "не адрес почты"),
        ("mail", {"host": "h", "from": "a@b.ru", "port": "99999"}, "port"),
        ("smsru", {"secret": "k", "sender": "A", "mark": "of another version"}, "файл изменился, пока вы правили его"),
    ],
)
def test_what_is_wrong_is_told_with_all_that_was_typed_and_nothing_changes(
    office: Pages, admin: Visit, section: str, typed: dict[str, str], words: str
) -> None:
    before = text_of(office)
    answer = submit(admin, section, **typed)
    assert answer.status_code == (409 if "mark" in typed else 422)
    shown = words_of(answer)
    assert "Ничего не изменилось" in shown
    assert words in shown
    assert text_of(office) == before
    kept = KeptSecrets(office.bridge.config, ENVIRONMENT)
    assert not any(kept.get(vendor.secret) for vendor in VENDORS if vendor.secret)
    for key, value in typed.items():
        if key not in ("secret", "mark") and value.isprintable() and "mark" not in typed:
            assert f'value="{value}"' in answer.text


@responses.activate
def test_a_vendor_that_does_not_let_us_in_is_connected_and_told_of(office: Pages, admin: Visit) -> None:
    responses.post(BALANCE, json={"status": "ERROR", "status_code": 300})
    answer = submit(admin, "smsru", secret=WORD)
    words = words_of(admin.get(answer.location))
    assert "сохранено, но сервис не пускает. Не вышло: SMS.ru: неправильный ключ" in words
    assert "Сохранить и проверить связь" in words, "the form is there to be mended"


@responses.activate
@pytest.mark.parametrize("place", ["os.replace", "make_folder"])
def test_where_the_file_can_not_be_written_the_secret_stays_as_it_was(
    office: Pages, admin: Visit, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    submit(admin, "smsru", secret=WORD)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(f"amo_bridge.versioned_file.{place}", read_only)
    answer = submit(admin, "smsru", secret="another", sender="New")
    assert answer.status_code == 409
    assert "Ничего не изменилось" in words_of(answer)
    assert KeptSecrets(office.bridge.config, ENVIRONMENT)[VARIABLE] == WORD
    assert submit(admin, "smsru", secret="another").status_code == 302, "a secret alone needs no file"
    assert KeptSecrets(office.bridge.config, ENVIRONMENT)[VARIABLE] == "another"


@responses.activate
def test_a_secret_is_replaced_while_amocrm_is_away(
    office: Pages, admin: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    submit(admin, "smsru", secret=WORD)

    def away(config: object) -> list[str]:
        raise CrmTemporary("нет связи")

    monkeypatch.setattr(office.bridge, "misfits", away)
    assert submit(admin, "smsru", secret="another").status_code == 302
    assert KeptSecrets(office.bridge.config, ENVIRONMENT)[VARIABLE] == "another"
    assert submit(admin, "smsru", sender="New").status_code == 422


@responses.activate
def test_what_somebody_else_changed_meanwhile_is_shown_and_not_undone(office: Pages, admin: Visit) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    submit(admin, "smsru", secret=WORD, sender="Agency")
    form = form_of(admin, "smsru", quiet="22:00-08:00")
    other = text_of(office).replace('sender = "Agency"', 'sender = "Other"')
    office.bridge.config.path.write_text(other, "utf-8")
    answer = admin.client.post("/channels/smsru/setup", data=form)
    assert answer.status_code == 409
    assert 'value="Other"' in answer.text
    assert text_of(office) == other
    gone = admin.client.post("/channels/smsru/disconnect", data=form)
    assert (gone.status_code, text_of(office)) == (409, other)
    assert 'value="Other"' in gone.text, "not an empty form, by which the next press would empty the section"


@responses.activate
def test_pressed_twice_is_once(office: Pages, admin: Visit) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    form = form_of(admin, "smsru", secret=WORD, sender="Agency")
    answers = [admin.client.post("/channels/smsru/setup", data=form).status_code for _ in range(2)]
    assert answers == [302, 302]
    assert text_of(office).count("\n[smsru]") == 1


@responses.activate
@pytest.mark.parametrize("value", ["1234567.5", "1000000", "0.1"])
def test_a_number_stays_what_it_was(office: Pages, admin: Visit, value: str) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    submit(admin, "smsru", secret=WORD, low_balance=value)
    submit(admin, "smsru", sender="New")
    section = office.bridge.config.channels.smsru
    assert section is not None
    assert (section.low_balance, section.sender) == (float(value), "New")


@pytest.mark.parametrize(
    ("section", "typed"),
    [
        ("mail", {"host": "smtp..example", "from": "a@b.ru"}),
        ("mail", {"host": "h" * 70, "from": "a@b.ru"}),
        ("roistat", {"project": "1", "api": "http://a..b", "secret": "k"}),
        ("s3", {"api": "http://a..b", "bucket": "abc", "key": "ключ", "secret": "k"}),
        ("zadarma", {"key": "ключ", "api": "http://127.0.0.1:9", "secret": "k"}),
    ],
)
def test_an_address_or_key_that_is_none_is_told_when_the_vendor_is_asked(
    office: Pages, admin: Visit, section: str, typed: dict[str, str]
) -> None:
    answer = submit(admin, section, **typed)
    assert answer.status_code == 302
    assert f"[{section}]: сохранено, но сервис не пускает. Не вышло:" in words_of(admin.get(answer.location))


def test_a_key_that_the_intake_needs_too_is_not_forgotten(office: Pages, admin: Visit) -> None:
    submit(admin, "onlinepbx", domain="a.onpbx.ru", api="http://127.0.0.1:9", secret="key")
    admin.client.post("/channels/onlinepbx/disconnect", data=form_of(admin, "onlinepbx"))
    assert office.bridge.config.channels.onlinepbx is None
    needs = office.bridge.config.intake is not None and office.bridge.config.intake.of("onlinepbx") is not None
    assert ("AMO_BRIDGE_ONLINEPBX_KEY" in office.bridge.environment) == needs


@responses.activate
def test_the_second_of_two_for_one_channel_is_told_to_be_idle(office: Pages, admin: Visit) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    submit(admin, "smsru", secret=WORD)
    submit(admin, "smsc", login="agency", secret="k", api="http://127.0.0.1:9")
    assert "раньше него стоит [smsru]" in words_of(admin.get("/channels"))


def test_a_secret_of_the_environment_is_changed_there(office: Pages, admin: Visit) -> None:
    outside = KeptSecrets(office.bridge.config, {**ENVIRONMENT, VARIABLE: "outside"})
    office.bridge._secrets_kept = outside
    page = admin.get("/channels/smsru/setup")
    assert f"переменной {VARIABLE}: меняется там" in words_of(page)
    assert 'name="secret"' not in page.text
    answer = submit(admin, "smsru", secret="k")
    assert f"Секрет задан переменной {VARIABLE}" in words_of(answer)


@responses.activate
def test_it_is_disconnected_and_its_secret_forgotten(office: Pages, admin: Visit) -> None:
    responses.post(BALANCE, json={"status": "OK", "balance": 1})
    before = text_of(office)
    submit(admin, "smsru", secret=WORD)
    form = form_of(admin, "smsru")
    gone = admin.client.post("/channels/smsru/disconnect", data=form)
    assert gone.status_code == 302
    assert text_of(office).strip() == before.strip()
    assert office.bridge.config.channels.smsru is None
    assert VARIABLE not in office.bridge.environment
    assert VARIABLE not in (small_state(office.bridge.config, ENVIRONMENT).secrets.read("vendors 127.0.0.1:9") or {})
    assert admin.client.post("/channels/smsru/disconnect", data=form).status_code == 409, "of another version"


def test_only_an_admin_and_only_what_there_is(office: Pages, admin: Visit, viewer: Visit) -> None:
    assert viewer.get("/channels/smsru/setup").status_code == 403
    assert viewer.post("/channels/smsru/setup", page="/").status_code == 403
    assert viewer.post("/channels/smsru/disconnect", page="/").status_code == 403
    assert "Подключить" not in words_of(viewer.get("/channels"))
    assert admin.get("/channels/nobody/setup").status_code == 404
    assert admin.post("/channels/nobody/setup", page="/channels/smsru/setup").status_code == 404
    assert admin.post("/channels/storage/disconnect", page="/channels/smsru/setup").status_code == 404
    assert admin.client.post("/channels/smsru/setup", data={}).status_code == 400, "without the page's token"


def test_a_broken_file_is_mended_first(office: Pages, admin: Visit) -> None:
    office.bridge.config.path.write_text("[mail\n", "utf-8")
    page = admin.get("/channels/smsru/setup")
    assert page.status_code == 409
    assert "сначала исправьте его" in words_of(page)


def test_words_are_shown_as_they_are(office: Pages, admin: Visit) -> None:
    assert "От кого: Агентство <info@agency.ru>" in words_of(admin.get("/channels/mail/setup"))


def test_fields_of_the_account_are_offered(office: Pages) -> None:
    entries = {one.key: one for one in setup_of(office.account, "smsru").entries}
    assert entries["consent"].choices
    assert not entries["sender"].choices


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(office: Pages, browser: Browser, size: Any) -> None:
    office.add_user("Анна", Role.ADMIN)
    with served(office.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/channels")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.get_by_role("link", name="Подключить: Почта").click()
        page.get_by_label("Сервер, например smtp.yandex.ru").fill("127.0.0.1")
        page.get_by_label("Порт можно").fill("9")
        page.get_by_label("От кого").fill("Школа <a@b.ru>")
        assert fits_its_width(page)
        assert serious_findings(page) == []
        page.get_by_role("button", name="Подключить и проверить связь").click()
        expect(page.get_by_text("[mail]: сохранено, но сервис не пускает.")).to_be_visible()
        assert fits_its_width(page)
        assert serious_findings(page) == []

"""An SMM agency's client from the first call to the renewal, by examples/smm.toml: M1 to M16, M18, M19."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from support.local_crm import LocalCrm
from support.pages import Visit, words_of
from support.running_bridge import RunningBridge, wait_until
from support.shipped_examples import example, stopped_at

from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.violations import Violations
from amo_bridge.sandbox.account_file import SMM
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

ALINA, HEAD, IVAN, ACCOUNTANT = "Алина Жумабаева", "Анастасия Ким", "Иван Соколов", "Гульнара Сеитова"
ACCOUNTANTS_TASK = "Провести счёт на следующий период, он в файлах сделки; нет его там — выставить и отправить клиенту"
ALMATY = ZoneInfo("Asia/Almaty")
NEW, TALKED, QUESTIONNAIRE, MATERIALS, CLIENT, STARTED, NOTIFIED, RENEWED, LOST = (
    f"Клиенты / {stage}"
    for stage in (
        "Новый клиент",
        "Связались с клиентом",
        "Получена анкета",
        "Материалы получены",
        "Согласование с клиентом",
        "Проект запущен",
        "Отправлено уведомление",
        "Обслуживание продлено",
        "Клиент потерян",
    )
)
FIRST = "Связаться с клиентом по скрипту"
APPROVE, MAKE, REMAKE = "Согласовать рекламные материалы", "Разработать рекламный пост", "Переделать рекламный пост"
FIGURES, RENEWAL = "Узнать у клиента число обращений", "Продление:"
SECRET_FIELD, SECRET = "Логин/пароль от аккаунта Instagram", "vitrina.kz / Qwerty-12345"
START, MONTHS = "Дата начала обслуживания", "Оплачено месяцев"
UNANSWERED = "unanswered_client_is_escalated.messages"
HOUR, DAY = 3600, 86_400
# A Monday noon in Almaty.
MONDAY = "2026-10-05T12:00"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The SMM agency's amoCRM."""
    with stopped_at(MONDAY, SMM) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The shipped example, for the sandbox."""
    return example("smm", sandbox, tmp_path)


class Agency:
    """The agency's people; after each deed the bridge is let finish what follows from it."""

    def __init__(self, office: CrmUser, bridge: RunningBridge, crm: LocalCrm) -> None:
        self.office = office
        self.bridge = bridge
        self.crm = crm

    def passes(self, seconds: float = 60) -> None:
        self.bridge.settle_at(self.crm, advance=seconds)

    def comes(self, moment: str) -> None:
        self.bridge.settle_at(self.crm, set=moment)

    def client(self, on: str = NEW, **fields: Any) -> int:
        contact = self.office.new_contact(ALINA, "Айгуль", "aigul@client.example")
        deal = self.office.new_deal(ALINA, "Салон «Айгуль»", on, contact, 150_000)
        for name, value in fields.items():
            self.office.fill(ALINA, deal, name.replace("_", " "), value)
        self.passes()
        return deal

    def move(self, deal: int, stage: str, person: str = ALINA) -> str:
        """Where the deal is after the bridge has looked at the move."""
        self.office.move(person, deal, stage)
        self.passes()
        return self.office.stage_of(deal)

    def fill(self, deal: int, field: str, value: Any) -> None:
        self.office.fill(ALINA, deal, field, value)
        self.passes()

    def attach(self, deal: int, name: str) -> None:
        self.office.attach(ALINA, deal, name)
        self.passes()

    def finish(self, deal: int, beginning: str, result: str = "готово", person: str = ALINA) -> None:
        (text,) = [text for text in self.open_tasks(deal) if text.startswith(beginning)]
        self.office.finish(person, deal, text, result)
        self.passes()

    def recorded_call(self, deal: int) -> None:
        params = {"uniq": f"{self.office.now()}", "duration": 95, "phone": "+77011112233", "source": "pbx",
                  "link": "https://pbx.example/rec.mp3"}  # fmt: skip
        note = {"note_type": "call_out", "params": params}
        self.office._ask("POST", f"/api/v4/leads/{deal}/notes", [note], ALINA)
        self.passes()

    def letter_from_client(self, deal: int, attachments: int) -> None:
        letter = {"entity_type": "leads", "entity_id": deal, "from_email": "aigul@client.example", "user_id": 0,
                  "subject": "Анкета", "attachments": attachments}  # fmt: skip
        self.crm.control("POST", "ui/incoming_mail", letter)
        self.passes()

    def open_tasks(self, deal: int) -> dict[str, str]:
        return {row["text"]: row["who"] for row in self.office.tasks(deal) if not row["is_completed"]}

    def has(self, deal: int, beginning: str) -> bool:
        return any(text.startswith(beginning) for text in self.open_tasks(deal))

    def due(self, deal: int, beginning: str) -> str:
        """When it is due, by the clocks of Almaty."""
        (task,) = [
            row for row in self.office.tasks(deal) if row["text"].startswith(beginning) and not row["is_completed"]
        ]
        return f"{datetime.fromtimestamp(task['complete_till'], ALMATY):%d.%m %H:%M}"

    def date(self, deal: int, field: str) -> str:
        return f"{datetime.fromtimestamp(self.office.value(deal, field), ALMATY):%d.%m.%Y}"

    def ledger(self) -> list[tuple[str, str, int | None]]:
        store = Store.at(self.bridge.config.bridge.database, self.bridge.config.data_folder)
        key = known_key(store, self.bridge.config.account.url)
        assert key is not None
        found = [
            (one.person, one.clause, one.penalty)
            for one in Violations(AccountStore(store, key), SystemClock()).between()
        ]
        store.close()
        return found


def date_of(day: str) -> int:
    """«2026-10-05» as amoCRM keeps a date."""
    return int(datetime.fromisoformat(day).replace(tzinfo=ALMATY).timestamp())


@pytest.fixture
def agency(office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> Agency:
    return Agency(office, bridge, sandbox)


@pytest.fixture
def running(agency: Agency) -> int:
    """A client whose advertising runs since Monday noon, paid for a month."""
    return launched(agency)


def launched(agency: Agency, **fields: Any) -> int:
    deal = agency.client(CLIENT, **fields)
    for name, value in {
        "Материалы согласованы": True,
        SECRET_FIELD: SECRET,
        START: date_of("2026-10-05"),
        MONTHS: 1,
        "Название рекламного аккаунта": "Витрина",
        "Название рекламной кампании": "Салон, октябрь",
        "Цель рекламы": "Трафик",
    }.items():
        agency.office.fill(ALINA, deal, name, value)
    agency.passes()
    assert agency.move(deal, STARTED) == STARTED
    return deal


def test_a_new_client_is_called_within_the_hour_by_the_script_of_his_service_or_the_head_hears_of_it(
    agency: Agency,
) -> None:
    deal = agency.client()
    assert (agency.has(deal, f"{FIRST} 2"), agency.due(deal, FIRST)) == (True, "05.10 13:00")
    told = [words for entry in agency.bridge.journal(deal) for words, _, _ in entry.effects]
    assert f"уведомление «Новый клиент: Салон „Айгуль“. Связаться в течение часа по скрипту 2» — {ALINA}" in told
    agency.passes(50 * 60)
    assert not agency.has(deal, "С новым клиентом не связались")
    agency.passes(15 * 60)
    assert agency.open_tasks(deal)["С новым клиентом не связались за час: Салон «Айгуль»"] == HEAD


def test_who_paid_after_eight_in_the_evening_is_called_by_eleven_in_the_morning(agency: Agency) -> None:
    agency.comes("2026-10-05T20:30")
    deal = agency.client()
    assert agency.due(deal, FIRST) == "06.10 11:00"
    agency.comes("2026-10-06T10:58")
    assert not agency.has(deal, "С новым клиентом не связались")
    agency.comes("2026-10-06T11:00")
    assert agency.has(deal, "С новым клиентом не связались")


def test_from_the_first_call_to_the_launch(agency: Agency) -> None:
    deal = agency.client()
    assert agency.move(deal, TALKED) == NEW, "no recorded call"
    agency.recorded_call(deal)
    assert agency.move(deal, TALKED) == TALKED

    agency.letter_from_client(deal, attachments=0)
    assert agency.office.stage_of(deal) == TALKED, "an answer, but no questionnaire"
    agency.letter_from_client(deal, attachments=1)
    wait_until(lambda: agency.office.stage_of(deal) == QUESTIONNAIRE, "the letter is found in the events list")
    agency.passes()
    assert len([text for text in agency.open_tasks(deal) if not text.startswith((FIRST, "Сделка возвращена"))]) == 4

    agency.move(deal, MATERIALS)
    assert agency.move(deal, CLIENT) == MATERIALS, "the head comes before the client"
    agency.finish(deal, MAKE)
    agency.finish(deal, APPROVE, "Не согласовано: нет призыва", HEAD)
    assert (agency.has(deal, APPROVE), agency.open_tasks(deal)[f"{REMAKE} и продающий текст"]) == (False, ALINA)
    agency.finish(deal, REMAKE)
    agency.finish(deal, APPROVE, "ну так", HEAD)
    assert agency.open_tasks(deal)[f"{APPROVE}. Ответ напишите в результате задачи: «Согласовано» или «Не согласовано»"]
    agency.finish(deal, APPROVE, "Согласовано", HEAD)
    assert agency.office.stage_of(deal) == CLIENT
    assert agency.has(deal, "Отправить материалы клиенту")

    assert agency.move(deal, STARTED) == CLIENT, "no access, no date, no names"
    assert "нет призыва" in "".join(agency.office.notes(deal))


def test_three_days_without_a_launch_cost_a_penalty_once(agency: Agency) -> None:
    deal = agency.client(TALKED)
    agency.attach(deal, "Анкета Айгуль.docx")
    assert agency.office.stage_of(deal) == QUESTIONNAIRE
    agency.passes(48 * HOUR)
    agency.move(deal, MATERIALS)
    assert agency.ledger() == []
    agency.passes(24 * HOUR)
    assert agency.open_tasks(deal)["Проект не запущен за 72 часа после анкеты: Салон «Айгуль»"] == HEAD
    agency.passes(72 * HOUR)
    assert agency.ledger() == [(ALINA, "M7", 5000)]


def test_the_clients_access_is_asked_for_and_told_nowhere(
    agency: Agency, sandbox: LocalCrm, capfd: pytest.CaptureFixture[str]
) -> None:
    deal = agency.client(CLIENT)
    agency.fill(deal, "Материалы согласованы", True)
    assert agency.move(deal, STARTED) == CLIENT
    assert any(SECRET_FIELD in text for text in agency.open_tasks(deal))
    agency.fill(deal, SECRET_FIELD, "first@vitrina")
    agency.fill(deal, SECRET_FIELD, SECRET)
    assert agency.move(deal, STARTED) == CLIENT
    (last,) = [
        text for text in agency.open_tasks(deal) if "Название рекламной кампании" in text and SECRET_FIELD not in text
    ]
    written = [last, *agency.open_tasks(deal), *agency.office.notes(deal)]
    written += [repr(entry) for entry in agency.bridge.journal(deal)]
    written += [
        body for path in ("/api/v4/tasks", f"/api/v4/leads/{deal}/notes") for body in sandbox.bodies("POST", path)
    ]
    written += [*capfd.readouterr()]
    assert any(f"«{SECRET_FIELD}» = •••" in text for text in written), "that it was filled is told"
    assert not [text for text in written if "vitrina" in text or "Qwerty" in text]


def test_the_clients_figures_are_proven_by_a_recording_or_a_screenshot(agency: Agency, running: int) -> None:
    agency.recorded_call(running)
    agency.passes(7 * DAY)
    agency.finish(running, FIGURES, "12 в день")
    assert agency.has(running, FIGURES), "last week's call proves nothing"
    assert "звонок с записью" in "".join(agency.office.notes(running))
    agency.attach(running, "IMG_2041.PNG")
    agency.finish(running, FIGURES, "12 в день")
    assert not agency.has(running, FIGURES)


def test_few_enquiries_mean_another_campaign_until_there_are_more(agency: Agency, running: int) -> None:
    change = "Мало обращений: изменить рекламную кампанию"
    agency.passes(7 * DAY)
    agency.attach(running, "IMG_1.PNG")
    agency.finish(running, FIGURES, "когда как")
    assert not agency.has(running, change)
    agency.finish(running, "Узнать у клиента и записать", "3 в день")
    assert (agency.has(running, change), agency.due(running, FIGURES)[:5]) == (True, "15.10")
    agency.passes(3 * DAY)
    agency.finish(running, change)
    agency.finish(running, FIGURES, "4 в день")
    assert not agency.has(running, change), "last time's screenshot proves nothing"
    agency.attach(running, "IMG_2.PNG")
    agency.finish(running, FIGURES, "4 в день")
    assert agency.has(running, change)
    agency.finish(running, change)
    agency.attach(running, "IMG_3.PNG")
    agency.finish(running, FIGURES, "9 в день")
    assert [text for text in agency.open_tasks(running) if text.startswith(("Узнать", change))] == []


def test_the_client_is_told_that_the_campaign_runs_and_not_of_a_launch_that_was_put_back(agency: Agency) -> None:
    deal = agency.client(CLIENT, Материалы_согласованы=True)
    assert agency.move(deal, STARTED) == CLIENT
    told = [entry.clause for entry in agency.bridge.journal(deal) if entry.verdict == "acts"]
    assert "M18" not in told
    other = launched(agency)
    agency.passes()
    letters = [entry for entry in agency.bridge.journal(other) if (entry.clause, entry.verdict) == ("M18", "acts")]
    assert len(letters) == 1
    assert "реклама запущена" in letters[0].effects[0][0]


@pytest.mark.parametrize(
    ("kind", "due"), [("Правка: пост", "07.10 19:30"), ("Правка: таргетинг, текст", "06.10 13:30")]
)
def test_a_change_that_the_client_asks_for_is_due_by_its_kind(
    agency: Agency, running: int, kind: str, due: str
) -> None:
    agency.comes("2026-10-05T19:30")
    types = {row["name"]: row["id"] for row in agency.crm.world.table("task_types").values()}
    asked = {"text": "Клиент просит заменить", "complete_till": int(agency.office.now().timestamp()) + 9 * DAY,
             "entity_id": running, "entity_type": "leads", "task_type_id": types[kind]}  # fmt: skip
    agency.office._ask("POST", "/api/v4/tasks", [asked], ALINA)
    agency.passes()
    assert agency.due(running, "Клиент просит заменить") == due


def test_a_client_who_stays_is_renewed_from_the_day_he_paid(agency: Agency, running: int) -> None:
    agency.comes("2026-11-02T09:00")
    assert not agency.has(running, RENEWAL)
    agency.comes("2026-11-02T10:00")
    assert "/scripts/renewal" in next(text for text in agency.open_tasks(running) if text.startswith(RENEWAL))
    agency.recorded_call(running)
    agency.finish(running, RENEWAL, "Продлевает, просит скидку")
    assert agency.office.stage_of(running) == NOTIFIED
    assert not agency.has(running, RENEWAL)
    agency.fill(running, "Дата оплаты", date_of("2026-11-04"))
    assert (agency.office.stage_of(running), agency.date(running, START)) == (RENEWED, "04.11.2026")
    agency.comes("2026-11-20T12:00")
    assert agency.office.stage_of(running) == RENEWED, "the old period is over, the new one is not"
    agency.comes("2026-12-01T10:00")
    assert agency.has(running, RENEWAL)


def test_a_company_gets_an_invoice_and_a_talk_without_a_recording_is_asked_for_again(agency: Agency) -> None:
    deal = launched(agency, Тип_клиента="Юридическое лицо")
    agency.comes("2026-11-02T10:00")
    agency.finish(deal, RENEWAL, "Остаётся")
    assert agency.has(deal, RENEWAL), "the recording is missing, so the answer does not count"
    assert agency.office.stage_of(deal) == STARTED
    assert not agency.has(deal, "Провести счёт на следующий период")
    agency.recorded_call(deal)
    agency.finish(deal, RENEWAL, "Остаётся")
    assert agency.open_tasks(deal)[ACCOUNTANTS_TASK] == ACCOUNTANT
    assert (agency.office.stage_of(deal), agency.has(deal, RENEWAL)) == (NOTIFIED, False)


def test_another_answer_to_the_task_that_was_set_again_is_the_one_that_counts(agency: Agency, running: int) -> None:
    agency.comes("2026-11-02T10:00")
    agency.finish(running, RENEWAL, "Продлевает")
    assert (agency.office.stage_of(running), agency.has(running, RENEWAL)) == (STARTED, True)
    agency.recorded_call(running)
    agency.finish(running, RENEWAL, "Отказывается")
    assert agency.office.stage_of(running) == LOST


def test_a_recorded_talk_is_contact_and_a_ticked_task_is_none(agency: Agency) -> None:
    talked, silent = agency.client(), agency.client()
    agency.recorded_call(talked)
    agency.finish(silent, FIRST)
    agency.passes(3 * HOUR)
    assert not agency.has(talked, "С новым клиентом не связались")
    assert agency.open_tasks(silent)["С новым клиентом не связались за час: Салон «Айгуль»"] == HEAD


def test_a_letter_with_a_logo_is_no_questionnaire_and_of_two_deals_the_newer_gets_it(agency: Agency) -> None:
    contact = agency.office.new_contact(ALINA, "Айгуль", "aigul@client.example")
    older, newer = (agency.office.new_deal(ALINA, name, TALKED, contact, 1) for name in ("Первый", "Второй"))
    agency.passes()
    letter = {"entity_type": "contacts", "entity_id": contact, "from_email": "aigul@client.example", "user_id": 0,
              "attachments": 1, "summary": "…"}  # fmt: skip
    agency.crm.control("POST", "ui/incoming_mail", letter | {"subject": "Логотип"})
    agency.passes(6 * 60)
    wait_until(lambda: agency.has(newer, "Клиент прислал файл"), "the letter is found in the events list")
    assert [agency.office.stage_of(deal) for deal in (older, newer)] == [TALKED, TALKED]
    agency.crm.control("POST", "ui/incoming_mail", letter | {"subject": "Re: Анкета"})
    agency.passes(6 * 60)
    wait_until(lambda: agency.office.stage_of(newer) == QUESTIONNAIRE, "the letter is found in the events list")
    agency.passes()
    assert agency.office.stage_of(older) == TALKED
    assert not agency.has(older, "Клиент прислал файл")


def test_a_letter_that_nobody_answers_is_the_managers_and_then_the_heads(agency: Agency) -> None:
    """M20: by the hours in which clients are answered, from ten to eight."""
    agency.comes("2026-10-05T19:30")
    deal = agency.client(on=TALKED)
    letter = {"entity_type": "leads", "entity_id": deal, "from_email": "aigul@client.example", "user_id": 0,
              "subject": "Когда запуск?", "attachments": 0}  # fmt: skip
    agency.crm.control("POST", "ui/incoming_mail", letter)
    agency.passes(6 * 60)
    wait_until(lambda: agency.bridge.steps(deal, UNANSWERED), "the letter is found in the events list")
    agency.comes("2026-10-06T10:20")
    assert not agency.has(deal, "Клиент ждёт ответа"), "half an hour of the evening and twenty minutes"
    agency.comes("2026-10-06T10:35")
    assert agency.open_tasks(deal)["Клиент ждёт ответа больше часа: ответить"] == ALINA
    agency.comes("2026-10-06T12:40")
    assert agency.open_tasks(deal)["Клиент ждёт ответа больше трёх часов"] == HEAD


def test_a_client_who_refuses_or_does_not_pay_is_lost(agency: Agency, running: int) -> None:
    silent = launched(agency)
    agency.comes("2026-11-02T10:00")
    agency.recorded_call(running)
    agency.finish(running, RENEWAL, "Отказывается, закрывают салон")
    assert agency.office.stage_of(running) == LOST
    agency.comes("2026-11-12T20:00")
    assert agency.office.stage_of(silent) == STARTED, "the seventh day after 5 November"
    agency.comes("2026-11-13T10:00")
    assert agency.office.stage_of(silent) == LOST
    agency.fill(silent, "Дата оплаты", date_of("2026-11-13"))
    assert (agency.office.stage_of(silent), agency.date(silent, START)) == (RENEWED, "13.11.2026"), "he paid after all"


def test_who_refuses_after_he_was_told_how_to_pay_is_lost_too(agency: Agency, running: int) -> None:
    agency.comes("2026-11-02T10:00")
    agency.recorded_call(running)
    agency.finish(running, RENEWAL, "Продлевает")
    assert agency.office.stage_of(running) == NOTIFIED
    agency.fill(running, "Клиент отказался от продления", True)
    assert agency.office.stage_of(running) == LOST


def test_who_paid_late_on_friday_is_called_on_saturday(agency: Agency) -> None:
    agency.comes("2026-10-09T20:30")
    deal = agency.client()
    assert agency.due(deal, FIRST) == "10.10 11:00"
    agency.comes("2026-10-10T11:00")
    assert agency.has(deal, "С новым клиентом не связались")


def test_the_hour_counts_from_the_payment_if_its_time_is_known(agency: Agency) -> None:
    """M1: he paid on Friday night and is typed in on Saturday morning."""
    agency.comes("2026-10-10T09:00")
    contact = agency.office.new_contact(ALINA, "Айгуль", "aigul@client.example")
    pipeline, stage = agency.office.stages[NEW]
    paid = int(datetime.fromisoformat("2026-10-09T20:30").replace(tzinfo=ALMATY).timestamp())
    body = {"name": "Салон «Айгуль»", "pipeline_id": pipeline, "status_id": stage,
            "responsible_user_id": agency.office.users[ALINA], "_embedded": {"contacts": [{"id": contact}]},
            "custom_fields_values": [{"field_id": agency.office.fields["Время оплаты"], "values": [{"value": paid}]}],
            }  # fmt: skip
    deal = agency.office._ask("POST", "/api/v4/leads", [body], ALINA)["_embedded"]["leads"][0]["id"]
    agency.passes()
    assert agency.due(deal, FIRST) == "10.10 11:00"
    agency.comes("2026-10-10T11:00")
    assert agency.has(deal, "С новым клиентом не связались")


def test_a_payment_time_that_is_recorded_later_moves_the_task(agency: Agency) -> None:
    """M1: a client came at noon; that the payment was half an hour earlier is typed in later."""
    agency.comes("2026-10-09T12:00")
    deal = agency.client()
    assert agency.due(deal, FIRST) == "09.10 13:00"
    paid = int(datetime.fromisoformat("2026-10-09T11:30").replace(tzinfo=ALMATY).timestamp())
    agency.fill(deal, "Время оплаты", paid)
    agency.passes()
    assert agency.due(deal, FIRST) == "09.10 12:30"
    agency.comes("2026-10-09T12:31")
    assert agency.has(deal, "С новым клиентом не связались")


DEAR = "Реклама дороже нормы: изменить кампанию"
UNCHECKED = "Реклама не проверена до 12:00: «Салон, октябрь»"


def unchecked(agency: Agency) -> list[str]:
    """What the head was told of campaigns that nobody has looked at."""
    account = agency.bridge.app.extensions[EXTENSION].account_at(None)
    with account.account_store.read() as connection:
        told = select(outbox.c.payload).where(outbox.c.rule == "ads.check").order_by(outbox.c.id)
        return [json.loads(one)["words"] for one in connection.execute(told).scalars()]


def upload_twice(agency: Agency, day: str, cost: str) -> str:
    """A colleague uploads an export for that day, and once more by mistake; what the page says then."""
    users = agency.bridge.app.extensions[EXTENSION].users
    user = users.add(f"smm {day} {cost}", Role.WEBINAR)
    visit = Visit(agency.bridge.app.test_client())
    visit.become(users.sit_down(user.id))
    head = "Дата;Кампания;Место размещения;Показы;Клики;Расход, руб."
    rows = f"{head}\n{day};САЛОН, октябрь;Stories;40 000;100;{cost}\nИтого;;;40 000;100;{cost}\n"
    for _ in range(2):
        form = {"service": "vk", "file": (BytesIO(rows.encode("cp1251")), "вчера.csv")}
        visit.post("/ads/file", form, page="/ads", content_type="multipart/form-data")
    agency.passes(2)
    return words_of(visit.get("/ads"))


def test_advertising_that_nobody_looked_at_and_that_costs_too_much(agency: Agency, running: int) -> None:
    """M9."""
    agency.comes("2026-10-06T12:00")
    wait_until(lambda: unchecked(agency) == [UNCHECKED], "the head is told")

    agency.comes("2026-10-07T10:00")
    words = upload_twice(agency, "06.10.2026", "210,00")
    assert "САЛОН, октябрь Салон «Айгуль» выше нормы CPC 2,10 ₽ за клик, норма до 1,50 ₽ (Stories)" in words
    dear = [text for text in agency.open_tasks(running) if text.startswith(DEAR)]
    assert dear == [f"{DEAR}. «Салон, октябрь», 06.10: CPC 2,10 ₽ за клик, норма до 1,50 ₽ (Stories)"]
    assert agency.due(running, DEAR) == "07.10 14:00"
    agency.comes("2026-10-07T12:00")
    assert unchecked(agency) == [UNCHECKED], "not of the day that was loaded"

    agency.comes("2026-10-08T10:00")
    upload_twice(agency, "07.10.2026", "190,00")
    assert agency.has(running, f"{DEAR}. «Салон, октябрь», 06.10"), "still open, so no second one"
    assert not agency.has(running, f"{DEAR}. «Салон, октябрь», 07.10")
    agency.finish(running, DEAR)
    upload_twice(agency, "07.10.2026", "200,00")
    assert agency.has(running, f"{DEAR}. «Салон, октябрь», 07.10: CPC 2,00 ₽")
    agency.finish(running, DEAR)

    agency.comes("2026-10-09T10:00")
    upload_twice(agency, "08.10.2026", "150,00")
    assert not agency.has(running, DEAR), "up to 1.5 is within the norm"


def test_a_lost_client_is_not_called_about_a_renewal(agency: Agency, running: int) -> None:
    agency.comes("2026-11-02T10:00")
    agency.move(running, RENEWED)
    assert agency.has(running, RENEWAL), "still a stage of the rule"
    agency.move(running, LOST)
    (task,) = [row for row in agency.office.tasks(running) if row["text"].startswith(RENEWAL)]
    assert (task["is_completed"], task["result"]["text"]) == (True, "Сделка ушла с этапа «Проект запущен»")
    assert not agency.has(running, RENEWAL), "what the bridge has closed needs no recording"


def test_who_pays_before_he_is_asked_is_not_lost(agency: Agency, running: int) -> None:
    agency.fill(running, "Дата оплаты", date_of("2026-10-30"))
    assert agency.office.stage_of(running) == RENEWED
    agency.comes("2026-11-16T12:00")
    assert agency.office.stage_of(running) == RENEWED
    agency.comes("2026-11-27T10:00")
    assert agency.has(running, RENEWAL), "three days before 30 November"


def test_an_answer_that_is_none_is_asked_for_again_and_needs_no_second_call(agency: Agency, running: int) -> None:
    agency.comes("2026-11-02T10:00")
    agency.recorded_call(running)
    agency.finish(running, RENEWAL, "подумает до завтра")
    agency.finish(running, f"{RENEWAL} что решил клиент?", "Продлевает")
    assert agency.office.stage_of(running) == NOTIFIED
    assert not agency.has(running, RENEWAL)

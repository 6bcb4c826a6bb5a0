"""A client of the department from the hand-over to the running campaign, by the shipped example alone.

C1 to C8, C10, C11, C12, C14, C16 to C19; touches (C9) and put-off deadlines (C13) are in test_clients.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.local_crm import LocalCrm
from support.office_day import OfficeDay
from support.running_bridge import RunningBridge, wait_until
from support.shipped_examples import example, stopped_at

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_file import CLIENTS

OLGA, ANTON, VERA, PAVEL = "Ольга Крылова", "Антон Зуев", "Вера Лапина", "Павел Громов"
HANDED, IN_WORK, APPROVED, ASKED, RUNNING = (
    f"Клиенты / {name}" for name in ("Передача из продаж", "В работе", "Утверждено", "Запуск запрошен", "Запущен")
)
BRIEF = {
    "Оплата получена": True,
    "Менеджер по продажам": "Вера Лапина",
    "Название компании": "Ромашка",
    "Дата передачи": "2026-03-16",
    "Папка клиента": "https://disk.example/romashka",
    "Услуги и бюджет": "Контекст, 100 000",
    "Ссылка на КП": "https://disk.example/kp",
    "Карточка клиента": "https://disk.example/card",
}
DOCUMENTS = ("Договор №5.pdf", "Приложение 1.pdf", "Счёт 17.pdf")
PLAN = {
    "Расчет согласован клиентом": True,
    "Предполагаемая дата оплаты": "2026-03-20",
    "Дата начала работ": "2026-03-25",
}
ACCESS = ("Счётчики установлены", "Цели настроены", "Электронная торговля настроена", "Доступы проверены")
LAUNCH = {
    "Ссылка на медиаплан": "https://disk.example/plan",
    "Период или сумма": "апрель",
    "Оплаченные суммы": "100 000",
    "Ссылка на рекламные материалы": "https://disk.example/banners",
}
ACCEPT, FIRST_CALL = "Принять клиента: проверить бриф", "Первый звонок клиенту: познакомиться, уточнить бриф и цели"
CHECKLIST = "Принять клиента от коллеги по списку"
UNANSWERED = "unanswered_client_is_escalated.messages"
CHECK = "Сверить отчёт с медиапланом, отправить клиенту"
# A Monday noon in Moscow.
MONDAY = "2026-03-16T12:00"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The client department's amoCRM."""
    with stopped_at(MONDAY, CLIENTS) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    return example("client_department", sandbox, tmp_path)


@pytest.fixture
def day(office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> OfficeDay:
    return OfficeDay(office, bridge, sandbox)


def known(day: OfficeDay, name: str = "Мария Ким", born: str = "1990-07-20") -> int:
    """A contact of whom everything is known."""
    moment = int(datetime.fromisoformat(born).replace(tzinfo=ZoneInfo("Europe/Moscow")).timestamp())
    card = {"PHONE": "+79165554433", "EMAIL": "maria@example.ru", "POSITION": "Директор", "День рождения": moment}
    return day.contact(ANTON, name, **card)


def handed(day: OfficeDay, *, documents: tuple[str, ...] = DOCUMENTS, **brief: object) -> int:
    """A client whom sales hand over."""
    deal = day.deal(ANTON, "Ромашка", HANDED, known(day))
    day.fill(ANTON, deal, **{**BRIEF, **brief})
    day.attach(ANTON, deal, *documents)
    return deal


def running(day: OfficeDay, contact: int | None = None) -> int:
    """A client whose campaign runs; the deal was made so."""
    return day.deal(ANTON, "Ромашка", RUNNING, contact or known(day))


def begins(day: OfficeDay, deal: int, text: str) -> list[tuple[str, str]]:
    """The open tasks that begin so."""
    return [told for one, told in day.tasks(deal).items() if one.startswith(text)]


def test_from_the_hand_over_to_the_running_campaign(day: OfficeDay) -> None:
    deal = handed(day)
    assert day.move(ANTON, deal, IN_WORK) == IN_WORK
    assert day.office.value(deal, "Статус") == "Клиент"
    day.finish(ANTON, deal, ACCEPT, "Принято")
    day.finish(ANTON, deal, FIRST_CALL)
    assert day.move(ANTON, deal, APPROVED) == IN_WORK
    assert all(f"«{name}»" in day.explained(deal) for name in PLAN)
    day.fill(ANTON, deal, **PLAN)
    assert day.move(ANTON, deal, APPROVED) == APPROVED
    assert day.move(ANTON, deal, ASKED) == APPROVED
    assert all(f"«{name}»" in day.explained(deal) for name in (*ACCESS, *LAUNCH))
    day.fill(ANTON, deal, **LAUNCH, **dict.fromkeys(ACCESS[:-1], True))
    assert day.move(ANTON, deal, RUNNING) == APPROVED, "one is not ticked yet"
    assert "«Доступы проверены»" in day.explained(deal)
    day.fill(ANTON, deal, **{ACCESS[-1]: True})
    assert day.move(ANTON, deal, ASKED) == ASKED
    day.at("2026-03-19T12:30")
    assert begins(day, deal, "Подтвердить запуск у производства") == [(ANTON, "19.03 19:00")]
    assert day.move(PAVEL, deal, RUNNING) == RUNNING
    assert not begins(day, deal, "Подтвердить запуск"), "it runs"


def test_a_launch_that_nobody_confirms_is_the_heads(day: OfficeDay) -> None:
    """C8."""
    deal = day.deal(ANTON, "Ромашка", ASKED, known(day))
    day.at("2026-03-19T12:30")
    day.at("2026-03-21T12:30")
    assert [who for who, _ in begins(day, deal, "Запуск не подтверждён за 5 дней")] == [OLGA]


@pytest.mark.parametrize(
    ("documents", "brief", "target", "missing"),
    [
        (DOCUMENTS[1:], {}, IN_WORK, "«Договор …»"),
        (DOCUMENTS[:1], {}, IN_WORK, "«Приложение …», «Счет …»"),
        (DOCUMENTS, {"Оплата получена": False}, IN_WORK, "«Оплата получена»"),
        (DOCUMENTS, {"Папка клиента": ""}, IN_WORK, "«Папка клиента»"),
        (DOCUMENTS, {"Оплата получена": False}, RUNNING, "«Оплата получена»"),
    ],
    ids=["contract", "appendix and invoice", "payment", "brief", "past the first stage"],
)
def test_sales_hand_over_the_paid_with_brief_and_documents(
    day: OfficeDay, documents: tuple[str, ...], brief: dict[str, object], target: str, missing: str
) -> None:
    """C2, C17."""
    deal = day.deal(ANTON, "Ромашка", HANDED, known(day))
    day.fill(ANTON, deal, **{name: value for name, value in {**BRIEF, **brief}.items() if value})
    day.attach(ANTON, deal, *documents)
    assert day.move(ANTON, deal, target) == HANDED
    assert missing in day.explained(deal)


def test_what_is_wrong_goes_back_to_who_sold(day: OfficeDay) -> None:
    """C17."""
    deal = handed(day)
    day.move(ANTON, deal, IN_WORK)
    day.finish(ANTON, deal, ACCEPT, "посмотрел")
    day.finish(ANTON, deal, "Принять клиента. Ответ", "Вернуть, договор без подписи")
    assert day.stage(deal) == HANDED
    assert [who for who, _ in begins(day, deal, "Клиента вернули")] == [VERA]
    assert any("договор без подписи" in note for note in day.office.notes(deal))


def test_contacts_are_asked_for_until_everything_is_known(day: OfficeDay) -> None:
    """C3."""
    contact = day.contact(ANTON, "Мария", EMAIL="maria@example.ru")
    deal = running(day, contact)
    asked = "Дополнить контакты. Мария: имя и фамилия, Телефон, День рождения, Должность"
    assert day.tasks_of(deal, ANTON).count(asked) == 1
    day.card(ANTON, contact, PHONE="+79165554433", POSITION="Директор")
    day.at("2026-03-17T10:31")
    assert "Дополнить контакты. Мария: имя и фамилия, День рождения" in day.tasks(deal)
    day.finish(ANTON, deal, "Дополнить контакты")
    day.at("2026-03-18T10:31")
    assert len(begins(day, deal, "Дополнить контакты")) == 1, "finished, and nothing is filled"
    day.office._ask("PATCH", "/api/v4/contacts", [{"id": contact, "name": "Мария Ким"}], ANTON)
    day.card(ANTON, contact, **{"День рождения": 648_000_000})
    day.at("2026-03-19T10:31")
    assert begins(day, deal, "Дополнить контакты") == []


def test_a_colleague_takes_the_client_over_with_its_tasks(day: OfficeDay) -> None:
    """C1."""
    deal = running(day)
    day.office.new_task(ANTON, deal, "Отправить акт")
    day.office.new_task(PAVEL, deal, "Обновить баннеры")
    day.settle()
    day.assign(ANTON, deal, VERA)
    assert {"Отправить акт": VERA, "Обновить баннеры": PAVEL}.items() <= {
        text: who for text, (who, _) in day.tasks(deal).items()
    }.items()
    assert [who for who, _ in begins(day, deal, CHECKLIST)] == [VERA]
    day.finish(ANTON, deal, CHECKLIST)
    assert [who for who, _ in begins(day, deal, CHECKLIST)] == [VERA], "only the new one finishes it"
    day.finish(VERA, deal, CHECKLIST)
    assert begins(day, deal, CHECKLIST) == []
    assert "Ромашка: клиента ведёт Вера Лапина, передайте дела" in day.told(deal), "Anton is told"


def test_the_head_moves_many_without_checklists(day: OfficeDay) -> None:
    """C1."""
    deals = [running(day) for _ in range(3)]
    for deal in deals:
        day.office._ask("PATCH", f"/api/v4/leads/{deal}", {"responsible_user_id": day.office.users[VERA]}, OLGA)
    day.settle()
    assert [begins(day, deal, CHECKLIST) for deal in deals] == [[], [], []]


@pytest.mark.parametrize("field", ["Окончание периода", "Окончание средств"])
def test_before_the_period_or_the_money_ends_there_is_an_invoice(day: OfficeDay, field: str) -> None:
    """C5: seven working days before the 31st of March is the 20th."""
    deal = running(day)
    day.fill(ANTON, deal, **{field: "2026-03-31"})
    day.at("2026-03-19T18:00")
    assert begins(day, deal, "Выставить счёт с приложением") == []
    day.at("2026-03-20T10:30")
    assert len(begins(day, deal, "Выставить счёт с приложением")) == 1
    day.fill(ANTON, deal, **{field: "2026-04-30"})
    assert begins(day, deal, "Выставить счёт с приложением") == [], "the next period is paid for"


def test_the_end_of_the_money_is_reckoned_from_what_is_left_and_spent(day: OfficeDay) -> None:
    """C5: 12,000 left on the 16th, 800 a day: spent by the 31st; seven working days before is the 20th."""
    invoice = "Средства кончаются: выставить счёт"
    deal = running(day)
    day.fill(ANTON, deal, **{"Расход в день": 800, "Остаток средств": 12_000, "Остаток на дату": "2026-03-16"})
    day.at("2026-03-19T18:00")
    assert begins(day, deal, invoice) == []
    day.at("2026-03-20T10:30")
    assert len(begins(day, deal, invoice)) == 1
    day.finish(ANTON, deal, invoice)
    # A little more was spent; then the client has paid.
    day.fill(ANTON, deal, **{"Остаток средств": 7_200, "Остаток на дату": "2026-03-20"})
    day.at("2026-03-21T10:30")
    assert begins(day, deal, invoice) == []
    day.fill(ANTON, deal, **{"Остаток средств": 47_200})
    day.at("2026-03-27T10:30")
    assert begins(day, deal, invoice) == []


def test_small_payments_do_not_put_the_next_invoice_off_for_ever(day: OfficeDay) -> None:
    """C5: each payment moves the end by less than counts as another one, but of the last end nobody has been told."""
    invoice = "Средства кончаются: выставить счёт"
    deal = running(day)
    day.fill(ANTON, deal, **{"Расход в день": 800, "Остаток средств": 12_000, "Остаток на дату": "2026-03-16"})
    day.at("2026-03-20T10:30")
    assert len(begins(day, deal, invoice)) == 1
    day.finish(ANTON, deal, invoice)
    # Spent by the 5th of April: nearly the 31st of March. Then by the 10th.
    day.fill(ANTON, deal, **{"Остаток средств": 12_800, "Остаток на дату": "2026-03-20"})
    day.at("2026-03-26T11:00")
    assert begins(day, deal, invoice) == []
    day.fill(ANTON, deal, **{"Остаток средств": 12_000, "Остаток на дату": "2026-03-26"})
    day.at("2026-04-01T11:00")
    assert len(begins(day, deal, invoice)) == 1


def test_creatives_and_access_before_the_launch(day: OfficeDay) -> None:
    """C6, C7."""
    deal = day.deal(ANTON, "Ромашка", APPROVED, known(day))
    day.fill(ANTON, deal, **{"Дата запуска": "2026-03-25"})
    day.at("2026-03-20T10:30")
    assert len(begins(day, deal, "Утвердить креативы")) == len(begins(day, deal, "Проверить доступы")) == 1
    day.at("2026-03-22T10:30")
    assert [who for who, _ in begins(day, deal, "До запуска 3 дня")] == [OLGA]


def test_a_media_plan_is_asked_for_and_is_new_again(day: OfficeDay) -> None:
    """C4."""
    deal = running(day)
    day.at("2026-03-23T11:01")
    assert [who for who, _ in begins(day, deal, "Подготовить медиаплан")] == [PAVEL]
    day.fill(PAVEL, deal, **{"Дата медиаплана": "2026-03-23"})
    assert begins(day, deal, "Подготовить медиаплан") == []
    day.at("2026-04-23T10:30")
    assert [who for who, _ in begins(day, deal, "Обновить медиаплан")] == [PAVEL]
    day.fill(PAVEL, deal, **{"Дата медиаплана": "2026-04-23"})
    assert begins(day, deal, "Обновить медиаплан") == []


def test_optimisation_is_asked_of_production_as_often_as_it_is_missing(day: OfficeDay) -> None:
    """C10: twice a month, so one by the 10th and two by the 20th."""
    deal = running(day)
    day.fill(ANTON, deal, **{"Дата передачи": "2026-03-16"})
    day.at("2026-03-20T10:01")
    assert [who for who, _ in begins(day, deal, "Оптимизация")] == [PAVEL, PAVEL]
    day.at("2026-04-10T10:01")
    assert len(begins(day, deal, "Оптимизация: в этом месяце ещё не было")) == 1
    assert "Ромашка: в этом месяце ещё не было оптимизации, задача поставлена производству" in day.told(deal)
    # A specialist of his own accord: with the one that was set these are two.
    day.office.new_task(PAVEL, deal, "Оптимизация ставок")
    day.settle()
    assert "Ромашка: поставлена задача по оптимизации. Задача: „Оптимизация ставок“" in day.told(deal)
    before = len(begins(day, deal, "Оптимизация"))
    day.at("2026-04-20T10:01")
    assert len(begins(day, deal, "Оптимизация")) == before


@pytest.mark.parametrize(
    ("kind", "first", "fifteenth"),
    [(None, 1, 0), ("Отчет за месяц", 1, 0), ("Отчет за 2 недели", 1, 1), ("Отчет за определенный период РК", 0, 0)],
)
def test_reports_are_as_the_contract_says(day: OfficeDay, kind: str | None, first: int, fifteenth: int) -> None:
    """C11, and C12: a meeting a month whatever the contract says."""
    deal = running(day)
    if kind:
        day.fill(ANTON, deal, Отчетность=kind)
    day.at("2026-04-01T10:01")
    assert len(begins(day, deal, "Подготовить отчёт за месяц")) == len(begins(day, deal, CHECK)) == first
    assert len(begins(day, deal, "Провести встречу с клиентом")) == 1
    day.at("2026-04-15T10:01")
    assert len(begins(day, deal, "Подготовить отчёт за две недели")) == fifteenth


def test_results_worse_than_the_plan_are_told(day: OfficeDay) -> None:
    """C11."""
    deal = running(day)
    day.fill(ANTON, deal, **{"Отчетность": "Отчет за определенный период РК", "Дата отчета": "2026-03-20"})
    day.at("2026-03-17T10:30")
    assert [who for who, _ in begins(day, deal, "Подготовить отчёт за период РК")] == [PAVEL]
    day.finish(ANTON, deal, CHECK, "готово")
    day.finish(ANTON, deal, "Сверить отчёт с медиапланом: ответ", "Хуже: клик дороже вдвое")
    assert [who for who, _ in begins(day, deal, "Результаты хуже медиаплана: Ромашка")] == [OLGA]
    assert [who for who, _ in begins(day, deal, "Объяснить, почему результаты хуже")] == [PAVEL]


def test_closing_documents_are_followed_month_by_month(day: OfficeDay) -> None:
    """C14."""
    deal = running(day)
    steps = ("отправить", "получить", "проверить печати и подписи")
    day.at("2026-04-01T11:01")
    assert {f"Закрывающие документы: {one} (март 2026)" for one in steps} <= day.tasks(deal).keys()
    day.finish(ANTON, deal, "Закрывающие документы: отправить (март")
    day.at("2026-05-04T11:01")
    left = sorted(text for text in day.tasks(deal) if text.startswith("Закрывающие"))
    assert left == sorted(
        [f"Закрывающие документы: {one} (март 2026)" for one in steps[1:]]
        + [f"Закрывающие документы: {one} (апрель 2026)" for one in steps]
    )


def test_every_contact_is_congratulated_on_the_own_card(day: OfficeDay) -> None:
    """C16."""
    main, second = known(day, "Мария Ким", "1990-03-20"), known(day, "Пётр Лев", "1985-03-20")
    deal = running(day, main)
    link = {"to_entity_id": second, "to_entity_type": "contacts"}
    day.office._ask("POST", f"/api/v4/leads/{deal}/link", [link], ANTON)
    day.settle()
    day.at("2026-03-20T10:01")
    assert [day.on_card(one) for one in (main, second)] == [{"Поздравить с днём рождения": ANTON}] * 2


def test_nothing_is_left_to_do_for_a_client_who_has_gone(day: OfficeDay) -> None:
    """Every task of the bridge has an end: none stands in the evening list or the overdue report any more."""
    contact = day.contact(ANTON, "Мария")
    deal = running(day, contact)
    day.fill(ANTON, deal, **{"Окончание периода": "2026-03-31", "Дата передачи": "2026-03-16"})
    for moment in ("2026-03-18T12:01", "2026-03-20T16:01", "2026-03-23T11:01", "2026-04-01T11:01"):
        day.at(moment)
    texts = ("Дополнить", "Связаться", "Оптимизация", "Выставить", "Подготовить", "Сверить", "Провести", "Закрывающие")
    assert all(begins(day, deal, text) for text in texts)
    own = day.office.new_task(ANTON, deal, "Вернуть аванс")
    assert day.lose(OLGA, deal, "Закрыл бизнес") == "Клиенты / Закрыто и не реализовано"
    assert list(day.tasks(deal)) == ["Вернуть аванс"], "people's own tasks are theirs"
    assert own


@pytest.mark.parametrize(
    ("filled", "passes"),
    [({"Оплата получена": True}, True), ({"Проверенный клиент": True}, True), ({}, False)],
    ids=["paid", "trusted", "not paid"],
)
def test_no_launch_before_the_money(day: OfficeDay, filled: dict[str, object], passes: bool) -> None:
    """C19."""
    deal = day.deal(ANTON, "Ромашка", APPROVED, known(day))
    day.fill(ANTON, deal, **LAUNCH, **dict.fromkeys(ACCESS, True), **filled)
    assert day.move(ANTON, deal, ASKED) == (ASKED if passes else APPROVED)
    assert ("«Оплата получена»" in day.explained(deal)) != passes


def test_a_client_is_warned_of_a_launch_that_is_late(day: OfficeDay) -> None:
    """C20: on the day itself; the head hears of it on the next."""
    deal = day.deal(ANTON, "Ромашка", APPROVED, known(day))
    in_time = day.deal(ANTON, "Василёк", APPROVED, known(day))
    for one in (deal, in_time):
        day.fill(ANTON, one, **{"Дата запуска": "2026-03-17", "Креативы утверждены": True})
    day.at("2026-03-17T15:00")
    assert not begins(day, deal, "Предупредить клиента")
    day.fill(ANTON, in_time, **{"Дата запуска": "2026-03-25"})
    day.at("2026-03-17T16:30")
    assert [who for who, _ in begins(day, deal, "Предупредить клиента")] == [ANTON]
    day.at("2026-03-18T11:30")
    assert [who for who, _ in begins(day, deal, "Срок запуска прошёл")] == [OLGA]
    assert not begins(day, in_time, "Предупредить клиента")
    assert not begins(day, in_time, "Срок запуска прошёл")


def test_a_message_that_nobody_answers_by_the_end_of_the_day(day: OfficeDay) -> None:
    contact = known(day)
    deal = running(day, contact)
    message = {"contact_id": contact, "lead_id": deal, "text": "Когда отчёт?", "user_id": 0}
    day.crm.control("POST", "ui/incoming_message", message)
    # amoCRM sends no hook of a message: the bridge finds it among the events, every five minutes.
    day.at("2026-03-16T12:10")
    wait_until(lambda: day.bridge.steps(deal, UNANSWERED), "the message is found")
    assert not begins(day, deal, "Ответить клиенту"), "the day is not over"
    day.at("2026-03-16T19:30")
    assert begins(day, deal, "Ответить клиенту")

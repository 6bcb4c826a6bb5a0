"""The stories of every document: which account and config they are played by, and those of W, S and C.

A document is a row of ``DOCUMENTS``; a story more is one in its row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from amo_bridge.demo.enquiries import ENQUIRY_STORY
from amo_bridge.demo.stories import PROJECT_STORY, SALE, TIME, Act, Scene, Story, expect, sees_stage, sees_task


@dataclass(frozen=True)
class Document:
    """``account``: one that comes along with the sandbox; ``config``: the example's file, from the project's top."""

    account: str
    config: str
    stories: tuple[Story, ...]


Happens = Callable[[Scene], None]
Sees = Callable[[Scene], Iterator[str]]


def moved(person: str, stage: str, **more: Any) -> Happens:
    return lambda scene: scene.office.move(person, scene.deal, stage, **more)


def finished(person: str, text: str, result: str = "") -> Happens:
    """The open task that begins so."""

    def happens(scene: Scene) -> None:
        found = (row for row in scene.office.tasks(scene.deal) if row["text"].startswith(text))
        scene.office.finish(person, scene.deal, next(row["text"] for row in found if not row["is_completed"]), result)

    return happens


def passed(**time: float) -> Happens:
    return lambda scene: scene.office.let_pass(timedelta(**time))


def sees(stage: str, *tasks: tuple[str, str]) -> Sees:
    """The deal's stage, and a task of somebody's for each of these texts."""

    def look(scene: Scene) -> Iterator[str]:
        yield sees_stage(scene, stage)
        for text, who in tasks:
            yield sees_task(scene, text, who)

    return look


def _owner_is(person: str) -> Sees:
    def look(scene: Scene) -> Iterator[str]:
        owner = scene.office.deal(scene.deal)["responsible_user_id"]
        yield expect(owner == scene.office.users[person], f"ответственный — {person}")

    return look


def _assigned(person: str, to: str) -> Happens:
    def happens(scene: Scene) -> None:
        body = {"responsible_user_id": scene.office.users[to]}
        scene.office._ask("PATCH", f"/api/v4/leads/{scene.deal}", body, person)

    return happens


# W: a webinar client, from the webinar to a loss.

KOTOVA, NATALIA, SERGEY = "Марина Котова", "Наталья Белова", "Сергей Лукин"
LONG, THINKS = "Вебинары / Был на вебинаре более часа", "Вебинары / Думает (поговорили)"
COURSE, NO_COURSE = "Вебинары / Успешно реализовано", "Вебинары / Закрыто и не реализовано"
MOVE_ON = "Перевести сделку по воронке"


def _attendee(scene: Scene) -> None:
    scene.contact = scene.office.new_contact(KOTOVA, "Анна", "anna@example.ru")
    scene.deal = scene.office.new_deal(KOTOVA, "anna@example.ru, Анна", LONG, scene.contact, 10_000)


def _talked(scene: Scene) -> None:
    scene.office.call(NATALIA, scene.deal, seconds=95)


def _gist(scene: Scene) -> None:
    scene.office.write_note(NATALIA, scene.deal, "Советуется с мужем, ждёт до среды")


def _lost_for(reason: str) -> Happens:
    return lambda scene: scene.office.move(NATALIA, scene.deal, NO_COURSE, loss_reason_id=scene.office.reasons[reason])


SCHOOL_STORY = Story(
    "Школа: клиент после вебинара",
    (
        Act("Анна была на вебинаре больше часа, её сделка — ничья", _attendee, sees(LONG), 0),
        Act(f"{NATALIA} сделала клиента своим", _assigned(NATALIA, NATALIA), _owner_is(NATALIA), 0, ("W4",)),
        Act(f"{SERGEY} берёт чужого клиента", _assigned(SERGEY, SERGEY), _owner_is(NATALIA), 1, ("W4",)),
        Act(f"{NATALIA} поговорила", _talked, sees(LONG, ("суть разговора", NATALIA)), 2, ("W11",)),
        Act("Записала суть", _gist, sees(LONG), 2, ("W11",)),
        Act("Вечер, а сделка не переведена", passed(hours=7.6), sees(LONG, (MOVE_ON, NATALIA)), 3, ("W13",)),
        Act("Перевела на «Думает»", moved(NATALIA, THINKS), sees(THINKS, ("как договорились", NATALIA)), 4, ("W5",)),
        Act("Успех без оплаты", moved(NATALIA, COURSE), sees(THINKS, ("полной оплаты", NATALIA)), 5, ("W9",)),
        Act("Закрыла как «Тестовое задание»", _lost_for("Тестовое задание"), sees(THINKS), 6, ("W14",)),
        Act("Закрыла: «Не одобрена рассрочка»", _lost_for("Не одобрена рассрочка"), sees(NO_COURSE), 6, ("W7, W10",)),
    ),
)


# S: a remote sale, from the question to the care department and back.

ROMAN, DENYS = "Роман Литвин", "Денис Кравец"
ASKED, WAITS, PAID = (f"Продажи / {one}" for one in ("Выясняем запрос", "Ждём оплату", "Успешно реализовано"))
CARE, NEED = "Отдел заботы / Новый клиент", "Отдел заботы / Новая потребность"


def _question(scene: Scene) -> None:
    scene.contact = scene.office.new_contact(ROMAN, "Марина")
    scene.deal = scene.office.new_deal(ROMAN, "Марина", ASKED, scene.contact, 9_000)
    scene.office.fill(ROMAN, scene.deal, "Запрос клиента", "Курс для начинающих")


def _promised(scene: Scene) -> None:
    day = scene.office.now() + timedelta(days=3)
    scene.office.fill(ROMAN, scene.deal, "Клиент оплатит", int(day.timestamp()))
    scene.office.move(ROMAN, scene.deal, WAITS)


def _paid(scene: Scene) -> None:
    scene.office.attach(ROMAN, scene.deal, "IMG_2031.HEIC")


def _sees_care(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, PAID)
    care = scene.office.deals_on(CARE)
    yield expect(len(care) == 1, f"одна сделка на «{CARE}»")
    owner = care[0]["responsible_user_id"] == scene.office.users[DENYS]
    yield expect(owner, f"ответственный за неё — {DENYS}")


def _new_need(scene: Scene) -> None:
    scene.deal = scene.office.deals_on(CARE)[0]["id"]
    scene.office.fill(DENYS, scene.deal, "Потребность", "Курс для продолжающих")
    scene.office.move(DENYS, scene.deal, NEED)


def _sees_again(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, NEED)
    again = scene.office.deals_on(ASKED)
    yield expect(len(again) == 1, f"одна сделка на «{ASKED}»")
    asked = scene.office.value(again[0]["id"], "Запрос клиента")
    yield expect(asked == "Курс для продолжающих", "запрос — новая потребность")


REMOTE_STORY = Story(
    "Удалённые продажи: оплата, отдел заботы и обратно",
    (
        Act(f"{ROMAN} выясняет запрос Марины", _question, sees(ASKED), 0),
        Act("Ждёт оплату, а день не назван", moved(ROMAN, WAITS), sees(ASKED, ("«Клиент оплатит»", ROMAN)), 1, ("S4",)),
        Act("День назван", _promised, sees(WAITS, ("счёт", ROMAN), ("напомнить об оплате", ROMAN)), 3, ("S4",)),
        Act("Приложил снимок с телефона", _paid, _sees_care, 3, ("S5",)),
        Act(f"{DENYS} нашёл новую потребность", _new_need, _sees_again, 1, ("S7",)),
    ),
)


# C: a client of the department, from the hand-over to the confirmed launch.

ANTON, VERA, PAVEL = "Антон Зуев", "Вера Лапина", "Павел Громов"
HANDED, IN_WORK, PLANNED, WANTED, RUNS = (
    f"Клиенты / {one}" for one in ("Передача из продаж", "В работе", "Утверждено", "Запуск запрошен", "Запущен")
)
BRIEF: Mapping[str, object] = {
    "Оплата получена": True,
    "Менеджер по продажам": VERA,
    "Название компании": "Ромашка",
    "Папка клиента": "https://disk.example/romashka",
    "Услуги и бюджет": "Контекст, 100 000",
    "Ссылка на КП": "https://disk.example/kp",
    "Карточка клиента": "https://disk.example/card",
}
REQUEST: Mapping[str, object] = {
    "Ссылка на медиаплан": "https://disk.example/plan",
    "Период или сумма": "апрель",
    "Оплаченные суммы": "100 000",
    "Ссылка на рекламные материалы": "https://disk.example/banners",
    "Счётчики установлены": True,
    "Цели настроены": True,
    "Электронная торговля настроена": True,
    "Доступы проверены": True,
}


def _filled(values: Mapping[str, object], *dates: str, stage: str, files: tuple[str, ...] = ()) -> Happens:
    """Fill these fields, date fields with today, and move the deal on."""

    def happens(scene: Scene) -> None:
        today = int(scene.office.now().timestamp())
        for name, value in {**values, **dict.fromkeys(dates, today)}.items():
            scene.office.fill(ANTON, scene.deal, name, value)
        for file in files:
            scene.office.attach(ANTON, scene.deal, file)
        scene.office.move(ANTON, scene.deal, stage)

    return happens


def _handed(scene: Scene) -> None:
    scene.contact = scene.office.new_contact(ANTON, "Мария", "maria@example.ru")
    scene.deal = scene.office.new_deal(ANTON, "Ромашка", HANDED, scene.contact, 100_000)


DOCUMENTS_OF_SALES = ("Договор №5.pdf", "Приложение 1.pdf", "Счёт 17.pdf")
CLIENTS_STORY = Story(
    "Клиентский отдел: от передачи до запуска",
    (
        Act("Продажи передают «Ромашку»", _handed, sees(HANDED), 0),
        Act("Без брифа и документов", moved(ANTON, IN_WORK), sees(HANDED, ("«Договор …»", ANTON)), 1, ("C2",)),
        Act(
            "Бриф и документы на месте",
            _filled(BRIEF, "Дата передачи", stage=IN_WORK, files=DOCUMENTS_OF_SALES),
            sees(IN_WORK, ("Принять клиента", ANTON), ("Мария: имя и фамилия", ANTON)),
            3,
            ("C17", "C3"),
        ),
        Act("Принято", finished(ANTON, "Принять", "Принято"), sees(IN_WORK, ("Первый звонок", ANTON)), 4, ("C17",)),
        Act(f"{ANTON} передал клиента: {VERA}", _assigned(ANTON, VERA), sees(IN_WORK, ("по списку", VERA)), 5, ("C1",)),
        Act("Медиаплан не согласован", moved(VERA, PLANNED), sees(IN_WORK, ("«Расчет согласован", VERA)), 6, ("C18",)),
        Act(
            "Согласован",
            _filled(
                {"Расчет согласован клиентом": True},
                "Предполагаемая дата оплаты",
                "Дата начала работ",
                stage=PLANNED,
            ),
            sees(PLANNED),
            6,
        ),
        Act("Запуск без доступов", moved(VERA, WANTED), sees(PLANNED, ("«Доступы проверены»", VERA)), 7, ("C7",)),
        Act("Всё отмечено", _filled(REQUEST, stage=WANTED), sees(WANTED), 7),
        Act("Три дня без ответа", passed(days=3, minutes=1), sees(WANTED, ("у производства", VERA)), 8, ("C8",)),
        Act(f"{PAVEL} запустил", moved(PAVEL, RUNS), sees(RUNS), 8),
    ),
)


DOCUMENTS: Mapping[str, Document] = MappingProxyType(
    {
        "A": Document("agency", "config.example.toml", (SALE, TIME, PROJECT_STORY, ENQUIRY_STORY)),
        "W": Document("school", "examples/webinar.toml", (SCHOOL_STORY,)),
        "S": Document("remote", "examples/remote_sales.toml", (REMOTE_STORY,)),
        "C": Document("clients", "examples/client_department.toml", (CLIENTS_STORY,)),
    }
)
"""The documents that are played, by their letters."""

"""Stories of the demo: acts, what must be seen after each, and the sales story itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from amo_bridge.demo.crm_user import CrmUser

if TYPE_CHECKING:
    from amo_bridge.demo.enquiries import Client


@dataclass
class Scene:
    """What the acts share: the office, the deal they are about, the client who writes to it."""

    office: CrmUser
    deal: int = 0
    contact: int = 0
    client: Client | None = None


@dataclass(frozen=True)
class Act:
    """``happens``: what people do. ``sees``: what the CRM holds afterwards, in words, raising Missing until it does.

    ``tasks``: how many tasks the deal has then: one too many is as wrong as one too few.
    """

    title: str
    happens: Callable[[Scene], None]
    sees: Callable[[Scene], Iterator[str]]
    tasks: int
    rules: tuple[str, ...] = field(default=())


class Missing(Exception):
    """The CRM does not (yet) hold what the story promises."""


def expect(holds: bool, words: str) -> str:
    if not holds:
        raise Missing(words)
    return words


def sees_task(scene: Scene, text: str, who: str) -> str:
    found = [task for task in scene.office.tasks(scene.deal) if text in task["text"] and task["who"] == who]
    return expect(len(found) == 1, f"задача «{text.strip('«»')}» — {who}")


def sees_stage(scene: Scene, stage: str) -> str:
    return expect(scene.office.stage_of(scene.deal) == stage, f"этап «{stage}»")


@dataclass(frozen=True)
class Story:
    """A deal's way, act by act."""

    title: str
    acts: tuple[Act, ...]


# The script: a deal's way through «Продажи» by document A's rules, what people do and what the CRM must then hold.

MANAGER, HEAD, PR = "Иван Петров", "Елена Орлова", "Павел Смирнов"
CLIENT = {"Клиент (бренд)": "Ромашка", "Основной продукт": "Чай", "Тип клиента": "Прямой клиент"}
OFFER = "Коммерческое предложение для бренда «Ромашка».pdf"
OFFER_AGAIN = "Коммерческое предложение для бренда «Ромашка», дешевле.pdf"
APPROVAL = "A61, A62, A63"

__all__ = ["ACTS", "HEAD", "MANAGER", "PR", "SALE", "Act", "Missing", "Scene"]


def _new_deal(scene: Scene) -> None:
    scene.contact = scene.office.new_contact(MANAGER, "Ольга Ромашкина")
    scene.deal = scene.office.new_deal(MANAGER, "Ромашка", "Продажи / Новый клиент", scene.contact, 90_000)
    for name, value in CLIENT.items():
        scene.office.fill(MANAGER, scene.deal, name, value)


def _sees_first_task(scene: Scene) -> Iterator[str]:
    yield sees_task(scene, "Связаться и взять в работу", MANAGER)


def _too_early(scene: Scene) -> None:
    scene.office.move(MANAGER, scene.deal, "Продажи / Встреча назначена")


def _sees_put_back(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, "Продажи / Новый клиент")
    yield sees_task(scene, "«Дата первой встречи»", MANAGER)


def _brief(scene: Scene) -> None:
    scene.office.move(MANAGER, scene.deal, "Продажи / Бриф получен")
    deadline = scene.office.now() + timedelta(days=14)
    scene.office.fill(MANAGER, scene.deal, "Дата дедлайна", int(deadline.timestamp()))


def _sees_brief_task(scene: Scene) -> Iterator[str]:
    yield sees_task(scene, "Проверить бриф и составить КП", PR)
    yield sees_task(scene, "Заполнить раздел «Бриф»", MANAGER)
    (task,) = [task for task in scene.office.tasks(scene.deal) if "составить КП" in task["text"]]
    # All day in amoCRM is 23:59 of the account's zone; the field holds that day's midnight.
    day = int(scene.office.value(scene.deal, "Дата дедлайна"))
    yield expect(task["complete_till"] - day == 23 * 3600 + 59 * 60, "срок задачи — «Дата дедлайна»")


def _later(scene: Scene) -> None:
    deadline = scene.office.now() + timedelta(days=21)
    scene.office.fill(MANAGER, scene.deal, "Дата дедлайна", int(deadline.timestamp()))


def _offer(scene: Scene) -> None:
    scene.office.attach(PR, scene.deal, OFFER)


def _sees_offer(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, "Продажи / Согласование КП")
    yield sees_task(scene, "Согласовать КП", HEAD)


def _refused(scene: Scene) -> None:
    scene.office.finish(HEAD, scene.deal, "Согласовать КП", "Не согласовано: слишком дорого")


def _sees_redoing(scene: Scene) -> Iterator[str]:
    yield sees_task(scene, "Переделать КП", PR)
    yield sees_task(scene, "Описать правки в комментарии к сделке", HEAD)
    yield expect(any("слишком дорого" in note for note in scene.office.notes(scene.deal)), "комментарий — в примечании")


def _offer_again(scene: Scene) -> None:
    scene.office.finish(PR, scene.deal, "Переделать КП")
    scene.office.attach(PR, scene.deal, OFFER_AGAIN)


def _sees_second_round(scene: Scene) -> Iterator[str]:
    found = [task for task in scene.office.tasks(scene.deal) if task["text"] == "Согласовать КП"]
    yield expect([task["is_completed"] for task in found] == [True, False], f"вторая задача «Согласовать КП» — {HEAD}")


def _approved(scene: Scene) -> None:
    scene.office.finish(HEAD, scene.deal, "Согласовать КП", "согласовано")


def _sees_sending(scene: Scene) -> Iterator[str]:
    yield sees_task(scene, "Отправить КП клиенту и согласовать", MANAGER)
    yield sees_task(scene, "«Дата принятия решения»", MANAGER)


def _lost_silently(scene: Scene) -> None:
    scene.office.move(MANAGER, scene.deal, "Продажи / Закрыто и не реализовано")


def _sees_not_lost(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, "Продажи / Согласование КП")
    yield sees_task(scene, "«Причина отказа»", MANAGER)


def _lost(scene: Scene) -> None:
    reason = scene.office.reasons["Дорого"]
    scene.office.move(MANAGER, scene.deal, "Продажи / Закрыто и не реализовано", loss_reason_id=reason)


def _sees_routed(scene: Scene) -> Iterator[str]:
    office = scene.office
    yield sees_stage(scene, "Продажи / Закрыто и не реализовано")
    new = office.deals_on("Работа с потерянными / Потерянные")
    yield expect(len(new) == 1, "одна сделка в «Работа с потерянными»")
    tags = {tag["name"] for tag in new[0]["_embedded"]["tags"]}
    yield expect("дорого" in tags, "тег «дорого»")
    contacts = [contact["id"] for contact in new[0]["_embedded"]["contacts"]]
    yield expect(contacts == [scene.contact], "тот же контакт")
    there = str(office.value(scene.deal, "Связанная сделка"))
    back = str(office.value(new[0]["id"], "Связанная сделка"))
    linked = there.endswith(f"/{new[0]['id']}") and back.endswith(f"/{scene.deal}")
    yield expect(linked, "сделки указывают друг на друга")
    yield expect(sum(there in note for note in office.notes(scene.deal)) == 1, "примечание со ссылкой")


ACTS = (
    Act(f"{MANAGER} завёл сделку «Ромашка» на «Новый клиент»", _new_deal, _sees_first_task, 1, ("A10",)),
    Act("Перевёл её на «Встреча назначена», даты встречи нет", _too_early, _sees_put_back, 2, ("A40",)),
    Act("Перевёл на «Бриф получен», заполнил «Дата дедлайна»", _brief, _sees_brief_task, 4, ("A50", "A52")),
    Act("Сдвинул «Дата дедлайна» на неделю", _later, _sees_brief_task, 4, ("A50",)),
    Act(f"{PR} приложил файл «{OFFER}»", _offer, _sees_offer, 5, ("A51", "A60")),
    Act(f"{HEAD} закрыла «Согласовать КП»: «Не согласовано: слишком дорого»", _refused, _sees_redoing, 7, (APPROVAL,)),
    Act(f"{PR} переделал и приложил «{OFFER_AGAIN}»", _offer_again, _sees_second_round, 8, ("A62",)),
    Act(f"{HEAD} ответила «согласовано»", _approved, _sees_sending, 10, (APPROVAL, "A61")),
    Act("Сделку закрыли как потерянную, без причины", _lost_silently, _sees_not_lost, 11, ("A81",)),
    Act("Закрыли с причиной «Дорого»", _lost, _sees_routed, 11, ("A82",)),
)

SALE = Story("Продажа: от первой задачи до потери", ACTS)


# The third story: a project from «Утвержденный проект» to «Успешно реализовано».

PROJECT_PR, INSTAGRAM, ACCOUNTANT = "Ольга Волкова", "Дмитрий Титов", "Светлана Белова"
APPROVED = "Продажи / Утвержденный проект"
SOLD = "Продажи / Успешно реализовано"
TIMING, CONTENT, CHECKING, DOING, DONE = (
    f"Реализация / {stage}"
    for stage in ("Тайминг", "Подготовка контента", "Согласование контента", "Исполнение", "Успешно реализовано")
)
CLOSING = "Получить закрывающие документы"
REPORT, WHEN = "Подготовить и загрузить отчет по проекту", "Указать срок передачи отчета клиенту"
VIOLATION = "Невыполнение требований системы"
PROJECT: dict[str, Any] = {
    "PR-менеджер": PROJECT_PR,
    "Услуги": "Лисицына Екатерина:\n— Instagram: Размещение фото",
    "Реквизиты клиента": "ООО «Ландыш»",
    "Реквизиты подрядчика": "ИП Лисицына",
}


def _project_approved(scene: Scene) -> None:
    office = scene.office
    scene.contact = office.new_contact(MANAGER, "Мария Ландышева")
    scene.deal = office.new_deal(MANAGER, "Ландыш", APPROVED, scene.contact, 120_000)
    for name, value in PROJECT.items():
        office.fill(MANAGER, scene.deal, name, value)


def _sees_documents(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, APPROVED)
    yield sees_task(scene, "Подготовить документы", ACCOUNTANT)


def _sold(scene: Scene) -> None:
    scene.office.move(HEAD, scene.deal, SOLD)


def _sees_project(scene: Scene) -> Iterator[str]:
    office = scene.office
    projects = [deal for deal in office.deals_on(TIMING) if deal["name"] == "Ландыш"]
    yield expect(len(projects) == 1, f"одна сделка на «{TIMING}»")
    yield expect(projects[0]["responsible_user_id"] == office.users[PROJECT_PR], f"ответственная — {PROJECT_PR}")
    # From here on the story is about the project.
    scene.deal = projects[0]["id"]
    yield sees_task(scene, "Согласовать тайминг: Лисицына Екатерина, Instagram, Размещение фото", INSTAGRAM)
    yield sees_task(scene, "Согласовать и подписать документы: Лисицына Екатерина", PROJECT_PR)


def _deadline_is_near(scene: Scene) -> None:
    office = scene.office
    office.fill(PROJECT_PR, scene.deal, "Дедлайн проекта", int((office.now() + timedelta(days=8)).timestamp()))
    office.let_pass(timedelta(days=3))


def _sees_late(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, TIMING)
    yield sees_task(scene, "Близится дата сдачи, проект отстает от сроков", HEAD)


def _finish(scene: Scene, *texts: str) -> None:
    """The project's own tasks that are open, or those named."""
    for task in scene.office.tasks(scene.deal):
        is_wanted = any(text in task["text"] for text in texts) if texts else task["who"] != HEAD
        if not task["is_completed"] and is_wanted:
            scene.office.finish(PROJECT_PR, scene.deal, task["text"])


def _content(scene: Scene) -> None:
    _finish(scene)


def _sees_next(stage: str, text: str) -> Any:
    def sees(scene: Scene) -> Iterator[str]:
        yield sees_stage(scene, stage)
        yield sees_task(scene, text, INSTAGRAM)

    return sees


def _deadline(scene: Scene) -> None:
    scene.office.let_pass(timedelta(days=5))


def _sees_closing(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, DOING)
    yield sees_task(scene, f"{CLOSING}: Лисицына Екатерина", PROJECT_PR)


def _papers(scene: Scene) -> None:
    _finish(scene)


def _sees_report_asked(scene: Scene) -> Iterator[str]:
    yield expect(bool(scene.office.value(scene.deal, "Закрывающие документы получены")), "галочка о документах")
    yield sees_task(scene, REPORT, PROJECT_PR)
    yield sees_task(scene, WHEN, PROJECT_PR)


def _no_report(scene: Scene) -> None:
    _finish(scene, WHEN)
    _finish(scene, REPORT)


def _sees_violation(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, DOING)
    yield sees_task(scene, VIOLATION, HEAD)
    again = [task for task in scene.office.tasks(scene.deal) if task["text"] == REPORT]
    yield expect([task["is_completed"] for task in again] == [True, False], "задача об отчёте поставлена снова")


def _report(scene: Scene) -> None:
    scene.office.attach(PROJECT_PR, scene.deal, "Отчет по проекту «Ландыш».pdf")
    _finish(scene, REPORT)


def _sees_done(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, DONE)


PROJECT_STORY = Story(
    "Проект: от утверждения до успеха",
    (
        Act("«Ландыш» на «Утвержденный проект»", _project_approved, _sees_documents, 2, ("A74", "A78")),
        Act(f"{HEAD} закрыла продажу", _sold, _sees_project, 2, ("A80",)),
        Act("До дедлайна пять дней, а проект на «Тайминг»", _deadline_is_near, _sees_late, 3, ("A96",)),
        Act(f"{PROJECT_PR} закрыла задачи этапа", _content, _sees_next(CONTENT, "Подготовить контент"), 4, ("A91",)),
        Act("И следующего", _content, _sees_next(CHECKING, "Согласовать контент"), 5, ("A91",)),
        Act("И ещё одного", _content, _sees_next(DOING, "Исполнить"), 6, ("A91",)),
        Act("Наступил дедлайн", _deadline, _sees_closing, 7, ("A97",)),
        Act("Документы получены, задачи закрыты", _papers, _sees_report_asked, 9, ("A99", "A100")),
        Act("Задачу об отчёте закрыли, а файла нет", _no_report, _sees_violation, 11, ("A101",)),
        Act("Файл приложен, задача закрыта", _report, _sees_done, 11, ("A102",)),
    ),
)


# The second story: a brief that does not come, told by the clock (days 3 to 10), and a date that passes.

AWAITED = "Продажи / Получение брифа"
POSTPONED = "Продажи / Отложенные"
SEND_BRIEF = "Отправить клиенту бриф для заполнения"
CALL = "Позвонить, напомнить про бриф или договориться о встрече"


def _awaited(scene: Scene) -> None:
    scene.contact = scene.office.new_contact(MANAGER, "Пётр Васильков")
    scene.deal = scene.office.new_deal(MANAGER, "Василёк", AWAITED, scene.contact, 40_000)


def _sees_brief_to_send(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, AWAITED)
    yield sees_task(scene, SEND_BRIEF, MANAGER)


def _brief_sent(scene: Scene) -> None:
    scene.office.fill(MANAGER, scene.deal, "Тема запроса", "Блогеры к весне")
    scene.office.finish(MANAGER, scene.deal, SEND_BRIEF)


def _sees_waiting(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, AWAITED)
    yield expect(bool(scene.office.value(scene.deal, "Бриф отправлен")), "галочка «Бриф отправлен»")


def _days(days: int) -> timedelta:
    # A minute more, so that what falls due on the day has fallen due.
    return timedelta(days=days, minutes=1)


def _three_days(scene: Scene) -> None:
    scene.office.let_pass(_days(3))


def _sunday(scene: Scene) -> None:
    scene.office.let_pass(_days(3))


def _monday(scene: Scene) -> None:
    scene.office.let_pass(_days(1))


def _ten_days(scene: Scene) -> None:
    scene.office.let_pass(_days(3))


def _sees_call(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, AWAITED)
    yield sees_task(scene, CALL, MANAGER)


def _postponed(scene: Scene) -> None:
    day = scene.office.now() + timedelta(days=14)
    scene.office.fill(MANAGER, scene.deal, "Дата получения брифа", int(day.timestamp()))
    scene.office.move(MANAGER, scene.deal, POSTPONED)


def _sees_late_brief_task(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, POSTPONED)
    yield sees_task(scene, "Получить бриф", MANAGER)


def _date_passes(scene: Scene) -> None:
    scene.office.let_pass(_days(15))


def _sees_back(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, AWAITED)
    yield expect(len(scene.office.tasks(scene.deal)) == 3, "прежние задачи на месте, новых нет")


LADDER = "A20–A23"
TIME = Story(
    "Время: бриф не присылают",
    (
        Act(f"{MANAGER} ждёт бриф от «Василька»", _awaited, _sees_brief_to_send, 1, ("A24",)),
        Act("Бриф отправлен, тема запроса записана", _brief_sent, _sees_waiting, 1, ("A24",)),
        Act("3 дня: реклама", _three_days, _sees_waiting, 1, (LADDER,)),
        Act("6 дней, воскресенье: задача менеджеру", _sunday, _sees_call, 2, (LADDER,)),
        Act("Понедельник: письмо, которое ждало рабочего времени с субботы", _monday, _sees_call, 2, (LADDER,)),
        Act("10 дней: дозвон", _ten_days, _sees_call, 2, (LADDER,)),
        Act("Клиент просил подождать две недели: «Отложенные»", _postponed, _sees_late_brief_task, 3, ("A30", LADDER)),
        Act("Дата прошла, сделку никто не тронул", _date_passes, _sees_back, 3, ("A31",)),
    ),
)

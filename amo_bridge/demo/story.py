"""The script: a deal's way through «Продажи» by document A's rules, what people do and what the CRM must then hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from amo_bridge.demo.acts import Act, Missing, Scene, Story, expect, sees_stage, sees_task

MANAGER, HEAD, PR = "Иван Петров", "Елена Орлова", "Павел Смирнов"
DATE_FORMAT = "%d.%m.%Y"
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
    Act("Перевёл на «Бриф получен», заполнил «Дата дедлайна»", _brief, _sees_brief_task, 3, ("A50",)),
    Act("Сдвинул «Дата дедлайна» на неделю", _later, _sees_brief_task, 3, ("A50",)),
    Act(f"{PR} приложил файл «{OFFER}»", _offer, _sees_offer, 4, ("A51", "A60")),
    Act(f"{HEAD} закрыла «Согласовать КП»: «Не согласовано: слишком дорого»", _refused, _sees_redoing, 6, (APPROVAL,)),
    Act(f"{PR} переделал и приложил «{OFFER_AGAIN}»", _offer_again, _sees_second_round, 7, ("A62",)),
    Act(f"{HEAD} ответила «согласовано»", _approved, _sees_sending, 9, (APPROVAL, "A61")),
    Act("Сделку закрыли как потерянную, без причины", _lost_silently, _sees_not_lost, 10, ("A81",)),
    Act("Закрыли с причиной «Дорого»", _lost, _sees_routed, 10, ("A82",)),
)

SALE = Story("Продажа: от первой задачи до потери", ACTS)

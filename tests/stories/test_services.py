"""A project's service lines on the stages of «Реализация»: tasks come, change and go with them."""

from __future__ import annotations

from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.demo.crm_user import CrmUser

PAVEL = "Павел Смирнов"
ONE = "Лисицына Екатерина:\n— Instagram: Размещение фото"
TWO = f"{ONE}\n— Telegram: Пост"


def project(office: CrmUser) -> int:
    contact = office.new_contact(PAVEL, "Анна Соколова")
    return office.new_deal(PAVEL, "Ромашка, запуск", "Реализация / Тайминг", contact, 90_000)


def open_tasks(office: CrmUser, deal: int) -> list[tuple[str, str]]:
    return sorted((row["text"], row["who"]) for row in office.tasks(deal) if not row["is_completed"])


def test_tasks_follow_the_lines(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    deal = project(office)
    bridge.settle(sandbox)
    assert open_tasks(office, deal) == [
        ("Заполнить поле «Услуги»: без него на этапе «Тайминг» нечего делать", PAVEL),
    ]

    sandbox.later()
    office.fill(PAVEL, deal, "Услуги", TWO)
    bridge.settle(sandbox)
    photo = ("Согласовать тайминг: Лисицына Екатерина, Instagram, Размещение фото", "Дмитрий Титов")
    papers = ("Согласовать и подписать документы: Лисицына Екатерина", PAVEL)
    post = ("Согласовать тайминг: Лисицына Екатерина, Telegram, Пост", "Ольга Волкова")
    assert open_tasks(office, deal) == [papers, photo, post]

    sandbox.later()
    office.fill(PAVEL, deal, "Услуги", ONE.replace("Размещение фото", "Сторис"))
    bridge.settle(sandbox)
    stories = ("Согласовать тайминг: Лисицына Екатерина, Instagram, Сторис", "Дмитрий Титов")
    assert open_tasks(office, deal) == [papers, stories]
    assert len(office.tasks(deal)) == 4


def test_the_bloggers_contact_is_linked_to_the_deal(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    deal = project(office)
    bridge.settle(sandbox)
    main = office.deal(deal)["_embedded"]["contacts"]
    lost = sandbox.fault("lost_answer", method="POST", path="/api/v4/leads/link", count=1)
    office.fill(PAVEL, deal, "Услуги", f"{TWO}\n\nКим Мария:\n— YouTube: Интеграция")
    bridge.settle(sandbox)
    assert sandbox.struck(lost) == 1
    linked = office.deal(deal)["_embedded"]["contacts"]
    assert linked[0] == main[0]
    assert len(linked) == 2
    text = "Завести контакт блогера «Ким Мария» и прикрепить к сделке: среди контактов его нет"
    assert (text, PAVEL) in open_tasks(office, deal)


def test_every_hook_twice_and_answers_lost_set_every_task_once(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    sandbox.fault("hook_duplicate")
    lost = sandbox.fault("lost_answer", method="P*", path="/api/v4/tasks", probability=0.7, seed=4)
    deal = project(office)
    bridge.settle(sandbox)
    sandbox.later()
    office.fill(PAVEL, deal, "Услуги", TWO)
    bridge.settle(sandbox)
    assert sandbox.struck(lost)
    assert len(open_tasks(office, deal)) == 3
    assert len(office.tasks(deal)) == 4

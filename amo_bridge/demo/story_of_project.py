"""The third story: a project from «Утвержденный проект» to «Успешно реализовано»."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from amo_bridge.demo.acts import Act, Scene, Story, expect, sees_stage, sees_task
from amo_bridge.demo.story import HEAD, MANAGER

PR, INSTAGRAM, ACCOUNTANT = "Ольга Волкова", "Дмитрий Титов", "Светлана Белова"
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
    "PR-менеджер": PR,
    "Услуги": "Лисицына Екатерина:\n— Instagram: Размещение фото",
    "Реквизиты клиента": "ООО «Ландыш»",
    "Реквизиты подрядчика": "ИП Лисицына",
}


def _approved(scene: Scene) -> None:
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
    yield expect(projects[0]["responsible_user_id"] == office.users[PR], f"ответственная — {PR}")
    # From here on the story is about the project.
    scene.deal = projects[0]["id"]
    yield sees_task(scene, "Согласовать тайминг: Лисицына Екатерина, Instagram, Размещение фото", INSTAGRAM)
    yield sees_task(scene, "Согласовать и подписать документы: Лисицына Екатерина", PR)


def _deadline_is_near(scene: Scene) -> None:
    office = scene.office
    office.fill(PR, scene.deal, "Дедлайн проекта", int((office.now() + timedelta(days=8)).timestamp()))
    office.let_pass(timedelta(days=3))


def _sees_late(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, TIMING)
    yield sees_task(scene, "Близится дата сдачи, проект отстает от сроков", HEAD)


def _finish(scene: Scene, *texts: str) -> None:
    """The project's own tasks that are open, or those named."""
    for task in scene.office.tasks(scene.deal):
        is_wanted = any(text in task["text"] for text in texts) if texts else task["who"] != HEAD
        if not task["is_completed"] and is_wanted:
            scene.office.finish(PR, scene.deal, task["text"])


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
    yield sees_task(scene, f"{CLOSING}: Лисицына Екатерина", PR)


def _papers(scene: Scene) -> None:
    _finish(scene)


def _sees_report_asked(scene: Scene) -> Iterator[str]:
    yield expect(bool(scene.office.value(scene.deal, "Закрывающие документы получены")), "галочка о документах")
    yield sees_task(scene, REPORT, PR)
    yield sees_task(scene, WHEN, PR)


def _no_report(scene: Scene) -> None:
    _finish(scene, WHEN)
    _finish(scene, REPORT)


def _sees_violation(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, DOING)
    yield sees_task(scene, VIOLATION, HEAD)
    again = [task for task in scene.office.tasks(scene.deal) if task["text"] == REPORT]
    yield expect([task["is_completed"] for task in again] == [True, False], "задача об отчёте поставлена снова")


def _report(scene: Scene) -> None:
    scene.office.attach(PR, scene.deal, "Отчет по проекту «Ландыш».pdf")
    _finish(scene, REPORT)


def _sees_done(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, DONE)


PROJECT_STORY = Story(
    "Проект: от утверждения до успеха",
    (
        Act("«Ландыш» на «Утвержденный проект»", _approved, _sees_documents, 2, ("A74", "A78")),
        Act(f"{HEAD} закрыла продажу", _sold, _sees_project, 2, ("A80",)),
        Act("До дедлайна пять дней, а проект на «Тайминг»", _deadline_is_near, _sees_late, 3, ("A96",)),
        Act(f"{PR} закрыла задачи этапа", _content, _sees_next(CONTENT, "Подготовить контент"), 4, ("A91",)),
        Act("И следующего", _content, _sees_next(CHECKING, "Согласовать контент"), 5, ("A91",)),
        Act("И ещё одного", _content, _sees_next(DOING, "Исполнить"), 6, ("A91",)),
        Act("Наступил дедлайн", _deadline, _sees_closing, 7, ("A97",)),
        Act("Документы получены, задачи закрыты", _papers, _sees_report_asked, 9, ("A99", "A100")),
        Act("Задачу об отчёте закрыли, а файла нет", _no_report, _sees_violation, 11, ("A101",)),
        Act("Файл приложен, задача закрыта", _report, _sees_done, 11, ("A102",)),
    ),
)

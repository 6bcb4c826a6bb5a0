"""A deal gets another manager → his checklist, the old one's open tasks become his, and the old one is told.

The checklist is the new manager's to finish: finished by anybody else it is set again. Handed on before it is finished,
it goes along with the other tasks. What the bridge set to explain a roll-back stays whose it is. Does nothing if nobody
answered for the deal before, somebody of ``not_by`` hands it over (the head who moves many at once), or the deal is on
another stage than ``stages``.
Covers C1.
"""

from __future__ import annotations

from amo_bridge.events import ResponsibleChanged, TaskFinished
from amo_bridge.rules import (
    Action,
    AddNote,
    ChangeTask,
    Deal,
    Notify,
    Options,
    PersonName,
    Skip,
    StageName,
    TaskSpec,
    Text,
    WhichTasks,
    handler,
)

CHECKLIST = "checklist"


class DealIsHandedOver(Options):
    stages: tuple[StageName, ...] = ()
    not_by: tuple[PersonName, ...] = ()
    task: TaskSpec
    tell: Text = Text("{Название}: клиента ведёт {Ответственный}, ваши открытые задачи по нему перешли туда же")


@handler(
    on=(ResponsibleChanged, TaskFinished),
    options=DealIsHandedOver,
    needs={"own_tasks", "open_tasks"},
    sends={"notices"},
)
def deal_is_handed_over(
    event: ResponsibleChanged | TaskFinished, deal: Deal, options: DealIsHandedOver
) -> Skip | list[Action]:
    if isinstance(event, TaskFinished):
        return _finished(event, deal, options)
    if deal.responsible is None or deal.responsible.id != event.new:
        return Skip("ответственный уже другой")
    if not event.old:
        return Skip("раньше за сделку никто не отвечал")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» передача не оформляется")
    if set(options.not_by) & set(event.user_is):
        return Skip("этот человек передаёт сделки и без чек-листа")
    old_ones = [task for task in WhichTasks().counted(deal.open_tasks) if task.responsible_user_id == event.old]
    moved: list[Action] = [ChangeTask(deal_id=deal.id, task_id=task.id, to=event.new) for task in old_ones]
    new = [] if deal.own_open_tasks(CHECKLIST) else options.task.wanted(deal, slot=CHECKLIST)
    return [*new, *moved, Notify(deal_id=deal.id, to=(event.old,), text=options.tell.for_deal(deal))]


def _finished(event: TaskFinished, deal: Deal, options: DealIsHandedOver) -> Skip | list[Action]:
    if event.by_bridge or not any(task.id == event.task_id and task.slot == CHECKLIST for task in deal.own_tasks):
        return Skip("это не чек-лист передачи")
    if event.user_id is None or deal.responsible is None or event.user_id == deal.responsible.id:
        return Skip("чек-лист закрыл новый менеджер")
    if deal.own_open_tasks(CHECKLIST):
        return Skip("чек-лист уже поставлен снова")
    if unmet := options.task.unmet(deal):
        return unmet
    told = AddNote(deal_id=deal.id, text=f"Чек-лист передачи поставлен снова: его закрывает {deal.responsible.name}")
    return [options.task.for_deal(deal, slot=CHECKLIST).followed_by(told)]

"""A deal's service lines change → the bloggers' contacts are linked to the deal.

Whoever is not among the contacts, or has namesakes there, is told of by a task, which closes itself when it is clear
who is meant. A contact whose lines are gone stays linked: a person may have had a reason to link it. Does nothing if
another field changed, the deal is on none of ``stages``, or everybody is linked already.
Covers A71 (lines saved → the bloggers' contacts are linked to the deal).
"""

from __future__ import annotations

from typing import Annotated

from amo_bridge.events import FieldChanged
from amo_bridge.rules import (
    Action,
    Blogger,
    CreateTask,
    Deal,
    Due,
    FinishTask,
    FromSection,
    LinkContacts,
    Options,
    PersonName,
    ServicesSection,
    Skip,
    StageName,
    handler,
    same_name,
)

CLEAR = "Контакт найден, или этого блогера в услугах больше нет"


class ServiceLinesLinkContacts(Options):
    services: Annotated[ServicesSection, FromSection("services")]
    stages: tuple[StageName, ...] = ()
    tell: PersonName = PersonName("manager")
    tell_due: Due = Due.parse("end of day")


@handler(on=FieldChanged, options=ServiceLinesLinkContacts, needs={"bloggers", "own_tasks"})
def service_lines_link_contacts(
    event: FieldChanged, deal: Deal, options: ServiceLinesLinkContacts
) -> Skip | list[Action]:
    if not same_name(event.field_name, options.services.field):
        return Skip("изменились не услуги")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» контакты не прикрепляются")
    clear = [one.contact_ids[0] for one in deal.bloggers if len(one.contact_ids) == 1]
    new = tuple(number for number in dict.fromkeys(clear) if number not in deal.contact_ids)
    link: list[Action] = [LinkContacts(deal_id=deal.id, contact_ids=new)] if new else []
    return link + _tasks_about_unclear(deal, options) or Skip("контакты всех блогеров уже прикреплены")


def _tasks_about_unclear(deal: Deal, options: ServiceLinesLinkContacts) -> list[Action]:
    """Tasks about those whose contact is not clear; what has been told once is not told again."""
    told = {task.slot: task for task in deal.own_tasks}
    unclear = {Blogger(one.name).mark: one for one in deal.bloggers if len(one.contact_ids) != 1}
    new: list[Action] = []
    for mark, one in unclear.items():
        if mark not in told:
            text = _request(one.name, has_namesakes=bool(one.contact_ids))
            new.append(CreateTask(deal_id=deal.id, text=text, to=options.tell, due=options.tell_due, slot=mark))
    settled = [task for slot, task in told.items() if slot not in unclear and not task.is_completed]
    return new + [FinishTask(deal_id=deal.id, task_id=task.id, result=CLEAR) for task in settled]


def _request(name: str, *, has_namesakes: bool) -> str:
    if has_namesakes:
        return f"Прикрепить к сделке контакт блогера «{name}»: с таким именем их несколько, мост не знает, кто нужен"
    return f"Завести контакт блогера «{name}» и прикрепить к сделке: среди контактов его нет"

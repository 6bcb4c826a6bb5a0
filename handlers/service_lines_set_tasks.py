"""A deal with service lines enters a stage, or its lines change there → tasks for every line and every blogger.

A line's task goes to whoever is responsible for its platform. A line that is added gets its tasks, one that is changed
changes them, one that is taken away closes them. What could not be read in the field, and a field without any line, is
told by a task of its own, which closes itself when the field is right. Does nothing if the deal is elsewhere, another
field changed, or every line has its tasks already; a task that somebody has finished is not set again until the deal
enters the stage anew.
Covers A90 («Согласовать тайминг», «Согласовать и подписать документы»), A93, A94, A95 (the same for later stages).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import FieldChanged, StageEntered
from amo_bridge.rules import (
    Action,
    BloggerTask,
    Conditional,
    CreateTask,
    Deal,
    Due,
    FromSection,
    LineTask,
    PersonName,
    ServiceLines,
    ServicesSection,
    Skip,
    StageName,
    handler,
    read_service_lines,
    same_name,
    steered,
)

GONE = "Услуги в сделке изменились: эта задача больше не нужна"
SHOWN = 300
"""Signs of what could not be read that fit into a task."""


class ServiceLinesSetTasks(Conditional):
    services: Annotated[ServicesSection, FromSection("services")]
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    per_line: tuple[LineTask, ...] = ()
    per_blogger: tuple[BloggerTask, ...] = ()
    tell: PersonName = PersonName("manager")
    tell_due: Due = Due.parse("end of day")


@handler(on=(StageEntered, FieldChanged), options=ServiceLinesSetTasks, needs={"own_tasks"})
def service_lines_set_tasks(
    event: StageEntered | FieldChanged, deal: Deal, options: ServiceLinesSetTasks
) -> Skip | list[Action]:
    before = None
    if isinstance(event, FieldChanged):
        if not same_name(event.field_name, options.services.field):
            return Skip("изменились не услуги")
        before = _wanted(event.old or "", deal, options)
    elif event.stage != deal.stage.key:
        return Skip("сделка уже ушла с этого этапа")
    if not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» услуги не ставят задач")
    if unmet := options.unmet(deal):
        return unmet
    wanted = _wanted(deal.text(options.services.field), deal, options)
    return steered(deal, wanted, before, GONE) or Skip("у каждой услуги уже есть свои задачи")


def _wanted(text: str, deal: Deal, options: ServiceLinesSetTasks) -> list[CreateTask]:
    """All tasks that a field with this text asks for."""
    found = read_service_lines(text, options.services.platforms)
    return [
        *(
            spec.for_line(deal, line, options.services, slot=f"line{number}.{line.place}")
            for number, spec in enumerate(options.per_line)
            for line in found.lines
        ),
        *(
            spec.for_blogger(deal, blogger.name, slot=f"blogger{number}.{blogger.mark}")
            for number, spec in enumerate(options.per_blogger)
            for blogger in found.bloggers
        ),
        *_correction_task(found, deal, options),
    ]


def _correction_task(found: ServiceLines, deal: Deal, options: ServiceLinesSetTasks) -> list[CreateTask]:
    """A task for whoever is to put the field right; none if it is."""
    field = options.services.field
    if found.unread:
        words = "; ".join(map(str, found.unread))
        text = f"Поправить поле «{field}», не разобрано: {words[:SHOWN]}"
    elif not found.bloggers:
        text = f"Заполнить поле «{field}»: без него на этапе «{deal.stage.name}» нечего делать"
    else:
        return []
    return [CreateTask(deal_id=deal.id, text=text, to=options.tell, due=options.tell_due, slot="trouble")]

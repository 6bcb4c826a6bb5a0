"""A file with the right name is attached → tasks are set.

Names are compared as in ``file_moves_deal``; ``but_not``: how names begin that are another matter. Another version of a
file that has set the tasks already (the same name again) is not news unless ``every_version`` says so. Does nothing if
the name does not match, the deal is on another stage, or such a task is still open on the deal.
Covers A62 (a new offer file starts the approval again), A75 («Договор …» or «Счет …» → «Отправить клиенту …»), S5.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import FileAttached
from amo_bridge.rules import (
    Action,
    Conditional,
    Deal,
    Skip,
    StageName,
    TaskSpec,
    Waiting,
    handler,
    plain,
    same_name,
    starts_with,
    waiting_tasks,
    without_extension,
)

LONGEST_SLOT = 100


class FileSetsTasks(Conditional):
    name_starts_with: Annotated[tuple[str, ...], Field(min_length=1)]
    but_not: tuple[str, ...] = ()
    stages: tuple[StageName, ...] = ()
    tasks: Annotated[tuple[TaskSpec, ...], Field(min_length=1)]
    every_version: bool = False


@handler(on=FileAttached, options=FileSetsTasks, needs={"own_tasks", "open_tasks"})
def file_sets_tasks(event: FileAttached, deal: Deal, options: FileSetsTasks) -> Skip | list[Action | Waiting]:
    if not any(starts_with(event.file_name, wanted) for wanted in options.name_starts_with):
        return Skip(f"файл «{event.file_name}» назван не так, как ждёт правило")
    if any(starts_with(event.file_name, other) for other in options.but_not):
        return Skip(f"файл «{event.file_name}» — из тех, которых правило не ждёт")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"этап «{deal.stage.title}» не ждёт этот файл")
    if unmet := options.unmet(deal):
        return unmet
    version = _version(event, options)
    known = {task.slot for task in deal.own_tasks if task.slot.partition("|")[2] == version}
    later = waiting_tasks(options.tasks, deal)
    wanted = [
        task for number, spec in enumerate(options.tasks) for task in spec.wanted(deal, slot=f"{number}|{version}")
    ]
    if not wanted:
        return later[0] if later else Skip("ни одна задача не подходит этой сделке")
    if all(task.slot in known for task in wanted):
        return Skip("файл с этим именем уже был: новая версия правило не запускает")
    still_open = [text for task in deal.open_tasks for text in task.texts]
    missing = [
        task for task in wanted if task.slot not in known and not any(same_name(task.text, text) for text in still_open)
    ]
    return [*missing, *later] if missing else Skip("такая задача ещё открыта")


def _version(event: FileAttached, options: FileSetsTasks) -> str:
    if options.every_version:
        return str(event.note_id or event.file_uuid or event.file_name)[:LONGEST_SLOT]
    return plain(without_extension(event.file_name))[:LONGEST_SLOT]

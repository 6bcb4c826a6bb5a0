"""Model of bench/chaos.toml that knows nothing of the engine: what one deal must look like.

Chaos compares the account with it, after what people did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

NEW, BRIEF_WANTED, POSTPONED = "Продажи / Новый клиент", "Продажи / Получение брифа", "Продажи / Отложенные"
MEETING, BRIEF, OFFER = "Продажи / Встреча назначена", "Продажи / Бриф получен", "Продажи / Согласование КП"
LOST = "Продажи / Закрыто и не реализовано"
ROUTED = "Работа с потерянными / Потерянные"

HEAD, PR = "Елена Орлова", "Павел Смирнов"
TAKE, CHECK, APPROVE = "Связаться и взять в работу", "Проверить бриф и составить КП", "Согласовать КП"
STAGE_TASKS = {
    MEETING: "Подготовиться к встрече",
    POSTPONED: "Вернуться к разговору",
    BRIEF_WANTED: "Получить бриф",
}
"""Stage → the task that its rule sets for the deal's manager."""
# What a person answers, and what the bridge writes when the date is gone.
DONE, EMPTIED = "Сделано", "Поле «Дата дедлайна» очищено, задача снята"


def _short(stage: str) -> str:
    """Without the pipeline."""
    return stage.split(" / ")[1]


class ComparedTask(NamedTuple):
    """The part of a task that is compared."""

    text: str
    who: str
    due: int | None
    is_completed: bool
    result: str


@dataclass
class ExpectedTask:
    """``due`` is Unix seconds, None where it follows from the moment of the act and is not compared.

    ``result``: the text a task was finished with, None while it is open. ``explains``: the stage onto which a gate did
    not let the deal, if the task explains that. ``work_of``: the stage that the deal must not leave if the task is to
    stay; every task ends with the deal. ``set_as``: its text when the rule set it, by which the rule knows it.
    """

    text: str
    who: str
    due: int | None = None
    result: str | None = None
    explains: str = ""
    work_of: str = ""
    set_as: str = ""

    def __post_init__(self) -> None:
        self.set_as = self.set_as or self.text

    @property
    def is_completed(self) -> bool:
        return self.result is not None

    @property
    def compared(self) -> ComparedTask:
        return ComparedTask(self.text, self.who, self.due, self.is_completed, self.result or "")


@dataclass
class ExpectedDeal:
    """One deal as the rules must leave it. Each method is one act of a person; it returns whether a rule answers it.

    ``gone``: people who are switched off; the head does what they would have to do."""

    responsible: str
    gone: set[str] = field(default_factory=set)
    stage: str = ""
    tasks: list[ExpectedTask] = field(default_factory=list)
    has_meeting: bool = False
    deadline: int | None = None
    losses: int = 0

    @property
    def is_routed(self) -> bool:
        return self.losses > 0

    def comes(self, stage: str, mover: str, *, reason: bool = False) -> bool:
        """The deal is moved to a stage (or made there)."""
        before, short = self.stage, _short(stage)
        missing = ""
        if stage == MEETING and not self.has_meeting:
            missing = "Дата первой встречи"
        elif stage == LOST and not reason:
            missing = "Причина отказа"
        if missing:
            back = _short(before)
            needs = f"Для перехода на этап «{short}» заполните: «{missing}»"
            if not self._is_explained(needs, mover):
                text = f"Сделка возвращена на этап «{back}». {needs}"
                self.tasks.append(ExpectedTask(text, mover, explains=stage))
            return True
        self.stage = stage
        self._close_explanations()
        self._end_tasks()
        if stage == NEW:
            return self._steer(TAKE, self.responsible, work_of=NEW)
        if stage in STAGE_TASKS:
            return self._steer(STAGE_TASKS[stage], self.responsible, work_of=stage)
        if stage == OFFER:
            return self._steer(APPROVE, HEAD, work_of=OFFER)
        if stage == BRIEF and self.deadline is not None:
            return self._steer_deadline()
        if stage == LOST:
            self.losses += 1
            return True
        return False

    def deadline_is(self, due: int | None) -> bool:
        self.deadline = due
        return self._steer_deadline() if self.stage == BRIEF else False

    def file_is_attached(self, *, is_offer: bool) -> bool:
        if not is_offer or self.stage != BRIEF:
            return False
        self.comes(OFFER, "")
        return True

    def completes(self, text: str) -> bool:
        for task in self._open(text):
            task.result = DONE
        return False

    def works_for(self, who: str) -> str:
        return HEAD if who in self.gone else who

    def has_open(self, text: str) -> bool:
        return bool(self._open(text))

    def _open(self, text: str) -> list[ExpectedTask]:
        return [task for task in self.tasks if task.set_as == text and not task.is_completed]

    def _is_explained(self, needs: str, mover: str) -> bool:
        """Does an open task tell the mover the same?"""
        return any(not task.is_completed and task.who == mover and task.text.endswith(needs) for task in self.tasks)

    def _close_explanations(self) -> None:
        """The deal is where a gate let it: explanations about this stage are closed, and all of them if it is lost."""
        for task in self.tasks:
            if task.explains and not task.is_completed and (self.stage == LOST or task.explains == self.stage):
                task.result = f"Сделка перешла на этап «{_short(self.stage)}»"

    def _end_tasks(self) -> None:
        """The deal stays where it came: what was work of another stage has lost its reason, and all if it is lost."""
        for task in self.tasks:
            if task.is_completed:
                continue
            if self.stage == LOST:
                task.result = f"Сделка закрыта: «{_short(LOST)}»"
            elif task.work_of and task.work_of != self.stage:
                task.result = f"Сделка ушла с этапа «{_short(task.work_of)}»"

    def _steer(self, text: str, who: str, due: int | None = None, *, work_of: str = "") -> bool:
        if self._open(text):
            return False
        self.tasks.append(ExpectedTask(text, self.works_for(who), due, work_of=work_of))
        return True

    def _steer_deadline(self) -> bool:
        still_open = self._open(CHECK)
        if self.deadline is None:
            for task in still_open:
                task.result = EMPTIED
            return bool(still_open)
        if not still_open:
            return self._steer(CHECK, PR, self.deadline)
        changed = any(task.due != self.deadline for task in still_open)
        for task in still_open:
            task.due = self.deadline
        return changed

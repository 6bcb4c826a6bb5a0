"""Actions about tasks → effects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.due import Due
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.resolve.terms import Terms, Way
from amo_bridge.rules.actions import Action, ChangeTask, CreateTask, FinishTask, Person
from amo_bridge.rules.deal import Deal


class TaskWays:
    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self.ways: Mapping[type[Action], Way] = {
            CreateTask: self.create,
            ChangeTask: self._change,
            FinishTask: self._finish,
        }

    def create(self, action: CreateTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        due = self._terms.due(action.due, deal, at)
        person = self._terms.user_id(action.to, record)
        return self._task_for(person, self._terms.present(person, due), due, action, deal, at)

    def for_mover(self, action: CreateTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """A task for whoever has just moved the deal: he is there, whatever the list of absences says."""
        mover = self._terms.user_id(action.to, record)
        return self._task_for(mover, mover, self._terms.due(action.due, deal, at), action, deal, at)

    def _task_for(
        self, person: int, does_it: int, due: datetime, action: CreateTask, deal: Deal, at: datetime
    ) -> list[Effect]:
        """A task that is ``person``'s, and that ``does_it`` does."""
        terms = self._terms
        on_contact = action.on == "contact" and deal.main_contact_id is not None
        body: dict[str, Any] = {
            "text": action.text,
            "complete_till": int(due.timestamp()),
            "responsible_user_id": does_it,
            "entity_id": deal.main_contact_id if on_contact else deal.id,
            "entity_type": "contacts" if on_contact else "leads",
            "task_type_id": terms.account.task_type(action.task_type).id if action.task_type else 1,
        }
        who = terms.user_name(does_it) + (f" (за {terms.user_name(person)})" if does_it != person else "")
        words = f"задача «{action.text}» — {who}, до {terms.local(due)}"
        return [Effect("create_task", deal.id, body, words, slot=action.slot, not_before=at.timestamp())]

    def free(self, text: str, to: Person, due: Due, record: DealRecord, at: datetime) -> dict[str, Any]:
        """A task on nobody's card: amoCRM's object for it."""
        moment = self._terms.due_of_nobodys(due, at)
        user = self._terms.present(self._terms.user_id(to, record), moment)
        return {"text": text, "complete_till": int(moment.timestamp()), "responsible_user_id": user, "task_type_id": 1}

    def _change(self, action: ChangeTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        wanted: dict[str, Any] = {}
        told = []
        task = next((own for own in deal.own_tasks if own.id == action.task_id), None)
        if action.due is not None:
            due = self._terms.due(action.due, deal, at)
            if task is None or int(task.due.timestamp()) != int(due.timestamp()):
                wanted["complete_till"] = int(due.timestamp())
                told.append(f"срок {self._terms.local(due)}")
        if action.text is not None and (task is None or task.text != action.text):
            wanted["text"] = action.text
            told.append(f"текст «{action.text}»")
        if action.to is not None:
            user = self._terms.user_id(action.to, record)
            if task is None or task.responsible_user_id != user:
                wanted["responsible_user_id"] = user
                told.append(f"исполнитель {self._terms.user_name(user)}")
        if not wanted:
            return []
        name = f"«{task.text}»" if task else str(action.task_id)
        return [Effect("change_task", deal.id, {"id": action.task_id, **wanted}, f"задача {name}: {', '.join(told)}")]

    def _finish(self, action: FinishTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"id": action.task_id, "is_completed": True, "result": {"text": action.result}}
        return [Effect("change_task", deal.id, body, f"задача {action.task_id} закрыта: {action.result}")]

"""Actions → effects: stage names, roles, due phrases and field names become amoCRM's ids and Unix seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.actions import (
    Action,
    AddNote,
    AddTags,
    ChangeTask,
    CreateDeal,
    CreateTask,
    FinishTask,
    MoveDeal,
    Person,
    RollBack,
    SetFields,
)
from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.entities import DealRecord
from amo_bridge.deal import Deal
from amo_bridge.due import Due
from amo_bridge.engine.effects import NEW_URL, Effect
from amo_bridge.engine.people import People
from amo_bridge.worktime import WorkCalendar


class Resolver:
    """Raises UnknownName (a name the account lost since the start) or ValueError (a due phrase over an empty field)."""

    def __init__(self, account: Account, people: People, calendar: WorkCalendar) -> None:
        self._account = account
        self._people = people
        self._calendar = calendar
        self._zone = ZoneInfo(account.timezone)
        self._ways: Mapping[type[Action], Callable[[Any, Deal, DealRecord, datetime], list[Effect]]] = {
            CreateTask: self._create_task,
            ChangeTask: self._change_task,
            FinishTask: self._finish_task,
            MoveDeal: self._move_deal,
            RollBack: self._roll_back,
            AddNote: self._add_note,
            SetFields: self._set_fields,
            AddTags: self._add_tags,
            CreateDeal: self._create_deal,
        }

    def effects(self, action: Action, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """What has to be sent; empty when all is so already. ``at``: when the cause happened (amoCRM's clock)."""
        return self._ways[type(action)](action, deal, record, at)

    def _create_task(self, action: CreateTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        due = self._due(action.due, deal, at)
        person = self._people.user_id(action.to, record)
        return self._task_for(person, self._present(person, due), due, action, deal, at)

    def _task_for(
        self, person: int, does_it: int, due: datetime, action: CreateTask, deal: Deal, at: datetime
    ) -> list[Effect]:
        """A task that is ``person``'s, and that ``does_it`` does."""
        on_contact = action.on == "contact" and deal.main_contact_id is not None
        body: dict[str, Any] = {
            "text": action.text,
            "complete_till": int(due.timestamp()),
            "responsible_user_id": does_it,
            "entity_id": deal.main_contact_id if on_contact else deal.id,
            "entity_type": "contacts" if on_contact else "leads",
            "task_type_id": self._account.task_type(action.task_type).id if action.task_type else 1,
        }
        who = self._user_name(does_it) + (f" (за {self._user_name(person)})" if does_it != person else "")
        words = f"задача «{action.text}» — {who}, до {self._local(due)}"
        return [Effect("create_task", deal.id, body, words, slot=action.slot, not_before=at.timestamp())]

    def free_task(self, text: str, to: Person, due: Due, record: DealRecord, at: datetime) -> dict[str, Any]:
        """A task on nobody's card: amoCRM's object for it."""
        moment = due.resolve(at, self._calendar, {})
        user = self._present(self._people.user_id(to, record), moment)
        return {"text": text, "complete_till": int(moment.timestamp()), "responsible_user_id": user, "task_type_id": 1}

    def _change_task(self, action: ChangeTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        wanted: dict[str, Any] = {}
        told = []
        task = next((own for own in deal.own_tasks if own.id == action.task_id), None)
        if action.due is not None:
            due = self._due(action.due, deal, at)
            if task is None or int(task.due.timestamp()) != int(due.timestamp()):
                wanted["complete_till"] = int(due.timestamp())
                told.append(f"срок {self._local(due)}")
        if action.text is not None and (task is None or task.text != action.text):
            wanted["text"] = action.text
            told.append(f"текст «{action.text}»")
        if action.to is not None:
            user = self._people.user_id(action.to, record)
            if task is None or task.responsible_user_id != user:
                wanted["responsible_user_id"] = user
                told.append(f"исполнитель {self._user_name(user)}")
        if not wanted:
            return []
        name = f"«{task.text}»" if task else str(action.task_id)
        return [Effect("change_task", deal.id, {"id": action.task_id, **wanted}, f"задача {name}: {', '.join(told)}")]

    def _finish_task(self, action: FinishTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"id": action.task_id, "is_completed": True, "result": {"text": action.result}}
        return [Effect("change_task", deal.id, body, f"задача {action.task_id} закрыта: {action.result}")]

    def _move_deal(self, action: MoveDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        stage = self._account.stage(action.to)
        if stage.key == deal.stage.key:
            return []
        body = {"id": deal.id, "pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        return [Effect("patch_deal", deal.id, body, f"этап → «{stage.title}»", expects=deal.stage.key)]

    def _roll_back(self, action: RollBack, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        missing = ", ".join(f"«{name}»" for name in action.missing)
        if action.to is None:
            text = f"Для {action.because} заполните: {missing}"
        else:
            back = self._account.stage_of(*action.to)
            text = f"Сделка возвращена на этап «{back.name}». Для {action.because} заполните: {missing}"
        task = CreateTask(deal_id=deal.id, text=text, to=action.tell, due=action.due, slot="rollback")
        mover = self._people.user_id(task.to, record)
        # Whoever has just moved the deal is there, whatever the list of absences says.
        effects = self._task_for(mover, mover, self._due(task.due, deal, at), task, deal, at)
        if action.to is not None:
            body = {"id": deal.id, "pipeline_id": back.pipeline_id, "status_id": back.status_id}
            words = f"возврат на этап «{back.title}»"
            # Explained only when it was done: a person may move the deal on before that.
            effects = [
                Effect(
                    "patch_deal", deal.id, body, words, expects=deal.stage.key, rolls_back=True, then=tuple(effects)
                )
            ]  # fmt: skip
        return effects

    def _add_note(self, action: AddNote, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"entity_id": action.deal_id, "note_type": "common", "params": {"text": action.text}}
        return [Effect("add_note", action.deal_id, body, f"примечание «{action.text}»", not_before=at.timestamp())]

    def _set_fields(self, action: SetFields, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        new = {name: value for name, value in action.values.items() if not _is_so(deal, name, value)}
        if not new:
            return []
        values = [self._field_value(name, value) for name, value in new.items()]
        words = "; ".join(
            f"поле «{name}» очищено" if value is None else f"поле «{name}» = {value}" for name, value in new.items()
        )
        return [Effect("patch_deal", deal.id, {"id": deal.id, "custom_fields_values": values}, words)]

    def _add_tags(self, action: AddTags, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        new = [tag for tag in action.tags if not deal.has_tag(tag)]
        if not new:
            return []
        body = {"id": deal.id, "tags_to_add": [{"name": tag} for tag in new]}
        return [Effect("patch_deal", deal.id, body, f"теги: {', '.join(new)}")]

    def _create_deal(self, action: CreateDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        stage = self._account.stage(action.to)
        values = [self._field_value(name, value) for name, value in action.values.items()]
        if action.link_field:
            values.append(self._field_value(action.link_field, deal.url))
        body: dict[str, Any] = {
            "name": action.name,
            "pipeline_id": stage.pipeline_id,
            "status_id": stage.status_id,
            "responsible_user_id": self._people.user_id(action.responsible, record),
            "_embedded": {
                "tags": [{"name": tag} for tag in action.tags],
                "contacts": [{"id": cid, "is_main": cid == deal.main_contact_id} for cid in action.contact_ids],
                "companies": [{"id": action.company_id}] if action.company_id else [],
            },
        }
        if action.price is not None:
            body["price"] = action.price
        if values:
            body["custom_fields_values"] = values
        then = [effect for follow in action.then for effect in self.effects(follow, deal, record, at)]
        if action.link_field:
            back = {"id": deal.id, "custom_fields_values": [self._field_value(action.link_field, NEW_URL)]}
            then.append(Effect("patch_deal", deal.id, back, f"поле «{action.link_field}» = адрес новой сделки"))
        words = f"новая сделка «{action.name}» на этапе «{stage.title}»"
        if action.tags:
            words += f", теги: {', '.join(action.tags)}"
        return [
            Effect(
                "create_deal", deal.id, body, words,
                slot=action.slot, once=True, then=tuple(then), not_before=at.timestamp(),
            )
        ]  # fmt: skip

    def _field_value(self, name: str, value: object) -> dict[str, Any]:
        field = self._account.field(name)
        if value is None:
            return {"field_id": field.id, "values": None}
        texts = value if isinstance(value, tuple) else (value,)
        return {"field_id": field.id, "values": [{"value": self._wire_value(field, one)} for one in texts]}

    def _wire_value(self, field: Field, value: object) -> object:
        if isinstance(value, datetime):
            return int(value.timestamp())
        if isinstance(value, date):
            return int(datetime.combine(value, time(), self._zone).timestamp())
        return value

    def _due(self, due: Due, deal: Deal, at: datetime) -> datetime:
        return due.resolve(at, self._calendar, {name: value for name in due.fields if (value := deal.value(name))})

    def _present(self, person: int, due: datetime) -> int:
        return self._people.present(person, due.astimezone(self._zone).date())

    def _local(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime("%d.%m.%Y %H:%M")

    def _user_name(self, user_id: int) -> str:
        return next((user.name for user in self._account.users if user.id == user_id), str(user_id))


def _is_so(deal: Deal, name: str, wanted: object) -> bool:
    """Has the field this value already? Numbers are texts in amoCRM."""
    value = deal.value(name)
    if value is None or wanted is None:
        return value is wanted
    return value == wanted or (isinstance(value, str) and value == str(wanted))

"""What every group of actions needs to turn the config's words into amoCRM's: ids, moments, field values, names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.crm.account import Account, Field
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.due import Due
from amo_bridge.engine.effects import NEW_ID, NEW_URL, Effect, Kind
from amo_bridge.engine.gates import slot_of
from amo_bridge.engine.people import People
from amo_bridge.rules.actions import (
    Action,
    AddNote,
    AddTags,
    AssignDeal,
    ChangeTask,
    CreateDeal,
    CreateTask,
    FinishTask,
    JoinAudience,
    LeaveAudience,
    LinkContacts,
    MoveDeal,
    Notify,
    Person,
    RecordViolation,
    RollBack,
    SendLetter,
    SendSms,
    SetFields,
    StartAutoDial,
    StartSeries,
    StopAutoDial,
    StopSeries,
    StoreFile,
)
from amo_bridge.rules.deal import Deal

Way = Callable[[Any, Deal, DealRecord, datetime], list[Effect]]
"""(action, deal, its record, when the cause happened) → what has to be sent; empty when all is so already."""


class NameResolver:
    """Raises UnknownName (a name the account lost since the start) or ValueError (a due phrase over an empty field)."""

    def __init__(self, account: Account, people: People, calendar: WorkCalendar) -> None:
        self.account = account
        self._people = people
        self._calendar = calendar
        self._zone = ZoneInfo(account.timezone)

    def user_id(self, person: Person, record: DealRecord) -> int:
        return self._people.user_id(person, record)

    def present(self, person: int, due: datetime) -> int:
        """Who does what is due then: the person, or the deputy of somebody away."""
        return self._people.present(person, due.astimezone(self._zone).date())

    def user_name(self, user_id: int) -> str:
        return next((user.name for user in self.account.users if user.id == user_id), str(user_id))

    def due(self, due: Due, deal: Deal, at: datetime) -> datetime:
        return due.resolve(at, self._calendar, {name: value for name in due.fields if (value := deal.value(name))})

    def due_of_nobodys(self, due: Due, at: datetime) -> datetime:
        """For what stands on no deal's card."""
        return due.resolve(at, self._calendar, {})

    def local(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime("%d.%m.%Y %H:%M")

    def field_value(self, name: str, value: object) -> dict[str, Any]:
        """A custom field and its value, as amoCRM's API takes it; None empties the field."""
        field = self.account.field(name)
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


# Actions that change the deal itself → effects: its stage, fields, tags, notes.


class DealResolver:
    """``task_for_mover``: how the task that explains a roll-back is resolved; ``tell``: how the mover is told too, if
    he can be."""

    def __init__(self, terms: NameResolver, task_for_mover: Way, tell: Way) -> None:
        self._terms = terms
        self._task_for_mover = task_for_mover
        self._tell = tell
        self.ways: Mapping[type[Action], Way] = {
            MoveDeal: self._move,
            RollBack: self._roll_back,
            AddNote: self._add_note,
            SetFields: self._set_fields,
            AddTags: self._add_tags,
            LinkContacts: self._link_contacts,
            AssignDeal: self._assign,
        }

    def _move(self, action: MoveDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        stage = self._terms.account.stage(action.to)
        if stage.key == deal.stage.key:
            return []
        body = {"id": deal.id, "pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        words = f"этап → «{stage.title}»"
        if action.reason is not None:
            reason = self._terms.account.loss_reason(action.reason)
            body["loss_reason_id"] = reason.id
            words += f", причина «{reason.name}»"
        return [Effect("patch_deal", deal.id, body, words, expects=deal.stage.key)]

    def _assign(self, action: AssignDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        person = self._terms.user_id(action.to, record)
        if record.responsible_user_id == person:
            return []
        words = f"ответственный → {self._terms.user_name(person)}"
        return [Effect("patch_deal", deal.id, {"id": deal.id, "responsible_user_id": person}, words)]

    def _roll_back(self, action: RollBack, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        text = f"Для {action.because} {action.needs}"
        if action.to is not None:
            back = self._terms.account.stage_of(*action.to)
            text = f"Сделка возвращена на этап «{back.name}». {text}"
        slot = slot_of(deal.stage.key)
        task = CreateTask(deal_id=deal.id, text=text, to=action.tell, due=action.due, slot=slot)
        notice = Notify(deal_id=deal.id, to=(action.tell,), text=text)
        effects = [*self._task_for_mover(task, deal, record, at), *self._tell(notice, deal, record, at)]
        if action.to is not None:
            body = {"id": deal.id, "pipeline_id": back.pipeline_id, "status_id": back.status_id}
            if action.loss_reason_id is not None:
                body["loss_reason_id"] = action.loss_reason_id
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
        values = [self._terms.field_value(name, value) for name, value in new.items()]
        words = "; ".join(
            f"поле «{name}» очищено" if value is None else f"поле «{name}» = {_shown(value)}"
            for name, value in new.items()
        )
        return [Effect("patch_deal", deal.id, {"id": deal.id, "custom_fields_values": values}, words)]

    def _add_tags(self, action: AddTags, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        new = [tag for tag in action.tags if not deal.has_tag(tag)]
        if not new:
            return []
        body = {"id": deal.id, "tags_to_add": [{"name": tag} for tag in new]}
        return [Effect("patch_deal", deal.id, body, f"теги: {', '.join(new)}")]

    def _link_contacts(self, action: LinkContacts, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        return [
            Effect(
                "link_contact",
                deal.id,
                {"entity_id": deal.id, "to_entity_id": contact_id, "to_entity_type": "contacts"},
                f"прикреплён контакт {contact_id}",
                not_before=at.timestamp(),
            )
            for contact_id in action.contact_ids
            if contact_id not in deal.contact_ids
        ]


def _shown(value: object) -> str:
    return {True: "да", False: "нет"}[value] if isinstance(value, bool) else str(value)


def _is_so(deal: Deal, name: str, wanted: object) -> bool:
    """Has the field this value already? Numbers are texts in amoCRM."""
    value = deal.value(name)
    if value is None or wanted is None:
        return value is wanted
    return value == wanted or (isinstance(value, str) and value == str(wanted))


# A deal that goes on where another ended → effects.


class NewDealResolver:
    """``any_action``: how whatever is to be done after the deal exists is resolved."""

    def __init__(self, terms: NameResolver, any_action: Way) -> None:
        self._terms = terms
        self._any_action = any_action
        self.ways: Mapping[type[Action], Way] = {CreateDeal: self._create}

    def _create(self, action: CreateDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        terms = self._terms
        stage = terms.account.stage(action.to)
        words = f"новая сделка «{action.name}» на этапе «{stage.title}»"
        if action.tags:
            words += f", теги: {', '.join(action.tags)}"
        body = self._body(action, deal, record)
        body |= {"pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        then = [effect for follow in action.then for effect in self._any_action(follow, deal, record, at)]
        if action.link_field:
            back = {"id": deal.id, "custom_fields_values": [terms.field_value(action.link_field, NEW_URL)]}
            then.append(Effect("patch_deal", deal.id, back, f"поле «{action.link_field}» = адрес новой сделки"))
        if action.file_uuids:
            files = {"entity_id": NEW_ID, "file_uuids": list(action.file_uuids)}
            then.append(Effect("attach_files", deal.id, files, f"файлы новой сделки: {len(action.file_uuids)}"))
        return [
            Effect(
                "create_deal", deal.id, body, words,
                slot=action.slot, once=True, then=tuple(then), not_before=at.timestamp(),
            )
        ]  # fmt: skip

    def _body(self, action: CreateDeal, deal: Deal, record: DealRecord) -> dict[str, Any]:
        values = [self._terms.field_value(name, value) for name, value in action.values.items()]
        if action.link_field:
            values.append(self._terms.field_value(action.link_field, deal.url))
        body: dict[str, Any] = {
            "name": action.name,
            "responsible_user_id": self._terms.user_id(action.responsible, record),
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
        return body


# Actions outside amoCRM → effects for the ports: people become user ids, everything else is told in words.


class ChannelResolver:
    """``can_be_told``: is there a way to tell this user something?"""

    def __init__(self, terms: NameResolver, can_be_told: Callable[[int], bool]) -> None:
        self._terms = terms
        self._can_be_told = can_be_told
        self.ways: Mapping[type[Action], Way] = {
            SendLetter: self._send_letter,
            Notify: self._notify,
            JoinAudience: self._join_audience,
            LeaveAudience: self._leave_audience,
            SendSms: self._send_sms,
            StartAutoDial: self._start_auto_dial,
            StopAutoDial: self._stop_auto_dial,
            StartSeries: self._start_series,
            StopSeries: self._stop_series,
            RecordViolation: self._record_violation,
            StoreFile: self._store_file,
        }

    def _send_letter(self, action: SendLetter, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body: dict[str, Any] = {
            "template": action.template,
            "service": action.service,
            "thread": action.thread,
            "no_address": None if action.no_address is None else self._terms.user_id(action.no_address, record),
        }
        return [_effect("send_letter", deal, body, f"письмо клиенту «{action.template}»", at)]

    def _notify(self, action: Notify, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """One for each person: a channel of one may fail. Whoever is away has a deputy; a user's id is somebody who has
        just done something, so he is there."""
        people = self._people(action.to, record, at)
        told = {"text": action.text, "urgent": action.urgent, "about": deal.name, "url": deal.url}
        return [
            _effect(
                "notify", deal, {"user_id": user} | told,
                f"уведомление «{action.text}» — {self._terms.user_name(user)}", at,
            )
            for user in people
        ]  # fmt: skip

    def free_notice(
        self, text: str, to: Iterable[Person], about: str, record: DealRecord, at: datetime
    ) -> list[dict[str, Any]]:
        """The bodies of a notice about no deal."""
        told = {"text": text, "urgent": False, "about": about, "url": ""}
        return [{"user_id": user} | told for user in self._people(to, record, at)]

    def _people(self, to: Iterable[Person], record: DealRecord, at: datetime) -> dict[int, None]:
        return dict.fromkeys(
            user if isinstance(person, int) else self._terms.present(user, at)
            for person in to
            for user in [self._terms.user_id(person, record)]
        )

    def tell_if_possible(self, action: Notify, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """Only those whom a notice reaches: for what is told by a task already."""
        return [one for one in self._notify(action, deal, record, at) if self._can_be_told(one.body["user_id"])]

    def _join_audience(self, action: JoinAudience, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        words = f"клиент включён в аудиторию «{action.audience}»"
        return [_effect("join_audience", deal, {"audience": action.audience}, words, at)]

    def _leave_audience(self, action: LeaveAudience, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        words = f"клиент исключён из аудитории «{action.audience}»"
        return [_effect("leave_audience", deal, {"audience": action.audience}, words, at)]

    def _send_sms(self, action: SendSms, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        return [_effect("send_sms", deal, {"text": action.text}, f"SMS клиенту «{action.text}»", at)]

    def _start_auto_dial(self, action: StartAutoDial, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"stage": list(deal.stage.key), "user_id": record.responsible_user_id}
        return [_effect("start_auto_dial", deal, body, "автодозвон включён", at)]

    def _stop_auto_dial(self, action: StopAutoDial, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        return [_effect("stop_auto_dial", deal, {"because": action.because}, "автодозвон выключен", at)]

    def _start_series(self, action: StartSeries, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"series": action.series, "stage": list(deal.stage.key)}
        return [_effect("start_series", deal, body, f"серия писем «{action.series}» начата", at)]

    def _stop_series(self, action: StopSeries, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"series": action.series, "because": action.because}
        words = f"серия писем «{action.series}» остановлена" if action.series else "все серии писем остановлены"
        return [_effect("stop_series", deal, body, words, at)]

    def _record_violation(self, action: RecordViolation, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        user = self._terms.user_id(action.person, record)
        body = {
            "user_id": user, "clause": action.clause, "penalty": action.penalty, "why": action.why,
            "at": int(at.timestamp()), "deal_name": deal.name,
        }  # fmt: skip
        fine = "" if action.penalty is None else f", штраф {action.penalty}"
        words = f"нарушение пункта {action.clause} — {self._terms.user_name(user)}{fine}"
        return [_effect("record_violation", deal, body, words, at)]

    def _store_file(self, action: StoreFile, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {
            "file_name": action.file_name, "file_uuid": action.file_uuid, "folder": action.folder,
            "link_field": action.link_field,
        }  # fmt: skip
        return [_effect("store_file", deal, body, f"копия файла «{action.file_name}» в папке «{action.folder}»", at)]


def _effect(kind: Kind, deal: Deal, body: Mapping[str, Any], words: str, at: datetime) -> Effect:
    return Effect(kind, deal.id, body, words, not_before=at.timestamp())


# Actions about tasks → effects.


class TaskResolver:
    def __init__(self, terms: NameResolver) -> None:
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


# Actions → effects: stage names, roles, due phrases and field names become amoCRM's ids and Unix seconds.
#
# Each group of actions has its file here; ``Resolver`` knows which action is whose.


def nobody_is_reachable(user_id: int) -> bool:
    """No way to tell people is connected."""
    return False


class Resolver:
    """``can_be_told``: is there a way to tell this user something?

    Raises UnknownName (a name the account lost since the start) or ValueError (a due phrase over an empty field)."""

    def __init__(
        self,
        account: Account,
        people: People,
        calendar: WorkCalendar,
        can_be_told: Callable[[int], bool] = nobody_is_reachable,
    ) -> None:
        terms = NameResolver(account, people, calendar)
        self._tasks = TaskResolver(terms)
        self._outside = outside = ChannelResolver(terms, can_be_told)
        self._ways: Mapping[type[Action], Way] = {
            **self._tasks.ways,
            **DealResolver(terms, self._tasks.for_mover, outside.tell_if_possible).ways,
            **NewDealResolver(terms, self.effects).ways,
            **outside.ways,
        }

    def effects(self, action: Action, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """What has to be sent; empty when all is so already. ``at``: when the cause happened (amoCRM's clock)."""
        return self._ways[type(action)](action, deal, record, at)

    def free_task(self, text: str, to: Person, due: Due, record: DealRecord, at: datetime) -> dict[str, Any]:
        """A task on nobody's card: amoCRM's object for it."""
        return self._tasks.free(text, to, due, record, at)

    def free_notice(
        self, text: str, to: Iterable[Person], about: str, record: DealRecord, at: datetime
    ) -> list[dict[str, Any]]:
        """A notice about no deal: a body for the port, for each person."""
        return self._outside.free_notice(text, to, about, record, at)

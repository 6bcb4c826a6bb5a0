"""Resolver: actions → effects.

Stage names, roles, due phrases and field names become amoCRM's ids and Unix seconds. Each group of actions has a class
with one method per action; ``Resolver`` knows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.due import Due
from amo_bridge.engine.effects import NEW_ID, NEW_URL, Effect, Kind, state_before
from amo_bridge.engine.gates import slot_of
from amo_bridge.engine.name_resolver import NameResolver
from amo_bridge.engine.people import People
from amo_bridge.rules.actions import (
    Action,
    AddNote,
    AddTags,
    AnswerClient,
    AssignDeal,
    Attachment,
    ChangeTask,
    CreateClientDeal,
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
from amo_bridge.rules.deal import Deal, Missing, Task
from amo_bridge.text.typography import nested_quotes

ResolveAction = Callable[[Any, Deal, DealRecord, datetime], list[Effect]]
"""(action, deal, its record, when the cause happened) → what has to be sent; empty when all is so already."""

# --- actions on a deal ------------------------------------------------------------------------------------------------


class DealResolver:
    """Changes of the deal itself: its stage, fields, tags, notes, contacts.

    ``task_for_mover`` resolves the task that explains a roll-back; ``notify`` a notice for the mover, if there is a way
    to reach him."""

    def __init__(
        self,
        names: NameResolver,
        task_for_mover: ResolveAction,
        notify: ResolveAction,
    ) -> None:
        self._names = names
        self._task_for_mover = task_for_mover
        self._notify = notify
        self.methods: Mapping[type[Action], ResolveAction] = {
            MoveDeal: self._move,
            RollBack: self._roll_back,
            AddNote: self._add_note,
            SetFields: self._set_fields,
            AddTags: self._add_tags,
            LinkContacts: self._link_contacts,
            AssignDeal: self._assign,
        }

    def _move(self, action: MoveDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        stage = self._names.account.stage(action.to)
        if stage.key == deal.stage.key:
            return []
        body = {"id": deal.id, "pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        words = f"этап → «{stage.title}»"
        if action.reason is not None:
            reason = self._names.account.loss_reason(action.reason)
            body["loss_reason_id"] = reason.id
            words += f", причина «{reason.name}»"
        return [Effect("patch_deal", deal.id, body, words, expects=deal.stage.key)]

    def _assign(self, action: AssignDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """Whoever is given by id is meant even if he is away, but not if he is switched off."""
        owner = self._names.user_id(action.to, record)
        user_id = self._names.works_now(owner, at, is_there=isinstance(action.to, int))
        if record.responsible_user_id == user_id:
            return []
        words = f"ответственный → {self._names.name_in_place_of(user_id, owner)}"
        return [_patch(deal, record, {"responsible_user_id": user_id}, words)]

    def _roll_back(self, action: RollBack, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        text = action.explanation
        if action.to is not None:
            back = self._names.account.stage_of(*action.to)
            text = f"Сделка возвращена на этап «{back.name}». {text}"
        slot = slot_of(deal.stage.key)
        task = CreateTask(deal_id=deal.id, text=text, to=action.tell, due=action.due, slot=slot)
        notice = Notify(deal_id=deal.id, to=(action.tell,), text=text)
        effects = [*self._task_for_mover(task, deal, record, at), *self._notify(notice, deal, record, at)]
        if action.is_explained:
            effects = []
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
        text = nested_quotes(action.text)
        body = {"entity_id": card_of(action.deal_id), "note_type": "common", "params": {"text": text}}
        return [Effect("add_note", action.deal_id, body, f"примечание «{text}»", not_before=at.timestamp())]

    def _set_fields(self, action: SetFields, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        new = {name: value for name, value in action.values.items() if not _has_value(deal, name, value)}
        if not new:
            return []
        values = [self._names.field_value(name, value) for name, value in new.items()]
        words = "; ".join(
            f"поле «{name}» очищено" if value is None else f"поле «{name}» = {_in_russian(value)}"
            for name, value in new.items()
        )
        return [_patch(deal, record, {"custom_fields_values": values}, words)]

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


def _patch(deal: Deal, record: DealRecord, parts: Mapping[str, Any], words: str) -> Effect:
    """A change of the deal's parts, each left alone if a person has changed it since (see freshness)."""
    body = {"id": deal.id, **parts}
    return Effect("patch_deal", deal.id, body, words, before=state_before(record, body))


def card_of(deal_id: int) -> int | str:
    """The deal's id as amoCRM's object has it; of a deal to come the place where its id is filled in."""
    return NEW_ID if deal_id < 0 else deal_id


def _in_russian(value: object) -> str:
    return {True: "да", False: "нет"}[value] if isinstance(value, bool) else str(value)


def _has_value(deal: Deal, name: str, wanted: object) -> bool:
    """Does the field have this value already? Numbers are texts in amoCRM."""
    value = deal.value(name)
    if value is None or wanted is None:
        return value is wanted
    return value == wanted or (isinstance(value, str) and value == str(wanted))


class NewDealResolver:
    """A deal that goes on where another ended."""

    def __init__(self, names: NameResolver) -> None:
        self._names = names
        self.methods: Mapping[type[Action], ResolveAction] = {
            CreateDeal: self._create,
            CreateClientDeal: self._create_for_client,
        }

    def _create_for_client(
        self, action: CreateClientDeal, deal: Deal, record: DealRecord, at: datetime
    ) -> list[Effect]:
        """With a new contact both are one write; a known one only gets the deal."""
        account, names = self._names.account, self._names
        stage = account.stage(action.to)
        user_id = names.assignee(action.responsible, record, at)
        contact: dict[str, Any] = {"id": action.contact_id}
        if action.contact_id is None:
            contact = {"name": action.contact_name, "custom_fields_values": list(self._address_fields(action))}
        body: dict[str, Any] = {
            "name": action.name,
            "custom_fields_values": [names.field_value(name, value) for name, value in action.values.items()],
            "_embedded": {"tags": [{"name": tag} for tag in action.tags], "contacts": [contact]},
        }
        if not body["custom_fields_values"]:
            del body["custom_fields_values"]
        tags = f", теги: {', '.join(action.tags)}" if action.tags else ""
        if action.form:
            kind: Kind = "create_unsorted"
            body |= {"pipeline_id": stage.pipeline_id, "source_uid": f"amo-bridge-{-deal.id}"}
            body |= {"form_name": action.form, "form_page": action.page, "source_name": action.source or action.form}
            body["sent_at"] = int(at.timestamp())
            words = f"новая сделка «{action.name}» в «Неразобранном» воронки «{stage.pipeline}»{tags}"
        else:
            kind = "create_deal" if action.contact_id else "create_client_deal"
            body |= {"pipeline_id": stage.pipeline_id, "status_id": stage.status_id, "responsible_user_id": user_id}
            if action.contact_id is None:
                contact["responsible_user_id"] = user_id
            who = names.user_name(user_id)
            words = f"новая сделка «{action.name}» на этапе «{stage.title}», ответственный {who}{tags}"
        extra = {"person": {"name": action.contact_name, "phones": action.phones, "mails": action.mails}}
        return [
            Effect(kind, deal.id, body, words, slot="deal", once=True, not_before=at.timestamp(), extra=extra)
        ]  # fmt: skip

    def _address_fields(self, action: CreateClientDeal) -> Iterator[dict[str, Any]]:
        for code, addresses in (("PHONE", action.phones), ("EMAIL", action.mails)):
            if addresses:
                lines = [{"value": address, "enum_code": "WORK"} for address in addresses]
                yield {"field_id": self._names.account.field(code, "contacts").id, "values": lines}

    def _create(self, action: CreateDeal, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        stage = self._names.account.stage(action.to)
        words = f"новая сделка «{action.name}» на этапе «{stage.title}»"
        if action.tags:
            words += f", теги: {', '.join(action.tags)}"
        body = self._body(action, deal, record, at)
        body |= {"pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        then: list[Effect] = []
        if action.link_field:
            back = {"custom_fields_values": [self._names.field_value(action.link_field, NEW_URL)]}
            then.append(_patch(deal, record, back, f"поле «{action.link_field}» = адрес новой сделки"))
        if action.file_uuids:
            files = {"entity_id": NEW_ID, "file_uuids": list(action.file_uuids)}
            then.append(Effect("attach_files", deal.id, files, f"файлы новой сделки: {len(action.file_uuids)}"))
        return [
            Effect(
                "create_deal", deal.id, body, words,
                slot=action.slot, once=True, then=tuple(then), not_before=at.timestamp(),
            )
        ]  # fmt: skip

    def _body(self, action: CreateDeal, deal: Deal, record: DealRecord, at: datetime) -> dict[str, Any]:
        values = [self._names.field_value(name, value) for name, value in action.values.items()]
        if action.link_field:
            values.append(self._names.field_value(action.link_field, deal.url))
        body: dict[str, Any] = {
            "name": action.name,
            "responsible_user_id": self._names.works_now(self._names.user_id(action.responsible, record), at),
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


# --- actions outside amoCRM -------------------------------------------------------------------------------------------


class ChannelResolver:
    """Effects for the channels' ports. People become user ids, everything else stays in words.

    ``is_reachable``: is there a way to notify this user?"""

    def __init__(self, names: NameResolver, is_reachable: Callable[[int], bool]) -> None:
        self._names = names
        self._is_reachable = is_reachable
        self.methods: Mapping[type[Action], ResolveAction] = {
            SendLetter: self._send_letter,
            Notify: self._notify,
            AnswerClient: self._answer_client,
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
            "no_address": None
            if action.no_address is None
            else self._names.works_now(self._names.user_id(action.no_address, record), at),
        }
        if action.attach:
            body["attach"] = [_attachment(one) for one in action.attach]
        if any(one.document for one in action.attach):
            # By then the deal may have gone on to the next stage.
            since = int(deal.stage_since.timestamp()) if deal.stage_since else 0
            body["entry"] = ":".join(map(str, (*deal.stage.key, since)))
        along = f" с вложениями: {', '.join(one.words for one in action.attach)}" if action.attach else ""
        return [_effect("send_letter", deal, body, f"письмо клиенту «{action.template}»{along}", at)]

    def _notify(self, action: Notify, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """One for each person: a channel of one may fail."""
        text = nested_quotes(action.text)
        notice: dict[str, Any] = {"text": text, "urgent": action.urgent, "about": deal.name, "url": deal.url}
        if action.files or action.pictures:
            notice["attach"] = {"files": list(action.files), "pictures": action.pictures}
        return [
            _effect(
                "notify", deal, {"user_id": user_id} | notice,
                f"уведомление «{text}» — {self._names.user_name(user_id)}", at,
            )
            for user_id in self._recipients(action.to, record, at)
        ]  # fmt: skip

    def free_notice(
        self, text: str, to: Iterable[Person], about: str, record: DealRecord, at: datetime
    ) -> list[dict[str, Any]]:
        """The bodies of a notice about no deal."""
        notice = {"text": text, "urgent": False, "about": about, "url": ""}
        return [{"user_id": user_id} | notice for user_id in self._recipients(to, record, at)]

    def _recipients(self, to: Iterable[Person], record: DealRecord, at: datetime) -> dict[int, None]:
        """User ids, each once. A person given by id has just done something, so no deputy stands in for him."""
        return dict.fromkeys(
            self._names.works_now(user_id, at, is_there=isinstance(person, int))
            for person in to
            for user_id in [self._names.user_id(person, record)]
        )

    def notify_reachable(self, action: Notify, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """Notices only for those whom they reach: a task says the same."""
        notices = self._notify(action, deal, record, at)
        return [effect for effect in notices if self._is_reachable(effect.body["user_id"])]

    def _answer_client(self, action: AnswerClient, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"text": action.text, "note_id": action.note_id, "contact_id": action.contact_id}
        return [_effect("answer_client", deal, body, f"ответ клиенту «{action.text}»", at)]

    def _join_audience(self, action: JoinAudience, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        words = f"клиент включён в аудиторию «{action.audience}»"
        return [_effect("join_audience", deal, {"audience": action.audience}, words, at)]

    def _leave_audience(self, action: LeaveAudience, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        words = f"клиент исключён из аудитории «{action.audience}»"
        return [_effect("leave_audience", deal, {"audience": action.audience}, words, at)]

    def _send_sms(self, action: SendSms, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"text": action.text, "service": action.service}
        return [_effect("send_sms", deal, body, f"SMS клиенту «{action.text}»", at)]

    def _start_auto_dial(self, action: StartAutoDial, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        user_id = self._names.works_now(record.responsible_user_id, at)
        body = {"stage": list(deal.stage.key), "user_id": user_id}
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
        user_id = self._names.user_id(action.person, record)
        body = {
            "user_id": user_id, "clause": action.clause, "penalty": action.penalty, "why": action.why,
            "at": int(at.timestamp()), "deal_name": deal.name,
        }  # fmt: skip
        fine = "" if action.penalty is None else f", штраф {action.penalty}"
        words = f"нарушение пункта {action.clause} — {self._names.user_name(user_id)}{fine}"
        return [_effect("record_violation", deal, body, words, at)]

    def _store_file(self, action: StoreFile, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body: dict[str, Any] = {
            "file_name": action.file_name, "file_uuid": action.file_uuid, "folder": action.folder,
            "link_field": action.link_field,
        }  # fmt: skip
        if action.links:
            body["links"] = {name: list(words) for name, words in action.links.items()}
        return [_effect("store_file", deal, body, f"копия файла «{action.file_name}» в папке «{action.folder}»", at)]


def _attachment(one: Attachment) -> dict[str, Any]:
    """As the port of letters reads it."""
    if one.document:
        return {"document": one.document, "named": one.named}
    return {"file": one.file} if one.file else {"deal_file": list(one.deal_file)}


def _effect(kind: Kind, deal: Deal, body: Mapping[str, Any], words: str, at: datetime) -> Effect:
    return Effect(kind, deal.id, body, words, not_before=at.timestamp())


# --- actions on tasks -------------------------------------------------------------------------------------------------


class TaskResolver:
    """Tasks set, changed and finished."""

    def __init__(self, names: NameResolver) -> None:
        self._names = names
        self.methods: Mapping[type[Action], ResolveAction] = {
            CreateTask: self.create,
            ChangeTask: self._change,
            FinishTask: self._finish,
        }

    def create(self, action: CreateTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        due = self._names.due(action.due, deal, at)
        owner = self._names.user_id(action.to, record)
        return self._new_task(owner, self._names.works_now(owner, due), due, action, deal, at)

    def for_mover(self, action: CreateTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """A task for the user who has just moved the deal: he is there, whatever the list of absences says."""
        mover, due = self._names.user_id(action.to, record), self._names.due(action.due, deal, at)
        return self._new_task(mover, self._names.works_now(mover, due, is_there=True), due, action, deal, at)

    def _new_task(
        self, owner: int, assignee: int, due: datetime, action: CreateTask, deal: Deal, at: datetime
    ) -> list[Effect]:
        """``assignee`` does it: ``owner``, or his deputy."""
        names = self._names
        contact = action.contact_id or deal.main_contact_id if action.on == "contact" else None
        body: dict[str, Any] = {
            "text": action.text,
            "complete_till": int(due.timestamp()),
            "responsible_user_id": assignee,
            "entity_id": contact or card_of(action.deal_id),
            "entity_type": "contacts" if contact else "leads",
            "task_type_id": names.account.task_type(action.task_type).id if action.task_type else 1,
        }
        if action.on == "nowhere":
            del body["entity_id"], body["entity_type"]
        words = f"задача «{action.text}» — {names.name_in_place_of(assignee, owner)}, до {names.local(due)}"
        return [Effect("create_task", deal.id, body, words, slot=action.slot, not_before=at.timestamp())]

    def free(self, text: str, to: Person, due: Due, record: DealRecord, at: datetime) -> dict[str, Any]:
        """A task on nobody's card: amoCRM's object for it."""
        moment = self._names.due_without_deal(due, at)
        user_id = self._names.works_now(self._names.user_id(to, record), moment)
        return {
            "text": text, "complete_till": int(moment.timestamp()), "responsible_user_id": user_id, "task_type_id": 1,
        }  # fmt: skip

    def _change(self, action: ChangeTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        changes: dict[str, Any] = {}
        words = []
        # A rule that did not look at its own tasks had none read: then all that it wants is sent.
        own = () if isinstance(deal.own_tasks, Missing) else deal.own_tasks
        task = next((task for task in own if task.id == action.task_id), None)
        if action.due is not None:
            due = self._names.due(action.due, deal, at)
            if task is None or int(task.due.timestamp()) != int(due.timestamp()):
                changes["complete_till"] = int(due.timestamp())
                words.append(f"срок {self._names.local(due)}")
        if action.text is not None and (task is None or task.text != action.text):
            changes["text"] = action.text
            words.append(f"текст «{action.text}»")
        if action.to is not None:
            user_id = self._names.works_now(self._names.user_id(action.to, record), at, is_there=True)
            if task is None or task.responsible_user_id != user_id:
                changes["responsible_user_id"] = user_id
                words.append(f"исполнитель {self._names.user_name(user_id)}")
        if not changes:
            return []
        name = f"«{task.text}»" if task else str(action.task_id)
        known = None if task is None else {part: value for part, value in _task_state(task).items() if part in changes}
        body = {"id": action.task_id, **changes}
        return [Effect("change_task", deal.id, body, f"задача {name}: {', '.join(words)}", before=known)]

    def _finish(self, action: FinishTask, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        body = {"id": action.task_id, "is_completed": True, "result": {"text": action.result}}
        return [Effect("change_task", deal.id, body, f"задача {action.task_id} закрыта: {action.result}")]


def _task_state(task: Task) -> dict[str, Any]:
    """What can be changed of a task, as it is now."""
    return {
        "text": task.text,
        "complete_till": int(task.due.timestamp()),
        "responsible_user_id": task.responsible_user_id,
    }


# --- all actions ------------------------------------------------------------------------------------------------------


def nobody_is_reachable(user_id: int) -> bool:
    """Of an account without a channel for notices."""
    return False


class Resolver:
    """Resolves any action. ``is_reachable``: is there a way to notify this user?

    Raises UnknownName (a name the account lost since the start) or ValueError (a due phrase over an empty field)."""

    def __init__(
        self,
        account: Account,
        people: People,
        calendar: WorkCalendar,
        is_reachable: Callable[[int], bool] = nobody_is_reachable,
    ) -> None:
        names = NameResolver(account, people, calendar)
        self._tasks = TaskResolver(names)
        self._channels = ChannelResolver(names, is_reachable)
        self._methods: Mapping[type[Action], ResolveAction] = {
            **self._tasks.methods,
            **DealResolver(names, self._tasks.for_mover, self._channels.notify_reachable).methods,
            **NewDealResolver(names).methods,
            **self._channels.methods,
        }

    def effects(self, action: Action, deal: Deal, record: DealRecord, at: datetime) -> list[Effect]:
        """What has to be sent; empty when all is so already. ``at``: when the cause happened (amoCRM's clock)."""
        effects = self._methods[type(action)](action, deal, record, at)
        if not action.then or not effects:
            return effects
        *before, last = effects
        follow = [effect for after in action.then for effect in self.effects(after, deal, record, at)]
        return [*before, replace(last, then=(*follow, *last.then))]

    def free_task(self, text: str, to: Person, due: Due, record: DealRecord, at: datetime) -> dict[str, Any]:
        """A task on nobody's card: amoCRM's object for it."""
        return self._tasks.free(text, to, due, record, at)

    def free_notice(
        self, text: str, to: Iterable[Person], about: str, record: DealRecord, at: datetime
    ) -> list[dict[str, Any]]:
        """A notice about no deal: a body for the port for each person."""
        return self._channels.free_notice(text, to, about, record, at)

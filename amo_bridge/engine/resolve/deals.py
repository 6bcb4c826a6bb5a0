"""Actions that change the deal itself → effects: its stage, fields, tags, notes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.refusals import slot_of
from amo_bridge.engine.resolve.terms import Terms, Way
from amo_bridge.rules.actions import (
    Action,
    AddNote,
    AddTags,
    AssignDeal,
    CreateTask,
    LinkContacts,
    MoveDeal,
    Notify,
    RollBack,
    SetFields,
)
from amo_bridge.rules.deal import Deal


class DealWays:
    """``task_for_mover``: how the task that explains a roll-back is resolved; ``tell``: how the mover is told too, if
    he can be."""

    def __init__(self, terms: Terms, task_for_mover: Way, tell: Way) -> None:
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

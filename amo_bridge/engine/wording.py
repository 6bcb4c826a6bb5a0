"""Events in the words of the people who read the journal (Russian)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from amo_bridge import events as ev
from amo_bridge.dates.duration import step_in_words

DIRECTION = {"in": "входящий", "out": "исходящий"}
LETTER = {"in": "входящее письмо", "out": "исходящее письмо"}
CHAT = {"in": "входящее сообщение", "out": "исходящее сообщение"}
ANSWERED_BY = {"call": "звонок", "mail": "письмо", "chat": "сообщение в чате", "sms": "SMS"}


def _stage(event: ev.StageEntered) -> str:
    if event.is_new:
        return f"новая сделка на этапе «{event.stage_name}»"
    came_from = f" с «{event.from_stage_name}»" if event.from_stage_name else ""
    return f"сделка пришла на этап «{event.stage_name}»{came_from}"


def _field(event: ev.FieldChanged) -> str:
    if event.new is None:
        return f"поле «{event.field_name}» очищено (было {event.old})"
    was = f" (было {event.old})" if event.old is not None else ""
    return f"поле «{event.field_name}» = {event.new}{was}"


def _call(event: ev.CallLogged) -> str:
    on = " (на карточке контакта)" if event.deal_id is not None else ""
    return f"{DIRECTION.get(event.direction, '')} звонок, {event.seconds} с{on}".strip()


def _contact_date(event: ev.ContactDateChanged) -> str:
    if event.new is None:
        return f"поле контакта «{event.field_name}» очищено (было {event.old})"
    return f"поле контакта «{event.field_name}» = {event.new} (было {event.old})"


WORDS: Mapping[type[ev.Event], str | Callable[[Any], str]] = {
    ev.DealAdded: "сделка создана",
    ev.DealUpdated: "сделка изменена",
    ev.DealMoved: "смена этапа",
    ev.DealReassigned: "смена ответственного",
    ev.DealRestored: "сделка восстановлена",
    ev.DealDeleted: "сделка удалена",
    ev.PipelineTriggerFired: lambda event: f"хук Digital Pipeline: {event.trigger}",
    ev.TaskAdded: lambda event: f"задача поставлена: «{event.text or ''}»",
    ev.TaskUpdated: lambda event: f"задача изменена: «{event.text or ''}»",
    ev.TaskCompleted: lambda event: f"задача выполнена: «{event.text or ''}»",
    ev.TaskDeleted: "задача удалена",
    ev.NoteAdded: "добавлено примечание",
    ev.FileAttached: lambda event: f"загружен файл «{event.file_name}»",
    ev.CallLogged: _call,
    ev.SmsLogged: lambda event: f"{DIRECTION.get(event.direction, '')} SMS".strip(),
    ev.ClientUnsubscribed: "клиент отписался от рассылок по ссылке в письме",
    ev.ContactDateChanged: _contact_date,
    ev.SeriesLetterDue: lambda event: f"серия «{event.series}»: пора отправить письмо {event.number + 1}",
    ev.MailLogged: lambda event: f"{LETTER.get(event.direction, 'письмо')} «{event.subject}»",
    ev.MessageReceived: lambda event: f"{CHAT.get(event.direction, 'сообщение')} в чате",
    ev.ClientAnswered: lambda event: f"клиент ответил: {ANSWERED_BY.get(event.by, event.by)}",
    ev.StageEntered: _stage,
    ev.FieldChanged: _field,
    ev.ResponsibleChanged: "у сделки новый ответственный",
    ev.StepDue: lambda event: f"наступил срок шага «{step_in_words(event.step)}»",
    ev.TaskFinished: lambda event: f"закрыта задача «{event.text}»",
    ev.TaskAnswered: lambda event: f"ответ на задачу «{event.text}»: {event.result or 'пусто'}",
    ev.TaskRescheduled: lambda event: f"сдвинут срок задачи «{event.text}»",
    ev.TaskRemoved: lambda event: f"удалена задача «{event.text}»",
}


def in_words(event: ev.Event) -> str:
    words = WORDS.get(type(event), type(event).__name__)
    told = words if isinstance(words, str) else words(event)
    return f"{_found_by(event)}{told}"


def _found_by(event: ev.Event) -> str:
    """Who reads the journal after a downtime wants to know what no hook brought. What was concluded from it bears no
    mark: that stands on the line before."""
    if isinstance(event, ev.DealObserved):
        return ""
    if event.caught_up:
        return "сверка: "
    names_its_hook = isinstance(event, ev.PipelineTriggerFired)
    return "хук: " if isinstance(event, ev.DealReported) and not names_its_hook else ""

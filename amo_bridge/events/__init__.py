"""Vocabulary 1: what happened.

*Reported* events are what a webhook said, decoded and nothing more (``crm/webhooks``). *Observed* events are what the
bridge concluded by comparing a fresh read with its mirror (``engine/change_detection.py``); rules about stages and
fields listen to these, because webhooks repeat, overtake each other and get lost. Besides them, the clock: a step of a
schedule has fallen due.

``Deal`` is amoCRM's *lead* (сделка); the word is ``deal`` everywhere in our code, ``lead`` only on amoCRM's wire.
Times are aware datetimes in UTC. Ids are amoCRM's integers. ``raw`` is the part of the body the event was made of,
kept for people and for later; rules never read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something happened. ``at``: when amoCRM says it did (None if it does not say).

    ``caught_up``: no hook told of it; reconciliation found it afterwards.
    """

    at: datetime | None = None
    account_id: int | None = None
    caught_up: bool = False
    raw: Mapping[str, Any] = field(default_factory=lambda: NOTHING, repr=False, compare=False, hash=False)


@dataclass(frozen=True, kw_only=True)
class FieldValue:
    """One custom field as a hook reports it: filled fields only. Values are (text, enum id or None) pairs."""

    field_id: int
    name: str = ""
    code: str | None = None
    values: tuple[tuple[str, int | None], ...] = ()


# --- reported: deals ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DealReported(Event):
    """A hook spoke of a deal. What it did not say is None: a Digital Pipeline hook says little more than the id.

    ``old_status_id`` may be present although the stage did not change now (seen in captured hooks), so
    it is only a hint.
    ``user_id`` is who changed it; 0 is a robot or "not told".
    """

    deal_id: int
    name: str | None = None
    pipeline_id: int | None = None
    status_id: int | None = None
    old_pipeline_id: int | None = None
    old_status_id: int | None = None
    price: int | None = None
    responsible_user_id: int | None = None
    old_responsible_user_id: int | None = None
    user_id: int | None = None
    created_at: datetime | None = None
    tags: tuple[str, ...] = ()
    fields: tuple[FieldValue, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DealAdded(DealReported):
    """A deal was created."""


@dataclass(frozen=True, kw_only=True)
class DealUpdated(DealReported):
    """Something on a deal changed; the stage may be among it."""


@dataclass(frozen=True, kw_only=True)
class DealMoved(DealReported):
    """A deal changed its stage."""


@dataclass(frozen=True, kw_only=True)
class DealReassigned(DealReported):
    """A deal has a new responsible user."""


@dataclass(frozen=True, kw_only=True)
class DealRestored(DealReported):
    """A deal came back from the bin."""


@dataclass(frozen=True, kw_only=True)
class DealDeleted(DealReported):
    """A deal was put into the bin."""


@dataclass(frozen=True, kw_only=True)
class PipelineTriggerFired(DealReported):
    """A trigger of the Digital Pipeline («API: send webhook») fired. ``trigger``: mail_in, call_in, chat, site_visit,
    add or status. ``mail_in`` is the only push signal of an inbound letter."""

    trigger: str


# --- reported: contacts and companies ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ClientReported(Event):
    """A hook spoke of a contact or a company. ``kind``: "contact" or "company"."""

    kind: str
    client_id: int
    name: str | None = None
    responsible_user_id: int | None = None
    old_responsible_user_id: int | None = None
    user_id: int | None = None
    created_at: datetime | None = None
    company_id: int | None = None
    deal_ids: tuple[int, ...] = ()
    fields: tuple[FieldValue, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClientAdded(ClientReported):
    """A contact or a company was created."""


@dataclass(frozen=True, kw_only=True)
class ClientUpdated(ClientReported):
    """A contact or a company changed, its responsible user included."""


@dataclass(frozen=True, kw_only=True)
class ClientDeleted(ClientReported):
    """A contact or a company was put into the bin."""


@dataclass(frozen=True, kw_only=True)
class ClientRestored(ClientReported):
    """A contact or a company came back from the bin."""


# --- reported: tasks ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TaskReported(Event):
    """A hook spoke of a task. ``entity_type``: deal, contact, company, customer, or None when it hangs on nothing.

    What a hook leaves out (the card of a deleted task) is filled in from the bridge's copy of the task; ``old_text``,
    ``old_due`` and ``old_responsible_user_id`` are what the copy said before, None where nothing changed.
    """

    task_id: int
    entity_type: str | None = None
    entity_id: int | None = None
    text: str | None = None
    task_type_id: int | None = None
    is_completed: bool | None = None
    responsible_user_id: int | None = None
    old_responsible_user_id: int | None = None
    user_id: int | None = None
    due: datetime | None = None
    created_at: datetime | None = None
    result: str | None = None
    old_text: str | None = None
    old_due: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TaskAdded(TaskReported):
    """A task was set."""


@dataclass(frozen=True, kw_only=True)
class TaskUpdated(TaskReported):
    """A task's text, due time, type, result or responsible user changed."""


@dataclass(frozen=True, kw_only=True)
class TaskCompleted(TaskReported):
    """A task was finished just now. The result may still follow in a TaskUpdated of its own (amoCRM docs)."""


@dataclass(frozen=True, kw_only=True)
class TaskDeleted(TaskReported):
    """A task was deleted."""


# --- reported: what was added to a card --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NoteReported(Event):
    """A note was added to a card. ``entity_type``: deal, contact, company, customer or task.

    ``note_type`` is amoCRM's code: 4 text, 5 file, 10 and 11 calls, 13 task result, 25 service, 102 and 103 SMS …
    A note and its text or file are told once, when added: amoCRM has no hook for a note that was edited or deleted.
    """

    note_id: int | None = None
    entity_type: str | None = None
    entity_id: int | None = None
    note_type: int | None = None
    user_id: int | None = None
    author_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class NoteAdded(NoteReported):
    """A text, service or any other note that is neither a file, a call nor an SMS."""

    text: str = ""


@dataclass(frozen=True, kw_only=True)
class FileAttached(NoteReported):
    """A file was attached to a card. ``file_name`` as amoCRM gave it (it may be transliterated)."""

    file_name: str
    file_uuid: str | None = None


@dataclass(frozen=True, kw_only=True)
class CallLogged(NoteReported):
    """A call was logged. ``direction``: "in" or "out"; ``seconds``: its length; ``link``: the recording, if any.
    ``status`` is amoCRM's call_status: 1 left message, 2 call back later, 3 not there, 4 talked, 5 wrong number, 6 not
    reached, 7 busy. ``uniq`` is the telephone exchange's own id of the call. A call on a contact's card is told again
    on each open deal whose main contact he is: ``deal_id`` says on which."""

    direction: str
    uniq: str | None = None
    phone: str | None = None
    seconds: int = 0
    link: str | None = None
    status: int | None = None
    result: str | None = None
    deal_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class SmsLogged(NoteReported):
    """An SMS was logged. ``direction``: "in" or "out"."""

    direction: str
    phone: str | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class MailLogged(NoteReported):
    """A letter came to a card or went out from it; ``direction``: "in" or "out". No hook tells of letters: they are
    found in the events list, minutes later. amoCRM shows no body and no files: ``summary`` is how the letter begins."""

    direction: str
    sender: str = ""
    recipient: str = ""
    subject: str = ""
    summary: str = ""
    thread_id: str | None = None
    message_id: str | None = None
    attachments: int = 0


# --- reported: the rest ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class UnsortedAdded(Event):
    """An enquiry fell into «Неразобранное». ``category``: forms, sip, mail or chats."""

    uid: str
    category: str | None = None
    deal_id: int | None = None
    contact_ids: tuple[int, ...] = ()
    pipeline_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class UnsortedUpdated(UnsortedAdded):
    """An enquiry in «Неразобранное» changed."""


@dataclass(frozen=True, kw_only=True)
class UnsortedClosed(Event):
    """An enquiry left «Неразобранное». ``decision``: accept or decline. amoCRM does not say when: ``at`` is None."""

    uid: str
    decision: str | None = None
    category: str | None = None
    deal_ids: tuple[int, ...] = ()
    user_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class MessageReceived(Event):
    """A client wrote in a chat; ``direction``: "in", or "out" for what we wrote to him: then ``user_id`` is who did,
    or None for a bot. ``text`` is empty when only a file or a voice was sent."""

    message_id: str
    direction: str = "in"
    text: str = ""
    chat_id: str | None = None
    talk_id: int | None = None
    contact_id: int | None = None
    entity_type: str | None = None
    entity_id: int | None = None
    user_id: int | None = None
    author_name: str | None = None
    origin: str | None = None


@dataclass(frozen=True, kw_only=True)
class TalkReported(Event):
    """A talk (a chat's session) was opened or changed."""

    talk_id: int
    action: str = "add"
    contact_id: int | None = None
    chat_id: str | None = None
    entity_type: str | None = None
    entity_id: int | None = None
    is_in_work: bool | None = None
    is_read: bool | None = None
    origin: str | None = None


@dataclass(frozen=True, kw_only=True)
class ListElementReported(Event):
    """An element of a list (каталог) was added, changed or deleted."""

    element_id: int
    action: str
    catalog_id: int | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClientUnsubscribed(Event):
    """The client wants no more advertising: he followed the link in a letter about this deal."""

    deal_id: int
    contact_id: int
    letter_id: int


@dataclass(frozen=True, kw_only=True)
class ContactDateChanged(Event):
    """A date of a deal's main contact was changed or emptied. ``at``: when the contact was; texts, None is empty.
    ``deal_id``: one of his deals; each of them hears of it."""

    deal_id: int
    contact_id: int
    field_name: str
    old: str | None = None
    new: str | None = None


@dataclass(frozen=True, kw_only=True)
class SeriesLetterDue(Event):
    """The next letter of a series that was started for a deal is due. ``at``: when it fell due.

    ``run``: which start of the series; ``number``: which letter of it, from 0. ``stage``: the one on which the series
    was started. ``started_at``: Unix seconds.
    """

    deal_id: int
    series: str
    run: int
    number: int
    stage: tuple[int, int]
    started_at: datetime


@dataclass(frozen=True, kw_only=True)
class Unrecognised(Event):
    """A hook the decoder has no word for. Kept whole in ``raw``, counted, answered, and acted on by nobody.

    ``root`` and ``action`` are its keys where it had any; ``why`` says what was not understood.
    """

    root: str = ""
    action: str = ""
    why: str = ""


# --- observed: concluded by comparing a fresh read with the mirror -----------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DealObserved(Event):
    """Something is different on a deal than it was.

    ``user_id``: the person who did it; None for a robot, the integration's own user, or when amoCRM does not tell.
    ``user_is``: that person's name and roles, in the config's words.
    """

    deal_id: int
    user_id: int | None = None
    user_is: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StageEntered(DealObserved):
    """A deal came onto a stage: it was created there, moved there, or restored.

    Stages are (pipeline id, status id) pairs: 142 and 143 are won and lost in every pipeline. The names are
    «Воронка / Этап». ``from_stage`` is None for a new deal and for one whose former stage nobody knows.
    """

    stage: tuple[int, int]
    stage_name: str = ""
    from_stage: tuple[int, int] | None = None
    from_stage_name: str = ""
    is_new: bool = False


@dataclass(frozen=True, kw_only=True)
class FieldChanged(DealObserved):
    """A deal's field was filled, changed or emptied. Values are normalised texts; None is empty.

    Built-in fields come under their Russian names too: «Бюджет», «Название», «Причина отказа».
    """

    field_name: str
    old: str | None = None
    new: str | None = None


@dataclass(frozen=True, kw_only=True)
class ResponsibleChanged(DealObserved):
    """A deal has another responsible user than before. ``old_is``, ``new_is``: their names and roles."""

    old: int | None = None
    new: int | None = None
    old_is: tuple[str, ...] = ()
    new_is: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskObserved(DealObserved):
    """Something happened to a task on the deal's card. ``text``, ``responsible_user_id``, ``task_type`` (its name; None
    for «Связаться», which is nobody's choice): what the task is."""

    task_id: int
    text: str = ""
    responsible_user_id: int = 0
    task_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskFinished(TaskObserved):
    """A task was finished. Its result may still be to come."""


@dataclass(frozen=True, kw_only=True)
class TaskAnswered(TaskObserved):
    """A task was finished, and its result is there or had time to come: from the list of tasks amoCRM tells the
    completion first and the result in a hook of its own. ``result``: what was written; None when nothing was."""

    result: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskRescheduled(TaskObserved):
    """An open task has another due time than before."""

    old: datetime
    new: datetime


@dataclass(frozen=True, kw_only=True)
class TaskRemoved(TaskObserved):
    """An open task was deleted. ``due``: when it was due."""

    due: datetime


@dataclass(frozen=True, kw_only=True)
class ClientAnswered(DealObserved):
    """The client called or wrote. ``by``: call, mail, chat or sms. What comes to a contact's card is told on each of
    his open deals. ``source`` says which call or letter it was; ``text`` what is known of its words; ``files`` how
    many came with a letter."""

    by: str
    source: str = ""
    contact_id: int | None = None
    text: str = ""
    files: int = 0


# --- the clock ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StepDue(Event):
    """A step that a schedule planned for a deal has fallen due. ``at``: the moment for which it was planned;
    ``since``: from when it was counted.

    ``rule``: the rule that planned it («stage_ladder.brief»), which alone hears of it. ``anchor``: what the step counts
    from, a stay on a stage or a date in a field; it falls due once for each anchor.
    """

    rule: str
    deal_id: int
    step: str
    anchor: str
    since: datetime

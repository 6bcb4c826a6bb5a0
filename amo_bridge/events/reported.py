"""Reported events: what a webhook or amoCRM's events list says, only decoded.

A webhook repeats, overtakes another and gets lost, so rules about stages and fields listen to observed events instead
(``observed``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from amo_bridge.events.base import (
    DAY_SECONDS,
    HOUR_SECONDS,
    Event,
    FieldValue,
    TouchKind,
    TouchRecord,
    card_of,
    deal_of_card,
)
from amo_bridge.events.calls import describe_length
from amo_bridge.events.letters import why_doubtful, why_machine
from amo_bridge.lazy.dataclasses import dataclass

__all__ = [
    "CallLogged",
    "ClientAdded",
    "ClientDeleted",
    "ClientReported",
    "ClientRestored",
    "ClientUpdated",
    "DealAdded",
    "DealDeleted",
    "DealMoved",
    "DealReassigned",
    "DealReported",
    "DealRestored",
    "DealUpdated",
    "FileAttached",
    "ListElementReported",
    "MailLogged",
    "MessageReceived",
    "NoteAdded",
    "NoteReported",
    "PipelineTriggerFired",
    "SmsLogged",
    "TalkReported",
    "TaskAdded",
    "TaskCompleted",
    "TaskDeleted",
    "TaskReported",
    "TaskUpdated",
    "Unrecognised",
    "UnsortedAdded",
    "UnsortedClosed",
    "UnsortedUpdated",
]

_DIRECTIONS = {"in": "входящий", "out": "исходящий"}
_LETTERS = {"in": "входящее письмо", "out": "исходящее письмо"}
_MESSAGES = {"in": "входящее сообщение", "out": "исходящее сообщение"}

# --- deals -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DealReported(Event):
    """A webhook about a deal. What it does not say is None: a Digital Pipeline hook says little more than the id.

    ``old_status_id`` may be present although the stage did not change now (seen in captured hooks): only a hint.
    ``user_id``: who changed the deal; 0 is a robot or nobody known.
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

    @property
    def about_deal_id(self) -> int | None:
        return self.deal_id

    @property
    def is_repeatable(self) -> bool:
        # A deal that is lost, put back and lost again within a second gives two equal webhooks.
        return True


@dataclass(frozen=True, kw_only=True)
class DealAdded(DealReported):
    """A deal was created."""

    label = "сделка создана"


@dataclass(frozen=True, kw_only=True)
class DealUpdated(DealReported):
    """Something on a deal changed; the stage may be among it."""

    label = "сделка изменена"


@dataclass(frozen=True, kw_only=True)
class DealMoved(DealReported):
    """A deal changed its stage."""

    label = "смена этапа"

    @property
    def is_repeatable(self) -> bool:
        # A row of amoCRM's events list is the same row whenever it is read, and each reconciliation reads the last
        # minutes again. A second move within one second is found by the deal's contents, which it compares too.
        return not self.caught_up

    @property
    def touch(self) -> TouchRecord | None:
        if self.at is None:
            return None
        # The webhook and the events list may date one move a second apart; onto one stage twice an hour is one touch.
        hour = int(self.at.timestamp()) // HOUR_SECONDS
        key = f"move:{self.deal_id}:{self.pipeline_id}.{self.status_id}:{hour}"
        return TouchRecord(
            key=key, kind="move", direction="", at=self.at, card=("deal", self.deal_id), user_id=self.user_id
        )


@dataclass(frozen=True, kw_only=True)
class DealReassigned(DealReported):
    """A deal has a new responsible user."""

    label = "смена ответственного"


@dataclass(frozen=True, kw_only=True)
class DealRestored(DealReported):
    """A deal came back from the bin."""

    label = "сделка восстановлена"


@dataclass(frozen=True, kw_only=True)
class DealDeleted(DealReported):
    """A deal was put into the bin."""

    label = "сделка удалена"


@dataclass(frozen=True, kw_only=True)
class PipelineTriggerFired(DealReported):
    """A trigger of the Digital Pipeline («API: send webhook») fired. ``trigger``: mail_in, call_in, chat, site_visit,
    add or status. ``mail_in`` is the only push signal of an inbound letter."""

    trigger: str

    @property
    def is_repeatable(self) -> bool:
        return False

    @property
    def label(self) -> str:
        return f"Digital Pipeline: {self.trigger}"


# --- contacts and companies --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ClientReported(Event):
    """A webhook about a contact or a company. ``kind``: "contact" or "company"."""

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


# --- tasks -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TaskReported(Event):
    """A webhook about a task. ``entity_type``: deal, contact, company, customer, or None when it hangs on nothing.

    What a webhook leaves out (the card of a deleted task) is filled in from the mirror; ``old_text``, ``old_due`` and
    ``old_responsible_user_id`` are what the mirror had before, None where nothing changed.
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

    @property
    def about_deal_id(self) -> int | None:
        return deal_of_card(self.entity_type, self.entity_id)

    @property
    def subject(self) -> str:
        return f"{type(self).__name__}:{self.task_id}"


@dataclass(frozen=True, kw_only=True)
class TaskAdded(TaskReported):
    """A task was set."""

    @property
    def label(self) -> str:
        return f"задача поставлена: «{self.text or ''}»"


@dataclass(frozen=True, kw_only=True)
class TaskUpdated(TaskReported):
    """A task's text, due time, type, result or responsible user changed."""

    @property
    def label(self) -> str:
        return f"задача изменена: «{self.text or ''}»"


@dataclass(frozen=True, kw_only=True)
class TaskCompleted(TaskReported):
    """A task was finished just now. The result may still follow in a TaskUpdated of its own (amoCRM docs)."""

    @property
    def dedup_key(self) -> str | None:
        return None if self.at is None else f"task_completed:{self.task_id}:{int(self.at.timestamp())}"

    @property
    def label(self) -> str:
        return f"задача выполнена: «{self.text or ''}»"

    @property
    def touch(self) -> TouchRecord | None:
        card = card_of(self.entity_type, self.entity_id)
        if self.at is None or card is None:
            return None
        # Whoever finishes a task twice a day has done it once.
        key = f"task:{self.task_id}:{int(self.at.timestamp()) // DAY_SECONDS}"
        return TouchRecord(key=key, kind="task", direction="", at=self.at, card=card, user_id=self.user_id)


@dataclass(frozen=True, kw_only=True)
class TaskDeleted(TaskReported):
    """A task was deleted."""

    happens_once = True
    label = "задача удалена"

    @property
    def dedup_key(self) -> str | None:
        # There is no bin for tasks: a task is deleted once for ever.
        return f"task_deleted:{self.task_id}"


# --- notes on a card ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NoteReported(Event):
    """A note was added to a card. ``entity_type``: deal, contact, company, customer or task.

    ``note_type`` is amoCRM's code: 4 text, 5 file, 10 and 11 calls, 13 task result, 25 service, 102 and 103 SMS …
    A note and its text or file are reported once, when added: amoCRM has no webhook for a note that was edited or
    deleted.
    """

    happens_once = True

    note_id: int | None = None
    entity_type: str | None = None
    entity_id: int | None = None
    note_type: int | None = None
    user_id: int | None = None
    author_name: str | None = None

    @property
    def about_deal_id(self) -> int | None:
        return deal_of_card(self.entity_type, self.entity_id)

    @property
    def dedup_key(self) -> str | None:
        # A note is added once, whether a webhook reports it or reconciliation finds it.
        return None if self.note_id is None else f"note:{self.note_id}"

    def _as_touch(self, kind: TouchKind, direction: str, *, text: str = "", files: int = 0) -> TouchRecord | None:
        card = card_of(self.entity_type, self.entity_id)
        if self.at is None or card is None or self.note_id is None:
            return None
        return TouchRecord(
            key=f"note:{self.note_id}",
            kind=kind,
            direction=direction,
            at=self.at,
            card=card,
            user_id=self.user_id,
            text=text,
            files=files,
        )


@dataclass(frozen=True, kw_only=True)
class NoteAdded(NoteReported):
    """A text, service or any other note that is neither a file, a call nor an SMS.

    A note on a contact's card that tells the bridge to do something (``is_command``) is queued again for a deal of
    theirs: ``deal_id`` is that deal then.
    """

    label = "добавлено примечание"

    text: str = ""
    deal_id: int | None = None

    @property
    def is_command(self) -> bool:
        """Does it begin with «/»?"""
        return self.text.lstrip().startswith("/")

    @property
    def about_deal_id(self) -> int | None:
        return super().about_deal_id if self.deal_id is None else self.deal_id

    @property
    def dedup_key(self) -> str | None:
        return super().dedup_key if self.deal_id is None else f"note:{self.deal_id}:{self.note_id}"


@dataclass(frozen=True, kw_only=True)
class FileAttached(NoteReported):
    """A file was attached to a card. ``file_name`` as amoCRM gave it (it may be transliterated)."""

    file_name: str
    file_uuid: str | None = None

    @property
    def subject(self) -> str:
        return f"{type(self).__name__}:{self.note_id or self.file_uuid or self.file_name}"

    @property
    def label(self) -> str:
        return f"загружен файл «{self.file_name}»"


@dataclass(frozen=True, kw_only=True)
class CallLogged(NoteReported):
    """A call was logged. ``direction``: "in" or "out"; ``seconds``: its length, None when nobody knows; ``link``: the
    recording, if any. Whether they talked: ``calls.is_talk``.

    ``status`` is amoCRM's call_status: 1 left message, 2 call back later, 3 not there, 4 talked, 5 wrong number, 6 not
    reached, 7 busy. ``uniq`` is the telephone exchange's own id of the call. A call on a contact's card is queued again
    for each open deal whose main contact that is: ``deal_id`` is that deal then.
    """

    direction: str
    uniq: str | None = None
    phone: str | None = None
    seconds: int | None = 0
    link: str | None = None
    status: int | None = None
    result: str | None = None
    deal_id: int | None = None

    @property
    def about_deal_id(self) -> int | None:
        return deal_of_card(self.entity_type, self.entity_id) if self.deal_id is None else self.deal_id

    @property
    def dedup_key(self) -> str | None:
        if self.deal_id is not None:
            return f"call:{self.deal_id}:{self.note_id}"
        return None if self.note_id is None else f"note:{self.note_id}"

    @property
    def label(self) -> str:
        card = " (на карточке контакта)" if self.deal_id is not None else ""
        return f"{_DIRECTIONS.get(self.direction, '')} звонок, {describe_length(self.seconds)}{card}".strip()

    @property
    def touch(self) -> TouchRecord | None:
        touch = self._as_touch("call", self.direction)
        if touch is None:
            return None
        return replace(
            touch, seconds=self.seconds, status=self.status, phone=self.phone, uniq=self.uniq, result=self.result
        )


@dataclass(frozen=True, kw_only=True)
class SmsLogged(NoteReported):
    """An SMS was logged. ``direction``: "in" or "out"."""

    direction: str
    phone: str | None = None
    text: str = ""

    @property
    def label(self) -> str:
        return f"{_DIRECTIONS.get(self.direction, '')} SMS".strip()

    @property
    def touch(self) -> TouchRecord | None:
        return self._as_touch("sms", self.direction, text=self.text)


@dataclass(frozen=True, kw_only=True)
class MailLogged(NoteReported):
    """A letter came to a card or went out from it; ``direction``: "in" or "out". No webhook reports letters: they are
    found in the events list, minutes later. amoCRM shows no body and no files: ``summary`` is how the letter begins."""

    direction: str
    sender: str = ""
    recipient: str = ""
    subject: str = ""
    summary: str = ""
    thread_id: str | None = None
    message_id: str | None = None
    attachments: int = 0

    @property
    def label(self) -> str:
        by_whom = why_machine(self.sender, self.subject, self.summary) if self.direction == "in" else ""
        return f"{_LETTERS.get(self.direction, 'письмо')} «{self.subject}»" + (f" ({by_whom})" if by_whom else "")

    @property
    def touch(self) -> TouchRecord | None:
        touch = self._as_touch("mail", self.direction, text=self.subject, files=self.attachments)
        if touch is None or self.direction != "in":
            return touch
        if no_answer := why_machine(self.sender, self.subject, self.summary):
            return replace(touch, no_answer=no_answer)
        return replace(touch, doubt=why_doubtful(self.sender, self.subject, self.summary))


# --- chats, unsorted, lists --------------------------------------------------------------------------------------


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
    """A client wrote in a chat; ``direction``: "in", or "out" for what we wrote to the client: then ``user_id`` is who
    did, or None for a bot. ``text`` is empty when only a file or a voice message was sent."""

    happens_once = True

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

    @property
    def about_deal_id(self) -> int | None:
        return deal_of_card(self.entity_type, self.entity_id)

    @property
    def dedup_key(self) -> str | None:
        return f"message:{self.message_id}"

    @property
    def label(self) -> str:
        return f"{_MESSAGES.get(self.direction, 'сообщение')} в чате"

    @property
    def touch(self) -> TouchRecord | None:
        card = card_of(self.entity_type, self.entity_id) or card_of("contact", self.contact_id)
        if self.at is None or card is None:
            return None
        return TouchRecord(
            key=f"message:{self.message_id}",
            kind="chat",
            direction=self.direction,
            at=self.at,
            card=card,
            user_id=self.user_id,
            contact_id=self.contact_id,
            text=self.text,
        )


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
class Unrecognised(Event):
    """A webhook that the decoder has no event for: stored whole in ``raw``, counted, answered, acted on by nobody.

    ``root`` and ``action`` are its keys where it had any; ``why`` says what was not understood.
    """

    root: str = ""
    action: str = ""
    why: str = ""

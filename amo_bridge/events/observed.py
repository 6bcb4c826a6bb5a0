"""Observed events: what no webhook says, concluded by the bridge itself or due by its clock.

A fresh read is compared with the mirror (``engine/change_detection``), so one change is one event however often its
webhook comes. Rules about stages, fields and tasks listen to these.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from amo_bridge.events.base import Event, TouchRecord
from amo_bridge.events.letters import why_doubtful, why_machine
from amo_bridge.lazy.dataclasses import dataclass

__all__ = [
    "CampaignLoaded",
    "ClientAnswered",
    "ClientUnsubscribed",
    "ContactDateChanged",
    "DealObserved",
    "FieldChanged",
    "MailboxLetter",
    "ResponsibleChanged",
    "SeriesLetterDue",
    "StageEntered",
    "StepDue",
    "TaskAnswered",
    "TaskFinished",
    "TaskObserved",
    "TaskRemoved",
    "TaskRenamed",
    "TaskRescheduled",
]

_ANSWERED_BY = {"call": "звонок", "mail": "письмо", "chat": "сообщение в чате", "sms": "SMS"}


@dataclass(frozen=True, kw_only=True)
class DealObserved(Event):
    """Something is different on a deal than it was.

    ``user_id``: the person who did it; None for a robot, the integration's own user, or when amoCRM does not say.
    ``user_is``: that person's name and roles, in the config's words.
    """

    deal_id: int
    user_id: int | None = None
    user_is: tuple[str, ...] = ()

    @property
    def about_deal_id(self) -> int | None:
        return self.deal_id

    def event_key(self, queue_key: str) -> str:
        return self._key(self.deal_id, self._second, queue_key)

    @property
    def _second(self) -> int:
        return int(self.at.timestamp()) if self.at else 0

    def _key(self, *parts: object) -> str:
        return ":".join(map(str, (type(self).__name__, *parts)))


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

    def event_key(self, queue_key: str) -> str:
        return self._key(self.deal_id, f"{self.stage[0]}.{self.stage[1]}", self._second, queue_key)

    @property
    def label(self) -> str:
        if self.is_new:
            return f"новая сделка на этапе «{self.stage_name}»"
        origin = f" с «{self.from_stage_name}»" if self.from_stage_name else ""
        return f"сделка пришла на этап «{self.stage_name}»{origin}"


@dataclass(frozen=True, kw_only=True)
class FieldChanged(DealObserved):
    """A deal's field was filled, changed or emptied. Values are normalised texts; None is empty.

    Built-in fields come under their Russian names too: «Бюджет», «Название», «Причина отказа».
    """

    field_name: str
    old: str | None = None
    new: str | None = None

    def event_key(self, queue_key: str) -> str:
        change = _digest(self.field_name, self.old, self.new)
        return self._key(self.deal_id, change, self._second, queue_key)

    @property
    def subject(self) -> str:
        return f"{type(self).__name__}:{self.field_name}"

    @property
    def label(self) -> str:
        if self.new is None:
            return f"поле «{self.field_name}» очищено (было {self.old})"
        before = f" (было {self.old})" if self.old is not None else ""
        return f"поле «{self.field_name}» = {self.new}{before}"


@dataclass(frozen=True, kw_only=True)
class ResponsibleChanged(DealObserved):
    """A deal has another responsible user than before. ``old_is``, ``new_is``: their names and roles."""

    label = "у сделки новый ответственный"

    old: int | None = None
    new: int | None = None
    old_is: tuple[str, ...] = ()
    new_is: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskObserved(DealObserved):
    """Something happened to a task on the deal's card. ``text``, ``responsible_user_id``, ``task_type`` (its name; None
    for «Связаться», amoCRM's default): what the task is. ``set_as``: the text that a rule set it with, if one did."""

    task_id: int
    text: str = ""
    responsible_user_id: int = 0
    task_type: str | None = None
    set_as: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """By what it is known: its text, and the one that a rule set it with."""
        return (self.text, self.set_as) if self.set_as else (self.text,)

    @property
    def subject(self) -> str:
        return f"{type(self).__name__}:{self.task_id}"

    def event_key(self, queue_key: str) -> str:
        return self._key(self.task_id, self._second, queue_key)


@dataclass(frozen=True, kw_only=True)
class TaskFinished(TaskObserved):
    """A task was finished. Its result may still be to come. ``by_bridge``: the bridge has closed it, which is nobody's
    work."""

    by_bridge: bool = False

    @property
    def label(self) -> str:
        return f"закрыта задача «{self.text}»"


@dataclass(frozen=True, kw_only=True)
class TaskAnswered(TaskObserved):
    """A task was finished, and its result is there or had time to come: from the list of tasks amoCRM reports the
    completion first and the result in a webhook of its own. ``result``: what was written; None when nothing was."""

    result: str | None = None

    def event_key(self, queue_key: str) -> str:
        # An answer is one, whichever of the two webhooks brought it, or if it had to be looked for.
        return self._key(self.task_id, _digest(self.result))

    @property
    def label(self) -> str:
        return f"ответ на задачу «{self.text}»: {self.result or 'пусто'}"


@dataclass(frozen=True, kw_only=True)
class TaskRescheduled(TaskObserved):
    """An open task has another due time than before."""

    old: datetime
    new: datetime

    @property
    def label(self) -> str:
        return f"сдвинут срок задачи «{self.text}»"


@dataclass(frozen=True, kw_only=True)
class TaskRenamed(TaskObserved):
    """An open task that a rule set has another text than it was set with (``set_as``)."""

    @property
    def label(self) -> str:
        return f"переименована задача «{self.set_as}»: «{self.text}»"


@dataclass(frozen=True, kw_only=True)
class TaskRemoved(TaskObserved):
    """An open task was deleted. ``due``: when it was due."""

    due: datetime

    @property
    def label(self) -> str:
        return f"удалена задача «{self.text}»"


@dataclass(frozen=True, kw_only=True)
class ClientAnswered(DealObserved):
    """The client called or wrote. ``by``: call, mail, chat or sms. What comes to a contact's card is an answer on each
    of the contact's open deals. ``source``: the key of that touch; ``text``: what is known of its words; ``files``: how
    many came with a letter, ``file_names``: what they are called, where that is known. ``no_answer``: why it is none
    after all (an automatic reply); then no rule is evaluated. ``doubt``: why it may be none, Russian. ``on_contact``:
    it came to the contact's own card, so it may be about any of his deals."""

    happens_once = True

    by: str
    source: str = ""
    contact_id: int | None = None
    text: str = ""
    files: int = 0
    file_names: tuple[str, ...] = ()
    no_answer: str = ""
    doubt: str = ""
    on_contact: bool = False

    @property
    def reason_to_ignore(self) -> str:
        return self.no_answer

    @property
    def dedup_key(self) -> str | None:
        return f"answered:{self.deal_id}:{self.source}"

    @property
    def label(self) -> str:
        return f"клиент ответил: {_ANSWERED_BY.get(self.by, self.by)}"


@dataclass(frozen=True, kw_only=True)
class MailboxLetter(DealObserved):
    """A letter of a client, or to one, in a mailbox that the bridge reads itself. ``message_id``: by it a letter in two
    boxes is one. ``direction``: "in" or "out". ``contact_id``: who wrote it, or to whom. ``on_contact``: nothing says
    which of his open deals it is about; ``deal_id`` is the newest. ``is_reply``: an answer to a letter of the bridge.
    ``summary``: how it begins."""

    usual_origin = "mail"
    happens_once = True

    message_id: str
    direction: str = "in"
    sender: str = ""
    subject: str = ""
    summary: str = ""
    file_names: tuple[str, ...] = ()
    contact_id: int | None = None
    on_contact: bool = False
    is_reply: bool = False

    @property
    def dedup_key(self) -> str | None:
        return f"letter:{self.deal_id}:{self._digest}"

    def event_key(self, queue_key: str) -> str:
        return queue_key

    @property
    def label(self) -> str:
        what = "письмо клиенту" if self.direction == "out" else "ответ на письмо" if self.is_reply else "письмо клиента"
        return f"{what} «{self.subject}»" if self.subject else f"{what} без темы"

    @property
    def touch(self) -> TouchRecord | None:
        if self.at is None:
            return None
        by_contact = self.on_contact and self.contact_id is not None
        is_in = self.direction == "in"
        no_answer = why_machine(self.sender, self.subject, self.summary) if is_in else ""
        return TouchRecord(
            key=f"letter:{self._digest}",
            kind="mail",
            direction=self.direction,
            at=self.at,
            card=("contact", self.contact_id or 0) if by_contact else ("deal", self.deal_id),
            user_id=self.user_id,
            contact_id=self.contact_id,
            text=self.subject,
            files=len(self.file_names),
            file_names=self.file_names,
            no_answer=no_answer,
            doubt=why_doubtful(self.sender, self.subject, self.summary) if is_in and not no_answer else "",
        )

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.message_id.encode()).hexdigest()[:32]


# --- not by comparing: contacts, letters, the clock --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ContactDateChanged(Event):
    """A date of one of a deal's contacts was changed or emptied. ``at``: when the contact was; texts, None is empty.
    ``deal_id``: one of the contact's deals; there is one event for each."""

    deal_id: int
    contact_id: int
    field_name: str
    old: str | None = None
    new: str | None = None

    @property
    def about_deal_id(self) -> int | None:
        return self.deal_id

    @property
    def label(self) -> str:
        if self.new is None:
            return f"поле контакта «{self.field_name}» очищено (было {self.old})"
        return f"поле контакта «{self.field_name}» = {self.new} (было {self.old})"


@dataclass(frozen=True, kw_only=True)
class ClientUnsubscribed(Event):
    """The client wants no more letters, or none reaches him, as a letter about this deal has shown.

    ``cause``: he followed the link in it; a mail service says that he unsubscribed there, that he complained of spam,
    or that the letter came back because there is no such address.
    """

    usual_origin = "mail"
    label = "письма клиенту больше не слать"

    deal_id: int
    contact_id: int
    letter_id: int
    cause: Literal["link", "service", "complaint", "bounce"] = "link"

    @property
    def about_deal_id(self) -> int | None:
        return self.deal_id

    @property
    def dedup_key(self) -> str | None:
        return f"unsubscribed:{self.letter_id}"


@dataclass(frozen=True, kw_only=True)
class SeriesLetterDue(Event):
    """The next letter of a series that was started for a deal is due. ``at``: when it fell due.

    ``run``: which start of the series; ``number``: which letter of it, from 0. ``stage``: the one on which the series
    was started. ``started_at``: Unix seconds.
    """

    usual_origin = "timer"
    deal_id: int
    series: str
    run: int
    number: int
    stage: tuple[int, int]
    started_at: datetime

    @property
    def about_deal_id(self) -> int | None:
        return self.deal_id

    @property
    def dedup_key(self) -> str | None:
        return f"series:{self.run}:{self.number}"

    @property
    def label(self) -> str:
        return f"серия «{self.series}»: пора отправить письмо {self.number + 1}"


@dataclass(frozen=True, kw_only=True)
class CampaignLoaded(Event):
    """Statistics of a deal's advertising campaign came in. ``at``: when; ``loaded_on``: which day that was by
    the account's clock. ``day``: the newest whole day of them (both ISO); ``figures``: a digest of what they say."""

    usual_origin = "ads"
    deal_id: int
    campaign: str
    day: str
    loaded_on: str
    figures: str

    @property
    def about_deal_id(self) -> int | None:
        return self.deal_id

    @property
    def dedup_key(self) -> str | None:
        return f"campaign:{self.deal_id}:{self.day}:{self.figures}"

    @property
    def label(self) -> str:
        return f"статистика рекламной кампании «{self.campaign}» за {self.day}"


@dataclass(frozen=True, kw_only=True)
class StepDue(Event):
    """A step that a schedule planned for a deal has fallen due. ``at``: the moment for which it was planned;
    ``since``: from when it was counted.

    ``rule``: the rule that planned it («stage_ladder.brief»), the only one that is evaluated on it. ``anchor``: what
    the step counts from, a stay on a stage or a date in a field; it falls due once for each anchor.
    """

    usual_origin = "timer"
    rule: str
    deal_id: int
    step: str
    anchor: str
    since: datetime

    @property
    def about_deal_id(self) -> int | None:
        return self.deal_id

    @property
    def dedup_key(self) -> str | None:
        # Once for each anchor, whatever moment it was planned for. Names may be longer than a key.
        name = f"{self.rule}\0{self.step}\0{self.anchor}".encode()
        return f"step:{self.deal_id}:{hashlib.blake2b(name, digest_size=16).hexdigest()}"

    @property
    def label(self) -> str:
        return f"наступил срок шага «{self.step}»"


def _digest(*parts: str | None) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]

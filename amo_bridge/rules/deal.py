"""Fields with people's names: how rules read them, on a deal and on a contact alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, NoReturn, Self, cast

from amo_bridge.crm.account import Stage, User
from amo_bridge.events import CallLogged, calls
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import normalise


@dataclass(frozen=True)
class Compound:
    """The value of a field that holds more than a text: a legal entity, a file, an address in parts …

    ``kind``: amoCRM's type of the field. ``text``: in people's words. ``parts``: as amoCRM gave it, to be carried into
    another field of the same type."""

    kind: str
    text: str
    parts: tuple[Any, ...] = field(default=(), repr=False, hash=False)

    def __str__(self) -> str:
        return self.text


Value = str | bool | date | datetime | tuple[str, ...] | Compound
"""A field's value: text (numbers too, as amoCRM gives them), bool (checkbox), date, datetime, several texts, or what
has parts of its own."""


HIDDEN = "•••"
"""What stands for the value of a field that nobody is to read here: it is filled, and that is all that is known."""


class WithFields:
    """Something that has fields. ``fields``: name → value, filled ones only."""

    fields: Mapping[str, Value]

    def value(self, name: str) -> Value | None:
        """The value of a field by its name, case and «ё» forgiven; None when empty.

        What amoCRM has built in answers to its Russian name, unless the account has a custom field of that name.
        """
        wanted = normalise(name)
        for field_name, value in self.fields.items():
            if normalise(field_name) == wanted:
                return value
        return self._built_in(wanted)

    def text(self, name: str) -> str:
        """The value as a person would write it; empty when there is none."""
        value = self.value(name)
        return "" if value is None else as_text(value)

    def has(self, name: str) -> bool:
        """Is the field filled? A checkbox counts only when it is ticked, a budget only above 0."""
        return self.value(name) not in (None, "", (), False)

    def _built_in(self, wanted: str) -> Value | None:
        """The value of what amoCRM has without a custom field, by its normalised name."""
        return None


def as_text(value: Value) -> str:
    """A value in the words people use: 31.12.2026, да/нет, a list with commas."""
    if isinstance(value, bool):
        return "да" if value else "нет"
    if isinstance(value, datetime):
        return value.strftime("%d.%m.%Y %H:%M")
    if isinstance(value, date):
        return value.strftime("%d.%m.%Y")
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value)


# What lies on a deal's card beside its fields: tasks, calls, files, people, touches — as rules see them.
#
# A rule asks for it by ``needs={"open_tasks"}`` and finds it as the deal's attribute of that name. What it did not ask
# for is ``Unread``: looking at it is a mistake that shows itself, instead of an empty list that lies.

DataNeed = Literal[
    "own_tasks",
    "own_deals",
    "own_steps",
    "own_acts",
    "contact_steps",
    "people_steps",
    "open_tasks",
    "finished_tasks",
    "calls",
    "files",
    "contacts",
    "bloggers",
    "touches",
    "notes",
    "other_deals",
    "contact_tasks",
    "person_deals",
    "person_tasks",
    "campaign",
]
Direction = Literal["in", "out", ""]


class NotLoaded(Exception):
    """A rule looked at what has not been read. The engine reads it and asks again, if the rule's ``needs`` name it."""

    def __init__(self, need: str) -> None:
        self.need = need
        super().__init__(f"«{need}» не прочитано: обработчик должен попросить об этом — needs={{{need!r}}}")


class Missing(tuple[Any, ...]):
    """Stands where something has not been read: it has no length and no elements, only ``NotRead``."""

    need: str

    def __new__(cls, need: DataNeed) -> Self:
        self = super().__new__(cls)
        self.need = need
        return self

    def _refuse(self, *_: object) -> NoReturn:
        raise NotLoaded(self.need)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotLoaded(self.need)

    __iter__ = __len__ = __bool__ = __contains__ = __getitem__ = __add__ = _refuse

    def __repr__(self) -> str:
        return f"Unread({self.need!r})"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task. ``slot`` is the mark its rule gave it and ``made_by`` that rule's name (both empty for people's tasks);
    ``is_own``: the rule that asks has set it itself; ``set_as``: the text that its rule set it with, whatever people
    have made of it.

    ``responsible_user_id`` and ``created_by`` are users' ids, 0 a robot's. ``changed_at``: when it was changed last;
    of a finished task mostly when it was finished. ``task_type``: its name, known of tasks on the card; None for
    «Связаться», which is nobody's choice. ``responsible_is``: that person's name and roles, known of ``open_tasks``,
    ``contact_tasks`` and ``person_tasks``.
    """

    id: int
    text: str
    is_completed: bool
    due: datetime
    responsible_user_id: int
    slot: str = ""
    result: str | None = None
    task_type_id: int = 1
    task_type: str | None = None
    created_by: int = 0
    created_at: datetime | None = None
    changed_at: datetime | None = None
    made_by: str = ""
    is_own: bool = False
    set_as: str = ""
    responsible_is: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """By what it is known: its text, and the one that a rule set it with."""
        return (self.text, self.set_as) if self.set_as else (self.text,)


@dataclass(frozen=True)
class DoneStep:
    """A step of a schedule that has fallen due, whatever was decided then. ``anchor``: what it was counted from.
    ``deal_id``: on which deal; 0 where that is plain. ``due``: when it fell due; None where nobody asks."""

    name: str
    anchor: str
    deal_id: int = 0
    due: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call on the deal's card, or on the card of one of its contacts or its company (``on``: deal, contact, company).

    ``direction``: in or out. ``seconds``: its length, None when nobody knows. ``link``: the recording, None when there
    is none (yet). ``user_id``: who talked, 0 or None when amoCRM does not know. ``status`` is amoCRM's call_status (4
    talked, 6 not reached …). ``phone`` as the telephone exchange wrote it, ``uniq`` its own name for the call.
    """

    id: int
    direction: Literal["in", "out"]
    at: datetime
    seconds: int | None = 0
    link: str | None = None
    phone: str | None = None
    user_id: int | None = None
    status: int | None = None
    result: str | None = None
    uniq: str | None = None
    on: str = "deal"
    note_ids: tuple[int, ...] = ()

    def is_talk(self, at_least: int = calls.TALK_SECONDS) -> bool:
        """Did they talk at least so many seconds? Its status goes before its length."""
        return calls.is_talk(self, at_least)

    def is_missed(self, at_least: int = calls.TALK_SECONDS) -> bool:
        """Was the client called in vain?"""
        return calls.is_missed(self, at_least)


@dataclass(frozen=True, kw_only=True)
class NamedBlogger:
    """A blogger of the deal's service lines, and the contacts who may be meant: exactly one if it is clear who."""

    name: str
    contact_ids: tuple[int, ...] = ()


class AdDay(NamedTuple):
    """A campaign's figures of one day in one placement (empty: unknown). ``cost``: hundredths. ``leads``: None where
    the service or the file does not count them."""

    day: date
    shows: int
    clicks: int
    cost: int
    leads: int | None = None
    placement: str = ""
    currency: str = "RUB"
    service: str = "file"


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What is known of a deal's campaign. ``days``: its statistics of the last weeks. ``checked``: days that a person
    looked at. ``other_deals``: open deals with the same name of a campaign; then nobody knows whose it is."""

    name: str
    days: Sequence[AdDay] = ()
    checked: frozenset[date] = frozenset()
    other_deals: tuple[int, ...] = ()

    def is_known(self, day: date) -> bool:
        """Are there statistics for the day, or has a person looked?"""
        return day in self.checked or any(row.day == day for row in self.days)


@dataclass(frozen=True, kw_only=True)
class Note:
    """A text note («примечание») on the deal's card. ``user_id``: who wrote it, 0 for a robot or an integration."""

    id: int
    text: str
    at: datetime
    user_id: int = 0


@dataclass(frozen=True, kw_only=True)
class AttachedFile:
    """A file on the deal's card. ``name`` is the original one where amoCRM tells it (it also keeps transliterated
    ones: ``other_name``). ``at`` and ``user_id``: when and by whom, None when amoCRM does not tell. ``uuid``: the
    file's name in amoCRM's storage."""

    name: str
    uuid: str | None = None
    other_name: str = ""
    at: datetime | None = None
    user_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Contact(WithFields):
    """A contact of the deal. ``phones`` in E.164 («+79161234567») and ``mails`` in lower case: what is neither is among
    the ``fields`` only, as people typed it. Built in: «Имя»."""

    id: int
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    is_main: bool = False
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    responsible_user_id: int = 0
    company_id: int | None = None
    deal_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    def _built_in(self, wanted: str) -> Value | None:
        return self.name or None if wanted == normalise("Имя") else None


@dataclass(frozen=True, kw_only=True)
class OtherDeal:
    """Another deal of the same client. ``responsible_is``: the name and roles of who is responsible for it, in the
    config's words; ``is_newer``: it was created after the deal that is judged."""

    id: int
    name: str
    url: str
    stage: Stage
    created_at: datetime
    responsible_user_id: int = 0
    responsible_is: tuple[str, ...] = ()
    is_newer: bool = False

    @property
    def is_open(self) -> bool:
        return not (self.stage.is_won or self.stage.is_lost)

    def is_on(self, stages: Iterable[str]) -> bool:
        """Is it on one of these stages («Продажи / Бриф получен»)?"""
        return stage_is_one_of(self.stage.title, stages)


@dataclass(frozen=True, kw_only=True)
class Touch:
    """One contact with the client, or one piece of work by a person on the deal.

    ``kind``: call, mail, chat, sms, task (finished) or move (of the stage). ``direction``: in is the client's, out is
    ours, empty for tasks and moves. ``user_id``: who it was of ours, None if amoCRM does not tell. ``seconds`` (None:
    unknown), ``status``, ``phone``, ``uniq``, ``result``: of a call, as in ``Call``.
    """

    kind: str
    direction: Direction
    at: datetime
    user_id: int | None = None
    seconds: int | None = None
    status: int | None = None
    phone: str | None = None
    uniq: str | None = None
    result: str | None = None

    @property
    def is_clients(self) -> bool:
        return self.direction == "in"

    def counts(self, talk_seconds: int = calls.TALK_SECONDS) -> bool:
        """Was there contact? A call that nobody answered is none."""
        return self.kind != "call" or calls.is_talk(self, talk_seconds)


# By how much amoCRM's ways of reporting one move may differ in its time.
_SAME_MOVE = timedelta(seconds=2)


class Touches(tuple[Touch, ...]):
    """A deal's touches, oldest first; calls that nobody answered are among them (``counting`` leaves them out)."""

    def counting(self, talk_seconds: int = calls.TALK_SECONDS) -> Touches:
        """Those in which there was contact: a call counts if they talked at least so long."""
        return Touches(one for one in self if one.counts(talk_seconds))

    def after(self, arrival: datetime) -> Touches:
        """Those after a deal came to where it is, without the move that brought it there."""
        return Touches(one for one in self if one.at > arrival + (_SAME_MOVE if one.kind == "move" else timedelta()))

    def since(self, moment: datetime, until: datetime | None = None) -> Touches:
        """Those from this moment on, and before ``until`` if that is given."""
        return Touches(one for one in self if one.at >= moment and (until is None or one.at < until))

    def of(self, *kinds: str) -> Touches:
        """Those of these kinds."""
        return Touches(one for one in self if one.kind in kinds)

    def by_client(self) -> Touches:
        """What the client did: called, wrote."""
        return Touches(one for one in self if one.is_clients)

    def unanswered(self) -> Touches:
        """What the client wrote, or called in vain, since somebody answered last: wrote, or talked with the client."""
        waiting: list[Touch] = []
        for one in self:
            if one.is_clients and not (one.kind == "call" and one.counts()):
                waiting.append(one)
            elif one.direction and one.counts():
                waiting = []
        return Touches(waiting)

    @property
    def last(self) -> Touch | None:
        """The newest; None if there is none."""
        return self[-1] if self else None


# A deal as handlers see it: read-only, in the account's own words, without ids to look up.
#
# ``deal`` is amoCRM's *lead* (сделка).

__all__ = ["BUILT_IN_FIELDS", "Deal", "Stay", "Task", "Value", "as_text", "stage_is_one_of"]


def nameless(entity: str, card_id: int) -> str:
    """Of a deal that nobody can ask about its cards."""
    return ""


def _unread(need: DataNeed) -> Any:
    return Missing(need)


@dataclass(frozen=True)
class Stay:
    """The deal was on a stage from then on (account's clock)."""

    stage: Stage
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Deal(WithFields):
    """What is known of a deal at the moment a rule judges it: a fresh read, not the hook's words.

    amoCRM's built-in fields answer to their Russian names: «Название», «Бюджет», «Причина отказа», «Ответственный»,
    «Контакт» (or «Контактное лицо»), «Компания»; a custom field of that name, if it is filled, goes before.

    ``url`` is its card in amoCRM, ``page`` its page of the bridge.

    What a handler asks for by ``needs={…}`` is read when it looks there, so it should look at cheaper things first.
    All is read afresh but the touches, which amoCRM has no list of:

    - ``own_tasks``: the tasks that the judging rule itself set on this deal, finished ones too;
    - ``own_deals``: the addresses of the deals that it made of this one, oldest first;
    - ``own_steps``: its steps that have fallen due on this deal, oldest first;
    - ``own_acts``: when it did something here, by amoCRM's clock, oldest first;
    - ``contact_steps``: the same on other deals of the main contact;
    - ``people_steps``: the same on other deals of all its contacts;
    - ``open_tasks``, ``finished_tasks``: all tasks on the deal's card, people's too, the most urgent first;
    - ``calls``: on the cards of the deal, its contacts and its company, oldest first;
    - ``files``: attached to the deal's card or kept in its fields, oldest first;
    - ``contacts``: the deal's people with their fields, the main one first;
    - ``bloggers``: those named in the deal's service lines, each with the contacts who may be meant;
    - ``other_deals``: the main contact's other deals, the newest first;
    - ``contact_tasks``: the open tasks on the main contact's own card;
    - ``person_deals``: as ``other_deals``, with those of every other card that has a phone or an e-mail of his;
    - ``person_tasks``: the open tasks that people have set on those other cards and on all those deals;
    - ``campaign``: its advertising campaign with the statistics of the last weeks, one or none;
    - ``touches``: calls, letters, messages, finished tasks and moves by people, on the deal and on its contacts.

    ``unanswered``: what the client waits for an answer to, as ``touches.unanswered()``; only for the steps of schedules
    that count from it (``from_messages``).

    ``stays`` needs no asking: the deal's way over the stages, the present one first, as far as it is known; empty when
    nobody knows since when the deal is where it is.
    """

    id: int
    name: str
    url: str
    stage: Stage
    page: str = ""
    price: int = 0
    responsible: User | None = None
    loss_reason: str | None = None
    tags: tuple[str, ...] = ()
    main_contact_id: int | None = None
    contact_ids: tuple[int, ...] = ()
    company_id: int | None = None
    fields: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    stays: tuple[Stay, ...] = ()
    unanswered: Touches = field(default_factory=Touches)
    own_tasks: tuple[Task, ...] = ()
    own_deals: tuple[str, ...] = ()
    own_steps: tuple[DoneStep, ...] = ()
    own_acts: tuple[datetime, ...] = ()
    contact_steps: tuple[DoneStep, ...] = ()
    people_steps: tuple[DoneStep, ...] = ()
    open_tasks: tuple[Task, ...] = field(default=_unread("open_tasks"), repr=False)
    finished_tasks: tuple[Task, ...] = field(default=_unread("finished_tasks"), repr=False)
    calls: tuple[Call, ...] = field(default=_unread("calls"), repr=False)
    files: tuple[AttachedFile, ...] = field(default=_unread("files"), repr=False)
    contacts: tuple[Contact, ...] = field(default=_unread("contacts"), repr=False)
    bloggers: tuple[NamedBlogger, ...] = field(default=_unread("bloggers"), repr=False)
    notes: tuple[Note, ...] = field(default=_unread("notes"), repr=False)
    other_deals: tuple[OtherDeal, ...] = field(default=_unread("other_deals"), repr=False)
    contact_tasks: tuple[Task, ...] = field(default=_unread("contact_tasks"), repr=False)
    person_deals: tuple[OtherDeal, ...] = field(default=_unread("person_deals"), repr=False)
    person_tasks: tuple[Task, ...] = field(default=_unread("person_tasks"), repr=False)
    campaign: tuple[Campaign, ...] = field(default=_unread("campaign"), repr=False)
    touches: Touches = field(default=_unread("touches"), repr=False)
    card_name: Callable[[str, int], str] = field(default=nameless, repr=False, compare=False)
    """(contacts or companies, id) → the name on the card; empty while it is not known."""

    @property
    def stage_since(self) -> datetime | None:
        """When the deal came onto its stage, if that is known."""
        return self.stays[0].since if self.stays else None

    def is_on(self, stages: Iterable[str]) -> bool:
        """Is the deal on one of these stages («Продажи / Бриф получен»)?"""
        return stage_is_one_of(self.stage.title, stages)

    def own_open_tasks(self, slot: str | None = None) -> list[Task]:
        """Those of ``own_tasks`` that are not finished; only those with this mark, if one is named."""
        return [task for task in self.own_tasks if not task.is_completed and slot in (None, task.slot)]

    def with_read(self, read: Mapping[DataNeed, tuple[Any, ...]]) -> Self:
        """The deal with what was read beside it. ``replace`` does the same ten times slower, and this is done for every
        rule and event."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.__dict__.update(cast(Mapping[str, Any], read))
        return copy

    def with_values(self, values: Mapping[str, Value], tags: Iterable[str] = ()) -> Deal:
        """The deal as it will be once these are written."""
        return replace(self, fields={**self.fields, **values}, tags=(*self.tags, *tags))

    def has_tag(self, tag: str) -> bool:
        return normalise(tag) in {normalise(own) for own in self.tags}

    def was_acted_on_since(self, moment: datetime | None) -> bool:
        """Has the rule acted since then, on what was so already? Of several events of one moment one is enough: what
        the first one did may have been undone before the next was told. The rule needs ``own_acts``."""
        return moment is not None and any(act >= moment for act in self.own_acts)

    def call_of(self, event: CallLogged) -> Call | CallLogged:
        """The call that was logged, with what all of its notes say. The rule needs ``calls``."""
        return next((call for call in self.calls if event.note_id in call.note_ids), event)

    def has(self, name: str) -> bool:
        """As of any field; a contact and a company count also while nobody knows their names."""
        return super().has(name) or self._card(normalise(name)) is not None

    def _built_in(self, wanted: str) -> Value | None:
        if card := self._card(wanted):
            return self.card_name(*card) or None
        known: dict[str, Value | None] = {
            "Название": self.name or None,
            "Бюджет": str(self.price) if self.price else None,
            "Причина отказа": self.loss_reason,
            "Ответственный": self.responsible.name if self.responsible else None,
        }
        return next((value for name, value in known.items() if normalise(name) == wanted), None)

    def _card(self, wanted: str) -> tuple[str, int] | None:
        """The entity that is meant by this normalised name, and its id."""
        if wanted in (normalise("Контакт"), normalise("Контактное лицо")) and self.main_contact_id:
            return "contacts", self.main_contact_id
        if wanted == normalise("Компания") and self.company_id:
            return "companies", self.company_id
        return None


def stage_is_one_of(title: str, names: Iterable[str]) -> bool:
    """Is the stage «Воронка / Этап» among these names? A bare «Этап» fits any pipeline's stage of that name."""
    return _stage_is_one_of(title, tuple(names))


# Rules ask it a hundred times an event, of the same stages and the same options.
@lru_cache(maxsize=4096)
def _stage_is_one_of(title: str, names: tuple[str, ...]) -> bool:
    whole, status = normalise(title), normalise(title.partition("/")[2])
    return any(normalise(name) == (whole if "/" in name else status) for name in names)


BUILT_IN_FIELDS = ("Название", "Бюджет", "Причина отказа", "Ответственный", "Контакт", "Контактное лицо", "Компания")

"""Shared option models: conditions, actions, tasks, lists, what a new deal takes over."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from amo_bridge.dates.due import Due
from amo_bridge.rules.actions import (
    Action,
    AddNote,
    AddTags,
    CreateDeal,
    CreateTask,
    FieldFilled,
    FileThere,
    JoinAudience,
    LeaveAudience,
    MoveDeal,
    Notify,
    RecordViolation,
    SendSms,
    SetFields,
    Skip,
    StartAutoDial,
    StartSeries,
    StopAutoDial,
    StopSeries,
    TaskEnd,
    Waiting,
)
from amo_bridge.rules.deal import AttachedFile, DataNeed, Deal
from amo_bridge.rules.handler import Options
from amo_bridge.rules.letters import LetterSpec
from amo_bridge.rules.option_types import (
    CustomFieldName,
    FieldName,
    LossReasonName,
    Named,
    NoticeText,
    OneOrMore,
    OptionName,
    PersonName,
    PipelineName,
    SeriesName,
    StageName,
    TagName,
    TaskTypeName,
    Text,
    TextWithNewDeal,
)
from amo_bridge.text.names import is_named, normalise, same_name, starts_with


class CarryOver(Options):
    """Deals of ``pipelines`` go on as a new deal on ``to_stage``; both point at each other by ``link_field``.

    Contacts, with the main one, and the company always go along. ``carry_fields`` keep their names, ``carry_as`` are
    told under another one. ``note`` is left on the old deal, ``again`` when it ends a second time: the deal that is
    there is shown then, and no other one is made. A handler that uses it asks for ``needs={"own_deals"}``.
    ``opened_when``: of a handler whose options name no stages: the deal was won, or lost.
    """

    opened_when: ClassVar[Literal["won", "lost", ""]] = ""

    pipelines: Annotated[tuple[PipelineName, ...], Field(min_length=1)]
    to_stage: StageName
    name: Text = Text("{Название}")
    responsible: PersonName = PersonName("manager")
    tags: tuple[TagName, ...] = ()
    carry_fields: tuple[CustomFieldName, ...] = ()
    carry_as: dict[FieldName, CustomFieldName] = Field(default_factory=dict)
    carry_tags: bool = True
    carry_budget: bool = True
    carry_files: bool = True
    link_field: CustomFieldName | None = None
    note: TextWithNewDeal = TextWithNewDeal("Работа с клиентом продолжается здесь: {new.url}")
    again: TextWithNewDeal = TextWithNewDeal("Продолжение этой сделки уже есть, второе не создано: {new.url}")

    def needs(self) -> frozenset[DataNeed]:
        return super().needs() | ({"files"} if self.carry_files else frozenset())

    def without(self, lost: Container[str]) -> Self:
        """The same, but for fields (normalised names) that the account does not have."""
        return self.model_copy(
            update={
                "carry_fields": tuple(name for name in self.carry_fields if normalise(name) not in lost),
                "carry_as": {
                    old: new
                    for old, new in self.carry_as.items()
                    if normalise(old) not in lost and normalise(new) not in lost
                },
                "link_field": self.link_field if self.link_field and normalise(self.link_field) not in lost else None,
            }
        )

    def takes(self, deal: Deal) -> bool:
        """Is the deal of a pipeline that this rule is about?"""
        return any(same_name(deal.stage.pipeline, name) for name in self.pipelines)

    def new_deal(self, deal: Deal, *more_tags: str, slot: str = "") -> CreateDeal:
        """The deal that goes on where this one ended; one for each ``slot``."""
        own_tags = deal.tags if self.carry_tags else ()
        told = {name: name for name in self.carry_fields} | self.carry_as
        return CreateDeal(
            deal_id=deal.id,
            name=self.name.for_deal(deal),
            to=self.to_stage,
            responsible=self.responsible,
            price=deal.price if self.carry_budget else None,
            tags=tuple(dict.fromkeys((*more_tags, *self.tags, *own_tags))),
            contact_ids=deal.contact_ids,
            company_id=deal.company_id,
            values={
                new: value for old, new in told.items() if deal.has(old) and (value := deal.value(old)) is not None
            },
            link_field=self.link_field,
            file_uuids=tuple(file.uuid for file in deal.files if file.uuid) if self.carry_files else (),
            slot=slot,
            then=(AddNote(deal_id=deal.id, text=self.note.for_deal(deal)),),
        )

    def shown(self, deal: Deal) -> Action:
        """A note with the address of the deal that was made before."""
        text = self.again.for_deal(deal).replace("{new.url}", deal.own_deals[-1])
        return AddNote(deal_id=deal.id, text=text)


# A condition on the deal.


class Condition(Options):
    """What the deal must be like: ``{ field = "Тип оплаты", is = "Предоплата" }``.

    Exactly one of: ``is`` / ``is_not`` (a text), ``one_of`` (several), ``filled`` (true or false), for a field; or the
    deal's ``tag``.
    """

    field: FieldName | None = None
    is_: OptionName | None = Field(default=None, alias="is")
    is_not: OptionName | None = None
    one_of: tuple[OptionName, ...] = ()
    filled: bool | None = None
    tag: TagName | None = None

    @model_validator(mode="after")
    def one_question(self) -> Self:
        asked = [self.is_ is not None, self.is_not is not None, bool(self.one_of), self.filled is not None]
        if (self.field is None) == (self.tag is None) or sum(asked) != (self.field is not None):
            raise ValueError("нужно одно из: field вместе с is, is_not, one_of или filled; либо tag")
        for option in (self.is_, self.is_not, *self.one_of):
            if option is not None and self.field is not None:
                option.field = self.field
        return self

    def holds(self, deal: Deal) -> bool:
        if self.tag is not None:
            return deal.has_tag(self.tag)
        assert self.field is not None
        text = deal.text(self.field)
        if self.is_ is not None:
            return same_name(text, self.is_)
        if self.is_not is not None:
            return not same_name(text, self.is_not)
        if self.one_of:
            return any(same_name(text, wanted) for wanted in self.one_of)
        return deal.has(self.field) == self.filled

    def __str__(self) -> str:
        if self.tag is not None:
            return f"есть тег «{self.tag}»"
        if self.is_ is not None:
            return f"«{self.field}» = «{self.is_}»"
        if self.is_not is not None:
            return f"«{self.field}» ≠ «{self.is_not}»"
        if self.one_of:
            return f"«{self.field}» — одно из: {', '.join(self.one_of)}"
        return f"«{self.field}» {'заполнено' if self.filled else 'пусто'}"


def skip_unless(when: Condition | None, deal: Deal, what: str = "условие") -> Skip | None:
    """A rule's answer about a deal that is not as ``when`` asks; None if it is, or nothing is asked. ``what``: what is
    not met, in the journal's words."""
    return Skip(f"не выполнено {what}: {when}") if when and not when.holds(deal) else None


def new_tasks_only(actions: Iterable[Action], deal: Deal) -> list[Action]:
    """The actions without the tasks that this rule set before and that are still open, by their slots. The rule needs
    ``own_tasks``."""
    still_open = {task.slot for task in deal.own_open_tasks()}
    return [action for action in actions if not (isinstance(action, CreateTask) and action.slot in still_open)]


class Conditional(Options):
    """Options of a rule about something that happens: ``when``, only if the deal is like this.

    If it is not, the rule waits: what has happened counts as soon as the deal is so, while it is on its stage.
    """

    when: Condition | None = None

    def unmet(self, deal: Deal) -> Waiting | None:
        """Why the rule has to wait; None if it has not."""
        unmet = skip_unless(self.when, deal)
        return Waiting(unmet.reason) if unmet else None


# A file on the deal's card.


class WantedFile(Options):
    """``named``: the whole name of the file, without the extension; ``name_starts_with``: how it may begin as well."""

    named: Text | None = None
    name_starts_with: tuple[str, ...] = ()

    @model_validator(mode="after")
    def some_name(self) -> Self:
        if self.named is None and not self.name_starts_with:
            raise ValueError(
                "нужно хотя бы одно из: named (имя файла целиком) или name_starts_with (как оно начинается)"
            )
        return self

    def needs(self) -> frozenset[DataNeed]:
        return super().needs() | {"files"}

    def is_there(self, deal: Deal) -> bool:
        """Is such a file on the deal? amoCRM may know it by a transliterated name."""
        return any(self.fits(file, deal) for file in deal.files)

    def fits(self, file: AttachedFile, deal: Deal) -> bool:
        """Is it such a file?"""
        return any(self._is_name(name, deal) for name in (file.name, file.other_name) if name)

    def wanted(self, deal: Deal) -> str:
        """The file in words: its name, or the first of its possible beginnings and «…»."""
        return self.named.for_deal(deal) if self.named is not None else f"{self.name_starts_with[0]} …"

    def _is_name(self, name: str, deal: Deal) -> bool:
        if self.named is not None and is_named(name, self.named.for_deal(deal)):
            return True
        return any(starts_with(name, beginning) for beginning in self.name_starts_with)


# When a task that a rule set ends by itself.


class FilledEnd(Options):
    """``{ filled = "Дата оплаты" }``: the field is filled."""

    filled: FieldName


class FileEnd(Options):
    """``{ file = { name_starts_with = ["Договор"] } }``: such a file is attached."""

    file: WantedFile

    def needs(self) -> frozenset[DataNeed]:
        # The engine watches for the file, long after the rule has set its task.
        return frozenset()


def _alone_if_never(ends: tuple[Any, ...]) -> tuple[Any, ...]:
    if "never" in ends and len(ends) > 1:
        raise ValueError('until = "never" пишется одно: у задачи либо есть срок жизни, либо нет')
    return ends


Until = Annotated[
    OneOrMore[Literal["stage left", "deal closed", "never"] | FilledEnd | FileEnd], AfterValidator(_alone_if_never)
]
"""One end or several, of which the first that comes counts."""


def task_ends(until: Until | None) -> tuple[TaskEnd, ...] | None:
    """As an action has it. None: nothing was said."""
    return None if until is None else tuple(map(_task_end, until))


def _task_end(end: Literal["stage left", "deal closed", "never"] | FilledEnd | FileEnd) -> TaskEnd:
    if isinstance(end, FilledEnd):
        return FieldFilled(end.filled)
    return FileThere(end.file.named, end.file.name_starts_with) if isinstance(end, FileEnd) else end


# What goes out past amoCRM: letters, notices, advertising, and who broke the rules.


class SmsSpec(Options):
    """An SMS to the client: its text alone, or ``{ text = "Встреча завтра в 12:00", service = true }``.

    ``service``: it is about work in hand; otherwise it is advertising, which needs the client's consent.
    """

    text: Text
    service: bool = False

    def for_deal(self, deal: Deal) -> SendSms:
        return SendSms(deal_id=deal.id, text=self.text.for_deal(deal), service=self.service)


def _sms_spec(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


SmsOption = Annotated[SmsSpec, BeforeValidator(_sms_spec)]
"""As people write it: a text alone, or with its keys."""


class NoticeSpec(Options):
    """Tell people: ``{ to = ["head", "manager"], text = "Бриф не получен: {Название}" }``. ``urgent``: at night too.
    ``files``, ``pictures``: send along the newest file of the deal that begins so, or that is a picture."""

    to: OneOrMore[PersonName]
    text: NoticeText
    urgent: bool = False
    files: tuple[str, ...] = ()
    pictures: bool = False

    def for_deal(self, deal: Deal, more: str = "") -> Notify:
        """``more``: goes behind the text."""
        return Notify(
            deal_id=deal.id,
            to=self.to,
            text=self.text.for_deal(deal) + more,
            urgent=self.urgent,
            files=self.files,
            pictures=self.pictures,
        )


class EscalationSpec(Options):
    """A task for the head, and a notice: ``{ text = "Клиент ждёт больше часа" }``. ``until``: as in TaskSpec."""

    text: Text
    to: PersonName = PersonName("head")
    due: Due = Due.parse("end of day")
    urgent: bool = False
    until: Until | None = None

    def for_deal(self, deal: Deal, *, slot: str = "") -> list[Action]:
        text, until = self.text.for_deal(deal), task_ends(self.until)
        return [
            CreateTask(deal_id=deal.id, text=text, to=self.to, due=self.due, slot=slot, until=until),
            Notify(deal_id=deal.id, to=(self.to,), text=text, urgent=self.urgent),
        ]


class FolderSpec(Options):
    """A folder of the document storage: ``{ name = "{Название}" }``. ``link_field``: the deal's field that holds its
    address."""

    name: Text = Text("{Название}")
    link_field: CustomFieldName | None = None


class AudienceSpec(Options):
    """Advertising that the client is to see: ``{ join = ["Ретаргетинг VK"] }``, or no more: ``leave``."""

    join: tuple[Named, ...] = ()
    leave: tuple[Named, ...] = ()

    @model_validator(mode="after")
    def some_audience(self) -> Self:
        if not self.join and not self.leave:
            raise ValueError("нужны аудитории: join (включить в них) или leave (исключить)")
        return self

    def for_deal(self, deal: Deal) -> list[Action]:
        return [
            *(JoinAudience(deal_id=deal.id, audience=name) for name in self.join),
            *(LeaveAudience(deal_id=deal.id, audience=name) for name in self.leave),
        ]


class ViolationSpec(Options):
    """Who broke which clause: ``"M7"``, or ``{ clause = "M7", person = "manager", penalty = 5000 }``. ``why``: what he
    did, for the ledger; without it the rule's own words."""

    clause: Named
    person: PersonName = PersonName("manager")
    penalty: Annotated[int, Field(ge=0)] | None = None
    why: Text | None = None

    def for_deal(self, deal: Deal) -> RecordViolation:
        why = self.why.for_deal(deal) if self.why else ""
        return RecordViolation(deal_id=deal.id, person=self.person, clause=self.clause, penalty=self.penalty, why=why)


def _as_clause(value: Any) -> Any:
    return {"clause": value} if isinstance(value, str) else value


Violation = Annotated[ViolationSpec, BeforeValidator(_as_clause)]


# A task to set.


class TaskSpec(Options):
    """A task to set: ``{ text = "Согласовать КП", to = "head", due = "1 working day" }``.

    ``on``: on the deal's card, or on the card of its main contact. ``when``: only if the deal is like this. ``until``:
    when it ends by itself; without it as the handler says.
    """

    text: Text
    to: PersonName
    due: Due
    type: TaskTypeName | None = None
    on: Literal["deal", "contact"] = "deal"
    when: Condition | None = None
    until: Until | None = None

    def suits(self, deal: Deal) -> bool:
        """Is the deal what ``when`` asks for?"""
        return self.when is None or self.when.holds(deal)

    def wanted(self, deal: Deal, *, slot: str = "") -> list[CreateTask]:
        """The task, unless the deal is not what ``when`` asks for."""
        return [self.for_deal(deal, slot=slot)] if self.suits(deal) else []

    def unmet(self, deal: Deal) -> Skip | None:
        """Why the task is not set; None if it is."""
        return skip_unless(self.when, deal, "условие задачи")

    def for_deal(self, deal: Deal, *, slot: str = "") -> CreateTask:
        """The task, whatever ``when`` asks for."""
        return CreateTask(
            deal_id=deal.id,
            text=self.text.for_deal(deal),
            to=self.to,
            due=self.due,
            task_type=self.type,
            on=self.on,
            slot=slot,
            until=task_ends(self.until),
        )


def waiting_tasks(specs: Iterable[TaskSpec], deal: Deal) -> list[Waiting]:
    """One, if some of these tasks have to wait until the deal is what their ``when`` asks for.

    Not for the alternative to one that is set: the same field asked in another way.
    """
    conditional = [spec.when for spec in specs if spec.when]
    decided = {normalise(when.field or "") for when in conditional if when.holds(deal)}
    unmet = [when for when in conditional if not when.holds(deal) and normalise(when.field or "") not in decided]
    return [Waiting(f"не выполнено условие задачи: {'; '.join(map(str, unmet))}")] if unmet else []


# Whatever may be done about a deal, as one shape: for steps of ladders, for what follows an answer or a date.


class ActionsSpec(Options):
    """At least one deed. ``task`` is one or several; ``move_to`` is done last, when everything else is on its way.
    ``loss_reason`` goes with ``move_to``, when the deal is closed as lost. A text of ``set_fields`` that is one
    place and no more («{Дата оплаты}») is that field's own value: a date stays a date, an empty one empties."""

    task: OneOrMore[TaskSpec] | None = None
    escalate: EscalationSpec | None = None
    notify: NoticeSpec | None = None
    letter: LetterSpec | None = None
    sms: SmsOption | None = None
    audiences: AudienceSpec | None = None
    auto_dial: Literal["start", "stop"] | None = None
    start_series: SeriesName | None = None
    stop_series: OneOrMore[SeriesName] | None = None
    violation: Violation | None = None
    set_fields: Mapping[CustomFieldName, Text | int | float | bool] = Field(default_factory=dict)
    tags: tuple[TagName, ...] = ()
    note: Text | None = None
    move_to: StageName | None = None
    loss_reason: LossReasonName | None = None

    @model_validator(mode="after")
    def at_least_one_action(self) -> Self:
        if not any(getattr(self, name) not in (None, (), {}) for name in ActionsSpec.model_fields):
            raise ValueError(f"нечего делать: нужно хотя бы одно из {', '.join(ActionsSpec.model_fields)}")
        if self.loss_reason and not self.move_to:
            raise ValueError("loss_reason пишется вместе с move_to: с какой причиной закрыть сделку")
        return self

    def for_deal(self, deal: Deal, *, slot: str = "") -> list[Action]:
        """The actions, in the order in which they are to be done. ``slot`` marks the tasks, as in ``CreateTask``."""
        return [*self._changes(deal), *self._tasks(deal, slot), *self._outside(deal), *self._move(deal)]

    def waiting(self, deal: Deal) -> list[Waiting]:
        """What is left to be done when the deal is what the ``when`` of a task asks for."""
        return waiting_tasks(self.task or (), deal)

    def _changes(self, deal: Deal) -> Iterator[Action]:
        if self.set_fields:
            values: dict[str, object] = {
                name: value.value_for(deal) if isinstance(value, Text) else value
                for name, value in self.set_fields.items()
            }
            yield SetFields(deal_id=deal.id, values=values)
        if self.tags:
            yield AddTags(deal_id=deal.id, tags=self.tags)
        if self.note:
            yield AddNote(deal_id=deal.id, text=self.note.for_deal(deal))

    def _tasks(self, deal: Deal, slot: str) -> Iterator[Action]:
        for number, task in enumerate(self.task or ()):
            yield from task.wanted(deal, slot=f"{slot}.{number}" if number else slot)
        if self.escalate:
            yield from self.escalate.for_deal(deal, slot=f"{slot}.escalate")

    def _outside(self, deal: Deal) -> Iterator[Action]:
        if self.notify:
            yield self.notify.for_deal(deal)
        if self.letter:
            yield self.letter.for_deal(deal)
        if self.sms:
            yield self.sms.for_deal(deal)
        if self.audiences:
            yield from self.audiences.for_deal(deal)
        if self.auto_dial:
            yield StartAutoDial(deal_id=deal.id) if self.auto_dial == "start" else StopAutoDial(deal_id=deal.id)
        for series in self.stop_series or ():
            yield StopSeries(deal_id=deal.id, series=series)
        if self.start_series:
            yield StartSeries(deal_id=deal.id, series=self.start_series)
        if self.violation:
            yield self.violation.for_deal(deal)

    def _move(self, deal: Deal) -> Iterator[Action]:
        if self.move_to:
            yield MoveDeal(deal_id=deal.id, to=self.move_to, reason=self.loss_reason)

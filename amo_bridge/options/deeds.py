"""Whatever may be done about a deal, as one shape: for steps of ladders, for what follows an answer or a date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from amo_bridge.actions import (
    Action,
    AddNote,
    AddTags,
    MoveDeal,
    SendSms,
    SetFields,
    StartAutoDial,
    StartSeries,
    StopAutoDial,
    StopSeries,
)
from amo_bridge.config.names import CustomFieldName, LossReasonName, SeriesName, StageName, TagName, Text
from amo_bridge.deal import Deal
from amo_bridge.options.lists import OneOrMore
from amo_bridge.options.outside import AudienceSpec, EscalationSpec, LetterSpec, NoticeSpec, Violation
from amo_bridge.options.tasks import TaskSpec
from amo_bridge.rules import Options


class Deeds(Options):
    """At least one deed. ``task`` is one or several; ``move_to`` is done last, when everything else is on its way.
    ``loss_reason`` goes with ``move_to``, when the deal is closed as lost. A text of ``set_fields`` that is one
    place and no more («{Дата оплаты}») is that field's own value: a date stays a date, an empty one empties."""

    task: OneOrMore[TaskSpec] | None = None
    escalate: EscalationSpec | None = None
    notify: NoticeSpec | None = None
    letter: LetterSpec | None = None
    sms: Text | None = None
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
    def some_deed(self) -> Self:
        if not any(getattr(self, name) not in (None, (), {}) for name in Deeds.model_fields):
            raise ValueError(f"нечего делать: нужно хотя бы одно из {', '.join(Deeds.model_fields)}")
        if self.loss_reason and not self.move_to:
            raise ValueError("loss_reason пишется вместе с move_to: с какой причиной закрыть сделку")
        return self

    def for_deal(self, deal: Deal, *, slot: str = "") -> list[Action]:
        """The actions, in the order in which they are to be done. ``slot`` marks the tasks, as in ``CreateTask``."""
        return [*self._changes(deal), *self._tasks(deal, slot), *self._outside(deal), *self._move(deal)]

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
            if task.when is None or task.when.holds(deal):
                yield task.for_deal(deal, slot=f"{slot}.{number}" if number else slot)
        if self.escalate:
            yield from self.escalate.for_deal(deal, slot=f"{slot}.escalate")

    def _outside(self, deal: Deal) -> Iterator[Action]:
        if self.notify:
            yield self.notify.for_deal(deal)
        if self.letter:
            yield self.letter.for_deal(deal)
        if self.sms:
            yield SendSms(deal_id=deal.id, text=self.sms.for_deal(deal))
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

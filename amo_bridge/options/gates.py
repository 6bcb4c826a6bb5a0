"""What the gates have in common: which moves they look at, who may pass, and how a refusal is put."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import model_validator

from amo_bridge.actions import Lack, RollBack, Skip
from amo_bridge.config.names import PersonName, StageName
from amo_bridge.dates.due import Due
from amo_bridge.deal import Deal, stage_is_one_of
from amo_bridge.events import StageEntered
from amo_bridge.options.condition import Condition
from amo_bridge.rules import Options


class Gate(Options):
    """``entering``, ``leaving``: the stages. A deal that is lost may leave any stage. ``tell``: to whom it is explained
    when amoCRM does not say who moved the deal."""

    entering: tuple[StageName, ...] = ()
    leaving: tuple[StageName, ...] = ()
    when: Condition | None = None
    may_pass: tuple[PersonName, ...] = ()
    tell: PersonName = PersonName("manager")
    due: Due = Due.parse("end of day")

    @model_validator(mode="after")
    def some_stage(self) -> Self:
        if not self.entering and not self.leaving:
            raise ValueError("нужны этапы: entering (на входе) или leaving (на выходе)")
        return self

    def lets_pass(self, event: StageEntered, deal: Deal) -> Skip | None:
        """Why the deal need not be looked at; None if it must be."""
        if event.stage != deal.stage.key:
            return Skip("сделка уже ушла с этого этапа")
        if not self._looks_at(event, deal):
            return Skip(f"переход на «{deal.stage.title}» это правило не проверяет")
        if self.when and not self.when.holds(deal):
            return Skip(f"не выполнено условие: {self.when}")
        if set(self.may_pass) & set(event.user_is):
            return Skip("этому человеку можно и так")
        return None

    def put_back(self, event: StageEntered, deal: Deal, missing: Iterable[Lack]) -> RollBack:
        return RollBack(
            deal_id=deal.id,
            to=event.from_stage,
            because=f"перехода на этап «{deal.stage.name}»",
            missing=tuple(missing),
            tell=event.user_id or self.tell,
            due=self.due,
        )

    def _looks_at(self, event: StageEntered, deal: Deal) -> bool:
        leaves = not deal.stage.is_lost and stage_is_one_of(event.from_stage_name, self.leaving)
        return leaves or deal.is_on(self.entering)

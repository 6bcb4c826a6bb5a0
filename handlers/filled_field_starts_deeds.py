"""A field is filled or changed → what the config asks for: a task, a letter, another field, another stage.

Does nothing if it is another field, the field has been emptied, the deal is on another stage, or the condition of
``when`` does not hold. A second change while the task of the first is open sets no second one.
Covers M16 (the payment's date → «Дата начала обслуживания»), S4 (the client says when he will pay → the invoice).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import FieldChanged
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    Conditional,
    Deal,
    FieldName,
    Skip,
    StageName,
    Waiting,
    handler,
    new_tasks_only,
    same_name,
)


class FilledFieldStartsDeeds(Conditional):
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1)]
    stages: tuple[StageName, ...] = ()
    do: ActionsSpec


@handler(on=FieldChanged, options=FilledFieldStartsDeeds, needs={"own_tasks"})
def filled_field_starts_deeds(
    event: FieldChanged, deal: Deal, options: FilledFieldStartsDeeds
) -> Skip | list[Action | Waiting]:
    field = next((name for name in options.fields if same_name(name, event.field_name)), None)
    if field is None:
        return Skip("изменилось не это поле")
    if not deal.has(field):
        return Skip("поле пусто")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» это поле ничего не запускает")
    if unmet := options.unmet(deal):
        return unmet
    new = new_tasks_only(options.do.for_deal(deal, slot=field), deal)
    return [*new, *options.do.waiting(deal)] if new else Skip("задача об этом поле ещё открыта")

"""Answers of clients with several open deals: the deal that is meant, or a task that asks which.

amoCRM puts a letter or a call on the client's own card as soon as he has more than one open deal (amoCRM docs,
calls-api): all of them hear of it, and one of them is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from amo_bridge.dates.due import Due
from amo_bridge.events import ClientAnswered
from amo_bridge.rules.actions import CreateTask
from amo_bridge.rules.deal import Deal, OtherDeal
from amo_bridge.rules.options import TaskSpec
from amo_bridge.text.names import same_name

_BY_EVENING = Due.parse("end of day")


def rivals_of(event: ClientAnswered, deal: Deal, stages: Iterable[str]) -> list[OtherDeal]:
    """The client's other deals on these stages, which the answer may be about as well. Needs ``other_deals``."""
    wanted = tuple(stages)
    return [other for other in deal.other_deals if other.is_on(wanted)] if event.on_contact else []


def open_deal_in(pipelines: Sequence[str], deal: Deal) -> OtherDeal | None:
    """The client's newest open deal in one of these pipelines. Needs ``other_deals``."""
    if not pipelines:
        return None
    for other in deal.other_deals:
        if other.is_open and any(same_name(other.stage.pipeline, name) for name in pipelines):
            return other
    return None


def task_on(other: OtherDeal, deal: Deal, spec: TaskSpec | None, *, slot: str) -> CreateTask:
    """What the rule's task says, on the deal in which somebody works with the client already.

    Its slot names that deal: it neither stands for the task on the lost deal nor for one on a later sale.
    """
    text = spec.text.for_deal(deal) if spec else "Клиент откликнулся: связаться"
    return CreateTask(
        deal_id=other.id,
        text=f"{text} (ответ по другой его сделке: «{deal.name}», {deal.url})",
        to=other.responsible_user_id or "manager",
        due=spec.due if spec and not spec.due.fields else _BY_EVENING,
        slot=f"{slot}.on.{other.id}",
    )


def task_asking_which(deal: Deal, rivals: Iterable[OtherDeal], *, slot: str) -> CreateTask:
    names = ", ".join(f"«{one.name}» {one.url}" for one in rivals)
    text = f"Клиент ответил, а сделок у него несколько: эта и {names}. Решите, о какой из них он пишет"
    return CreateTask(deal_id=deal.id, text=text, to="manager", due=_BY_EVENING, slot=f"{slot}.which")


def task_to_read(event: ClientAnswered, deal: Deal, *, slot: str) -> CreateTask:
    """For a letter that a machine may have written: the deal stays where it is until a person has read it."""
    subject = f" Тема: «{event.text}»." if event.text else ""
    text = f"Прочитать письмо клиента: {event.doubt}.{subject} Если писал он сам, продолжайте с ним"
    return CreateTask(deal_id=deal.id, text=text, to="manager", due=_BY_EVENING, slot=f"{slot}.doubt")

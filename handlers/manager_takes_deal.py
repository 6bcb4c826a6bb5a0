"""A manager makes a client his own → he gets his tag; a client of somebody else's is given back, and he is told why.

A deal may be taken if somebody of ``free`` answers for it or it is on a stage of ``closed``, and if no other manager
works with this client: no task of his is open on the deal, on the client's cards or on the client's other deals, and he
has no other open deal of this client. Every card with a phone or an e-mail of the client is the client's. He is told
when the client has been given back, not before. Does nothing if the deal was handed over by its own manager, by
somebody of ``may_assign``, or not by a person at all; then the new manager's tag is still added. A client given back to
one of ``free`` is nobody's again: no tag. What somebody had who is switched off in amoCRM is now theirs who work for
him.
Covers W4.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import ResponsibleChanged
from amo_bridge.rules import (
    Action,
    AddTags,
    AssignDeal,
    CreateTask,
    Deal,
    Due,
    Notify,
    Options,
    PersonName,
    Skip,
    StageName,
    TagName,
    Task,
    UserName,
    handler,
    same_name,
)


class ManagerTakesDeal(Options):
    compared_stages = ("closed",)
    free: Annotated[tuple[PersonName, ...], Field(min_length=1)]
    closed: tuple[StageName, ...] = ()
    may_assign: tuple[PersonName, ...] = ()
    tags: dict[UserName, TagName] = Field(default_factory=dict)
    due: Due = Due.parse("end of day")

    def is_free(self, who: tuple[str, ...]) -> bool:
        """Is it one of those from whom anybody may take a client?"""
        return bool({name.casefold() for name in self.free} & {name.casefold() for name in who})

    def tag_of(self, name: str) -> str:
        """The manager's tag; his first name, if none was named."""
        named = (tag for person, tag in self.tags.items() if same_name(person, name))
        return next(named, name.split()[0])


@handler(
    on=ResponsibleChanged,
    options=ManagerTakesDeal,
    needs={"open_tasks", "contact_tasks", "person_deals", "person_tasks"},
    sends={"notices"},
)
def manager_takes_deal(event: ResponsibleChanged, deal: Deal, options: ManagerTakesDeal) -> Skip | list[Action]:
    if deal.responsible is None or deal.responsible.id != event.new:
        return Skip("ответственный уже другой")
    if why_not := _why_not(event, deal, options):
        return _given_back(event, deal, options, why_not)
    if options.is_free(event.new_is):
        return Skip("клиента вернули в общие")
    tag = options.tag_of(deal.responsible.name)
    return Skip(f"тег «{tag}» уже стоит") if deal.has_tag(tag) else [AddTags(deal_id=deal.id, tags=(tag,))]


def _why_not(event: ResponsibleChanged, deal: Deal, options: ManagerTakesDeal) -> str:
    """Why the client may not be taken or handed over; empty if he may."""
    if event.user_id in (None, event.old) or set(options.may_assign) & set(event.user_is):
        return ""
    if event.user_id != event.new:
        return "передать клиента может его менеджер или руководитель"
    if options.is_free(event.new_is):
        return ""
    is_free = options.is_free(event.old_is)
    if not is_free and not deal.is_on(options.closed):
        owner = event.old_is[0] if event.old_is else "другой менеджер"
        return f"за клиента отвечает {owner}"
    nobodys = {event.new, 0, *([event.old] if is_free else [])}

    def is_anothers(task: Task) -> bool:
        return task.responsible_user_id not in nobodys and not options.is_free(task.responsible_is)

    if others := [task.text for task in deal.open_tasks if is_anothers(task)]:
        return f"на клиенте открыта задача другого менеджера: «{others[0]}»"
    if others := [task.text for task in deal.contact_tasks if is_anothers(task)]:
        return f"на карточке клиента открыта задача другого менеджера: «{others[0]}»"
    if owner := _other_owner(event, deal, options):
        return owner
    if others := [task.text for task in deal.person_tasks if is_anothers(task)]:
        return f"на другой карточке или сделке клиента открыта задача другого менеджера: «{others[0]}»"
    return ""


def _other_owner(event: ResponsibleChanged, deal: Deal, options: ManagerTakesDeal) -> str:
    """Who else has an open deal of this client; empty if nobody has."""
    for other in deal.person_deals:
        is_free = not other.responsible_user_id or options.is_free(other.responsible_is)
        if other.is_open and not is_free and other.responsible_user_id != event.new:
            owner = other.responsible_is[0] if other.responsible_is else "другой менеджер"
            return f"у клиента есть открытая сделка, её ведёт {owner}: «{other.name}»"
    return ""


def _given_back(event: ResponsibleChanged, deal: Deal, options: ManagerTakesDeal, why: str) -> Skip | list[Action]:
    if not event.old or not event.user_id:
        return Skip(f"{why}, но вернуть некому")
    text = f"Клиент возвращён прежнему ответственному: {why}. Не звоните ему"
    return [
        AssignDeal(deal_id=deal.id, to=event.old).followed_by(
            CreateTask(deal_id=deal.id, text=text, to=event.user_id, due=options.due, slot="given_back"),
            Notify(deal_id=deal.id, to=(event.user_id,), text=f"{deal.name}: {text}"),
        )
    ]

"""Yesterday's advertising costs more than the norm → a task with the figures; nobody looked by noon → the head is told.

Statistics that come in (a file, a service's API) are held against the norms of ``[ads]``, or the deal's own media plan
where its fields have one: ``over`` is done once for a
campaign and a day, and not while its task for an earlier day is open. ``unchecked`` comes when its ``every`` says:
there are no statistics of the day before, and nobody has pressed «Проверено» on the page «Реклама» either.
Does nothing if the deal names no campaign, has left the stages or is not what ``when`` asks for, if the figures are
within the norms, too few, or older than ``oldest`` days, or if the same campaign stands in another open deal as well.
Covers M9, C11.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from amo_bridge.events import CampaignLoaded, StepDue
from amo_bridge.rules import (
    Action,
    AdsSection,
    Campaign,
    CreateTask,
    Deal,
    FromSection,
    Round,
    RoundStep,
    Skip,
    Step,
    TaskSpec,
    Times,
    Verdict,
    always,
    judged,
    planned_prices,
    schedule,
)

SLOT = "норма"


class CampaignNorms(Round):
    over: TaskSpec
    unchecked: RoundStep | None = None
    oldest: Annotated[int, Field(ge=1, le=14)] = 4
    ads: Annotated[AdsSection, FromSection("ads")]


def _steps(deal: Deal, options: CampaignNorms, times: Times) -> Iterator[Step]:
    if options.unchecked and deal.has(options.ads.campaign_field):
        yield from options.planned(deal, (options.unchecked,), times)


@schedule(
    options=CampaignNorms,
    steps=_steps,
    on=(CampaignLoaded,),
    needs={"own_tasks", "touches", "campaign"},
    recurs=always,
    tasks_until="stage left",
)
def campaign_norms(event: StepDue | CampaignLoaded, deal: Deal, options: CampaignNorms) -> Skip | list[Action]:
    if why_not := options.why_not(deal):
        return Skip(why_not)
    if not deal.has(options.ads.campaign_field):
        return Skip(f"поле «{options.ads.campaign_field}» пусто")
    campaign = deal.campaign[0]
    if isinstance(event, StepDue):
        return _unchecked(event, deal, options, campaign)
    if campaign.other_deals:
        numbers = ", ".join(map(str, campaign.other_deals))
        return Skip(f"кампания «{campaign.name}» названа ещё в сделках: {numbers}; чья она, решает человек")
    day = date.fromisoformat(event.day)
    if day < date.fromisoformat(event.loaded_on) - timedelta(days=options.oldest):
        return Skip(f"статистика старая, за {day:%d.%m.%Y}: нормы смотрят на последние дни")
    traits, unchosen = options.ads.traits(deal.text)
    plan, unread = planned_prices(options.ads, deal.text)
    problems = [*unchosen, *unread]
    verdicts = judged(campaign.days, day, options.ads, traits, plan)
    over = [verdict for verdict in verdicts if verdict.state == "over"]
    if not over:
        return Skip("; ".join([_why_fine(verdicts, day), *problems]))
    own = [task for task in deal.own_tasks if task.slot.startswith(f"{SLOT}@")]
    if any(task.slot == f"{SLOT}@{day}" for task in own):
        return Skip(f"задача о кампании за {day:%d.%m} уже была")
    if any(not task.is_completed for task in own):
        return Skip("задача о нормах этой кампании ещё открыта")
    return options.over.unmet(deal) or [
        _task(options.over.for_deal(deal, slot=f"{SLOT}@{day}"), campaign, over, day, problems)
    ]


def _why_fine(verdicts: list[Verdict], day: date) -> str:
    if not verdicts:
        return f"за {day:%d.%m} нет ни цифр, ни норм, которые сюда подходят"
    if unclear := [one.norm.metric for one in verdicts if one.state in ("few", "unknown")]:
        return f"за {day:%d.%m} норма не превышена; мало данных: {', '.join(dict.fromkeys(unclear))}"
    return f"за {day:%d.%m} все показатели в норме"


def _task(task: CreateTask, campaign: Campaign, over: list[Verdict], day: date, problems: list[str]) -> CreateTask:
    first = min(verdict.first for verdict in over)
    when = f"{day:%d.%m}" if first == day else f"{first:%d.%m} — {day:%d.%m}"
    figures = "; ".join([*(verdict.words for verdict in over), *problems])
    return task.saying(f"{task.text}. «{campaign.name}», {when}: {figures}")


def _unchecked(event: StepDue, deal: Deal, options: CampaignNorms, campaign: Campaign) -> Skip | list[Action]:
    step = options.unchecked
    if step is None or step.title != event.step:
        return Skip("такого шага в правиле больше нет")
    day = date.fromisoformat(event.anchor) - timedelta(days=1)
    if event.at and deal.stage_since and deal.stage_since.astimezone(event.at.tzinfo).date() > day:
        return Skip(f"{day:%d.%m} кампания на этом этапе ещё не шла")
    if campaign.is_known(day):
        return Skip(f"кампания за {day:%d.%m} проверена: статистика есть или её посмотрели")
    if any(task.slot.startswith(step.title) and not task.is_completed for task in deal.own_tasks):
        return Skip("задача об этом ещё открыта")
    return step.actions(event, deal, slot=step.title)

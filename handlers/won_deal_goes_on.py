"""A deal is won → a deal in another pipeline takes the work over, once.

The new deal has the old one's contacts and company, budget, tags and the fields that the config names; both point at
each other. A deal that is reopened and won again gets a note with the address of the deal that is there. Does nothing
if the deal is not won, or is of another pipeline.
Covers A80 (won in «Продажи» → the first stage of «Реализация», responsible is the pr named in the deal), S7.
"""

from __future__ import annotations

from amo_bridge.events import StageEntered
from amo_bridge.rules import Action, CarryOver, Conditional, Deal, Skip, handler


class WonDealGoesOn(Conditional, CarryOver):
    opened_when = "won"


@handler(on=StageEntered, options=WonDealGoesOn, needs={"own_deals"})
def won_deal_goes_on(event: StageEntered, deal: Deal, options: WonDealGoesOn) -> Skip | Action:
    if event.stage != deal.stage.key:
        return Skip("сделка уже ушла с этого этапа")
    if not deal.stage.is_won:
        return Skip("сделка не выиграна")
    if not options.takes(deal):
        return Skip(f"выигранные из воронки «{deal.stage.pipeline}» это правило не ведёт")
    if unmet := options.unmet(deal):
        return unmet
    return options.shown(deal) if deal.own_deals else options.new_deal(deal)

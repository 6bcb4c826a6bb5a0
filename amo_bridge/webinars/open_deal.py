"""W3: what is to become of the open deal of a person who came to a webinar.

A deal that a manager has in hand stays where it is, except on the stage of those sent to watch again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from amo_bridge.config.webinar import WebinarSection
from amo_bridge.rules.deal import Deal
from amo_bridge.text.names import same_name
from amo_bridge.webinars.figures import is_older, stays_stronger

if TYPE_CHECKING:
    from amo_bridge.webinars.plan import Known, Row


def of_open_deal(base: Row, deal: Deal, known: Known, options: WebinarSection) -> Row:
    """What is to become of it, by how the deal is now."""
    owner = deal.responsible.name if deal.responsible else ""
    is_owned = deal.responsible is not None and deal.responsible.id != known.loader
    base = replace(base, standing="owned" if is_owned else "known")
    if known.opt_out_tag and deal.has_tag(known.opt_out_tag):
        return replace(base, why=f"на сделке тег «{known.opt_out_tag}»")
    if is_older(base.figures, deal, options):
        return replace(base, why="в сделке уже данные более позднего вебинара")
    where = options.stage_of(base.sorted.interest)
    if is_repeat(deal, options):
        why = f"пришёл снова: с этапа «{deal.stage.name}»" + (f", остаётся у менеджера {owner}" if is_owned else "")
        return replace(base, what="update_deal", to_stage=where, why=why)
    if is_owned:
        return replace(
            base, what="update_deal", why=f"сделку ведёт {owner}: обновить данные, этап «{deal.stage.name}» не менять"
        )
    if (
        deal.is_on(_sorted_stages(options))
        and not deal.is_on([where])
        and not stays_stronger(base.sorted, deal, options)
    ):
        return replace(base, what="update_deal", to_stage=where, why=f"никто не взял: перенести с «{deal.stage.name}»")
    return replace(base, what="update_deal", why=f"открытая сделка на «{deal.stage.name}»: обновить данные")


def is_in_play(deal: Deal, known: Known) -> bool:
    """Open, and in a pipeline of the webinars."""
    is_open = not (deal.stage.is_won or deal.stage.is_lost)
    return is_open and any(same_name(deal.stage.pipeline, name) for name in known.pipelines)


def _sorted_stages(options: WebinarSection) -> list[str]:
    return [options.active_stage, options.long_stage, options.short_stage]


def is_repeat(deal: Deal, options: WebinarSection) -> bool:
    return options.repeat_stage is not None and deal.is_on([options.repeat_stage])

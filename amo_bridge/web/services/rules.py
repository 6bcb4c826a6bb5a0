"""Rules for pages and API: what each did and may do, switches, rehearsals, with the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.config.blocks import lines_of_block
from amo_bridge.crm.account import Account, Stage
from amo_bridge.engine.history import DryRuns, Line
from amo_bridge.errors import ConfigError, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import DrySource, Rule, dry_sources
from amo_bridge.rules.option_types import StageName
from amo_bridge.runtime.worker import REHEARSALS
from amo_bridge.web.accounts import AccountView, NotMet
from amo_bridge.web.context import audit, current_account, who
from amo_bridge.web.services.overview import DAYS, midnights


def ask(days: int, deal_id: int | None) -> int:
    """The rehearsal's number. The leader's process plays it. Raises NotRehearsed."""
    here = current_account()
    number = here.rehearsals.ask(days, deal_id, who())
    audit("rehearsal.ask", f"Репетиция № {number}: дней {days}" + (f", сделка {deal_id}" if deal_id else ""))
    here.bridge.request_job(REHEARSALS)
    return number


def stop(number: int) -> None:
    """Raises NotRehearsed."""
    here = current_account()
    here.rehearsals.stop(number)
    audit("rehearsal.stop", f"Репетиция № {number} остановлена")
    here.bridge.request_job(REHEARSALS)


# What there is to tell of a rule: how many deals it is about, what it did last and why not, its lines of the file.

LAST_LINES = 50
# In the list only so many decisions of each rule are looked at.
GLANCE = 20
# A rule listens on the stages of one of these keys, the first that it has. One that guards the way in listens to deals
# that are not there yet: to count those that are would say nothing.
LISTENS_ON = ("stages", "from_stages", "stage", "from_stage", "leaving")
GUARDS_THE_WAY_IN = "entering"


@dataclass(frozen=True)
class Facts:
    """``matching``: how many deals are where the rule works; None: ``unmatched`` says why that can't be told.
    ``skips``: (reason, how often), of its last decisions. ``dry``: why it changes nothing, empty if it acts;
    ``dry_runs``: what it would have done in the last fourteen days."""

    rule: Rule
    matching: int | None
    unmatched: Any
    last_acted: float | None
    skips: list[tuple[str, int]]
    dry: tuple[DrySource, ...]
    dry_runs: DryRuns


class RuleFacts:
    """Of one account's rules; made anew for every page, so that what it counts once is fresh."""

    def __init__(self, here: AccountView) -> None:
        self._here = here

    def find(self, wanted: str = "", only: str = "") -> list[Rule]:
        """Those with the words in their clause, name or meaning. ``only``: «on», «off», «broken», or all."""
        return [rule for rule in self._rules if _is_wanted(rule, wanted.strip().casefold(), only)]

    def get(self, name: str) -> Rule | None:
        return next((rule for rule in self._rules if rule.name == name), None)

    def at_a_glance(self, rule: Rule) -> Facts:
        return self._of(rule, self._skips.get(rule.name, Counter()), 2)

    def of(self, rule: Rule) -> Facts:
        skips = self._here.history.skips([rule], LAST_LINES)[rule.name] if self._here.is_known else Counter[str]()
        return self._of(rule, skips, 5)

    def lines(self, rule: Rule, most: int = LAST_LINES, *, loud: bool = False) -> list[Line]:
        """Its last decisions, newest first. ``loud``: only what came to something."""
        try:
            return self._here.history.of_rule(rule, most, loud=loud)
        except NotMet:
            return []

    def matching(self, rule: Rule) -> int | None:
        """How many deals are where it works; None where that can't be told."""
        return self._matching(_named_stages(rule))

    def _matching(self, named: dict[str, list[str]]) -> int | None:
        stages, stage_named = _listens_on(named), self._stage_named
        if not stages or stage_named is None or self._deals_on_stages is None:
            return None
        return _on(stages, stage_named, self._deals_on_stages)

    def block(self, rule: Rule) -> str:
        """The rule's own lines of the file, comments included; a sentence if they can't be told apart."""
        try:
            text = self._here.file.read().text
        except ConfigError as error:
            return "\n".join(error.problems)
        try:
            return lines_of_block(text, rule.path)
        except ConfigError:
            return str(_("Блок записан не отдельным заголовком"))

    def _of(self, rule: Rule, skips: Counter[str], most_skips: int) -> Facts:
        named = _named_stages(rule)
        matching = self._matching(named)
        return Facts(
            rule=rule,
            matching=matching,
            unmatched=None if matching is not None else _why_unmatched(named),
            last_acted=self._last_acted.get(rule.name),
            skips=skips.most_common(most_skips),
            dry=dry_sources(rule, is_bridge_dry=self._here.config.bridge.dry_run),
            dry_runs=self._dry_runs.get(rule.name, DryRuns()),
        )

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        """As the bridge works by them: broken ones are marked, renamed names are the new ones."""
        return self._here.fit.config.rules

    @cached_property
    def _account(self) -> Account | None:
        return self._here.crm_account

    @cached_property
    def _stage_named(self) -> Callable[[str], Stage] | None:
        """Many rules name the same stages."""
        return cache(self._account.stage) if self._account else None

    @cached_property
    def _last_acted(self) -> dict[str, float]:
        return self._here.history.last_acted(rule.name for rule in self._rules) if self._here.is_known else {}

    @cached_property
    def _skips(self) -> dict[str, Counter[str]]:
        return self._here.history.skips(self._rules, GLANCE) if self._here.is_known else {}

    @cached_property
    def _dry_runs(self) -> dict[str, DryRuns]:
        since = midnights(self._here.clock.now(), self._here.zone, DAYS)[0]
        return self._here.history.dry_runs_since(since) if self._here.is_known else {}

    @cached_property
    def _deals_on_stages(self) -> dict[tuple[int, int], int] | None:
        return self._here.history.deals_on_stages() if self._here.is_known else None


def _is_wanted(rule: Rule, wanted: str, only: str) -> bool:
    text = f"{rule.clause} {rule.name} {rule.words}".casefold()
    if only == "broken":
        return wanted in text and bool(rule.broken)
    return wanted in text and (only not in ("on", "off") or rule.enabled == (only == "on"))


def _listens_on(named: dict[str, list[str]]) -> list[str]:
    """Where a rule with these stages listens; empty if it names no such stages."""
    return next((named[key] for key in LISTENS_ON if key in named), [])


def _named_stages(rule: Rule) -> dict[str, list[str]]:
    """Key of the config → the stages that stand there."""
    named: dict[str, list[str]] = {}
    for path, name in rule.account_names:
        if isinstance(name, StageName) and path:
            named.setdefault(str(path[0]), []).append(name)
    return named


def _on(names: list[str], named: Callable[[str], Stage], on_stages: dict[tuple[int, int], int]) -> int | None:
    try:
        stages = {named(name) for name in names}
    except UnknownName:
        return None
    return sum(on_stages.get((stage.pipeline_id, stage.status_id), 0) for stage in stages)


def _why_unmatched(named: dict[str, list[str]]) -> Any:
    """Russian, to be translated."""
    if _listens_on(named):
        return _l("мост ещё не знает сделок")
    if GUARDS_THE_WAY_IN in named:
        return _l("срабатывает, когда сделку переводят на этап: заранее не сосчитать")
    return _l("срабатывает по событию, а не по этапу")

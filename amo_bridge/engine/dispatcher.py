"""What a handler may say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from amo_bridge.clock import Clock
from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.duration import describe
from amo_bridge.engine.data_loader import DataAccess
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.gates import Explanation, as_one, settled, told_instead
from amo_bridge.engine.resolver import Resolver
from amo_bridge.errors import BridgeError
from amo_bridge.events import Event, StageEntered
from amo_bridge.rules.actions import Action, Decision, Person, RollBack, Skip
from amo_bridge.rules.deal import Deal, NotLoaded
from amo_bridge.rules.handler import Rule


def well_formed(decision: Decision) -> Skip | RollBack | list[Action]:
    """What a handler said. One that says nothing at all (a forgotten ``return``) is wrong: TypeError."""
    if isinstance(decision, Skip | RollBack):
        return decision
    actions = decision if isinstance(decision, list) else [decision]
    if not all(isinstance(action, Action) and not isinstance(action, RollBack) for action in actions):
        raise TypeError(f"обработчик вернул {decision!r}, а нужны действия или Skip")
    return actions


# Event × enabled rules → verdicts. Nothing is written here, and one broken rule never silences another.

Outcome = Literal["acts", "would_act", "skipped", "failed", "held"]


@dataclass(frozen=True)
class Verdict:
    """What one rule said to one event. ``event_key`` is the same however often and by whatever way the event came."""

    rule: Rule
    event: Event
    event_key: str
    outcome: Outcome
    reason: str = ""
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class EvaluationContext:
    """Everything a rule is judged on: the events about one deal at one moment, and the deal freshly read.

    ``told_key`` is the key of the reported event among them. ``before``: the deal as it was last known. ``put_backs``:
    how often it was put back from where it is, within the last hour; ``explanations``: the open tasks about that.
    """

    events: tuple[Event, ...]
    told_key: str
    record: DealRecord
    deal: Deal
    before: DealRecord | None = None
    put_backs: Callable[[], int] = lambda: 0
    explanations: Callable[[], Sequence[Explanation]] = lambda: ()


class RuleAnswer(NamedTuple):
    """What one rule said: a verdict without effects yet, the actions it wants, and the deal as it saw it.
    ``looked_at``: what it looked at although that was not read."""

    verdict: Verdict
    wants: Sequence[Action] | RollBack
    deal: Deal
    looked_at: str = ""


class Dispatcher:
    def __init__(
        self,
        rules: Iterable[Rule],
        resolver: Resolver,
        account: Account,
        clock: Clock,
        *,
        dry_run: bool,
        opt_out_tag: str,
        most_put_backs: int = 3,
        tell: Person | None = None,
    ) -> None:
        self._clock = clock
        self._rules = [rule for rule in rules if rule.enabled]
        self._resolver = resolver
        self._account = account
        self._dry_run = dry_run
        self._opt_out_tag = opt_out_tag
        self._most_put_backs = most_put_backs
        self._tell = tell

    def listeners(self, event: Event) -> list[Rule]:
        """The enabled rules that want to hear of this event; gates first."""
        heard = [rule for rule in self._rules if rule.hears(event)]
        return sorted(heard, key=lambda rule: not rule.handler.gate)

    @property
    def enabled(self) -> list[Rule]:
        return list(self._rules)

    @property
    def has_needs(self) -> bool:
        """Does any rule look beyond the deal itself?"""
        return any(rule.handler.needs for rule in self._rules)

    def listens_to(self, event: Event) -> bool:
        return any(rule.hears(event) for rule in self._rules)

    def listens_for(self, kinds: Iterable[type[Event]]) -> bool:
        """Would any rule want to hear of such events?"""
        return any(issubclass(kind, rule.handler.on) for kind in kinds for rule in self._rules)

    def asked(self, case: EvaluationContext) -> Iterator[tuple[Event, Rule]]:
        """Who will be asked about which event of a case."""
        for event in case.events:
            for rule in self.listeners(event):
                if not self._not_to_be_asked(rule, event, case.deal):
                    yield event, rule

    def judge(self, case: EvaluationContext, around: DataAccess) -> list[Verdict]:
        """All verdicts about a case. A gate that rolls the deal back silences the rules about that move, and the rules
        about fields see the deal where it will be."""
        gates = [self._ask(rule, event, case, around) for event, rule in self._pairs(case, gates=True)]
        live = [said for said in gates if isinstance(said.wants, RollBack) and not self._is_dry(said.verdict.rule)]
        gates = gates if live else [self._let_through(said, case) for said in gates]
        times = case.put_backs() if live else 0
        refusal = live[0].verdict.rule if live and times < self._most_put_backs else None
        verdicts = self._as_one(gates, live, case, times)
        seen = self._put_back(case, live[0].wants) if refusal else case
        wanted: set[str] = set()
        for event, rule in self._pairs(case, gates=False):
            if refusal and isinstance(event, StageEntered):
                words = f"сделку возвращает правило {refusal.called}"
                verdicts.append(Verdict(rule, event, event.event_key(case.told_key), "skipped", words))
            else:
                verdict = self._resolved(self._ask(rule, event, seen, around), seen)
                verdicts.append(_without_repeats(verdict, wanted))
        return verdicts

    def _let_through(self, said: RuleAnswer, case: EvaluationContext) -> RuleAnswer:
        """A gate that refuses nothing closes the tasks by which it explained why it did."""
        rule, event = said.verdict.rule, said.verdict.event
        is_silent = said.verdict.outcome != "skipped" or self._not_to_be_asked(rule, event, case.deal)
        if is_silent or not isinstance(event, StageEntered):
            return said
        wants = settled(case.explanations(), rule.name, event, case.deal)
        return said._replace(verdict=replace(said.verdict, outcome="acts"), wants=wants) if wants else said

    def _put_back(self, case: EvaluationContext, refusal: Sequence[Action] | RollBack) -> EvaluationContext:
        if not isinstance(refusal, RollBack) or refusal.to is None:
            return case
        return replace(case, deal=replace(case.deal, stage=self._account.stage_of(*refusal.to)))

    def _pairs(self, case: EvaluationContext, *, gates: bool) -> list[tuple[Event, Rule]]:
        return [
            (event, rule)
            for event in case.events
            for rule in self.listeners(event)
            if rule.handler.gate == gates
        ]  # fmt: skip

    def _ask(self, rule: Rule, event: Event, case: EvaluationContext, around: DataAccess) -> RuleAnswer:
        verdict = Verdict(rule, event, event.event_key(case.told_key), "skipped")
        if why_not := self._not_to_be_asked(rule, event, case.deal):
            return RuleAnswer(replace(verdict, reason=why_not), (), case.deal)
        said = _said(verdict, around.seen(rule, case.deal))
        if said.looked_at in rule.handler.needs:
            # Asks amoCRM, perhaps in vain: that is not the rule's fault, and the event waits for a better moment.
            said = _said(verdict, around.read(rule, case.deal))
        return said

    def _not_to_be_asked(self, rule: Rule, event: Event, deal: Deal) -> str:
        """Why a rule that listens is not asked all the same; empty if it is."""
        if deal.has_tag(self._opt_out_tag):
            return f"на сделке тег «{self._opt_out_tag}»"
        return self._too_late(event, rule)

    def _too_late(self, event: Event, rule: Rule) -> str:
        if event.at is None or self._clock.now() - event.at <= rule.max_lateness:
            return ""
        return f"слишком поздно: случилось {event.at:%d.%m.%Y %H:%M} UTC, правило ждёт {describe(rule.max_lateness)}"

    def _as_one(
        self, gates: list[RuleAnswer], live: list[RuleAnswer], case: EvaluationContext, times: int
    ) -> list[Verdict]:
        """What becomes of the gates' refusals. ``live``: those that are not only rehearsed; ``times``: how often the
        deal was put back before."""
        refusals = [said.wants for said in live if isinstance(said.wants, RollBack)]
        verdicts = []
        for said in gates:
            verdict, wants = said.verdict, said.wants
            if not isinstance(wants, RollBack):
                verdicts.append(self._resolved(said, case))
            elif self._is_dry(verdict.rule):
                verdicts.append(self._resolved(said._replace(wants=[wants]), case))
            elif said is not live[0]:
                words = f"об этом переводе говорит другое правило; не хватает: {wants.needs}"
                verdicts.append(replace(verdict, outcome="skipped", reason=words))
            elif times < self._most_put_backs:
                verdicts.append(self._resolved(said._replace(wants=[as_one(refusals, case.before)]), case))
            else:
                verdicts.append(self._stays(said, as_one(refusals, case.before), case, times))
        return verdicts

    def _stays(self, said: RuleAnswer, refusal: RollBack, case: EvaluationContext, times: int) -> Verdict:
        if self._tell is None:
            words = f"за час сделку возвращали {times} раз, больше мост не спорит; не хватает: {refusal.needs}"
            return replace(said.verdict, outcome="skipped", reason=words)
        return self._resolved(said._replace(wants=told_instead(refusal, case.deal, times, self._tell)), case)

    def _resolved(self, said: RuleAnswer, case: EvaluationContext) -> Verdict:
        verdict, actions = said.verdict, said.wants
        if verdict.outcome != "acts" or isinstance(actions, RollBack):
            return verdict
        at = verdict.event.at or case.record.updated_at
        try:
            effects = tuple(
                effect for action in actions for effect in self._resolver.effects(action, said.deal, case.record, at)
            )
        except (BridgeError, ValueError) as error:
            return replace(verdict, outcome="failed", reason=str(error))
        except Exception as error:  # noqa: BLE001 - an action with nonsense in it is its rule's bug, as above
            return replace(verdict, outcome="failed", reason=f"ошибка в правиле: {error!r}")
        if not effects:
            return replace(verdict, outcome="skipped", reason="всё уже так, как надо")
        outcome: Outcome = "would_act" if self._is_dry(verdict.rule) else "acts"
        return replace(verdict, outcome=outcome, effects=effects)

    def _is_dry(self, rule: Rule) -> bool:
        return self._dry_run or rule.dry_run


def _said(verdict: Verdict, deal: Deal) -> RuleAnswer:
    """Ask the verdict's rule about its event."""
    rule = verdict.rule
    try:
        decision = well_formed(rule.handler.judge(verdict.event, deal, rule.options))
    except NotLoaded as error:
        return RuleAnswer(replace(verdict, outcome="failed", reason=f"ошибка в правиле: {error}"), (), deal, error.need)
    except Exception as error:  # noqa: BLE001 - a rule's bug must not stop the other rules; it is journaled
        return RuleAnswer(replace(verdict, outcome="failed", reason=f"ошибка в правиле: {error!r}"), (), deal)
    if isinstance(decision, Skip):
        return RuleAnswer(replace(verdict, reason=decision.reason), (), deal)
    return RuleAnswer(replace(verdict, outcome="acts"), decision, deal)


def _without_repeats(verdict: Verdict, wanted: set[str]) -> Verdict:
    """One change may be several events (a stage and a date at once), and a rule that hears of both wants one task."""
    marks = {f"{verdict.rule.name} {effect.kind} {effect.deal_id} {effect.body}": effect for effect in verdict.effects}
    new = tuple(effect for mark, effect in marks.items() if mark not in wanted)
    wanted |= set(marks)
    if verdict.effects and not new:
        return replace(verdict, outcome="skipped", reason="решено по другому событию этого же изменения", effects=())
    return replace(verdict, effects=new)

"""Event × enabled rules → verdicts. Nothing is written here, and one broken rule never silences another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from amo_bridge.actions import Action, Decision, RollBack, Skip
from amo_bridge.clock import Clock
from amo_bridge.crm.account import Account
from amo_bridge.crm.entities import DealRecord
from amo_bridge.deal import Deal, Task
from amo_bridge.duration import in_words
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.resolve import Resolver
from amo_bridge.errors import BridgeError
from amo_bridge.events import DealObserved, Event, FieldChanged, StageEntered
from amo_bridge.rules import Rule

Outcome = Literal["acts", "would_act", "skipped", "failed", "held"]
OwnTasks = Callable[[Rule, int], tuple[Task, ...]]


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
class Case:
    """Everything a rule is judged on: the events about one deal at one moment, and the deal freshly read.

    ``told_key`` is the key of the reported event among them.
    """

    events: tuple[Event, ...]
    told_key: str
    record: DealRecord
    deal: Deal


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
    ) -> None:
        self._clock = clock
        self._rules = [rule for rule in rules if rule.enabled]
        self._resolver = resolver
        self._account = account
        self._dry_run = dry_run
        self._opt_out_tag = opt_out_tag

    def listeners(self, event: Event) -> list[Rule]:
        """The enabled rules that want to hear of this event; gates first."""
        heard = [rule for rule in self._rules if isinstance(event, rule.handler.on)]
        return sorted(heard, key=lambda rule: not rule.handler.gate)

    @property
    def enabled(self) -> list[Rule]:
        return list(self._rules)

    def listens_to(self, kind: type[Event]) -> bool:
        return any(issubclass(kind, rule.handler.on) for rule in self._rules)

    def judge(self, case: Case, own_tasks: OwnTasks) -> list[Verdict]:
        """All verdicts about a case. A gate that rolls the deal back silences the rules about that move, and the rules
        about fields see the deal where it will be."""
        gates = [self._ask(rule, event, case, own_tasks) for event, rule in self._pairs(case, gates=True)]
        verdicts = self._as_one(gates, case)
        refusal = next(((v.rule, a) for v, a in gates if isinstance(a, RollBack) and not self._is_dry(v.rule)), None)
        seen = self._put_back(case, refusal[1]) if refusal else case
        wanted: set[str] = set()
        for event, rule in self._pairs(case, gates=False):
            if refusal and isinstance(event, StageEntered):
                words = f"сделку возвращает правило {refusal[0].name}"
                verdicts.append(Verdict(rule, event, event_key(event, case), "skipped", words))
            else:
                verdict = self._resolved(*self._ask(rule, event, seen, own_tasks), seen)
                verdicts.append(_without_repeats(verdict, wanted))
        return verdicts

    def _put_back(self, case: Case, refusal: RollBack) -> Case:
        if refusal.to is None:
            return case
        return replace(case, deal=replace(case.deal, stage=self._account.stage_of(*refusal.to)))

    def _pairs(self, case: Case, *, gates: bool) -> list[tuple[Event, Rule]]:
        return [
            (event, rule)
            for event in case.events
            for rule in self.listeners(event)
            if rule.handler.gate == gates
        ]  # fmt: skip

    def _ask(
        self, rule: Rule, event: Event, case: Case, own_tasks: OwnTasks
    ) -> tuple[Verdict, Sequence[Action] | RollBack]:
        """One rule, one event: a verdict without effects yet, and the actions it wants."""
        verdict = Verdict(rule, event, event_key(event, case), "skipped")
        if case.deal.has_tag(self._opt_out_tag):
            return replace(verdict, reason=f"на сделке тег «{self._opt_out_tag}»"), ()
        if late := self._too_late(event, rule):
            return replace(verdict, reason=late), ()
        deal = case.deal
        if "own_tasks" in rule.handler.needs:
            # Asks amoCRM, perhaps in vain: that is not the rule's fault, and the event waits for a better moment.
            deal = replace(deal, own_tasks=own_tasks(rule, deal.id))
        try:
            decision = _well_formed(rule.handler.judge(event, deal, rule.options))
        except Exception as error:  # noqa: BLE001 - a rule's bug must not stop the other rules; it is journaled
            return replace(verdict, outcome="failed", reason=f"ошибка в правиле: {error!r}"), ()
        if isinstance(decision, Skip):
            return replace(verdict, reason=decision.reason), ()
        return replace(verdict, outcome="acts"), decision

    def _too_late(self, event: Event, rule: Rule) -> str:
        if event.at is None or self._clock.now() - event.at <= rule.max_lateness:
            return ""
        return f"слишком поздно: случилось {event.at:%d.%m.%Y %H:%M} UTC, правило ждёт {in_words(rule.max_lateness)}"

    def _as_one(self, gates: list[tuple[Verdict, Sequence[Action] | RollBack]], case: Case) -> list[Verdict]:
        """Several gates refusing one move give one roll-back with one explanation, told by the first of them."""
        live = [action for verdict, action in gates if isinstance(action, RollBack) and not self._is_dry(verdict.rule)]
        together = replace(live[0], missing=_joined(live)) if live else None
        verdicts = []
        for verdict, action in gates:
            if not isinstance(action, RollBack):
                verdicts.append(self._resolved(verdict, action, case))
            elif self._is_dry(verdict.rule):
                verdicts.append(self._resolved(verdict, [action], case))
            elif together is not None and action is live[0]:
                verdicts.append(self._resolved(verdict, [together], case))
            else:
                words = f"сделку уже возвращает другое правило; не хватает: {', '.join(action.missing)}"
                verdicts.append(replace(verdict, outcome="skipped", reason=words))
        return verdicts

    def _resolved(self, verdict: Verdict, actions: Sequence[Action] | RollBack, case: Case) -> Verdict:
        if verdict.outcome != "acts" or isinstance(actions, RollBack):
            return verdict
        at = verdict.event.at or case.record.updated_at
        try:
            effects = tuple(
                effect for action in actions for effect in self._resolver.effects(action, case.deal, case.record, at)
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


def _well_formed(decision: Decision) -> Skip | RollBack | list[Action]:
    """What a handler said. One that says nothing at all (a forgotten ``return``) is wrong: TypeError."""
    if isinstance(decision, Skip | RollBack):
        return decision
    actions = decision if isinstance(decision, list) else [decision]
    if not all(isinstance(action, Action) and not isinstance(action, RollBack) for action in actions):
        raise TypeError(f"обработчик вернул {decision!r}, а нужны действия или Skip")
    return actions


def _without_repeats(verdict: Verdict, wanted: set[str]) -> Verdict:
    """One change may be several events (a stage and a date at once), and a rule that hears of both wants one task."""
    marks = {f"{verdict.rule.name} {effect.kind} {effect.deal_id} {effect.body}": effect for effect in verdict.effects}
    new = tuple(effect for mark, effect in marks.items() if mark not in wanted)
    wanted |= set(marks)
    if verdict.effects and not new:
        return replace(verdict, outcome="skipped", reason="решено по другому событию этого же изменения", effects=())
    return replace(verdict, effects=new)


def _joined(roll_backs: Sequence[RollBack]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for roll_back in roll_backs for name in roll_back.missing))


def event_key(event: Event, case: Case) -> str:
    """The same however often the event is judged again. That one thing is told of by several hooks is the mirror's
    matter: only the first of them finds something changed."""
    if not isinstance(event, DealObserved):
        return case.told_key
    moment = int(event.at.timestamp()) if event.at else 0
    what = type(event).__name__
    if isinstance(event, StageEntered):
        return f"{what}:{event.deal_id}:{event.stage[0]}.{event.stage[1]}:{moment}:{case.told_key}"
    if isinstance(event, FieldChanged):
        digest = hashlib.sha256(f"{event.field_name}\0{event.old}\0{event.new}".encode()).hexdigest()[:16]
        return f"{what}:{event.deal_id}:{digest}:{moment}:{case.told_key}"
    return f"{what}:{event.deal_id}:{moment}:{case.told_key}"

"""Dispatcher: events × enabled rules → verdicts.

Writes nothing; one broken rule never silences another. Gates are evaluated first. One that rolls the deal back silences
the rules about that move, and the rules about fields see the deal where it will be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from amo_bridge.clock import Clock
from amo_bridge.crm.account import Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.duration import describe
from amo_bridge.engine.data_loader import DataLoader
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.event_queue import WaitingEvent
from amo_bridge.engine.gates import Explanation, escalate, explanations_to_close, is_explained, merge_refusals
from amo_bridge.engine.resolver import Resolver
from amo_bridge.engine.task_ends import EndingTask, ends_of, finished_tasks, removed_rule
from amo_bridge.errors import BridgeError
from amo_bridge.events import EnquiryOnDeal, EnquiryReceived, Event, StageEntered, StepDue
from amo_bridge.events.base import to_json
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.actions import (
    Action,
    CreateClientDeal,
    CreateTask,
    Decision,
    FinishTask,
    Person,
    RollBack,
    Skip,
    Waiting,
    Withheld,
)
from amo_bridge.rules.deal import DataNeed, Deal, Missing, NotLoaded
from amo_bridge.rules.handler import Rule, dry_reason, dry_sources
from amo_bridge.storage.accounts import RestoredCopy

Outcome = Literal["acts", "would_act", "skipped", "failed", "held"]
BROKEN = "правило сломано: "


@dataclass(frozen=True)
class Verdict:
    """What one rule decided about one event.

    ``event_key`` is the same however often and by whatever way the event came; ``reason`` is Russian, for the journal.
    ``waits``: the rule is to be evaluated on this event again when the deal has changed; ``done_slots``: the tasks that
    it has set already, None if it has done nothing yet. ``settles``: the waiting event that this verdict is about.
    """

    rule: Rule
    event: Event
    event_key: str
    outcome: Outcome
    reason: str = ""
    effects: tuple[Effect, ...] = ()
    waits: bool = False
    done_slots: frozenset[str] | None = None
    settles: WaitingEvent | None = None


@dataclass(frozen=True)
class EvaluationContext:
    """Everything that rules are evaluated on: the events about one deal at one moment, and the deal freshly read.

    ``queue_key``: the key of the queued event among them. ``before``: the deal as it was last known.
    ``count_rollbacks``: how often it was rolled back from where it is, within the last hour; ``explanations``: the open
    tasks about that. ``ending_tasks``: the open tasks that rules set, with what ends them. ``restored_copy``: the store
    was restored from it, what happened before is not acted on. ``waiting``: what rules wait with until the deal has
    changed; only where it may have.
    """

    events: tuple[Event, ...]
    queue_key: str
    record: DealRecord
    deal: Deal
    before: DealRecord | None = None
    count_rollbacks: Callable[[], int] = lambda: 0
    explanations: Callable[[], Sequence[Explanation]] = lambda: ()
    ending_tasks: Sequence[EndingTask] = ()
    restored_copy: RestoredCopy | None = None
    waiting: Sequence[WaitingEvent] = ()

    @property
    def is_move_judged(self) -> bool:
        """Is the deal, by the fresh read, no further than it was known to be or is seen to come by these events?"""
        if any(isinstance(event, StageEntered) for event in self.events):
            return True
        before = self.before
        return before is not None and (before.pipeline_id, before.status_id) == (
            self.record.pipeline_id,
            self.record.status_id,
        )


class RuleAnswer(NamedTuple):
    """A verdict without effects yet, the actions that the rule wants, and the deal on which it was evaluated.

    ``missing``: the need at which it stopped, because that was not loaded. ``withheld``: why a gate lets no other rule
    hear of the event.
    """

    verdict: Verdict
    decision: Sequence[Action] | RollBack
    deal: Deal
    missing: str = ""
    withheld: str = ""


class EarlyAnswers:
    """The answers of one batch that rules gave before their data was loaded.

    Rules are pure: on an equal event and deal the answer is the same, so they are not evaluated again for it.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], RuleAnswer] = {}

    def add(self, deal: Deal, answer: RuleAnswer) -> None:
        """``deal``: as it was before the rule's needs were marked missing."""
        verdict = answer.verdict
        self._answers[verdict.rule.name, verdict.event_key] = answer._replace(deal=deal)

    def find(self, rule: Rule, judged: JudgedEvent, deal: Deal) -> RuleAnswer | None:
        """The answer about this event, if the deal was the same then."""
        answer = self._answers.get((rule.name, judged.key))
        if answer is None or not _is_equal(answer.verdict.event, judged.event) or not _is_equal(answer.deal, deal):
            return None
        return answer


def _is_equal(one: object, other: object) -> bool:
    """Mostly they are the same object, and a deal or an event has many fields to be compared."""
    return one is other or one == other


class Listeners(NamedTuple):
    """The enabled rules that listen to an event."""

    gates: Sequence[Rule]
    others: Sequence[Rule]


class JudgedEvent(NamedTuple):
    """An event of a context, and what is the same for all rules that listen to it.

    ``key``: its key. ``ignored``: why no rule is evaluated on it (Russian). ``age``: how long ago it happened.
    """

    event: Event
    key: str
    ignored: str
    age: timedelta | None


class Dispatcher:
    """``rules``: disabled ones only close the tasks that they set before. ``opt_out_tag``: on a deal with this tag no
    rule is evaluated.

    ``max_rollbacks``: after so many within an hour a deal stays where a person put it, and ``tell`` gets a task.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        resolver: Resolver,
        account: Account,
        clock: Clock,
        *,
        dry_run: bool,
        opt_out_tag: str,
        max_rollbacks: int = 3,
        tell: Person | None = None,
    ) -> None:
        self._clock = clock
        self._known = {rule.name: rule for rule in rules}
        self._rules = [rule for rule in self._known.values() if rule.enabled]
        self._by_name = {rule.name: rule for rule in self._rules}
        # Which rules listen to events of a type is asked several times for each event.
        self._by_type: dict[type[Event], Listeners] = {}
        self._asked_kinds: dict[tuple[type[Event], ...], bool] = {}
        self._has_needs = any(rule.needs for rule in self._rules)
        self._resolver = resolver
        self._account = account
        self._dry_run = dry_run
        self._opt_out_tag = opt_out_tag
        self._max_rollbacks = max_rollbacks
        self._tell = tell

    @property
    def enabled(self) -> list[Rule]:
        return list(self._rules)

    @property
    def has_needs(self) -> bool:
        """Does any rule need more than the deal itself?"""
        return self._has_needs

    def listeners(self, event: Event) -> list[Rule]:
        """The enabled rules that listen to this event; gates first."""
        listening = self._listeners(event)
        return [*listening.gates, *listening.others]

    def _listeners(self, event: Event) -> Listeners:
        kind = type(event)
        of_type = self._by_type.get(kind)
        if of_type is None:
            rules = [rule for rule in self._rules if issubclass(kind, rule.handler.on)]
            of_type = self._by_type[kind] = Listeners(
                [rule for rule in rules if rule.handler.gate], [rule for rule in rules if not rule.handler.gate]
            )
        if not issubclass(kind, StepDue) and not any(rule.handler.only for rules in of_type for rule in rules):
            return of_type
        return Listeners(*([rule for rule in rules if rule.hears(event)] for rules in of_type))

    def listens_to(self, event: Event) -> bool:
        return any(self._listeners(event))

    def listens_for(self, kinds: tuple[type[Event], ...]) -> bool:
        """Does any rule listen to events of these kinds?"""
        if kinds not in self._asked_kinds:
            listens = any(issubclass(kind, rule.handler.on) for kind in kinds for rule in self._rules)
            self._asked_kinds[kinds] = listens
        return self._asked_kinds[kinds]

    def _prepared(self, event: Event, context: EvaluationContext) -> JudgedEvent:
        age = None if event.at is None else self._clock.now() - event.at
        return JudgedEvent(event, event.event_key(context.queue_key), self._reason_to_ignore(event, context), age)

    def evaluate_early(
        self, context: EvaluationContext, answers: EarlyAnswers, expected: Iterable[DataNeed] = ()
    ) -> set[DataNeed]:
        """Evaluate the rules with needs while nothing is loaded; returns what has to be loaded for them.

        Only a rule that gets as far as to look costs a read. ``expected``: what will be loaded for this deal anyway;
        rules that need nothing else are left for ``evaluate``.
        """
        needs = set(expected)
        unread: dict[frozenset[DataNeed], Deal] = {}
        for event in context.events:
            judged = self._prepared(event, context)
            for rule in self.listeners(event):
                if rule.needs <= needs or self._reason_to_skip(rule, judged):
                    continue
                deal = unread.get(rule.needs)
                if deal is None:
                    missing = {need: Missing(need) for need in rule.needs}
                    deal = unread[rule.needs] = context.deal.with_read(missing)
                answer = _answer(rule, judged, deal)
                answers.add(context.deal, answer)
                if answer.missing:
                    needs |= rule.needs
        return needs

    def evaluate(
        self, context: EvaluationContext, data: DataLoader, answers: EarlyAnswers | None = None
    ) -> list[Verdict]:
        """All verdicts about a context. ``answers``: what ``evaluate_early`` found out already.

        Raises CrmError, StoreUnavailable if what a rule needs can't be loaded.
        """
        early = answers or EarlyAnswers()
        events = [(self._prepared(event, context), self._listeners(event)) for event in context.events]
        gates = [
            self._evaluate(rule, judged, context, data, early)
            for judged, listening in events
            for rule in listening.gates
        ]
        live = [
            answer
            for answer in gates
            if isinstance(answer.decision, RollBack) and not self._is_dry(answer.verdict.rule)
        ]
        if not live and context.explanations():
            gates = [self._with_closed_explanations(answer, context) for answer in gates]
        rollbacks = context.count_rollbacks() if live else 0
        refusing = live[0].verdict.rule if live and rollbacks < self._max_rollbacks else None
        verdicts = self._gate_verdicts(gates, live, context, rollbacks)
        after = self._rolled_back(context, live[0].decision) if refusing else context
        withholding = [answer for answer in gates if answer.withheld and not self._is_dry(answer.verdict.rule)]
        done: set[str] = set()
        for judged, rule in ((judged, rule) for judged, listening in events for rule in listening.others):
            event = judged.event
            if refusing and isinstance(event, StageEntered):
                reason = f"сделку возвращает правило {refusing.called}"
                verdicts.append(Verdict(rule, event, judged.key, "skipped", reason))
            elif gate := next((one for one in withholding if one.verdict.event == event), None):
                reason = f"не считается ({gate.verdict.rule.called}): {gate.withheld}"
                verdicts.append(Verdict(rule, event, judged.key, "skipped", reason))
            elif taken_by := _taken_by(event, verdicts):
                reason = f"обращение уже взяло правило {taken_by}"
                verdicts.append(Verdict(rule, event, judged.key, "skipped", reason))
            else:
                verdict = self._resolve(self._evaluate(rule, judged, after, data, early), after)
                verdicts.append(_without_repeats(verdict, done))
        if not refusing:
            verdicts += (_without_repeats(verdict, done) for verdict in self._reconsidered(context, data))
        return self._with_ended_tasks(verdicts, after)

    def _reconsidered(self, context: EvaluationContext, data: DataLoader) -> Iterator[Verdict]:
        """What rules decide now about events with which they wait, if they do not wait any longer.

        It counts as happening now: due dates are counted from here, and it is not late.
        """
        at = context.record.updated_at
        for waiting in context.waiting:
            rule = self._by_name.get(waiting.rule)
            if rule is None or waiting.stage != context.deal.stage.key or waiting.event in context.events:
                continue
            if context.restored_copy and context.restored_copy.covers(waiting.event.at or at):
                continue
            event = replace(waiting.event, at=at)
            answer = self._evaluate(rule, self._prepared(event, context), context, data, EarlyAnswers())
            slots = waiting.done_slots
            if slots is not None and not isinstance(answer.decision, RollBack):
                left = [one for one in answer.decision if isinstance(one, CreateTask) and one.slot not in slots]
                answer = answer._replace(decision=left)
            if answer.verdict.waits and not answer.decision:
                continue
            key = f"{waiting.event_key}:when{int(at.timestamp())}"
            done = _slots_of(answer.decision) | (slots or frozenset()) if answer.verdict.waits else None
            verdict = replace(answer.verdict, event_key=key, event=waiting.event, settles=waiting, done_slots=done)
            yield self._resolve(answer._replace(verdict=verdict), context, at)

    def _evaluate(
        self, rule: Rule, judged: JudgedEvent, context: EvaluationContext, data: DataLoader, early: EarlyAnswers
    ) -> RuleAnswer:
        if reason := self._reason_to_skip(rule, judged):
            return RuleAnswer(Verdict(rule, judged.event, judged.key, "skipped", reason), (), context.deal)
        answer = early.find(rule, judged, context.deal)
        if answer is not None and not answer.missing and not answer.decision:
            # What it did not look at does not matter, and nothing is to be done on this deal.
            return answer
        deal = data.loaded(rule, context.deal)
        if answer is None or (answer.missing and not isinstance(getattr(deal, answer.missing), Missing)):
            answer = _answer(rule, judged, deal)
        if answer.missing in rule.needs:
            # This may raise: amoCRM's trouble is not the rule's failure, and the event is processed again later.
            return _answer(rule, judged, data.load(rule, context.deal))
        return answer if answer.deal is deal else answer._replace(deal=deal)

    def _reason_to_ignore(self, event: Event, context: EvaluationContext) -> str:
        """Why no rule is evaluated on the event; empty if they are."""
        if context.deal.has_tag(self._opt_out_tag):
            return f"на сделке тег «{self._opt_out_tag}»"
        if event.reason_to_ignore:
            return event.reason_to_ignore
        copy = context.restored_copy
        if copy and copy.covers(event.at or context.record.updated_at):
            return (
                f"случилось до возврата данных из копии от {copy.made_at:%d.%m.%Y %H:%M} UTC: что мост об этом уже "
                "сделал, он не помнит; повторить — amo-bridge replay"
            )
        return ""

    def _reason_to_skip(self, rule: Rule, judged: JudgedEvent) -> str:
        """Why a rule that listens is not evaluated; empty if it is."""
        if judged.ignored:
            return judged.ignored
        if rule.broken:
            return f"{BROKEN}{rule.broken}"
        if judged.age is None or judged.age <= rule.max_lateness:
            return ""
        waits = describe(rule.max_lateness)
        return f"слишком поздно: случилось {judged.event.at:%d.%m.%Y %H:%M} UTC, правило ждёт {waits}"

    # --- gates ---

    def _with_closed_explanations(self, answer: RuleAnswer, context: EvaluationContext) -> RuleAnswer:
        """A gate that refuses nothing closes the tasks in which it explained an earlier refusal."""
        rule, event = answer.verdict.rule, answer.verdict.event
        is_silent = answer.verdict.outcome != "skipped" or self._reason_to_skip(rule, self._prepared(event, context))
        if is_silent or not isinstance(event, StageEntered):
            return answer
        actions = explanations_to_close(context.explanations(), rule.name, event, context.deal)
        if not actions:
            return answer
        return answer._replace(verdict=replace(answer.verdict, outcome="acts"), decision=actions)

    def _rolled_back(self, context: EvaluationContext, refusal: Sequence[Action] | RollBack) -> EvaluationContext:
        """The context with the deal on the stage to which it is rolled back."""
        if not isinstance(refusal, RollBack) or refusal.to is None:
            return context
        return replace(context, deal=replace(context.deal, stage=self._account.stage_of(*refusal.to)))

    def _gate_verdicts(
        self, answers: list[RuleAnswer], live: list[RuleAnswer], context: EvaluationContext, rollbacks: int
    ) -> list[Verdict]:
        """One roll-back, by the first gate that refuses, says what all of them miss.

        ``live``: the refusals that are no dry run; ``rollbacks``: how often the deal was rolled back before.
        """
        refusals = [answer.decision for answer in live if isinstance(answer.decision, RollBack)]
        verdicts = []
        for answer in answers:
            verdict, decision = answer.verdict, answer.decision
            if not isinstance(decision, RollBack):
                verdicts.append(self._resolve(answer, context))
            elif self._is_dry(verdict.rule):
                verdicts.append(self._resolve(answer._replace(decision=[decision]), context))
            elif answer is not live[0]:
                reason = f"об этом переводе говорит другое правило; не хватает: {decision.needs}"
                verdicts.append(replace(verdict, outcome="skipped", reason=reason))
            elif rollbacks < self._max_rollbacks:
                merged = merge_refusals(refusals, context.before)
                explained = is_explained(merged, context.deal.stage.key, context.explanations())
                merged = replace(merged, is_explained=explained)
                verdicts.append(self._resolve(answer._replace(decision=[merged]), context))
            else:
                verdicts.append(self._escalated(answer, merge_refusals(refusals, context.before), context, rollbacks))
        return verdicts

    def _escalated(self, answer: RuleAnswer, refusal: RollBack, context: EvaluationContext, rollbacks: int) -> Verdict:
        if self._tell is None:
            reason = f"за час сделку возвращали {rollbacks} раз, больше мост не спорит; не хватает: {refusal.needs}"
            return replace(answer.verdict, outcome="skipped", reason=reason)
        actions = escalate(refusal, context.deal, rollbacks, self._tell)
        return self._resolve(answer._replace(decision=actions), context)

    # --- effects ---

    def _resolve(self, answer: RuleAnswer, context: EvaluationContext, now: datetime | None = None) -> Verdict:
        """The verdict with the effects of the actions that the rule wants. ``now``: when it counts as happening, if not
        when the event did."""
        verdict, actions = answer.verdict, answer.decision
        if verdict.outcome != "acts" or isinstance(actions, RollBack):
            return verdict
        at = now or verdict.event.at or context.record.updated_at
        try:
            effects = tuple(
                self._with_end(effect, action, actions, answer)
                for action in actions
                for effect in self._resolver.effects(action, answer.deal, context.record, at)
            )
        except (BridgeError, ValueError) as error:
            return replace(verdict, outcome="failed", reason=str(error))
        except Exception as error:  # noqa: BLE001 - an action with nonsense in it is its rule's bug, as in _answer
            return replace(verdict, outcome="failed", reason=f"ошибка в правиле: {error!r}")
        if not effects:
            return replace(verdict, outcome="skipped", reason="всё уже так, как надо")
        reason = self._dry_reason(verdict.rule)
        return replace(verdict, outcome="would_act" if reason else "acts", reason=reason, effects=effects)

    def _with_end(self, effect: Effect, action: Action, actions: Iterable[Action], answer: RuleAnswer) -> Effect:
        """The effect; that of a new task says what ends the task, that of a client's new deal what is reported then."""
        event = answer.verdict.event
        if isinstance(action, CreateClientDeal) and isinstance(event, EnquiryReceived):
            reported = to_json(EnquiryOnDeal.of(event, 0, is_new=True))
            return replace(effect, extra={**effect.extra, "reports": reported})
        if not isinstance(action, CreateTask):
            return effect
        ends = ends_of(action, actions, answer.verdict.rule, answer.deal, self._account)
        return replace(effect, extra={**effect.extra, "until": ends.to_json()}) if ends else effect

    # --- tasks that end ---

    def _with_ended_tasks(self, verdicts: list[Verdict], context: EvaluationContext) -> list[Verdict]:
        """The verdicts, with what closes the tasks that have reached their end; each by the rule that set it.

        It counts on the deal as it is: an end that was missed is found by the next event. Lateness does not matter.
        """
        copy = context.restored_copy
        is_silent = context.deal.has_tag(self._opt_out_tag) or (copy and copy.covers(context.record.updated_at))
        if is_silent or not context.events:
            return verdicts
        closed = finished_tasks(effect.body for one in verdicts if one.outcome == "acts" for effect in one.effects)
        for task in context.ending_tasks:
            reached = task.ends.reached(
                context.deal, context.events, self._account, is_move_judged=context.is_move_judged
            )
            if reached and task.task_id not in closed:
                reason, event = reached
                rule = self._known.get(task.rule) or removed_rule(task.rule)
                action = FinishTask(deal_id=context.deal.id, task_id=task.task_id, result=reason)
                effects = self._resolver.effects(action, context.deal, context.record, context.record.updated_at)
                _add_effects(verdicts, rule, event, context.queue_key, effects, self._dry_reason(rule))
        return verdicts

    def _is_dry(self, rule: Rule) -> bool:
        return bool(dry_sources(rule, is_bridge_dry=self._dry_run))

    def _dry_reason(self, rule: Rule) -> str:
        """Why the rule only says what it would do; empty if it acts."""
        return dry_reason(dry_sources(rule, is_bridge_dry=self._dry_run))


def _answer(rule: Rule, judged: JudgedEvent, deal: Deal) -> RuleAnswer:
    """Evaluate the rule on the event and the deal."""

    def verdict(outcome: Outcome, reason: str = "", **more: Any) -> Verdict:
        return Verdict(rule, judged.event, judged.key, outcome, reason, **more)

    try:
        decision = _checked(rule.handler.judge(judged.event, deal, rule.options))
    except NotLoaded as error:
        return RuleAnswer(verdict("failed", f"ошибка в правиле: {error}"), (), deal, error.need)
    except Exception as error:  # noqa: BLE001 - a rule's bug must not stop the other rules; it is journaled
        return RuleAnswer(verdict("failed", f"ошибка в правиле: {error!r}"), (), deal)
    if isinstance(decision, Waiting):
        reason = f"{decision.reason}; правило ждёт, пока сделка на этапе «{deal.stage.name}»"
        return RuleAnswer(verdict("skipped", reason, waits=True), (), deal)
    if isinstance(decision, Skip):
        return RuleAnswer(verdict("skipped", decision.reason), (), deal)
    if isinstance(decision, Withheld):
        outcome: Outcome = "acts" if decision.actions else "skipped"
        reason = "" if decision.actions else decision.reason
        return RuleAnswer(verdict(outcome, reason), decision.actions, deal, withheld=decision.reason)
    if isinstance(decision, RollBack):
        return RuleAnswer(verdict("acts"), decision, deal)
    actions = [action for action in decision if isinstance(action, Action)]
    is_partial = len(actions) < len(decision)
    done_slots = _slots_of(actions) if is_partial else None
    return RuleAnswer(verdict("acts", waits=is_partial, done_slots=done_slots), actions, deal)


def _slots_of(actions: Iterable[Action] | RollBack) -> frozenset[str]:
    """The marks of the tasks among these."""
    if isinstance(actions, RollBack):
        return frozenset()
    return frozenset(action.slot for action in actions if isinstance(action, CreateTask))


def _checked(decision: Decision) -> Skip | RollBack | Withheld | Sequence[Action | Waiting]:
    """What a handler returned, actions as a list. Raises TypeError for anything else: a forgotten ``return``, say."""
    if isinstance(decision, Skip | RollBack | Withheld):
        return decision
    actions: list[Any] = decision if isinstance(decision, list) else [decision]
    if not all(isinstance(action, Action | Waiting) and not isinstance(action, RollBack) for action in actions):
        raise TypeError(f"обработчик вернул {decision!r}, а нужны действия или Skip")
    is_waiting = bool(actions) and all(isinstance(action, Waiting) for action in actions)
    return Waiting(actions[0].reason) if is_waiting else actions


def _taken_by(event: Event, verdicts: Iterable[Verdict]) -> str:
    """The rule that acts on this enquiry already: the first one that wants it has it, in the order of the config."""
    if not isinstance(event, EnquiryReceived):
        return ""
    return next((one.rule.called for one in verdicts if one.event == event and one.outcome == "acts"), "")


def _add_effects(
    verdicts: list[Verdict], rule: Rule, event: Event, queue_key: str, effects: Sequence[Effect], dry: str
) -> None:
    """Add to what the rule does on this event, or make it act where it had nothing to do. ``dry``: why it does not."""
    outcome: Outcome = "would_act" if dry else "acts"
    for number, verdict in enumerate(verdicts):
        if (verdict.rule.name, verdict.event) == (rule.name, event) and verdict.outcome in ("skipped", outcome):
            verdicts[number] = replace(verdict, outcome=outcome, reason=dry, effects=(*verdict.effects, *effects))
            return
    # A key of its own: the rule may have failed on this event, and may do something on it when that is repeated.
    verdicts.append(Verdict(rule, event, f"{event.event_key(queue_key)}|end", outcome, dry, tuple(effects)))


def _without_repeats(verdict: Verdict, done: set[str]) -> Verdict:
    """Without effects that the rule wants for another event of the same change (a stage and a date at once).

    ``done``: what rules wanted so far; grows.
    """
    if not verdict.effects:
        return verdict
    effects = {
        f"{verdict.rule.name} {effect.kind} {effect.deal_id} {effect.body}": effect for effect in verdict.effects
    }
    new = tuple(effect for key, effect in effects.items() if key not in done)
    done |= set(effects)
    if not new:
        return replace(verdict, outcome="skipped", reason="решено по другому событию этого же изменения", effects=())
    return replace(verdict, effects=new)

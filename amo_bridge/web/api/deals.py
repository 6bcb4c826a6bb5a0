"""``/deals``: what is known of one, its journal, its call scripts, a step taken once more."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Literal

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import Field

from amo_bridge.engine.dispatcher import Verdict
from amo_bridge.engine.journal import Entry
from amo_bridge.engine.undo import Undoing
from amo_bridge.errors import BridgeError, ConfigError, StoreUnavailable
from amo_bridge.text.templates import BadTemplate
from amo_bridge.web.accounts import NotMet
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Error, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services import deals as deals_service
from amo_bridge.web.services.scripts import ScriptService, Written
from amo_bridge.web.stored_sentences import stored, stored_by_whom

MOST_FOUND = 100


class Effect(Shape):
    """``state``: done, ready, waiting, sending, doubt, failed, unsent, unknown, dry or dropped."""

    words: str
    state: str
    error: str


def effects_of(effects: Iterable[tuple[str, str, str]]) -> list[Effect]:
    """Of a decision, in the program's language."""
    return [Effect(words=stored(words), state=state, error=stored(error)) for words, state, error in effects]


class JournalEntry(Shape):
    """``rule``: empty for what came. ``verdict``: came, acts, would_act, skipped, failed, held, retried, dropped.
    ``outcome``: the verdict, or what became of it: at_work, refused, unsent, unknown, partly; awaits, as in rules."""

    at: datetime
    event_id: int | None
    what: str
    rule: str
    clause: str
    verdict: str
    outcome: str
    reason: str
    effects: list[Effect]


class Journal(Shape):
    """One deal's, oldest first."""

    deal_id: int
    entries: list[JournalEntry]


class DealStep(Shape):
    """What came, and what the rules said to it. ``event_id``: null for what belongs to no event: it can't be taken once
    more."""

    event_id: int | None
    at: datetime
    what: str
    note: str
    said: list[JournalEntry]


class Deal(Shape):
    """As it was last seen. ``name`` and ``stage``: empty where they are not known. ``steps``: newest first."""

    deal_id: int
    name: str
    stage: str
    link: str
    steps: list[DealStep]


class FoundDeal(Shape):
    """What is not known of it is empty. ``client``: the contact by whom it was found."""

    deal_id: int
    name: str
    stage: str
    person: str
    client: str


class FoundDeals(Shape):
    """The newest first, at most 100. ``is_cut``: there are more."""

    deals: list[FoundDeal]
    is_cut: bool


class DealVerdict(Shape):
    """What a rule says now. ``outcome``: acts (it can be carried out), would_act (the rule is dry), skipped, failed or
    held. ``actions``: in words. ``done_at``: when the rule acted on this event; null if it did not."""

    rule: str
    clause: str
    says: str
    outcome: str
    reason: str
    actions: list[str]
    done_at: datetime | None = None


class Judged(Shape):
    """What every rule that listens would do about the event now; nothing was changed. ``mark``: of this question, to be
    told when it is carried out."""

    deal_id: int
    event_id: int
    mark: str
    verdicts: list[DealVerdict]


class CarryOut(Shape):
    """Which rule does what it would do. With the same ``mark`` it is done once, however often it is asked for.

    ``once_more``: although the rule has acted on this event already; without it that is refused (409)."""

    rule: str
    once_more: bool = False
    mark: Annotated[str, Field(min_length=1, max_length=100)]


class UndoRule(Shape):
    """Whose doing is taken back."""

    rule: str


class UndoneThing(Shape):
    """``done``: what the rule did; ``will_be``: what becomes of it, or why it stays (Russian)."""

    done: str
    will_be: str
    is_possible: bool


class UndoneThings(Shape):
    """In the order in which they were done."""

    things: list[UndoneThing]


@api.endpoint(
    Endpoint(
        "deals_find",
        "/deals",
        "GET",
        Role.VIEWER,
        _l("Сделки по номеру, названию, фамилии, телефону или почте клиента"),
        FoundDeals,
        query={"text": _l("что искать")},
    )
)
def find() -> FoundDeals:
    here, words = current_account(), request.args.get("text", "").strip()[: deals_service.LONGEST_WORDS]
    found = deals_service.find_deals(here, words, MOST_FOUND + 1)
    listed = deals_service.listed(here, found[:MOST_FOUND], words)
    return FoundDeals(deals=[FoundDeal(**vars(one)) for one in listed], is_cut=len(found) > MOST_FOUND)


@api.endpoint(
    Endpoint("deals_deal", "/deals/<int:deal_id>", "GET", Role.VIEWER, _l("Одна сделка: этап и журнал по шагам"), Deal)
)
def deal(deal_id: int) -> Deal:
    known = deals_service.deal_of(current_account(), deal_id)
    if not known.is_known:
        abort(refusal(404, _("Мост не знает сделки %(n)s", n=deal_id)))
    return Deal(
        deal_id=deal_id,
        name=known.record.name if known.record else "",
        stage=known.stage,
        link=known.link,
        steps=[_step(one) for one in known.steps],
    )


@api.endpoint(
    Endpoint("deals_journal", "/deals/<int:deal_id>/journal", "GET", Role.VIEWER, _l("Журнал одной сделки"), Journal)
)
def journal(deal_id: int) -> Journal:
    known = deals_service.deal_of(current_account(), deal_id)
    if not known.is_known:
        abort(refusal(404, _("Мост не знает сделки %(n)s", n=deal_id)))
    return Journal(deal_id=deal_id, entries=[_entry(one) for one in current_account().journal.of_deal(deal_id)])


@api.endpoint(
    Endpoint(
        "deals_judge",
        "/deals/<int:deal_id>/steps/<int:event_id>/judge",
        "POST",
        Role.HEAD,
        _l("Что сделали бы правила сейчас; ничего не меняется"),
        Judged,
    )
)
def judge(deal_id: int, event_id: int) -> Judged:
    with _refused():
        judged = deals_service.judge(current_account(), deal_id, event_id)
    told = [_verdict(verdict, judged.done_at.get(verdict.rule.name)) for verdict in judged.verdicts]
    return Judged(deal_id=deal_id, event_id=event_id, mark=secrets.token_hex(8), verdicts=told)


@api.endpoint(
    Endpoint(
        "deals_carry_out",
        "/deals/<int:deal_id>/steps/<int:event_id>/carry-out",
        "POST",
        Role.HEAD,
        _l("Сделать это в amoCRM на самом деле"),
        DealVerdict,
        takes=CarryOut,
    )
)
def carry_out(deal_id: int, event_id: int, told: CarryOut) -> DealVerdict:
    with _refused():
        done = deals_service.carry_out(
            current_account(), deal_id, event_id, told.rule, told.mark, once_more=told.once_more
        )
    return _verdict(done)


@api.endpoint(
    Endpoint(
        "deals_undoing",
        "/deals/<int:deal_id>/steps/<int:event_id>/undo",
        "GET",
        Role.HEAD,
        _l("Что из сделанного правилом можно вернуть; ничего не меняется"),
        UndoneThings,
        query={"rule": _l("имя правила")},
    )
)
def undoing(deal_id: int, event_id: int) -> UndoneThings:
    rule = request.args.get("rule", "")
    with _refused():
        return _undone(deals_service.undoing(current_account(), deal_id, event_id, rule))


@api.endpoint(
    Endpoint(
        "deals_undo",
        "/deals/<int:deal_id>/steps/<int:event_id>/undo",
        "POST",
        Role.HEAD,
        _l("Вернуть в amoCRM то, что сделало правило"),
        UndoneThings,
        takes=UndoRule,
    )
)
def undo(deal_id: int, event_id: int, told: UndoRule) -> UndoneThings:
    with _refused():
        return _undone(deals_service.undo(current_account(), deal_id, event_id, told.rule))


def _undone(found: list[Undoing]) -> UndoneThings:
    return UndoneThings(
        things=[
            UndoneThing(done=stored(one.done), will_be=stored(one.words), is_possible=one.is_possible) for one in found
        ]
    )


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except (NotMet, StoreUnavailable):
        raise
    except (BridgeError, ConfigError) as error:
        abort(refusal(409, stored(str(error))))


def _step(step: deals_service.Step) -> DealStep:
    said = [_entry(one) for one in step.said]
    return DealStep(event_id=step.event_id, at=step.at, what=stored(step.what), note=stored(step.note), said=said)


def _entry(entry: Entry) -> JournalEntry:
    return JournalEntry(
        at=entry.at,
        event_id=entry.event_id,
        what=stored(entry.what),
        rule=entry.rule,
        clause=entry.clause,
        verdict=entry.verdict,
        outcome=entry.outcome,
        reason=stored_by_whom(entry.reason) if entry.verdict == "undone" else stored(entry.reason),
        effects=effects_of(entry.effects),
    )


def _verdict(verdict: Verdict, done_at: datetime | None = None) -> DealVerdict:
    return DealVerdict(
        rule=verdict.rule.name,
        clause=verdict.rule.clause,
        says=verdict.rule.words,
        outcome=verdict.outcome,
        reason=stored(verdict.reason),
        actions=[stored(words) for effect in verdict.effects for words in effect.all_words],
        done_at=done_at,
    )


# Call scripts of a deal.


class ScriptNames(Shape):
    """As they stand in addresses."""

    deal_id: int
    names: list[str]


class ScriptBlock(Shape):
    """A heading has one line, a list has several, each an item. What is asked while talking: an answer has its words
    and perhaps the heading of the step that follows, a field its name, a note the question."""

    kind: Literal["heading", "list", "text", "answer", "field", "note"]
    lines: list[str]


class FilledScript(Shape):
    """What to say, with the deal's own data."""

    name: str
    title: str
    blocks: list[ScriptBlock]


class ScriptAnswers(Shape):
    """What a client has said. ``answers``: the step's heading (empty for what stands above the first one) → the words
    of the answer; ``fields``: the deal's field as the script calls it → what is to be in it (a day as 2026-12-31, a
    switch as 1 or empty, of several choices one per line); ``comment``: for the note. ``mark``: another one for each
    talk: the same one twice is written down once."""

    answers: dict[str, str] = Field(default_factory=dict)
    fields: dict[str, str] = Field(default_factory=dict)
    comment: str = ""
    mark: Annotated[str, Field(min_length=8, max_length=32)]


class ScriptAnswered(Shape):
    """``state``: saved; again, if one of this mark was saved before; nothing, if there was nothing to write down."""

    state: Literal["saved", "again", "nothing"]


@api.endpoint(
    Endpoint("scripts_scripts", "/deals/<int:deal_id>/scripts", "GET", Role.VIEWER, _l("Скрипты звонков"), ScriptNames)
)
def scripts(deal_id: int) -> ScriptNames:
    return ScriptNames(deal_id=deal_id, names=ScriptService.at(current_account(), deal_id).names)


@api.endpoint(
    Endpoint(
        "scripts_one",
        "/deals/<int:deal_id>/scripts/<name>",
        "GET",
        Role.VIEWER,
        _l("Скрипт с данными сделки"),
        FilledScript,
        says_no={"409": Error},
    )
)
def one(deal_id: int, name: str) -> FilledScript:
    try:
        script = ScriptService.at(current_account(), deal_id).filled(name)
    except KeyError:
        abort(404)
    except BadTemplate as error:
        abort(refusal(409, _("В скрипте ошибка: %(why)s", why=str(error))))
    blocks = [ScriptBlock(kind=block.kind, lines=list(block.lines)) for block in script.blocks]
    return FilledScript(name=name, title=script.title, blocks=blocks)


@api.endpoint(
    Endpoint(
        "scripts_answer",
        "/deals/<int:deal_id>/scripts/<name>",
        "POST",
        Role.WEBINAR,
        _l("Записать разговор по скрипту в поля и примечание сделки"),
        ScriptAnswered,
        takes=ScriptAnswers,
    )
)
def answer(deal_id: int, name: str, told: ScriptAnswers) -> ScriptAnswered:
    scripts = ScriptService.at(current_account(), deal_id)
    try:
        script = scripts.filled(name)
    except KeyError:
        abort(404)
    except BadTemplate as error:
        abort(refusal(409, _("В скрипте ошибка: %(why)s", why=str(error))))
    steps = {step.title: step for step in script.steps}
    chosen = {}
    for title, words in told.answers.items():
        found = [block.lines[0] for block in steps[title].answers] if title in steps else []
        if words not in found:
            abort(refusal(422, _("Такого ответа в скрипте нет: %(step)s — %(words)s", step=title, words=words)))
        chosen[steps[title].number] = found.index(words)
    inputs = scripts.inputs(script)
    if unknown := [field for field in told.fields if inputs.get(field) is None]:
        abort(refusal(422, _("Этих полей скрипт не заполняет: %(names)s", names=", ".join(unknown))))
    # A program sees no page that could be out of date.
    was = {field: known.now for field, known in inputs.items() if known is not None}
    written = Written(chosen, told.fields, was, {}, told.comment, told.mark)
    outcome = scripts.write_down(name, script, written)
    if outcome == "dry":
        abort(refusal(409, _("Не сохранено: мост работает вхолостую (dry_run) и в amoCRM ничего не меняет")))
    if outcome in ("wrong", "meanwhile"):
        abort(refusal(422, "; ".join(f"{field}: {words}" for field, words in written.mistakes.items())))
    return ScriptAnswered(state=outcome)

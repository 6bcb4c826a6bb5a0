"""People of a webinar × what amoCRM knows of them → what is to become of each (W1, W3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Literal

from amo_bridge.config.webinar import Interest, WebinarSection
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.matching import Found, Match, in_words, lacking, match
from amo_bridge.rules.deal import Deal, as_text
from amo_bridge.text.names import same_name
from amo_bridge.webinars.attendees import Attendee
from amo_bridge.webinars.sorting import (
    MINUTES_UNKNOWN,
    Figures,
    KnownFigures,
    Sorted,
    is_older,
    sort_by_figures,
    sort_person,
    stays_stronger,
)

# W3: what is to become of the open deal of a person who came to a webinar.
#
# A deal that a manager has in hand stays where it is, except on the stage of those sent to watch again.


def of_open_deal(base: Row, deal: Deal, known: Known, options: WebinarSection) -> Row:
    """What is to become of it, by how the deal is now."""
    owner = deal.responsible.name if deal.responsible else ""
    is_owned = deal.responsible is not None and deal.responsible.id != known.loader
    was = {name: deal.text(name) for name in base.figures.values(options)}
    base = replace(base, standing="owned" if is_owned else "known", was=was)
    if known.opt_out_tag and deal.has_tag(known.opt_out_tag):
        return replace(base, why=f"на сделке тег «{known.opt_out_tag}»")
    if is_older(base.figures, deal, options):
        return replace(base, why="в сделке уже данные более позднего вебинара")
    where = _stage(base.sorted, options)
    if is_repeat(deal, options) and where is not None:
        why = f"пришёл снова: с этапа «{deal.stage.name}»" + (f", остаётся у менеджера {owner}" if is_owned else "")
        return replace(base, what="update_deal", to_stage=where, why=why)
    if is_owned:
        return replace(
            base, what="update_deal", why=f"сделку ведёт {owner}: обновить данные, этап «{deal.stage.name}» не менять"
        )
    if (
        where is not None
        and deal.is_on(_sorted_stages(options))
        and not deal.is_on([where])
        and not stays_stronger(base.sorted, deal, options)
    ):
        return replace(base, what="update_deal", to_stage=where, why=f"никто не взял: перенести с «{deal.stage.name}»")
    return replace(base, what="update_deal", why=f"открытая сделка на «{deal.stage.name}»: обновить данные")


def changed_since(row: Row, deal: Deal, others: Iterable[Row], options: WebinarSection) -> list[str]:
    """The fields that are neither as they were when the row was planned, nor as it or other imports left them: people
    have changed them."""
    imported = [row, *others]
    left = {(name, _text(value)) for one in imported for name, value in one.figures.values(options).items()}
    left |= {(name, was) for one in imported for name, was in one.was.items()}
    return [name for name in row.was if (name, deal.text(name)) not in left]


def _text(value: Any) -> str:
    return "" if value is None else as_text(value)


def is_in_play(deal: Deal, known: Known) -> bool:
    """Open, and in a pipeline of the webinars."""
    is_open = not (deal.stage.is_won or deal.stage.is_lost)
    return is_open and any(same_name(deal.stage.pipeline, name) for name in known.pipelines)


def _stage(sorting: Sorted, options: WebinarSection) -> str | None:
    """Where such a person's deal belongs; None as long as nobody knows."""
    return None if sorting.interest == "unknown" else options.stage_of(sorting.interest)


def _sorted_stages(options: WebinarSection) -> list[str]:
    return [options.active_stage, options.long_stage, options.short_stage]


def is_repeat(deal: Deal, options: WebinarSection) -> bool:
    return options.repeat_stage is not None and deal.is_on([options.repeat_stage])


# Nothing is guessed: whoever fits two contacts is left to a person, whoever left neither mail nor phone is only
# reported. What somebody decided at an earlier upload of the same webinar holds.

Standing = Literal[
    "new", "known", "owned", "loaded", "unmatched", "doubtful", "no_minutes", "no_client", "banned", "skipped"
]
What = Literal["create_person", "create_deal", "update_deal", "nothing"]

STANDING_WORDS: Mapping[Standing, str] = {
    "new": "новый", "known": "уже есть в amoCRM", "owned": "у менеджера", "loaded": "уже загружен",
    "unmatched": "не сопоставить", "doubtful": "сомнительно", "no_minutes": MINUTES_UNKNOWN,
    "no_client": "не клиент", "banned": "забанен", "skipped": "пропущен",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Override:
    """What a person decided about one row: leave him out; take him for a new client, or for this contact; another
    stage. None: as the plan says."""

    skip: bool = False
    as_new: bool = False
    contact_id: int | None = None
    interest: Interest | None = None

    @property
    def in_words(self) -> str:
        if self.skip:
            return "не загружать"
        who = f"это контакт {self.contact_id}" if self.contact_id else "новый контакт" if self.as_new else "по плану"
        return f"{who}, этап «{self.interest}»" if self.interest else who


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the account knows: who has these phones and mails; all that each of those contacts ``has``; their deals;
    what earlier imports of the same day have done, by the person's key and by the contact. ``pipelines``: where the
    stages of ``[webinar]`` are. ``loader``: the user who answers for deals that nobody has taken."""

    found: Found = field(default_factory=Found)
    has: Mapping[int, frozenset[str]] = field(default_factory=dict)
    pipelines: tuple[str, ...] = ()
    deals: Mapping[int, Sequence[Deal]] = field(default_factory=dict)
    told: Mapping[str, KnownFigures] = field(default_factory=dict)
    figures_by_contact: Mapping[int, KnownFigures] = field(default_factory=dict)
    loader: int = 0
    opt_out_tag: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One person and what is to be done. ``to_stage``: where the deal goes; None: it stays. ``why``: in a sentence.
    ``candidates``: the contacts among whom a person must choose, or has chosen. ``adds``: mails and phones that the
    contact gets. ``was``: the fields of the deal that get values, as they were when this was planned; ``had``: the
    mails and phones of a contact that gets some."""

    person: Attendee
    sorted: Sorted
    standing: Standing
    what: What
    why: str
    figures: Figures
    to_stage: str | None = None
    contact_id: int | None = None
    deal_id: int | None = None
    candidates: tuple[int, ...] = ()
    adds: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    was: Mapping[str, str] = field(default_factory=dict)
    had: tuple[str, ...] = ()

    def planned_anew(self, row: Row) -> Row:
        """The row as it is planned now: what people change after the first plan of this deal and contact is theirs."""
        return replace(
            row,
            was=self.was if self.was and row.deal_id == self.deal_id else row.was,
            had=self.had if self.had and row.contact_id == self.contact_id else row.had,
        )


def plan(
    people: Sequence[Attendee], known: Known, options: WebinarSection, overrides: Mapping[str, Override] | None = None
) -> list[Row]:
    """A row for each person, in their order."""
    decided = overrides or {}
    matches = without_rivals({one.key: match(one, known.found) for one in people}, people)
    rows = [_row(one, matches[one.key], known, options, decided.get(one.key, Override())) for one in people]
    return [_completing(row, known) for row in rows] if options.complete_contacts else rows


def _completing(row: Row, known: Known) -> Row:
    """The row, with what the contact lacks."""
    if row.what not in ("create_deal", "update_deal") or row.contact_id is None:
        return row
    adds = lacking(row.person, row.contact_id, known.found, known.has)
    had = tuple(sorted(known.has.get(row.contact_id, ())))
    return replace(row, adds=adds, had=had, why=f"{row.why}; {in_words(adds)}") if adds else row


def without_rivals(matches: dict[str, Match], people: Iterable[Attendee]) -> dict[str, Match]:
    """Two people of one webinar are not one contact: whoever came by mail keeps it, the other is doubtful."""
    owner: dict[int, str] = {}
    for one in sorted(people, key=lambda one: not matches[one.key].by_mail):
        mine = matches[one.key]
        if mine.contact_id is None:
            continue
        if owner.setdefault(mine.contact_id, one.key) != one.key:
            words = "этот контакт уже подошёл другому участнику из файла"
            matches[one.key] = Match(candidates=(mine.contact_id,), doubt=words)
    return matches


def _row(one: Attendee, found: Match, known: Known, options: WebinarSection, said: Override) -> Row:
    mine = known.told.get(one.key)
    done = mine or known.figures_by_contact.get(found.contact_id or 0)
    sorting, figures = _judged(one, done, options, said)
    base = Row(
        person=one,
        sorted=sorting,
        standing="skipped",
        what="nothing",
        why="",
        figures=figures,
        candidates=found.candidates,
        remarks=_remarks(one, sorting, mine, said),
    )
    if left_out := _left_out(one, found, mine, options, said):
        standing, why = left_out
        return replace(base, standing=standing, why=why)
    if _is_undecided(sorting, done, said):
        return replace(base, standing="no_minutes", why=f"{MINUTES_UNKNOWN}: выберите этап")
    if said == Override() and done:
        return _loaded_before(base, done, known, options)
    contact_id = None if said.as_new else said.contact_id or (mine.contact_id if mine else None) or found.contact_id
    if contact_id is None:
        where = _stage(sorting, options)
        return replace(base, standing="new", what="create_person", to_stage=where, why="новый контакт и новая сделка")
    return _of_contact(replace(base, contact_id=contact_id), known, options)


def _judged(
    one: Attendee, done: KnownFigures | None, options: WebinarSection, said: Override
) -> tuple[Sorted, Figures]:
    """Where the person belongs and what his deal gets, by this file and by what is known of him from earlier ones."""
    sorting = sort_person(one, options)
    figures = Figures.of(one, sorting.tags)
    if done:
        figures = figures.beside(done.figures)
        sorting = sort_by_figures(figures, one, options)
    if said.interest:
        sorting = replace(sorting, interest=said.interest, why=f"этап выбран вручную; {sorting.why}")
    return sorting, figures


def _left_out(
    one: Attendee, found: Match, done: KnownFigures | None, options: WebinarSection, said: Override
) -> tuple[Standing, str] | None:
    """Why nothing is done about this person, if nothing is. What somebody decided at an earlier upload holds."""
    if said.skip:
        return "skipped", "пропущен вручную"
    is_let_in = said != Override() or (done is not None and done.by_hand)
    if one.left_out and not is_let_in:
        return "no_client", one.left_out
    if one.is_banned and options.banned == "skip" and not is_let_in:
        return "banned", "забанен на вебинаре"
    if not one.mails and not one.phones:
        typed = f"; вместо телефона «{', '.join(one.unreadable)}»" if one.unreadable else ""
        guest = f"; вместо них «{one.guest_word}»" if one.guest_word else ""
        return "unmatched", f"нет ни почты, ни телефона{typed or guest}"
    if found.doubt and not done and not said.as_new and said.contact_id is None:
        return "doubtful", found.doubt
    return None


def _is_undecided(sorting: Sorted, done: KnownFigures | None, said: Override) -> bool:
    """Nobody knows how long he watched, and nobody has decided."""
    return sorting.interest == "unknown" and (done is None or said != Override())


def _remarks(one: Attendee, sorting: Sorted, done: KnownFigures | None, said: Override) -> tuple[str, ...]:
    told = []
    if done and (said.as_new or said.contact_id not in (None, done.contact_id)):
        told.append(f"уже загружен (загрузка № {done.import_id}, сделка {done.deal_id}): это будет вторая сделка")
    if one.same_phone:
        told.append(f"тот же телефон у: {', '.join(one.same_phone)}")
    if one.unreadable:
        told.append(f"телефон не распознан: {', '.join(one.unreadable)}")
    if one.odd:
        told.append(f"не читается: {', '.join(one.odd)}")
    if sorting.unknown:
        told.append(f"для кнопки не назван тег: {', '.join(sorting.unknown)}")
    return tuple(told)


def _loaded_before(base: Row, done: KnownFigures, known: Known, options: WebinarSection) -> Row:
    """The same webinar again: only what differs from the last time is done."""
    base = replace(base, standing="loaded", contact_id=done.contact_id, deal_id=done.deal_id)
    differences = base.figures.differences(done.figures)
    if not differences:
        return replace(base, why=f"уже загружен: загрузка № {done.import_id}")
    was = f"загрузка № {done.import_id} была с другими данными ({differences})"
    deals = known.deals.get(done.contact_id or 0, ())
    deal = next((one for one in deals if one.id == done.deal_id and is_in_play(one, known)), None)
    if deal is None:
        return replace(base, why=f"{was}, но сделки с ними уже нет в работе")
    row = of_open_deal(base, deal, known, options)
    return replace(row, standing="loaded", why=f"{was}; {row.why}")


def _of_contact(base: Row, known: Known, options: WebinarSection) -> Row:
    """A contact that is known: his open deal, else a new one for him."""
    assert base.contact_id is not None
    deals = sorted(known.deals.get(base.contact_id, ()), key=lambda deal: deal.id, reverse=True)
    in_play = [deal for deal in deals if is_in_play(deal, known)]
    if not in_play:
        won = next((deal for deal in deals if deal.stage.is_won), None)
        remarks = (*base.remarks, f"уже покупал: сделка {won.id}") if won else base.remarks
        where = _stage(base.sorted, options)
        why = "контакт есть, новая сделка"
        return replace(base, standing="known", what="create_deal", to_stage=where, remarks=remarks, why=why)
    deal = next((one for one in in_play if is_repeat(one, options)), in_play[0])
    if len(in_play) > 1:
        others = ", ".join(str(one.id) for one in in_play if one is not deal)
        base = replace(base, remarks=(*base.remarks, f"есть и другие открытые сделки: {others}"))
    return of_open_deal(replace(base, deal_id=deal.id), deal, known, options)

"""W2: which of the three stages a person of a webinar belongs to. Activity wins over minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Self

from amo_bridge.config.webinar import Interest, Kind, WebinarSection
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import Deal
from amo_bridge.text.names import normalise
from amo_bridge.webinars.attendees import Attendee, Figure
from amo_bridge.webinars.formats.table_rows import BANNER, BUTTON

RULE_IN_WORDS = (
    "Нажал хотя бы одну кнопку — «активный», сколько бы ни смотрел: активность важнее минут. Иначе смотрел больше "
    "{minutes} минут — «более часа». Остальные — «менее часа»."
)
STRENGTH: dict[Kind, int] = {"unknown": -1, "short": 0, "long": 1, "active": 2}
MINUTES_UNKNOWN = "сколько смотрел, неизвестно"
_USUAL_WORDS = {BANNER: "Баннер", BUTTON: "Кнопка"}


@dataclass(frozen=True)
class Sorted:
    """``tags``: the buttons, as the agency calls them. ``why``: in a few words. ``unknown``: buttons that the config
    does not name."""

    interest: Kind
    why: str
    tags: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def sort_person(person: Attendee, options: WebinarSection) -> Sorted:
    """Clicked anything → active; else strictly more than ``long_minutes`` → long; else short, or unknown."""
    named = {button: _tag(button, options) for button in person.buttons}
    unknown = tuple(button for button, tag in named.items() if tag is None)
    counted = (tag or _usual(button) for button, tag in named.items() if tag or options.other_buttons)
    tags = tuple(dict.fromkeys(counted))
    return sort_by(tags, None if "minutes" in person.unknown else person.minutes, options, unknown)


def sort_by(tags: tuple[str, ...], minutes: float | None, options: WebinarSection, unknown: tuple[str, ...]) -> Sorted:
    """By what is known of somebody; ``minutes``: None where nobody counted them."""
    if tags:
        return Sorted("active", f"нажал: {', '.join(tags)}", tags, unknown)
    if minutes is None:
        return Sorted("unknown", MINUTES_UNKNOWN, (), unknown)
    spent = f"смотрел {in_minutes(minutes)} мин"
    if minutes > options.long_minutes:
        return Sorted("long", f"{spent}, больше {options.long_minutes}", (), unknown)
    return Sorted("short", f"{spent}, не больше {options.long_minutes}", (), unknown)


def in_minutes(minutes: float) -> str:
    """61, «60,5»: tenths only where there are some."""
    rounded = round(minutes, 1)
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded}".replace(".", ",")


def minutes_of(person: Attendee) -> str:
    """His minutes as they are shown; «—» where no file counts them."""
    return "—" if "minutes" in person.unknown else in_minutes(person.minutes)


def rule_in_words(options: WebinarSection) -> str:
    """The sorting, as a page tells it."""
    return RULE_IN_WORDS.format(minutes=options.long_minutes)


def _tag(button: str, options: WebinarSection) -> str | None:
    """What the agency calls this button."""
    wanted = normalise(button)
    for tag, names in options.buttons.items():
        if wanted in {normalise(name) for name in (tag, *names, *_platform_words(tag))}:
            return tag
    return None


def _platform_words(tag: str) -> tuple[str, ...]:
    """A tag «Баннер» means the platform's banner without anybody saying so."""
    return tuple(word for word, usual in _USUAL_WORDS.items() if normalise(usual) == normalise(tag))


def _usual(button: str) -> str:
    return _USUAL_WORDS.get(button, button)


# What a webinar leaves in a person's deal: its day, his minutes, his buttons; and what was there before.
#
# Files about one webinar know different things: Zoom nothing of buttons, a table perhaps nothing of minutes. What a
# file does not know it leaves alone, and it does not empty what another kind of file has told.


@dataclass(frozen=True)
class Figures:
    """``minutes`` to a tenth, as they are shown. ``tags``: the buttons, as the agency calls them. ``unknown``: what is
    not to be written, for the file does not know it. ``minutes_by``, ``buttons_by``: the kinds of files that told."""

    held_on: date
    minutes: float
    tags: tuple[str, ...] = ()
    unknown: tuple[Figure, ...] = ()
    minutes_by: tuple[str, ...] = ()
    buttons_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "minutes", round(self.minutes, 1))

    @classmethod
    def of(cls, person: Attendee, tags: tuple[str, ...]) -> Self:
        """As the files tell them."""
        return cls(person.held_on, person.minutes, tags, person.unknown, person.minutes_by, person.buttons_by)

    def values(self, options: WebinarSection) -> dict[str, object]:
        """Field name → value, as the resolver takes them."""
        told: dict[str, object] = {options.date_field: self.held_on}
        if "minutes" not in self.unknown:
            told[options.minutes_field] = in_minutes(self.minutes).replace(",", ".")
        if options.buttons_field and "buttons" not in self.unknown:
            told[options.buttons_field] = ", ".join(self.tags) or None
        return told

    def beside(self, earlier: Figures) -> Figures:
        """With what an earlier file about the same webinar knows and this one does not."""
        return self._minutes_beside(earlier)._buttons_beside(earlier)

    def _minutes_beside(self, earlier: Figures) -> Figures:
        if "minutes" not in self.unknown and (self.minutes or _may_empty(self.minutes_by, earlier.minutes_by)):
            return self
        kept = replace(self, minutes=earlier.minutes, minutes_by=earlier.minutes_by)
        return kept._without("minutes")

    def _buttons_beside(self, earlier: Figures) -> Figures:
        if "buttons" not in self.unknown and _may_empty(self.buttons_by, earlier.buttons_by):
            return self
        both = tuple(dict.fromkeys((*earlier.tags, *self.tags)))
        by = tuple(dict.fromkeys((*earlier.buttons_by, *(self.buttons_by if self.tags else ()))))
        merged = replace(self, tags=both, buttons_by=by)
        return merged if set(both) > set(earlier.tags) else merged._without("buttons")

    def _without(self, figure: Figure) -> Figures:
        return replace(self, unknown=tuple(dict.fromkeys((*self.unknown, figure))))

    def differences(self, earlier: Figures) -> str:
        """«минут 110 → 120; кнопки: нет → Баннер»; empty when there are none."""
        told = []
        if self.minutes != earlier.minutes:
            told.append(f"минут {in_minutes(earlier.minutes)} → {in_minutes(self.minutes)}")
        if set(self.tags) != set(earlier.tags):
            told.append(f"кнопки: {_listed(earlier.tags)} → {_listed(self.tags)}")
        return "; ".join(told)


@dataclass(frozen=True)
class KnownFigures:
    """What an earlier import of the same webinar has done for a person; ``by_hand``: because somebody said so."""

    import_id: int
    contact_id: int | None
    deal_id: int | None
    figures: Figures
    by_hand: bool = False


def sort_by_figures(figures: Figures, person: Attendee, options: WebinarSection) -> Sorted:
    """The sorting by all that is known: whoever has clicked, as an earlier file tells, is active in this one too."""
    sorting = sort_person(person, options)
    minutes = person.minutes if figures.minutes == round(person.minutes, 1) else figures.minutes
    is_known = bool(minutes) or "minutes" not in figures.unknown
    return sort_by(figures.tags, minutes if is_known else None, options, sorting.unknown)


def is_older(figures: Figures, deal: Deal, options: WebinarSection) -> bool:
    """Does the deal tell of a later webinar already?"""
    known = deal.value(options.date_field)
    day = known.date() if isinstance(known, datetime) else known
    return isinstance(day, date) and day > figures.held_on


def stays_stronger(sorting: Sorted, deal: Deal, options: WebinarSection) -> bool:
    """Has the person shown more interest at an earlier webinar than at this one? Then the deal keeps its stage."""
    kinds: tuple[Interest, ...] = ("active", "long", "short")
    before = next((kind for kind in kinds if deal.is_on([options.stage_of(kind)])), None)
    return before is not None and STRENGTH[before] > STRENGTH[sorting.interest]


def _may_empty(mine: Sequence[str], theirs: Sequence[str]) -> bool:
    """Only a file of the kind that told something says that it isn't so any more."""
    return bool(theirs) and set(theirs) <= set(mine)


def _listed(tags: Sequence[str]) -> str:
    return ", ".join(tags) or "нет"

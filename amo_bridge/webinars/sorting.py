"""W2: which of the three stages a person of a webinar belongs to. Activity wins over minutes."""

from __future__ import annotations

from dataclasses import dataclass

from amo_bridge.config.webinar import Interest, WebinarSection
from amo_bridge.text.names import normalise
from amo_bridge.webinars.attendees import Attendee
from amo_bridge.webinars.formats.bizon_report import BANNER, BUTTON

RULE_IN_WORDS = (
    "Нажал хотя бы одну кнопку — «активный», сколько бы ни смотрел: активность важнее минут. Иначе смотрел больше "
    "{minutes} минут — «более часа». Остальные — «менее часа»."
)
STRENGTH: dict[Interest, int] = {"short": 0, "long": 1, "active": 2}
_USUAL_WORDS = {BANNER: "Баннер", BUTTON: "Кнопка"}


@dataclass(frozen=True)
class Sorted:
    """``tags``: the buttons, as the agency calls them. ``why``: in a few words. ``unknown``: buttons that the config
    does not name."""

    interest: Interest
    why: str
    tags: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def sort_person(person: Attendee, options: WebinarSection) -> Sorted:
    """Clicked anything → active; else strictly more than ``long_minutes`` → long; else short."""
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
        return Sorted("short", "сколько смотрел, неизвестно", (), unknown)
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

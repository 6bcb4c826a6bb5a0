"""What a webinar leaves in a person's deal: its day, his minutes, his buttons; and what was there before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from amo_bridge.deal import Deal
from amo_bridge.webinars.options import Interest, WebinarSection
from amo_bridge.webinars.sorting import STRENGTH, Sorted, in_minutes


@dataclass(frozen=True)
class Figures:
    """``minutes`` to a tenth, as they are shown. ``tags``: the buttons, as the agency calls them."""

    held_on: date
    minutes: float
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "minutes", round(self.minutes, 1))

    def values(self, options: WebinarSection) -> dict[str, object]:
        """Field name → value, as the resolver takes them."""
        told: dict[str, object] = {
            options.date_field: self.held_on,
            options.minutes_field: in_minutes(self.minutes).replace(",", "."),
        }
        if options.buttons_field:
            told[options.buttons_field] = ", ".join(self.tags) or None
        return told


@dataclass(frozen=True)
class Told:
    """What an earlier import of the same webinar has done for a person."""

    import_id: int
    contact_id: int | None
    deal_id: int | None
    figures: Figures


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

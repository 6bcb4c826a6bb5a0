"""Who stands in for whom, and on which days."""

from __future__ import annotations

from datetime import date

import pytest

from amo_bridge.config.model import Absence, Absences, stand_in_once
from amo_bridge.rules.option_types import UserName


def away(first: int, last: int, deputy: str) -> Absence:
    """A time away in December 2026."""
    days = {"from": date(2026, 12, first), "to": date(2026, 12, last)}
    return Absence.model_validate({**days, "deputy": deputy})


ABSENCES: Absences = {
    UserName("Пётр"): (away(1, 14, "Мария"), away(20, 25, "Ольга")),
    UserName("Мария"): (away(7, 9, "Ольга"),),
    UserName("Ольга"): (away(8, 8, "Пётр"),),
}


@pytest.mark.parametrize(
    ("name", "day", "who"),
    [
        pytest.param("Пётр", 1, "Мария", id="the first day counts"),
        pytest.param("Пётр", 14, "Мария", id="so does the last"),
        pytest.param("Пётр", 15, None, id="back again"),
        pytest.param("Пётр", 22, "Ольга", id="another time, another deputy"),
        pytest.param("петр", 2, "Мария", id="names are compared forgivingly"),
        pytest.param("Иван", 8, None, id="never away"),
    ],
)
def test_who_works_that_day(name: str, day: int, who: str | None) -> None:
    assert stand_in_once(ABSENCES, name, date(2026, 12, day)) == who

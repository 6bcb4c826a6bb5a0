"""Days as a calendar: whole weeks, and nothing that there is gets lost."""

from __future__ import annotations

from datetime import date

from amo_bridge.web.template_filters import weeks

WEDNESDAY, NEXT_MONDAY = date(2026, 11, 25), date(2026, 11, 30)


def test_whole_weeks_from_monday() -> None:
    grid = weeks({NEXT_MONDAY: 3}, WEDNESDAY, NEXT_MONDAY)
    assert [(week[0].day, week[-1].day) for week in grid] == [
        (date(2026, 11, 23), date(2026, 11, 29)),
        (date(2026, 11, 30), date(2026, 12, 6)),
    ]
    asked = [cell.day for week in grid for cell in week if cell.is_asked]
    assert (asked[0], asked[-1], len(asked)) == (WEDNESDAY, NEXT_MONDAY, 6)
    assert {cell.day: cell.many for week in grid for cell in week if cell.many} == {NEXT_MONDAY: 3}


def test_what_is_overdue_is_shown_too() -> None:
    grid = weeks({date(2026, 11, 20): 1}, WEDNESDAY, WEDNESDAY)
    assert [(cell.day, cell.many, cell.is_asked) for cell in grid[0] if cell.many] == [(date(2026, 11, 20), 1, False)]
    assert len(grid) == 2

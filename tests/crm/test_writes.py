"""Batches: what is written, refused, put off or in doubt after each request; and the table of the kinds of writes."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from support.fakes import ScriptedCrm

from amo_bridge.crm.lost_writes import Written
from amo_bridge.crm.writes import WRITE_KINDS, BatchResult, CrmKind, write_batch
from amo_bridge.errors import CrmForbidden, CrmRefused, CrmTemporary, CrmUncertain, CrmUnpaid, LeadLost

TASKS = {number: {"text": str(number)} for number in (11, 12, 13, 14)}
BAD_REQUEST = CrmRefused("Bad Request", status=400)


def results(crm: ScriptedCrm, bodies: dict[int, dict[str, Any]] = TASKS) -> list[BatchResult]:
    return list(write_batch(crm, "create_task", bodies))  # type: ignore[arg-type]


def texts(crm: ScriptedCrm) -> list[list[str]]:
    return [[item["text"] for item in body] for _, _, body in crm.written]


def test_every_kind_has_its_row() -> None:
    assert set(WRITE_KINDS) == set(get_args(CrmKind))
    assert all(kind.batch_size == 1 for kind in WRITE_KINDS.values() if "{" in kind.path)


def test_nothing_to_write_asks_nothing() -> None:
    crm = ScriptedCrm()
    assert results(crm, {}) == []
    assert crm.asked == []


def test_all_is_written_by_one_request() -> None:
    (result,) = results(crm := ScriptedCrm())
    assert result.written == {number: Written(1001 + place) for place, number in enumerate(TASKS)}
    assert (result.settled, len(crm.asked)) == (4, 1)


@pytest.mark.parametrize("names", [{"12": "нет такой"}, {"1": "нет такой"}], ids=["by our number", "by its place"])
def test_the_named_object_is_refused_and_the_others_go_again(names: dict[str, str]) -> None:
    crm = ScriptedCrm(CrmRefused("validation failed", status=400, bad_items=names))
    refused, written = results(crm)
    assert refused.refused == {12: "нет такой"}
    assert list(written.written) == [11, 13, 14]
    assert texts(crm) == [["11", "13", "14"]]


def test_a_refusal_without_names_is_halved_until_the_bad_one_stands_alone() -> None:
    crm = ScriptedCrm(BAD_REQUEST, BAD_REQUEST, None, BAD_REQUEST, None)
    first, refused, rest = results(crm)
    assert (list(first.written), refused.refused, list(rest.written)) == ([11], {12: str(BAD_REQUEST)}, [13, 14])


def test_a_right_that_is_missing_refuses_the_whole_batch() -> None:
    (result,) = results(ScriptedCrm(CrmForbidden("нет прав", status=403)))
    assert result.refused == dict.fromkeys(TASKS, "403 нет прав")


def test_a_lost_answer_doubts_its_own_half_only() -> None:
    error = CrmUncertain("Bad Gateway", status=502)
    doubted, written = results(ScriptedCrm(BAD_REQUEST, error))
    assert (doubted.doubt, doubted.error, doubted.settled) == ([11, 12], error, 0)
    assert list(written.written) == [13, 14]


def test_what_was_surely_not_written_is_for_later() -> None:
    error = CrmTemporary("Too Many Requests", status=429, retry_after=30)
    (result,) = results(ScriptedCrm(error))
    assert (result.later, result.error, result.doubt) == (list(TASKS), error, ())


def test_when_amocrm_stops_us_all_that_is_unsent_is_for_later_and_nothing_more_goes_out() -> None:
    crm = ScriptedCrm(BAD_REQUEST, CrmUnpaid("не оплачен", status=402))
    coming = write_batch(crm, "create_task", TASKS)  # type: ignore[arg-type]
    assert next(coming).later == list(TASKS)
    with pytest.raises(CrmUnpaid):
        next(coming)
    assert len(crm.asked) == 2


def test_what_is_written_is_told_before_the_next_request_breaks_off() -> None:
    """The leadership may be lost between two halves: what is there must be known to the store by then."""
    crm = ScriptedCrm(BAD_REQUEST, None, LeadLost("somebody else leads"))
    coming = write_batch(crm, "create_task", TASKS)  # type: ignore[arg-type]
    assert list(next(coming).written) == [11, 12]
    with pytest.raises(LeadLost):
        next(coming)

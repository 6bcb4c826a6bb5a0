from datetime import timedelta

import pytest
from support.builders import NOON, deal, stage

from amo_bridge.events import SeriesLetterDue
from amo_bridge.rules.actions import Attachment, SendLetter, Skip, StopSeries
from amo_bridge.rules.deal import Touch, Touches
from amo_bridge.rules.letters import AllSeries, SeriesSpec
from handlers.series_sends_letters import SeriesSendsLetters, series_sends_letters

NEW, BRIEF = "Продажи / Новый клиент", "Продажи / Бриф получен"
WARMING = SeriesSpec.model_validate(
    {"letters": [{"after": "10 minutes", "template": "прогрев/1"}, {"after": "3 d", "template": "прогрев/2"}]}
)


def options(**changed):
    return SeriesSendsLetters(series=AllSeries(named={"прогрев": WARMING}), **changed)


def due(number=0, series="прогрев"):
    return SeriesLetterDue(
        at=NOON, deal_id=7, series=series, run=3, number=number, stage=stage(NEW).key, started_at=NOON
    )


def touched(kind="mail", direction="in", hours=1.0):
    return Touches([Touch(kind=kind, direction=direction, at=NOON + timedelta(hours=hours))])


@pytest.mark.parametrize(("number", "template"), [(0, "прогрев/1"), (1, "прогрев/2")])
def test_the_next_letter_is_sent_as_advertising_in_one_thread(number, template):
    said = series_sends_letters(due(number), deal(NEW, touches=Touches()), options())
    assert said == SendLetter(deal_id=7, template=template, service=False, thread="прогрев 3", no_address="manager")


def test_files_of_a_letter_go_along():
    letters = [{"after": "1 d", "template": "прогрев/1", "attach": "Бриф.docx"}]
    series = AllSeries(named={"прогрев": SeriesSpec.model_validate({"letters": letters})})
    given = SeriesSendsLetters.model_construct(series=series, no_address=None)
    said = series_sends_letters(due(), deal(NEW, touches=Touches()), given)
    assert said.attach == (Attachment(file="Бриф.docx"),)


@pytest.mark.parametrize(
    "touches",
    [
        pytest.param(touched(direction="out"), id="писали мы"),
        pytest.param(touched("task", ""), id="выполнена задача"),
        pytest.param(touched(hours=-1), id="писал до начала серии"),
    ],
)
def test_what_is_no_answer_does_not_end_it(touches):
    assert isinstance(series_sends_letters(due(), deal(NEW, touches=touches), options()), SendLetter)


@pytest.mark.parametrize("kind", ["mail", "call", "chat", "sms"])
def test_an_answer_ends_it(kind):
    said = series_sends_letters(due(), deal(NEW, touches=touched(kind)), options())
    assert said == StopSeries(deal_id=7, series="прогрев", because="клиент ответил")


def test_leaving_the_stage_ends_it():
    said = series_sends_letters(due(), deal(BRIEF, touches=Touches()), options())
    assert said == StopSeries(deal_id=7, series="прогрев", because="сделка ушла с этапа, на котором серия началась")


@pytest.mark.parametrize("event", [due(2), due(series="другая")])
def test_a_letter_that_the_config_has_no_more_is_not_sent(event):
    said = series_sends_letters(event, deal(NEW, touches=Touches()), options())
    assert said == Skip("такого письма в серии больше нет")


def test_the_same_letter_twice_is_decided_the_same_and_sent_once():
    """The event's key is the same, so the outbox holds it once."""
    first, second = (series_sends_letters(due(), deal(NEW, touches=Touches()), options()) for _ in range(2))
    assert first == second


def test_nobody_need_look_for_an_address():
    said = series_sends_letters(due(), deal(NEW, touches=Touches()), options(no_address=None))
    assert said.no_address is None

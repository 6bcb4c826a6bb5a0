from dataclasses import replace

import pytest
from support.builders import NOON, deal

from amo_bridge.events import ClientUnsubscribed
from amo_bridge.rules.actions import AddNote, AddTags, SetFields, StopSeries
from handlers.unsubscribed_client_is_marked import UnsubscribedClientIsMarked, unsubscribed_client_is_marked

EVENT = ClientUnsubscribed(at=NOON, deal_id=7, contact_id=55, letter_id=1)
STOP = StopSeries(deal_id=7, because="клиент отписался")
NOTE = AddNote(deal_id=7, text="Клиент отписался от рассылок по ссылке в письме")


def said(now, **options):
    return unsubscribed_client_is_marked(EVENT, now, UnsubscribedClientIsMarked.model_validate(options))


def test_the_deal_is_tagged_and_the_series_end():
    assert said(deal()) == [STOP, AddTags(deal_id=7, tags=("Отписан",)), NOTE]


def test_a_field_may_be_ticked_too():
    assert SetFields(deal_id=7, values={"Отписан": True}) in said(deal(), field="Отписан")
    assert said(deal(fields={"Отписан": True}), field="Отписан", note=None, tag="нет писем") == [
        STOP,
        AddTags(deal_id=7, tags=("нет писем",)),
    ]


def test_what_is_so_already_is_left_alone():
    assert said(deal(tags=("отписан",))) == [STOP, NOTE]
    assert said(deal(tags=("отписан",)), note=None) == [STOP]


@pytest.mark.parametrize(("cause", "because", "words"), [
    ("service", "клиент отписался", "отписался от рассылок"), ("complaint", "пожаловался на спам", "как на спам"),
    ("bounce", "адреса клиента нет", "такого адреса нет"),
])  # fmt: skip
def test_a_mail_service_tells_of_it_and_the_note_says_why(cause, because, words):
    event = replace(EVENT, cause=cause)
    stop, tag, note = unsubscribed_client_is_marked(event, deal(), UnsubscribedClientIsMarked())
    assert because in stop.because
    assert (tag.tags, words in note.text) == (("Отписан",), True)
    assert unsubscribed_client_is_marked(event, deal(tags=("Отписан",)), UnsubscribedClientIsMarked(note=None)) == [
        stop
    ]

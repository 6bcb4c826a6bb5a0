from datetime import UTC, datetime
from typing import Any

import pytest
from support.builders import deal, task

from amo_bridge.events import EnquiryReceived
from amo_bridge.rules.actions import AddNote, AddTags, CreateClientDeal, CreateTask, Rota, SetFields, Skip
from handlers.enquiry_becomes_deal import EnquiryBecomesDeal, enquiry_becomes_deal

NEW = "Продажи / Новый клиент"
NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def options(**changed: Any) -> EnquiryBecomesDeal:
    facts = {"to_stage": NEW, "responsible": ["Иван Петров", "Мария Кузнецова"], "source_field": "Источник"}
    return EnquiryBecomesDeal.model_validate(facts | changed)


def enquiry(**changed: Any) -> EnquiryReceived:
    facts: dict[str, Any] = {
        "at": NOON, "enquiry_id": 5, "deal_id": -5, "standing": "new", "source": "tilda", "title": "Тильда",
        "name": "Анна", "phones": ("+79161234567",), "texts": ("Сколько стоит?",), "utm": (("utm_source", "yandex"),),
        "roistat_visit": "123",
    }  # fmt: skip
    return EnquiryReceived(**(facts | changed))


def again(**changed: Any) -> EnquiryReceived:
    return enquiry(deal_id=7, standing="open", contact_id=70, knew=101, **changed)


def to_come(**changed: Any) -> Any:
    return deal(NEW, id=-5, own_tasks=(), **changed)


def test_a_stranger_gets_a_contact_a_deal_and_a_note() -> None:
    (new,) = enquiry_becomes_deal(enquiry(turn=3), to_come(), options(tags=["сайт"], visit_field="roistat"))
    assert isinstance(new, CreateClientDeal)
    assert (new.name, new.to, new.contact_id, new.contact_name) == ("Анна, Тильда", NEW, None, "Анна")
    assert (new.phones, new.tags) == (("+79161234567",), ("сайт",))
    assert new.responsible == Rota(("Иван Петров", "Мария Кузнецова"), "in turn", 3)
    assert new.values == {"Источник": "Тильда", "roistat": "123"}
    (note,) = new.then
    assert isinstance(note, AddNote)
    assert all(words in note.text for words in ("Тильда", "Сколько стоит?", "+79161234567", "utm_source=yandex", "123"))


def test_who_asked_before_stays_with_his_manager_and_is_marked() -> None:
    earlier = ((3, "Ромашка", "https://agency.amocrm.ru/leads/detail/3"),)
    event = enquiry(standing="closed", contact_id=70, knew=101, earlier=earlier)
    (new,) = enquiry_becomes_deal(event, to_come(), options())
    assert isinstance(new, CreateClientDeal)
    assert (new.contact_id, new.responsible, new.tags) == (70, 101, ("уже обращался",))
    assert "https://agency.amocrm.ru/leads/detail/3" in new.then[0].text  # type: ignore[attr-defined]
    (shared,) = enquiry_becomes_deal(event, to_come(), options(keep_manager=False))
    assert isinstance(shared.responsible, Rota)  # type: ignore[union-attr]


def test_on_an_open_deal_it_is_a_note_and_a_task_and_nothing_is_written_over() -> None:
    open_deal = deal(NEW, own_tasks=(), tags=("сайт",), fields={"Источник": "Звонок"})
    done = enquiry_becomes_deal(again(texts=("Раз", "Два")), open_deal, options(tags=["сайт", "новое"]))
    assert not isinstance(done, Skip)
    notes = [one for one in done if isinstance(one, AddNote)]
    assert ["Раз" in notes[0].text, "Два" in notes[1].text, len(notes)] == [True, True, 2]
    assert [one.tags for one in done if isinstance(one, AddTags)] == [("новое",)]
    assert not [one for one in done if isinstance(one, SetFields)]
    (set_task,) = [one for one in done if isinstance(one, CreateTask)]
    assert (set_task.to, set_task.slot) == ("manager", "again")


def test_a_second_task_is_not_set_while_the_first_is_open() -> None:
    done = enquiry_becomes_deal(again(), deal(NEW, own_tasks=(task("again"),)), options(source_field=None))
    assert [type(one) for one in done] == [AddNote]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("event", "changed", "reason"),
    [
        pytest.param(enquiry(), {"sources": ["vk"]}, "источник «Тильда»", id="другой источник"),
        pytest.param(enquiry(), {"utm": {"utm_source": "vk"}}, "метка utm_source", id="другая метка"),
        pytest.param(
            enquiry(utm=()), {"utm": {"utm_source": "*"}} | {"calls": "only"}, "только о звонках", id="не звонок"
        ),
        pytest.param(enquiry(call="missed"), {"calls": "no"}, "звонки это правило не берёт", id="звонок"),
    ],
)
def test_what_is_not_this_rules_matter_is_left_alone(
    event: EnquiryReceived, changed: dict[str, Any], reason: str
) -> None:
    said = enquiry_becomes_deal(event, to_come(), options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


@pytest.mark.parametrize(("wanted", "fits"), [("yandex", True), ("Yandex", True), ("ya*", True), ("vk*", False)])
def test_marks_are_compared_without_regard_to_case(wanted: str, fits: bool) -> None:
    said = enquiry_becomes_deal(enquiry(), to_come(), options(utm={"UTM_Source": wanted}))
    assert isinstance(said, Skip) != fits


def test_a_deal_that_was_closed_meanwhile_is_told_apart() -> None:
    said = enquiry_becomes_deal(again(), deal("Продажи / Успешно реализовано", own_tasks=()), options())
    assert isinstance(said, Skip)
    assert "сделка закрыта" in said.reason


def test_two_contacts_are_a_question_to_a_person_on_nobodys_card() -> None:
    event = enquiry(
        standing="doubt", doubt="телефон у нескольких контактов: 1, 2", candidates=("https://a/1", "https://a/2")
    )
    (question,) = enquiry_becomes_deal(event, to_come(), options(ask="head"))
    assert isinstance(question, CreateTask)
    assert (question.on, question.to, question.until) == ("nowhere", "head", ("never",))
    assert all(words in question.text for words in ("https://a/1", "https://a/2", "Сколько стоит?", "retry 5"))


def test_a_missed_call_is_a_task_at_once_and_a_talk_is_only_noted() -> None:
    (new,) = enquiry_becomes_deal(enquiry(call="missed"), to_come(), options())
    assert [type(one) for one in new.then] == [AddNote, CreateTask]  # type: ignore[union-attr]
    missed = enquiry_becomes_deal(again(call="missed"), deal(NEW, own_tasks=()), options(source_field=None))
    assert [one.slot for one in missed if isinstance(one, CreateTask)] == ["missed"]  # type: ignore[union-attr]
    talked = enquiry_becomes_deal(again(call="talk"), deal(NEW, own_tasks=()), options(source_field=None))
    assert isinstance(talked, Skip)


def test_it_may_go_into_the_unsorted() -> None:
    (new,) = enquiry_becomes_deal(enquiry(), to_come(), options(unsorted=True))
    assert new.form == "Тильда"  # type: ignore[union-attr]


def test_a_wrong_place_in_the_name_is_refused() -> None:
    with pytest.raises(ValueError, match="подставить только"):
        options(deal_name="{компания}")

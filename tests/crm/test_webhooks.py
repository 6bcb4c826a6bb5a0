"""Hooks become events: the captured ones word by word, and every rule of the decoder on a body of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from amo_bridge.crm import webhooks
from amo_bridge.events import (
    CallLogged,
    ClientUpdated,
    DealAdded,
    DealDeleted,
    DealMoved,
    DealReported,
    DealUpdated,
    Event,
    FileAttached,
    MessageReceived,
    NoteAdded,
    PipelineTriggerFired,
    SmsLogged,
    TaskAdded,
    TaskCompleted,
    TaskUpdated,
    Unrecognised,
    UnsortedAdded,
    UnsortedClosed,
    UnsortedUpdated,
)
from amo_bridge.events.base import fingerprint, to_json

PAYLOADS = Path(__file__).parents[1] / "payloads"
SAMPLES = sorted(PAYLOADS.glob("*.form"))


def body(prefix: str, said: dict[str, Any]) -> bytes:
    """``body("leads[add][0]", {"id": 5, "tags[0][name]": "x"})``; a key's own brackets follow the prefix's."""
    parts = []
    for key, value in said.items():
        head, bracket, rest = key.partition("[")
        parts.append(f"{quote_plus(f'{prefix}[{head}]{bracket}{rest}')}={quote_plus(str(value))}")
    return "&".join(parts).encode()


def only(sent: bytes) -> Any:
    [event] = webhooks.decode(sent)
    return event


def deal(**said: Any) -> Any:
    return only(body("leads[update][0]", {"id": 5, "name": "Сделка", **said}))


def note(**said: Any) -> Any:
    return only(body("leads[note][0][note]", {"id": 9, "element_type": 2, "element_id": 5, **said}))


# --- captured hooks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
def test_captured_hook(sample: Path) -> None:
    told = [to_json(event) for event in webhooks.decode(sample.read_bytes())]
    assert told == json.loads(sample.with_suffix(".json").read_text("utf-8"))


def test_every_captured_hook_has_its_expectation_and_the_reverse() -> None:
    assert SAMPLES
    assert {sample.stem for sample in SAMPLES} == {expected.stem for expected in PAYLOADS.glob("*.json")}


# --- the envelope ------------------------------------------------------------------------------------------------


def test_all_roots_actions_and_items_in_their_order() -> None:
    events = webhooks.decode(
        b"account[id]=7&leads[status][0][id]=1&leads[status][1][id]=2&task[delete][0][id]=3"
        b"&leads[update][0][id]=4&leads[update][0][name]=x&contacts[delete][0][id]=5"
    )
    told = [(type(event).__name__, event.account_id) for event in events]
    assert told == [
        ("DealMoved", 7),
        ("DealMoved", 7),
        ("DealUpdated", 7),
        ("TaskDeleted", 7),
        ("ClientDeleted", 7),
    ]


def test_account_may_come_last() -> None:
    assert only(b"leads[delete][0][id]=1&account[id]=7").account_id == 7


def test_envelope_names_the_account_even_if_the_item_names_another() -> None:
    assert only(b"account[id]=7&leads[update][0][id]=1&leads[update][0][account_id]=8").account_id == 7
    assert only(b"account[subdomain]=x&leads[update][0][id]=1&leads[update][0][account_id]=8").account_id == 8


def test_indexes_may_start_anywhere() -> None:
    events = webhooks.decode(b"leads[delete][3][id]=1&leads[delete][1][id]=2")
    assert [event.deal_id for event in events if isinstance(event, DealDeleted)] == [1, 2]


def test_item_without_an_index() -> None:
    assert only(b"leads[delete][id]=1") == DealDeleted(deal_id=1)


def test_raw_is_the_item_as_it_was_sent() -> None:
    assert only(b"leads[delete][0][id]=1&leads[delete][0][new]=%26amp;").raw == {"id": "1", "new": "&amp;"}


# --- what is not recognised is kept ------------------------------------------------------------------------------

UNRECOGNISED = {
    "nothing": (b"", "", "", {}),
    "account only": (b"account[id]=7", "", "", {"account": {"id": "7"}}),
    "unknown root": (b"robots[add][0][id]=1", "robots", "", {"robots": {"add": [{"id": "1"}]}}),
    "root without an action": (b"leads=5", "leads", "", {"leads": "5"}),
    "root with a list": (b"leads[0][id]=5", "leads", "", {"leads": [{"id": "5"}]}),
    "unknown action": (b"leads[explode][0][id]=5", "leads", "explode", {"id": "5"}),
    "no id": (b"leads[add][0][name]=x", "leads", "add", {"name": "x"}),
    "item is a text": (b"leads[add]=5", "leads", "add", {"": "5"}),
    "unknown type of client": (b"contacts[add][0][id]=5&contacts[add][0][type]=robot", "contacts", "add", None),
    "customer": (b"customers[update][0][id]=5", "customers", "update", {"id": "5"}),
    "review of a chat template": (b"add[0][id]=5&add[0][status]=approved", "", "add", None),
    "malformed key": (b"leads[add][0][id=5", "leads[add][0][id", "", {"leads[add][0][id": "5"}),
    "note on nothing": (b"leads[note][0][note][text]=x", "leads", "note", {"note": {"text": "x"}}),
    "message without an id": (b"message[add][0][text]=x", "message", "add", {"text": "x"}),
    "enquiry without a uid": (b"unsorted[add][0][uid]=null", "unsorted", "add", {"uid": "null"}),
}


@pytest.mark.parametrize(("sent", "root", "action", "raw"), UNRECOGNISED.values(), ids=UNRECOGNISED)
def test_unrecognised_is_kept_whole(sent: bytes, root: str, action: str, raw: Any) -> None:
    event = only(sent)
    assert isinstance(event, Unrecognised)
    assert (event.root, event.action) == (root, action)
    assert event.why
    if raw is not None:
        assert event.raw == raw


@pytest.mark.parametrize("bad", ["", "null", "0", "-5", "5.5", "abc", "99999999999999999999", "٥"])
def test_bad_id_spoils_its_own_item_only(bad: str) -> None:
    sent = f"leads[delete][0][id]=1&leads[delete][1][id]={bad}&leads[delete][2][id]=3"
    first, second, third = webhooks.decode(sent.encode())
    assert (first, third) == (DealDeleted(deal_id=1), DealDeleted(deal_id=3))
    assert isinstance(second, Unrecognised)
    assert second.raw == {"id": bad}


def test_scalar_beside_a_root_hides_no_event() -> None:
    events = webhooks.decode(b"leads=x&leads[delete][0][id]=1&leads[delete]=y")
    assert DealDeleted(deal_id=1) in events
    assert [event.raw for event in events if isinstance(event, Unrecognised)] == [{"": "x"}, {"": "y"}]


# --- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "price"),
    [
        ("1000", 1000),
        (" 1000 ", 1000),
        ("0", 0),
        ("1000.0", 1000),
        ("1000.99", 1000),
        ("-5", -5),
        ("", None),
        ("null", None),
        ("много", None),
        ("9" * 30, None),
    ],
)
def test_price(sent: str, price: int | None) -> None:
    assert deal(price=sent).price == price


def test_what_was_not_said_is_none() -> None:
    event = only(b"leads[update][0][id]=5")
    assert event == DealUpdated(deal_id=5)


def test_texts_are_unescaped_once() -> None:
    name = "&quot;Рога &amp; копыта&quot; &#039;x&#039; &lt;b&gt; &amp;lt; &copy=1"
    assert deal(name=name).name == "\"Рога & копыта\" 'x' <b> &lt; &copy=1"
    assert note(note_type=4, text="a &amp; b").text == "a & b"


def test_time_of_the_change() -> None:
    told = {"created_at": 1726572752, "updated_at": 1726572758}
    assert deal(**told).at == datetime(2024, 9, 17, 11, 32, 38, tzinfo=UTC)
    assert deal(**told).created_at == datetime(2024, 9, 17, 11, 32, 32, tzinfo=UTC)
    old = deal(date_create="1726572752", last_modified="1726572758")
    assert (old.at, old.created_at) == (deal(**told).at, deal(**told).created_at)


@pytest.mark.parametrize("bad", ["2024-09-17 13:07:29", "", "0", "-1", "null", "99999999999999", "1726572758000"])
def test_what_is_not_unix_seconds_is_no_time(bad: str) -> None:
    event = deal(updated_at=bad, created_at=bad)
    assert event.at is None
    assert event.created_at is None


def test_robot_is_user_zero() -> None:
    assert deal(modified_user_id=0).user_id == 0
    assert deal().user_id is None


# --- custom fields and tags --------------------------------------------------------------------------------------

FIELDS = {
    "text": ({"values[0][value]": "x &amp; y"}, (("x & y", None),)),
    "checkbox": ({"values[0][value]": "1"}, (("1", None),)),
    "multiselect": (
        {"values[0][value]": "a", "values[0][enum]": "1", "values[1][value]": "b", "values[1][enum]": "2"},
        (("a", 1), ("b", 2)),
    ),
    "radiobutton": ({"values[value]": "2", "values[enum]": "566642"}, (("2", 566642),)),
    "date": ({"values[0]": "1729717200"}, (("1729717200", None),)),
    "2014": ({"values[0]": "1", "values[1]": "2"}, (("1", None), ("2", None))),
    "bare": ({"values": "x"}, (("x", None),)),
    "gap": ({"values[2][value]": "x"}, (("x", None),)),
    "address": ({"values[0][value]": "Тверь", "values[0][subtype]": "city"}, (("Тверь", None),)),
    "legal entity": (
        {"values[0][value][name]": "ООО &quot;Ромашка&quot;", "values[0][value][inn]": "77"},
        (('{"name": "ООО \\"Ромашка\\"", "inn": "77"}', None),),
    ),
    "none": ({}, ()),
}


@pytest.mark.parametrize(("said", "values"), FIELDS.values(), ids=FIELDS)
def test_custom_field(said: dict[str, str], values: Any) -> None:
    told = {f"custom_fields[0][{key.partition('[')[0]}]{''.join(key.partition('[')[1:])}": v for key, v in said.items()}
    [field] = deal(**{"custom_fields[0][id]": 8, "custom_fields[0][name]": "Поле", **told}).fields
    assert (field.field_id, field.name, field.code, field.values) == (8, "Поле", None, values)


def test_field_without_an_id_hides_no_other() -> None:
    event = deal(**{"custom_fields[0][name]": "x", "custom_fields[1][id]": 8, "custom_fields[1][code]": "PHONE"})
    assert [(field.field_id, field.code) for field in event.fields] == [(8, "PHONE")]


def test_tags() -> None:
    event = deal(**{"tags[0][id]": 1, "tags[0][name]": "без робота", "tags[1][id]": 2, "tags[1][name]": "a &amp; b"})
    assert event.tags == ("без робота", "a & b")


# --- deals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["mail_in", "call_in", "chat", "site_visit"])
def test_trigger_of_the_pipeline(trigger: str) -> None:
    event = only(f"leads[{trigger}][0][id]=5&leads[{trigger}][0][status_id]=6".encode())
    assert event == PipelineTriggerFired(trigger=trigger, deal_id=5, status_id=6)


def test_added_by_the_account_or_told_by_the_pipeline() -> None:
    bare = b"leads[add][0][id]=5&leads[add][0][status_id]=6&account[id]=7&account[subdomain]=x"
    assert only(bare) == PipelineTriggerFired(trigger="add", deal_id=5, status_id=6, account_id=7)
    assert type(only(bare + b"&leads[add][0][name]=")) is DealAdded
    assert type(only(bare + b"&account[_links][self]=https://x.amocrm.ru")) is DealAdded


# --- contacts and companies --------------------------------------------------------------------------------------


def test_company_of_a_contact_and_its_deals() -> None:
    event = only(
        b"contacts[update][0][id]=5&contacts[update][0][type]=contact&contacts[update][0][linked_company_id]=6"
        b"&contacts[update][0][linked_leads_id][8][ID]=8&contacts[update][0][linked_leads_id][9][ID]=9"
    )
    assert event == ClientUpdated(kind="contact", client_id=5, company_id=6, deal_ids=(8, 9))


# --- tasks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "entity_type"),
    [("1", "contact"), ("2", "deal"), ("3", "company"), ("12", "customer"), ("0", None), ("", None), ("77", None)],
)
def test_card_of_a_task(sent: str, entity_type: str | None) -> None:
    event = only(body("task[add][0]", {"id": 1, "element_type": sent, "element_id": 5}))
    assert isinstance(event, TaskAdded)
    assert (event.entity_type, event.entity_id) == (entity_type, 5)


def test_task_is_completed_only_by_the_update_that_closes_it() -> None:
    closing = body("task[update][0]", {"id": 1, "status": 1, "action_close": 1})
    later = body("task[update][0]", {"id": 1, "status": 1, "action_close": 0, "result[id]": 2, "result[text]": "ок"})
    assert only(closing) == TaskCompleted(task_id=1, is_completed=True)
    assert only(later) == TaskUpdated(task_id=1, is_completed=True, result="ок")


def test_due_is_complete_before_never_a_string() -> None:
    told = {"id": 1, "complete_till": "2025-10-02 20:59:00"}
    assert only(body("task[add][0]", told)).due is None
    due = only(body("task[add][0]", {**told, "complete_before": 1759438740})).due
    assert due == datetime(2025, 10, 2, 20, 59, tzinfo=UTC)


# --- notes -------------------------------------------------------------------------------------------------------

UUIDS = "drive/6f4922f7-0f8d-4d5c-8a5e-000000000001/c1b5a5f2-0000-4000-8000-000000000002/"

FILES = {
    "plain": (UUIDS + "КП ООО Ромашка.pdf", "КП ООО Ромашка.pdf"),
    "percent-encoded": (UUIDS + "%D0%9A%D0%9F%201.pdf", "КП 1.pdf"),
    "a percent of its own": (UUIDS + "Скидка 50%.pdf", "Скидка 50%.pdf"),
    "looks encoded, is not": (UUIDS + "50%ab.pdf", "50%ab.pdf"),
    "escaped": (UUIDS + "A &amp; B.pdf", "A & B.pdf"),
    "with a slash": (UUIDS + "a/b.pdf", "a/b.pdf"),
}


@pytest.mark.parametrize(("path", "name"), FILES.values(), ids=FILES)
def test_file(path: str, name: str) -> None:
    event = note(note_type=5, attachement=path, text="подпись")
    assert isinstance(event, FileAttached)
    assert event.file_name == name
    assert event.file_uuid == "c1b5a5f2-0000-4000-8000-000000000002"
    assert (event.note_id, event.entity_type, event.entity_id) == (9, "deal", 5)


def test_old_files() -> None:
    assert note(note_type=5, attachement="offer.pdf").file_name == "offer.pdf"
    assert note(note_type=5, attachement="", text="offer.pdf") == FileAttached(
        file_name="offer.pdf", note_id=9, entity_type="deal", entity_id=5, note_type=5
    )
    assert isinstance(note(note_type=4, attachement=UUIDS + "x.pdf"), FileAttached)


def call(told: dict[str, Any], **said: Any) -> Any:
    return note(note_type=10, text=json.dumps(told), **said)


def test_call_in_all_its_shapes() -> None:
    event = call({"UNIQ": "u", "LINK": "", "PHONE": 79990000000, "DURATION": "125", "call_status": 4})
    assert isinstance(event, CallLogged)
    assert (event.uniq, event.link, event.phone, event.seconds, event.status) == ("u", None, "79990000000", 125, 4)
    assert call({"phone": "+7 999", "duration": -1, "call_result": "перезвонить"}).result == "перезвонить"
    assert call({"DURATION": "долго"}).seconds is None
    assert call({"DURATION": "00:04:49"}).seconds == 289
    assert note(note_type=11, text="{}").direction == "out"


@pytest.mark.parametrize("text", ["", "не JSON", "[1]", '{"PHONE":', "{" * 5000, '{"a":' * 5000])
def test_call_whose_text_cannot_be_read_is_still_a_call(text: str) -> None:
    event = note(note_type=10, text=text)
    assert event == CallLogged(direction="in", seconds=None, note_id=9, entity_type="deal", entity_id=5, note_type=10)


def test_escaped_json_of_a_call() -> None:
    escaped = "{&quot;PHONE&quot;:&quot;7999&quot;,&quot;LINK&quot;:&quot;https://x/?a=1&amp;b=2&quot;}"
    event = note(note_type=10, text=escaped)
    assert (event.phone, event.link) == ("7999", "https://x/?a=1&b=2")


def test_json_of_a_call_escaped_inside_only() -> None:
    event = call({"LINK": "https://x/?a=1&amp;b=2", "call_result": "&quot;да&quot;"})
    assert (event.link, event.result) == ("https://x/?a=1&b=2", '"да"')


def test_sms() -> None:
    as_json = note(note_type=102, text='{"TEXT":"привет","PHONE":"7999"}')
    assert isinstance(as_json, SmsLogged)
    assert (as_json.direction, as_json.text, as_json.phone) == ("in", "привет", "7999")
    assert (note(note_type=103, text="привет").direction, note(note_type=103, text="привет").text) == ("out", "привет")


def test_service_note_and_others() -> None:
    assert note(note_type=25, text='{"text":"Готово","service":"PBX"}').text == "Готово"
    assert note(note_type=25, text="Готово").text == "Готово"
    assert note(note_type=13, text='{"text":"как есть"}').text == '{"text":"как есть"}'
    assert type(note(note_type=777)) is NoteAdded


def test_author_of_a_note() -> None:
    metadata = '{"event_source":{"id":22,"author_name":"Иван &amp; Ко","type":1}}'
    event = note(created_by=11, metadata=metadata)
    assert (event.user_id, event.author_name) == (11, "Иван & Ко")
    assert note(metadata=metadata).user_id == 22
    assert note(metadata="{").author_name is None


def test_chat_note_whose_type_is_a_scalar_and_a_tree() -> None:
    event = only(
        b"contacts[note][0][note][id]=60864725&contacts[note][0][note][type]=3"
        b"&contacts[note][0][note][type][message_uuid]=70f31734&contacts[note][0][note][element_id]=40700289"
        b"&contacts[note][0][type]=contact"
    )
    assert event == NoteAdded(note_id=60864725, entity_id=40700289, entity_type="contact")
    assert event.raw["note"]["type"] == {"": "3", "message_uuid": "70f31734"}


@pytest.mark.parametrize(
    ("root", "kind", "entity_type"),
    [
        ("leads", "", "deal"),
        ("contacts", "company", "company"),
        ("contacts", "contact", "contact"),
        ("contacts", "", None),
        ("customers", "", "customer"),
    ],
)
def test_card_of_a_note_without_element_type(root: str, kind: str, entity_type: str | None) -> None:
    event = only(f"{root}[note][0][note][element_id]=5&{root}[note][0][type]={kind}".encode())
    assert (event.entity_type, event.entity_id) == (entity_type, 5)


# --- enquiries and chats -----------------------------------------------------------------------------------------


def test_enquiry_told_without_lead_id() -> None:
    told = {"uid": "u", "category": "mail", "data[leads][0][id]": 5, "data[contacts][0][id]": 6}
    expected: dict[str, Any] = {"uid": "u", "category": "mail", "deal_id": 5, "contact_ids": (6,)}
    assert only(body("unsorted[add][0]", told)) == UnsortedAdded(**expected)
    unnumbered = {"uid": "u", "category": "mail", "data[leads][id]": 5, "data[contacts][id]": 6}
    assert only(body("unsorted[update][0]", unnumbered)) == UnsortedUpdated(**expected)


def test_enquiry_accepted() -> None:
    told = {"uid": "u", "action": "accept", "accept_result[leads][0]": 5, "created_at": 1726426986}
    assert only(body("unsorted[delete][0]", told)) == UnsortedClosed(uid="u", decision="accept", deal_ids=(5,))


def test_messages_in_and_out() -> None:
    told = {"id": "m", "chat_id": "c", "text": "a &lt; b", "created_at": 1725530000, "author[user_id]": 4242}
    expected: dict[str, Any] = {
        "message_id": "m",
        "chat_id": "c",
        "text": "a < b",
        "user_id": 4242,
        "at": datetime(2024, 9, 5, 9, 53, 20, tzinfo=UTC),
    }
    assert only(body("message[add][0]", {**told, "type": "incoming"})) == MessageReceived(**expected)
    assert only(body("message[add][0]", {**told, "type": "outgoing"})) == MessageReceived(direction="out", **expected)
    assert only(body("outgoing_message[add][0]", told)) == MessageReceived(direction="out", **expected)


def test_message_without_a_root() -> None:
    assert only(b"add[0][id]=m&add[0][chat_id]=c&add[0][type]=incoming") == MessageReceived(message_id="m", chat_id="c")


# --- JSON --------------------------------------------------------------------------------------------------------


def widget(data: dict[str, Any], **event: Any) -> bytes:
    told = {"event": {"data": data, **event}, "action": {}, "subdomain": "x", "account_id": 7}
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("code", "trigger"),
    [(1, "add"), (14, "status"), (15, "status"), (16, "mail_in"), (17, "call_in"), (18, "site_visit"), (19, "chat")],
)
def test_widget_trigger(code: int, trigger: str) -> None:
    data = {"id": 5, "element_type": 2, "status_id": 6, "pipeline_id": 8, "direction_of_movement": "went_to_trigger"}
    expected = PipelineTriggerFired(
        trigger=trigger,
        deal_id=5,
        status_id=6,
        pipeline_id=8,
        account_id=7,
        at=datetime(2024, 9, 17, 11, 32, 38, tzinfo=UTC),
    )
    assert only(widget(data, type=code, time=1726572758)) == expected
    assert only(b"\xef\xbb\xbf\n" + widget(data, type=str(code), time="1726572758")) == expected


def test_widget_trigger_by_its_name() -> None:
    assert only(widget({"id": 5}, type_code="lead_status_changed")).trigger == "status"


JSON_UNRECOGNISED = {
    "customer": (widget({"id": 5, "element_type": 12}, type=14), 7),
    "customer's code": (widget({"id": 5, "element_type": 12}, type=20), 7),
    "no id": (widget({}, type=14), 7),
    "salesbot": (b'{"token":"x","data":{},"return_url":"https://x"}', None),
    "list": (b"[1,2]", None),
    "cut": (b'{"event":', None),
    "deep": (b"[" * 100_000, None),
    "deep and whole": (b"[" * 100 + b"]" * 100, None),
    "a number no computer holds": (b'{"a":' + b"9" * 5000 + b"}", None),
    "not UTF-8": (b'{"a":"\xff"}', None),
}


@pytest.mark.parametrize(("sent", "account_id"), JSON_UNRECOGNISED.values(), ids=JSON_UNRECOGNISED)
def test_other_json_is_kept(sent: bytes, account_id: int | None) -> None:
    event = only(sent)
    assert isinstance(event, Unrecognised)
    assert event.account_id == account_id
    assert event.why
    assert event.raw


def test_json_can_be_stored() -> None:
    raw = only(b'{"a":"\\ud800\\u0000","b":NaN,"c":1e999,"d":1.5}').raw
    assert raw == {"a": "\ufffd\ufffd", "b": "NaN", "c": "1e999", "d": "1.5"}


# --- the same thing told again -----------------------------------------------------------------------------------


def test_repeated_hook_has_the_same_fingerprint_and_a_later_change_another() -> None:
    told = {"id": 5, "name": "x", "status_id": 6, "updated_at": 1726572758}
    first, later = body("leads[update][0]", told), body("leads[update][0]", {**told, "updated_at": 1726572759})
    keys = [fingerprint(only(sent)) for sent in (first, first, later)]
    assert keys[0] == keys[1] != keys[2]


def test_fingerprint_tells_what_happened_apart() -> None:
    said = {"id": 5, "name": "x", "status_id": 6, "updated_at": 1726572758}
    events: list[Event] = [only(body(f"leads[{action}][0]", said)) for action in ("update", "status", "responsible")]
    events.append(only(body("leads[update][0]", {**said, "price": 1})))
    events.append(only(body("leads[update][0]", {**said, "name": ""})))
    events.append(only(body("leads[update][0]", {**said, "id": 6})))
    assert all(isinstance(event, DealReported) for event in events)
    assert len({fingerprint(event) for event in events}) == len(events)


def test_fingerprint_of_what_has_no_time_uses_all_that_was_sent() -> None:
    one, other = (call({"PHONE": "7999", "SRC": source}) for source in ("pbx", "mobile"))
    assert one == other
    assert fingerprint(one) != fingerprint(other)


def test_fingerprint_of_the_unrecognised() -> None:
    one, other = only(b"robots[add][0][id]=1"), only(b"robots[add][0][id]=2")
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(only(b"robots[add][0][id]=1"))


def test_pipeline_move_knows_the_pipeline_it_came_from() -> None:
    event = only(b"leads[status][0][id]=5&leads[status][0][pipeline_id]=2&leads[status][0][old_pipeline_id]=1")
    assert event == DealMoved(deal_id=5, pipeline_id=2, old_pipeline_id=1)

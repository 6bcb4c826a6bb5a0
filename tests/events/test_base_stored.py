"""What the engine stores of every event: its deal, its keys, its words in the journal, the touch that it is.

Keys and words lie in the stores of running bridges. A key that came out different would make a repeated hook look new
after an upgrade, so they stand here as they were first written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from amo_bridge import events as ev
from amo_bridge.engine.event_queue import QueuedEvent
from amo_bridge.engine.journal import describe

NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ON_DEAL: dict[str, Any] = {"entity_type": "deal", "entity_id": 7}
ON_CONTACT: dict[str, Any] = {"entity_type": "contact", "entity_id": 70}
NOTE: dict[str, Any] = {"at": NOON, "note_id": 5, "user_id": 101, **ON_DEAL}
TASK: dict[str, Any] = {"at": NOON, "task_id": 9, **ON_DEAL}
SEEN: dict[str, Any] = {"at": NOON, "deal_id": 7, "user_id": 101}

SAMPLES: dict[str, ev.Event] = {
    "event": ev.Event(at=NOON),
    "deal reported": ev.DealReported(at=NOON, deal_id=7),
    "deal added": ev.DealAdded(at=NOON, deal_id=7, name="Ромашка", pipeline_id=1, status_id=2, user_id=101),
    "deal added, found later": ev.DealAdded(at=NOON, deal_id=7, caught_up=True),
    "deal updated": ev.DealUpdated(at=NOON, deal_id=7, price=0, tags=("vip",)),
    "deal updated, no time": ev.DealUpdated(deal_id=7, raw={"id": "7"}),
    "deal moved": ev.DealMoved(at=NOON, deal_id=7, pipeline_id=1, status_id=142, user_id=101),
    "deal moved, found later": ev.DealMoved(at=NOON, deal_id=7, pipeline_id=1, status_id=142, caught_up=True),
    "deal moved, no time": ev.DealMoved(deal_id=7, status_id=142),
    "deal reassigned": ev.DealReassigned(at=NOON, deal_id=7, responsible_user_id=102, old_responsible_user_id=101),
    "deal restored": ev.DealRestored(at=NOON, deal_id=7),
    "deal deleted": ev.DealDeleted(at=NOON, deal_id=7),
    "trigger": ev.PipelineTriggerFired(deal_id=7, trigger="mail_in"),
    "trigger, found later": ev.PipelineTriggerFired(at=NOON, deal_id=7, trigger="status", caught_up=True),
    "client reported": ev.ClientReported(kind="contact", client_id=70),
    "contact added": ev.ClientAdded(at=NOON, kind="contact", client_id=70, name="Анна", deal_ids=(7, 8)),
    "company updated": ev.ClientUpdated(at=NOON, kind="company", client_id=71),
    "contact deleted": ev.ClientDeleted(kind="contact", client_id=70),
    "contact restored": ev.ClientRestored(at=NOON, kind="contact", client_id=70),
    "task reported": ev.TaskReported(**TASK),
    "task added": ev.TaskAdded(**TASK, text="Позвонить", due=NOON),
    "task added, no text": ev.TaskAdded(at=NOON, task_id=9),
    "task updated": ev.TaskUpdated(**TASK, text="Позвонить", result="да"),
    "task updated on a contact": ev.TaskUpdated(**TASK | ON_CONTACT),
    "task completed": ev.TaskCompleted(**TASK, text="Позвонить", user_id=101),
    "task completed on a contact": ev.TaskCompleted(**TASK | ON_CONTACT, user_id=0, caught_up=True),
    "task completed on nothing": ev.TaskCompleted(at=NOON, task_id=9),
    "task completed, no time": ev.TaskCompleted(task_id=9, **ON_DEAL),
    "task completed on a customer": ev.TaskCompleted(at=NOON, task_id=9, entity_type="customer", entity_id=7),
    "task deleted": ev.TaskDeleted(task_id=9, **ON_DEAL),
    "task deleted, time known": ev.TaskDeleted(at=NOON, task_id=9),
    "note reported": ev.NoteReported(**NOTE),
    "note added": ev.NoteAdded(**NOTE, text="привет"),
    "note added, no id": ev.NoteAdded(text="привет"),
    "note added on a contact": ev.NoteAdded(**NOTE | ON_CONTACT, text="привет", caught_up=True),
    "file attached": ev.FileAttached(**NOTE, file_name="КП.pdf"),
    "file attached, no id": ev.FileAttached(at=NOON, file_name="КП.pdf", **ON_DEAL),
    "call": ev.CallLogged(**NOTE, direction="in", seconds=95, uniq="u1"),
    "call out on a contact": ev.CallLogged(**NOTE | ON_CONTACT, direction="out", caught_up=True),
    "call of a contact on its deal": ev.CallLogged(**NOTE | ON_CONTACT, direction="in", seconds=5, deal_id=8),
    "call of no direction, no id": ev.CallLogged(direction="?", **ON_DEAL),
    "call without id on its deal": ev.CallLogged(direction="in", deal_id=8, **ON_CONTACT),
    "call on a customer": ev.CallLogged(at=NOON, note_id=5, entity_type="customer", entity_id=7, direction="in"),
    "sms": ev.SmsLogged(**NOTE, direction="in", text="да"),
    "sms of no direction": ev.SmsLogged(**NOTE, direction=""),
    "mail": ev.MailLogged(**NOTE, direction="in", subject="Re: КП", attachments=2, caught_up=True),
    "mail out, no id": ev.MailLogged(at=NOON, direction="out", subject="КП", **ON_DEAL),
    "mail of no direction": ev.MailLogged(**NOTE, direction="", subject="КП"),
    "unsorted added": ev.UnsortedAdded(at=NOON, uid="u", category="forms", deal_id=7),
    "unsorted updated": ev.UnsortedUpdated(at=NOON, uid="u", deal_id=7),
    "unsorted closed": ev.UnsortedClosed(uid="u", decision="accept", deal_ids=(7,)),
    "message": ev.MessageReceived(at=NOON, message_id="m1", text="согласны", contact_id=70, **ON_DEAL),
    "message out on a contact": ev.MessageReceived(at=NOON, message_id="m2", direction="out", contact_id=70, user_id=5),
    "message of no direction": ev.MessageReceived(message_id="m3", direction="?", **ON_CONTACT),
    "message of nobody": ev.MessageReceived(at=NOON, message_id="m4"),
    "talk": ev.TalkReported(at=NOON, talk_id=3, **ON_DEAL),
    "list element": ev.ListElementReported(at=NOON, element_id=3, action="add"),
    "unsubscribed": ev.ClientUnsubscribed(at=NOON, deal_id=7, contact_id=70, letter_id=12),
    "contact date": ev.ContactDateChanged(
        at=NOON, deal_id=7, contact_id=70, field_name="День рождения", old="01.01.1990", new="02.01.1990"
    ),
    "contact date emptied": ev.ContactDateChanged(deal_id=7, contact_id=70, field_name="Дата", old="01.01.1990"),
    "series letter": ev.SeriesLetterDue(
        at=NOON, deal_id=7, series="прогрев", run=3, number=1, stage=(1, 2), started_at=NOON
    ),
    "unrecognised": ev.Unrecognised(root="robots", action="add", why="x", raw={"id": "1"}),
    "deal observed": ev.DealObserved(**SEEN),
    "stage entered": ev.StageEntered(
        **SEEN, stage=(1, 2), stage_name="Продажи / Бриф", from_stage=(1, 3), from_stage_name="Продажи / Новый"
    ),
    "stage entered by a new deal": ev.StageEntered(**SEEN, stage=(1, 2), stage_name="Продажи / Бриф", is_new=True),
    "stage entered, no time": ev.StageEntered(deal_id=7, stage=(1, 2), stage_name="Продажи / Бриф"),
    "field filled": ev.FieldChanged(**SEEN, field_name="Дата", new="31.12.2026"),
    "field changed": ev.FieldChanged(**SEEN, field_name="Дата", old="30.12.2026", new="31.12.2026", caught_up=True),
    "field emptied": ev.FieldChanged(deal_id=7, field_name="Дата", old="30.12.2026"),
    "responsible changed": ev.ResponsibleChanged(**SEEN, old=101, new=102),
    "task observed": ev.TaskObserved(**SEEN, task_id=9),
    "task finished": ev.TaskFinished(**SEEN, task_id=9, text="Позвонить"),
    "task answered": ev.TaskAnswered(**SEEN, task_id=9, text="Позвонить", result="да"),
    "task answered, empty": ev.TaskAnswered(deal_id=7, task_id=9, text="Позвонить"),
    "task rescheduled": ev.TaskRescheduled(**SEEN, task_id=9, text="Позвонить", old=NOON, new=NOON),
    "task renamed": ev.TaskRenamed(**SEEN, task_id=9, text="Прочее", set_as="Позвонить"),
    "task removed": ev.TaskRemoved(deal_id=7, task_id=9, text="Позвонить", due=NOON),
    "mailbox letter": ev.MailboxLetter(
        at=NOON,
        deal_id=7,
        message_id="<1@client.example>",
        sender="a@client.example",
        subject="Анкета",
        summary="Заполнила",
        file_names=("Анкета.docx",),
        contact_id=70,
        is_reply=True,
    ),
    "mailbox letter of the contact": ev.MailboxLetter(
        at=NOON, deal_id=7, message_id="<2@client.example>", sender="a@client.example", contact_id=70, on_contact=True
    ),
    "mailbox letter out": ev.MailboxLetter(deal_id=7, message_id="<3@agency.example>", direction="out", subject="КП"),
    "client answered": ev.ClientAnswered(at=NOON, deal_id=7, by="mail", source="note:5"),
    "client answered somehow": ev.ClientAnswered(deal_id=7, by="pigeon", source="note:6", caught_up=True),
    "enquiry": ev.EnquiryReceived(
        at=NOON,
        enquiry_id=5,
        deal_id=-5,
        standing="new",
        source="vk",
        title="ВКонтакте",
        texts=("Сколько?",),
        utm=(("utm_source", "vk"),),
        earlier=((3, "Ромашка", "https://a/3"),),
        load=((101, 4),),
    ),
    "enquiry without words": ev.EnquiryReceived(
        at=NOON, enquiry_id=5, deal_id=7, standing="open", source="vk", attempt=1
    ),
    "enquiry on a deal": ev.EnquiryOnDeal(
        at=NOON, deal_id=7, enquiry_id=5, source="zadarma", title="Zadarma", call="missed", phone="+79161234567"
    ),
    "enquiry made a deal": ev.EnquiryOnDeal(at=NOON, deal_id=7, enquiry_id=5, source="mail", is_new=True),
    "campaign loaded": ev.CampaignLoaded(
        at=NOON, deal_id=7, campaign="Ромашка", day="2026-11-22", loaded_on="2026-11-23", figures="ab12"
    ),
    "step due": ev.StepDue(at=NOON, rule="ladder.one", deal_id=7, step="+ 5 working days", anchor="a", since=NOON),
    "step due, no time": ev.StepDue(rule="ladder.one", deal_id=7, step="7 d", anchor="a", since=NOON),
}


class Facts(NamedTuple):
    """``deal``: in whose queue it waits; of an observed event, which never does, on which it was observed. ``key``: the
    beginning of its key there. ``is_repeatable``: an equal one may be news. ``is_timeless``: it is a repeat only while
    amoCRM repeats hooks. ``event_key``: under which it is acted on. ``touch``: key, kind, direction, card, user,
    seconds."""

    deal: int | None
    key: str
    is_repeatable: bool
    is_timeless: bool
    event_key: str
    words: str
    touch: tuple[Any, ...] | None


EXPECTED: dict[str, Facts] = {
    "enquiry": Facts(-5, "enquiry:5:0", False, False, "hook", "обращение (ВКонтакте): Сколько?", None),
    "enquiry without words": Facts(7, "enquiry:5:1", False, False, "hook", "обращение (vk)", None),
    "enquiry on a deal": Facts(
        7,
        "enquiry_on:5:0",
        False,
        False,
        "hook",
        "обращение по открытой сделке (Zadarma)",
        ("enquiry:5", "call", "in", ("deal", 7), None, 0),
    ),
    "enquiry made a deal": Facts(
        7,
        "enquiry_on:5:0",
        False,
        False,
        "hook",
        "новая сделка по обращению (mail)",
        ("enquiry:5", "mail", "in", ("deal", 7), None, 0),
    ),
    "event": Facts(None, "506393f7106ebef2652fd0670a8b5b9a", False, False, "hook", "Event", None),
    "deal reported": Facts(7, "17a7eee241b17de16496fe24a009ab81", True, False, "hook", "DealReported", None),
    "deal added": Facts(7, "d346d85f2738d67637270427ca6c1973", True, False, "hook", "сделка создана", None),
    "deal added, found later": Facts(
        7, "0703fc26afe25e437acfb6331598981c", True, False, "hook", "найдено позже: сделка создана", None
    ),
    "deal updated": Facts(7, "0ec4006b4810b0e4d38795ee193b675c", True, False, "hook", "сделка изменена", None),
    "deal updated, no time": Facts(7, "d7baa115dd71aa93d4f7dc60abbab756", True, False, "hook", "сделка изменена", None),
    "deal moved": Facts(
        7,
        "8c866921e0bb1b3afad879cefa757919",
        True,
        False,
        "hook",
        "смена этапа",
        ("move:7:1.142:498729", "move", "", ("deal", 7), 101, 0),
    ),
    "deal moved, found later": Facts(
        7,
        "8e3f56019730d04f7b1e2d57e48f65b9",
        False,
        False,
        "hook",
        "найдено позже: смена этапа",
        ("move:7:1.142:498729", "move", "", ("deal", 7), None, 0),
    ),
    "deal moved, no time": Facts(7, "90c4095aced6d796148b3d2b0325f8e6", True, False, "hook", "смена этапа", None),
    "deal reassigned": Facts(7, "1fc54626b31abb1af877d585ae11cd23", True, False, "hook", "смена ответственного", None),
    "deal restored": Facts(7, "7f1c9ba594b55fbe18891c8a7703b86f", True, False, "hook", "сделка восстановлена", None),
    "deal deleted": Facts(7, "b5b2a2308e9060fa2ffa0cb5682c7c38", True, False, "hook", "сделка удалена", None),
    "trigger": Facts(7, "62ccd92ac1dc6a8bc43f2d5cd91e6b72", False, True, "hook", "Digital Pipeline: mail_in", None),
    "trigger, found later": Facts(
        7, "205c25b1f6e0da738b2be13c0e5b7f05", False, False, "hook", "найдено позже: Digital Pipeline: status", None
    ),
    "client reported": Facts(None, "2741da427d3717acdc6659eb5b529b9d", False, True, "hook", "ClientReported", None),
    "contact added": Facts(None, "4a691a9563bbcfc91491764e2e7631f9", False, False, "hook", "ClientAdded", None),
    "company updated": Facts(None, "dc7d5896c22427debfcd88a1d25c7a8f", False, False, "hook", "ClientUpdated", None),
    "contact deleted": Facts(None, "434a3479f0ea918f08294136afc13314", False, True, "hook", "ClientDeleted", None),
    "contact restored": Facts(None, "065a0206159f7220f1b91f1c4112da3d", False, False, "hook", "ClientRestored", None),
    "task reported": Facts(7, "f277532896bf0bdc19881797e4d5b484", False, False, "hook", "TaskReported", None),
    "task added": Facts(
        7, "8278e49d93d4e6f8532ad2eb63c5ee88", False, False, "hook", "задача поставлена: «Позвонить»", None
    ),
    "task added, no text": Facts(
        None, "477bb100f03572535218b61b460dadbf", False, False, "hook", "задача поставлена: «»", None
    ),
    "task updated": Facts(
        7, "e54b2737762957b58b62e7d284abb9c3", False, False, "hook", "задача изменена: «Позвонить»", None
    ),
    "task updated on a contact": Facts(
        None, "bca91a521d4f606e3a1025b7c550d230", False, False, "hook", "задача изменена: «»", None
    ),
    "task completed": Facts(
        7,
        "task_completed:9:1795424400",
        False,
        False,
        "hook",
        "задача выполнена: «Позвонить»",
        ("task:9:20780", "task", "", ("deal", 7), 101, 0),
    ),
    "task completed on a contact": Facts(
        None,
        "task_completed:9:1795424400",
        False,
        False,
        "hook",
        "найдено позже: задача выполнена: «»",
        ("task:9:20780", "task", "", ("contact", 70), 0, 0),
    ),
    "task completed on nothing": Facts(
        None, "task_completed:9:1795424400", False, False, "hook", "задача выполнена: «»", None
    ),
    "task completed, no time": Facts(
        7, "ce45e803176c8ce58f0b5df550b9e0fd", False, True, "hook", "задача выполнена: «»", None
    ),
    "task completed on a customer": Facts(
        None, "task_completed:9:1795424400", False, False, "hook", "задача выполнена: «»", None
    ),
    "task deleted": Facts(7, "task_deleted:9", False, False, "hook", "задача удалена", None),
    "task deleted, time known": Facts(None, "task_deleted:9", False, False, "hook", "задача удалена", None),
    "note reported": Facts(7, "note:5", False, False, "hook", "NoteReported", None),
    "note added": Facts(7, "note:5", False, False, "hook", "добавлено примечание", None),
    "note added, no id": Facts(
        None, "c349005837d6a686611993241f8dec93", False, True, "hook", "добавлено примечание", None
    ),
    "note added on a contact": Facts(None, "note:5", False, False, "hook", "найдено позже: добавлено примечание", None),
    "file attached": Facts(7, "note:5", False, False, "hook", "загружен файл «КП.pdf»", None),
    "file attached, no id": Facts(
        7, "1723925051580feabd451a12f7020fab", False, False, "hook", "загружен файл «КП.pdf»", None
    ),
    "call": Facts(
        7, "note:5", False, False, "hook", "входящий звонок, 95 с", ("note:5", "call", "in", ("deal", 7), 101, 95)
    ),
    "call out on a contact": Facts(
        None,
        "note:5",
        False,
        False,
        "hook",
        "найдено позже: исходящий звонок, 0 с",
        ("note:5", "call", "out", ("contact", 70), 101, 0),
    ),
    "call of a contact on its deal": Facts(
        8,
        "call:8:5",
        False,
        False,
        "hook",
        "входящий звонок, 5 с (на карточке контакта)",
        ("note:5", "call", "in", ("contact", 70), 101, 5),
    ),
    "call of no direction, no id": Facts(
        7, "2727eb671c8062ee78b2147c803026cc", False, True, "hook", "звонок, 0 с", None
    ),
    "call without id on its deal": Facts(
        8, "call:8:None", False, False, "hook", "входящий звонок, 0 с (на карточке контакта)", None
    ),
    "call on a customer": Facts(None, "note:5", False, False, "hook", "входящий звонок, 0 с", None),
    "sms": Facts(7, "note:5", False, False, "hook", "входящий SMS", ("note:5", "sms", "in", ("deal", 7), 101, 0)),
    "sms of no direction": Facts(7, "note:5", False, False, "hook", "SMS", ("note:5", "sms", "", ("deal", 7), 101, 0)),
    "mail": Facts(
        7,
        "note:5",
        False,
        False,
        "hook",
        "найдено позже: входящее письмо «Re: КП»",
        ("note:5", "mail", "in", ("deal", 7), 101, 0),
    ),
    "mail out, no id": Facts(
        7, "08970f8ddb48fcf69ba24c788c936584", False, False, "hook", "исходящее письмо «КП»", None
    ),
    "mail of no direction": Facts(
        7, "note:5", False, False, "hook", "письмо «КП»", ("note:5", "mail", "", ("deal", 7), 101, 0)
    ),
    "unsorted added": Facts(None, "b35a45848df5e16f66aa341d6457ad4b", False, False, "hook", "UnsortedAdded", None),
    "unsorted updated": Facts(None, "e7f07807129bd90e60aeb0c32a9b111e", False, False, "hook", "UnsortedUpdated", None),
    "unsorted closed": Facts(None, "3d0416e12b497d364c84ad77863b516b", False, True, "hook", "UnsortedClosed", None),
    "message": Facts(
        7,
        "message:m1",
        False,
        False,
        "hook",
        "входящее сообщение в чате",
        ("message:m1", "chat", "in", ("deal", 7), None, 0),
    ),
    "message out on a contact": Facts(
        None,
        "message:m2",
        False,
        False,
        "hook",
        "исходящее сообщение в чате",
        ("message:m2", "chat", "out", ("contact", 70), 5, 0),
    ),
    "message of no direction": Facts(None, "message:m3", False, False, "hook", "сообщение в чате", None),
    "message of nobody": Facts(None, "message:m4", False, False, "hook", "входящее сообщение в чате", None),
    "talk": Facts(None, "123430253468588432abed488fc7ede0", False, False, "hook", "TalkReported", None),
    "list element": Facts(None, "f9ee2a8283b4955e317101885c3a0900", False, False, "hook", "ListElementReported", None),
    "unsubscribed": Facts(
        7,
        "unsubscribed:12",
        False,
        False,
        "hook",
        "письма клиенту больше не слать",
        None,
    ),
    "contact date": Facts(
        7,
        "98b792baac81166a42c6f009e195757e",
        False,
        False,
        "hook",
        "поле контакта «День рождения» = 02.01.1990 (было 01.01.1990)",
        None,
    ),
    "contact date emptied": Facts(
        7,
        "8587fe262a75c19180aec6106ee072f7",
        False,
        True,
        "hook",
        "поле контакта «Дата» очищено (было 01.01.1990)",
        None,
    ),
    "series letter": Facts(7, "series:3:1", False, False, "hook", "серия «прогрев»: пора отправить письмо 2", None),
    "unrecognised": Facts(None, "5e4e105cb7806211fce587816992a659", False, True, "hook", "Unrecognised", None),
    "deal observed": Facts(
        7, "fee981733d16f39b385f15c457c773aa", False, False, "DealObserved:7:1795424400:hook", "DealObserved", None
    ),
    "stage entered": Facts(
        7,
        "50eb791076600cf7445686bc08ae2564",
        False,
        False,
        "StageEntered:7:1.2:1795424400:hook",
        "сделка пришла на этап «Продажи / Бриф» с «Продажи / Новый»",
        None,
    ),
    "stage entered by a new deal": Facts(
        7,
        "7c6d0a257a9ff9a8d85c7d2e8774e0bb",
        False,
        False,
        "StageEntered:7:1.2:1795424400:hook",
        "новая сделка на этапе «Продажи / Бриф»",
        None,
    ),
    "stage entered, no time": Facts(
        7,
        "37f20002ba19efc13e14bb491e535434",
        False,
        True,
        "StageEntered:7:1.2:0:hook",
        "сделка пришла на этап «Продажи / Бриф»",
        None,
    ),
    "field filled": Facts(
        7,
        "6c0f0a3f49e7e7b97e9e08c6207cc9e9",
        False,
        False,
        "FieldChanged:7:feb58510dd631423:1795424400:hook",
        "поле «Дата» = 31.12.2026",
        None,
    ),
    "field changed": Facts(
        7,
        "fa31031f2a32e563d57bd7b22e9c68d7",
        False,
        False,
        "FieldChanged:7:4cc9661e313d0d58:1795424400:hook",
        "поле «Дата» = 31.12.2026 (было 30.12.2026)",
        None,
    ),
    "field emptied": Facts(
        7,
        "6d9c5ac45830133c0bedc4d8016b5058",
        False,
        True,
        "FieldChanged:7:08d17c89aa44c279:0:hook",
        "поле «Дата» очищено (было 30.12.2026)",
        None,
    ),
    "responsible changed": Facts(
        7,
        "a5790c28dc86ed20288f0669bf538e0a",
        False,
        False,
        "ResponsibleChanged:7:1795424400:hook",
        "у сделки новый ответственный",
        None,
    ),
    "task observed": Facts(
        7, "60a9d5f087535b18f94ebb31c5d056d7", False, False, "TaskObserved:9:1795424400:hook", "TaskObserved", None
    ),
    "task finished": Facts(
        7,
        "0464215eb37b35a9c6763bffe22f2983",
        False,
        False,
        "TaskFinished:9:1795424400:hook",
        "закрыта задача «Позвонить»",
        None,
    ),
    "task answered": Facts(
        7,
        "8f4f68cc02052d43089e7a9228afe390",
        False,
        False,
        "TaskAnswered:9:cdc5ed90cb4b9a75",
        "ответ на задачу «Позвонить»: да",
        None,
    ),
    "task answered, empty": Facts(
        7,
        "9b61f05a263996939e2460da53b5d4b6",
        False,
        True,
        "TaskAnswered:9:dc937b59892604f5",
        "ответ на задачу «Позвонить»: пусто",
        None,
    ),
    "task rescheduled": Facts(
        7,
        "8faed9a614f11ec4bb0b697c02b95f4a",
        False,
        False,
        "TaskRescheduled:9:1795424400:hook",
        "сдвинут срок задачи «Позвонить»",
        None,
    ),
    "task renamed": Facts(
        7,
        "55827fcdb692ec0e9b9bf8a102441692",
        False,
        False,
        "TaskRenamed:9:1795424400:hook",
        "переименована задача «Позвонить»: «Прочее»",
        None,
    ),
    "task removed": Facts(
        7,
        "5f8d231300d65a5062c0ec3a19f55408",
        False,
        True,
        "TaskRemoved:9:0:hook",
        "удалена задача «Позвонить»",
        None,
    ),
    "mailbox letter": Facts(
        7,
        "letter:7:5f75bf0bd00363e16fe055cbf119abf6",
        False,
        False,
        "hook",
        "ответ на письмо «Анкета»",
        ("letter:5f75bf0bd00363e16fe055cbf119abf6", "mail", "in", ("deal", 7), None, 0),
    ),
    "mailbox letter of the contact": Facts(
        7,
        "letter:7:69fb02d78f3244c600f840300562f804",
        False,
        False,
        "hook",
        "письмо клиента без темы",
        ("letter:69fb02d78f3244c600f840300562f804", "mail", "in", ("contact", 70), None, 0),
    ),
    "mailbox letter out": Facts(
        7, "letter:7:50b56062031ac3e12a97eb12aed553a9", False, False, "hook", "письмо клиенту «КП»", None
    ),
    "client answered": Facts(
        7, "answered:7:note:5", False, False, "ClientAnswered:7:1795424400:hook", "клиент ответил: письмо", None
    ),
    "client answered somehow": Facts(
        7, "answered:7:note:6", False, False, "ClientAnswered:7:0:hook", "клиент ответил: pigeon", None
    ),
    "campaign loaded": Facts(
        7,
        "campaign:7:2026-11-22:ab12",
        False,
        False,
        "hook",
        "статистика рекламной кампании «Ромашка» за 2026-11-22",
        None,
    ),
    "step due": Facts(
        7,
        "step:7:75cf048e6deb0f1471e7dd55b6454dbf",
        False,
        False,
        "hook",
        "наступил срок шага «+ 5 рабочих дней»",
        None,
    ),
    "step due, no time": Facts(
        7, "step:7:4900acba3444ca3f0e68e71db3d35191", False, True, "hook", "наступил срок шага «7 дней»", None
    ),
}


def facts(event: ev.Event) -> Facts:
    queued, touch = QueuedEvent(event, 0.0, None), event.touch
    return Facts(
        event.about_deal_id,
        queued.dedup_key,
        event.is_repeatable,
        queued.is_timeless,
        event.event_key("hook"),
        describe(event),
        touch and (touch.key, touch.kind, touch.direction, touch.card, touch.user_id, touch.seconds),
    )


def test_every_event_has_its_sample() -> None:
    kinds = {kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, ev.Event)}
    assert {type(event) for event in SAMPLES.values()} == kinds
    assert SAMPLES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_is_stored_of_an_event_stays_as_it_was(sample: str) -> None:
    assert facts(SAMPLES[sample]) == EXPECTED[sample]


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("deal added", "webhook"),
        ("deal added, found later", "reconciliation"),
        ("field changed", "reconciliation"),
        ("step due", "timer"),
        ("series letter", "timer"),
        ("enquiry", "enquiry"),
        ("unsubscribed", "mail"),
    ],
)
def test_an_event_says_what_brought_it(name: str, origin: str) -> None:
    assert SAMPLES[name].started_by == origin
    assert replace(SAMPLES[name], made_by="import").started_by == "import"

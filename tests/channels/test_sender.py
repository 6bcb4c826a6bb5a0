"""A lane: what goes out past amoCRM goes once, in its order, and what becomes of it is kept in words."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select
from support.channel_fakes import ScriptedPort, lane, notice, notices
from support.fakes import ACCOUNT, URL, ScriptedCrm, at, clock, effect, errors, queue, rule_engine, states

from amo_bridge.channels.port import Later, LostAnswer, NotSent, Sent
from amo_bridge.channels.registry import UnconnectedPort
from amo_bridge.clock import FixedClock
from amo_bridge.engine.dead_letters import DeadLetters
from amo_bridge.engine.effects import CHANNEL_KINDS, ChannelKind, Effect
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.engine.sender import Sender
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelRefused, ChannelUncertain, CrmUncertain, StoreUnavailable
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

DAY = timedelta(days=1)


@pytest.fixture
def hands() -> FixedClock:
    return clock()


def sent_rows(store: Store) -> list[dict[str, str]]:
    with store.read() as connection:
        return [
            json.loads(told)
            for told in connection.execute(select(outbox.c.result).order_by(outbox.c.id)).scalars()
            if told
        ]


def test_what_is_sent_is_done_and_told_to_whom(store: Store) -> None:
    notices(store, "раз", "два")
    port = ScriptedPort(Sent("Telegram, Елена Орлова"))
    assert lane(store, port).send() == 2
    assert (states(store), port.sent, port.kept) == (["done", "done"], ["раз", "два"], ["раз", "два"])
    assert sent_rows(store) == [{"told": "Telegram, Елена Орлова"}, {"told": "кому надо"}]
    assert lane(store, port).send() == 0, "nothing is sent twice"


def test_it_is_asked_about_all_of_them_at_once_and_may_rest_after(store: Store) -> None:
    notices(store, "раз", "два", "три")
    port = ScriptedPort()
    lane(store, port).send()
    assert (port.planned, port.rests) == ([["раз", "два", "три"]], 1)


def test_what_is_not_to_go_out_says_why(store: Store) -> None:
    notices(store, "раз")
    port = ScriptedPort(at_once={"раз": NotSent("у клиента нет адреса")})
    assert lane(store, port).send() == 1
    assert (states(store), errors(store), port.sent) == (["unsent"], ["у клиента нет адреса"], [])


def test_before_it_is_sent_it_is_told_to_be_under_way(store: Store) -> None:
    notices(store, "раз")
    port = ScriptedPort()
    seen: list[list[str]] = []
    port.while_sending = lambda: seen.append(states(store))
    lane(store, port).send()
    assert seen == [["sending"]]


def test_of_one_deal_the_older_goes_first_and_the_younger_waits_for_it(store: Store) -> None:
    queue(store, notice("раз"), notice("два"), notice("другая сделка", deal_id=8))
    port = ScriptedPort(ChannelBusy("421 позже"))
    lane(store, port).send()
    assert port.sent == ["другая сделка"]
    assert states(store) == ["ready", "ready", "done"]


def test_where_the_order_does_not_matter_nothing_waits(store: Store) -> None:
    queue(store, notice("раз"), notice("два"))
    port = ScriptedPort(ChannelBusy("429"), in_order=False)
    lane(store, port).send()
    assert port.sent == ["два"]


def test_what_is_put_off_by_the_vendor_comes_again_when_the_vendor_says(store: Store, hands: FixedClock) -> None:
    notices(store, "раз")
    port = ScriptedPort(ChannelBusy("429", retry_after=30))
    lane(store, port, hands).send()
    hands.advance(timedelta(seconds=29))
    assert lane(store, port, hands).send() == 0
    hands.advance(timedelta(seconds=1))
    assert lane(store, port, hands).send() == 1


def test_a_dead_server_stops_the_lane_and_the_one_it_died_of_goes_last(store: Store, hands: FixedClock) -> None:
    notices(store, "раз", "два")
    port = ScriptedPort(ChannelDown("сервер не отвечает"))
    with pytest.raises(ChannelDown):
        lane(store, port, hands).send()
    assert states(store) == ["ready", "ready"]
    assert errors(store) == ["сервер не отвечает", ""]
    lane(store, port, hands).send()
    assert port.sent == ["два"]
    hands.advance(timedelta(seconds=2))
    lane(store, port, hands).send()
    assert port.sent == ["два", "раз"]


def test_what_is_refused_waits_for_a_person_with_the_vendors_words(store: Store, hands: FixedClock) -> None:
    notices(store, "раз", "два")
    port = ScriptedPort(ChannelRefused("550 нет такого ящика"))
    assert lane(store, port, hands).send() == 2
    assert (states(store), errors(store)[0]) == (["failed", "done"], "550 нет такого ящика")
    (told,) = DeadLetters(AccountStore(store, ACCOUNT), hands).all()
    assert (told.name, told.what, told.error) == ("F1", "уведомление «раз»", "550 нет такого ящика")


def test_what_was_perhaps_sent_is_not_sent_again_until_a_person_says_so(store: Store, hands: FixedClock) -> None:
    notices(store, "раз")
    port = ScriptedPort(ChannelUncertain("связь прервалась после DATA"))
    lane(store, port, hands).send()
    assert states(store) == ["unknown"]
    assert errors(store) == ["неизвестно, отправлено ли: связь прервалась после DATA"]
    hands.advance(DAY * 3)
    assert lane(store, port, hands).send() == 0
    DeadLetters(AccountStore(store, ACCOUNT), hands).retry(["F1"], "Мария")
    assert lane(store, port, hands).send() == 1, "however old it is: a person wants it"
    assert (states(store), port.sent) == (["done"], ["раз"])


def test_where_a_second_one_does_no_harm_it_is_sent_again_a_few_times(store: Store, hands: FixedClock) -> None:
    notices(store, "раз")
    port = ScriptedPort(*[ChannelUncertain("нет ответа")] * 9, lost_answer="repeat")
    seen = []
    for _ in range(5):
        lane(store, port, hands).send()
        seen += states(store)
        hands.advance(timedelta(minutes=1))
    assert seen == ["ready", "ready", "ready", "unknown", "unknown"]


@pytest.mark.parametrize(("lost_answer", "state"), [("leave", "unknown"), ("repeat", "ready"), ("find", "doubt")])
def test_what_was_under_way_when_the_bridge_died_is_in_doubt(store: Store, lost_answer: LostAnswer, state: str) -> None:
    notices(store, "раз")
    dying = Outbox(AccountStore(store, ACCOUNT), clock())
    dying.sending(dying.take("ready", "notices"))
    port = ScriptedPort(lost_answer=lost_answer)
    assert lane(store, port).recover() == 1
    assert states(store) == [state]


def test_a_lost_answer_is_looked_for_at_a_vendor_who_can_be_asked(store: Store, hands: FixedClock) -> None:
    notices(store, "раз")
    port = ScriptedPort(ChannelUncertain("нет ответа"), lost_answer="find", found=[Sent("дошло")])
    assert (lane(store, port, hands).send(), states(store)) == (0, ["doubt"])
    assert lane(store, port, hands).send() == 0, "not at once: it may be on its way"
    hands.advance(timedelta(minutes=1))
    assert lane(store, port, hands).send() == 1
    assert (states(store), port.sent, port.kept, port.looked_for) == (["done"], [], ["раз"], ["раз"])


def test_what_the_vendor_does_not_have_is_sent_again_and_those_behind_it_wait(store: Store, hands: FixedClock) -> None:
    queue(store, notice("раз"), notice("два"))
    port = ScriptedPort(ChannelUncertain("нет ответа"), lost_answer="find", found=[None])
    for _ in range(4):
        lane(store, port, hands).send()
        hands.advance(timedelta(minutes=1))
    assert (states(store), port.sent) == (["done", "done"], ["раз", "два"])


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (ChannelBusy("429"), "doubt"),
        (ChannelUncertain("нет ответа"), "doubt"),
        (ChannelRefused("403"), "unknown"),
        (ZeroDivisionError("ошибка"), "unknown"),
    ],
    ids=["busy", "uncertain", "refused", "bug"],
)
def test_a_vendor_who_does_not_say_leaves_it_in_doubt(
    store: Store, hands: FixedClock, answer: Exception, state: str
) -> None:
    notices(store, "раз")
    port = ScriptedPort(ChannelUncertain("нет ответа"), lost_answer="find", found=[answer])
    lane(store, port, hands).send()
    hands.advance(timedelta(minutes=1))
    lane(store, port, hands).send()
    assert (states(store), port.sent) == ([state], [])


def test_a_dead_vendor_is_asked_later_and_in_the_end_a_person_is(store: Store, hands: FixedClock) -> None:
    notices(store, "раз")
    port = ScriptedPort(ChannelUncertain("нет ответа"), lost_answer="find", found=[ChannelDown("не отвечает")])
    lane(store, port, hands).send()
    hands.advance(timedelta(minutes=1))
    with pytest.raises(ChannelDown):
        lane(store, port, hands).send()
    assert states(store) == ["doubt"]
    hands.advance(DAY)
    lane(store, port, hands).send()
    assert (states(store), port.sent) == (["unknown"], [])


def test_amocrms_own_recovery_leaves_other_lanes_alone(store: Store) -> None:
    notices(store, "раз")
    dying = Outbox(AccountStore(store, ACCOUNT), clock())
    dying.sending(dying.take("ready", "notices"))
    assert Sender(AccountStore(store, ACCOUNT), ScriptedCrm(), CurrentRules(rule_engine()), URL, clock()).recover() == 0  # type: ignore[arg-type]
    assert states(store) == ["sending"]


def test_the_end_of_quiet_hours_is_no_failed_try(store: Store, hands: FixedClock) -> None:
    """The account's clock decides, and may be moved: so it is looked at again every few minutes."""
    notices(store, "раз")
    account_hands = clock()
    port = ScriptedPort(at_once={"раз": Later(at(3600 * 10), "тихие часы до 09:00")})
    assert lane(store, port, hands, account_hands).send() == 0
    with store.read() as connection:
        row = connection.execute(select(outbox.c.state, outbox.c.attempts, outbox.c.due_at, outbox.c.error)).one()
    assert tuple(row) == ("ready", 0, at(300).timestamp(), "тихие часы до 09:00")
    port.at_once = {}
    hands.advance(timedelta(minutes=5))
    assert lane(store, port, hands, account_hands).send() == 1


def test_what_could_not_go_out_for_a_day_is_not_sent_by_itself_any_more(store: Store, hands: FixedClock) -> None:
    notices(store, "раз")
    port = ScriptedPort(ChannelBusy("450 ящик занят"))
    lane(store, port, hands).send()
    hands.advance(DAY + timedelta(minutes=1))
    lane(store, port, hands).send()
    assert (states(store), port.sent) == (["failed"], [])
    assert errors(store) == ["не удалось отправить за 24 ч, теперь поздно: 450 ящик занят"]
    DeadLetters(AccountStore(store, ACCOUNT), hands).retry(None, "Мария")
    lane(store, port, hands).send()
    assert port.sent == ["раз"]


def test_what_follows_is_done_in_amocrm_once(store: Store) -> None:
    notices(store, "раз")
    note = effect("add_note", text="письмо отправлено")
    assert lane(store, ScriptedPort(Sent("письмо", then=(note,)))).send() == 1
    assert states(store) == ["done", "ready"]
    crm = ScriptedCrm()
    Sender(AccountStore(store, ACCOUNT), crm, CurrentRules(rule_engine()), URL, clock()).send()  # type: ignore[arg-type]
    assert [path for _, path, _ in crm.written] == ["/api/v4/leads/notes"]


def test_what_follows_after_a_refusal_to_send_is_done_too(store: Store) -> None:
    notices(store, "раз")
    port = ScriptedPort(at_once={"раз": NotSent("нет адреса", then=(effect(text="узнать адрес"),))})
    lane(store, port).send()
    assert states(store) == ["unsent", "ready"]


def test_a_bug_that_meets_one_does_not_hold_up_the_others(store: Store) -> None:
    notices(store, "раз", "два")
    lane(store, ScriptedPort(ZeroDivisionError("ошибка"), lost_answer="repeat")).send()
    assert states(store) == ["unknown", "done"]
    assert "ZeroDivisionError" in errors(store)[0]


@pytest.mark.parametrize("trouble", [StoreUnavailable("диск полон"), CrmUncertain("нет ответа")])
def test_trouble_that_is_not_the_channels_is_passed_on(store: Store, trouble: Exception) -> None:
    notices(store, "раз")
    with pytest.raises(type(trouble)):
        lane(store, ScriptedPort(trouble)).send()
    assert states(store) == ["sending"], "whoever goes on finds it in doubt"


def test_lanes_do_not_wait_for_each_other(store: Store) -> None:
    """A letter that can't be sent holds up neither amoCRM's writes about the same deal nor other lanes."""
    queue(store, notice("письмо", kind="send_letter"), notice("весть"), effect())
    port = ScriptedPort(ChannelDown("почта не отвечает"), channel="mail")
    with pytest.raises(ChannelDown):
        lane(store, port).send()
    assert lane(store, ScriptedPort()).send() == 1
    assert Sender(AccountStore(store, ACCOUNT), ScriptedCrm(), CurrentRules(rule_engine()), URL, clock()).send() == 1  # type: ignore[arg-type]
    assert states(store) == ["ready", "done", "done"]


def test_a_notice_waits_for_the_roll_back_that_it_explains(store: Store) -> None:
    queue(
        store, Effect("patch_deal", 7, {"id": 7, "status_id": 1}, "возврат", rolls_back=True, then=(notice("почему"),))
    )
    assert lane(store, ScriptedPort()).send() == 0
    Sender(AccountStore(store, ACCOUNT), ScriptedCrm(), CurrentRules(rule_engine()), URL, clock()).send()  # type: ignore[arg-type]
    assert lane(store, ScriptedPort()).send() == 1
    assert states(store) == ["done", "done"]


@pytest.mark.parametrize("kind", CHANNEL_KINDS.values(), ids=CHANNEL_KINDS)
def test_a_channel_without_a_vendor_says_plainly_that_nothing_was_sent(store: Store, kind: ChannelKind) -> None:
    queue(store, Effect(kind.effects[0], 7, {"text": "раз"}, "что-то сделать"))
    assert lane(store, UnconnectedPort(kind.name)).send() == 1
    told = f"никуда не отправлено: канал «{kind.label}» не подключён"
    assert (states(store), errors(store)) == (["unsent"], [told])
    assert Journal(AccountStore(store, ACCOUNT)).of_deal(7) == [], "the journal's lines are written where it is decided"

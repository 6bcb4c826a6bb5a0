"""Notices to our own people: by their own ways, the next one when the first fails, not in quiet hours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select
from support.document_office import DocumentOffice
from support.fakes import ACCOUNT, BRIEF, agency, clock, errors, queue, record, rule_engine, states, user
from support.local_crm import LocalCrm
from support.mail_server import Post, post_office, section
from support.telegram_server import TOKEN, Telegram, telegram_server

from amo_bridge.channels.attachments import DealFiles, FoundFile
from amo_bridge.channels.max_bot import MaxBot
from amo_bridge.channels.messengers import Messenger
from amo_bridge.channels.notices import MAX_LISTED, MAX_WAIT_SECONDS, NoticePort
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.smtp import MailServer
from amo_bridge.channels.storage_services import FolderStorage
from amo_bridge.channels.telegram import Bot
from amo_bridge.config.channels import Channels, MaxBotSection, PersonSection, TelegramSection, Way
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.people import People, Reach
from amo_bridge.engine.resolver import Resolver
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelRefused, CrmTemporary
from amo_bridge.rules.actions import Lack, Notify, RollBack
from amo_bridge.rules.option_types import UserName
from amo_bridge.standins.bots import MaxStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

IVAN, ELENA = "Иван Петров", "Елена Орлова"
URL = "https://agency.amocrm.ru/leads/detail/7"
FIRST, SECOND, THIRD = 11, 22, 33


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with telegram_server() as server:
        yield server


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


@pytest.fixture
def max_bot() -> Iterator[MaxStandIn]:
    made = StandIns(["max"], live=False)
    with serving(made):
        bot = made["max"]
        assert isinstance(bot, MaxStandIn)
        bot.people[THIRD] = IVAN
        yield bot


class Office:
    """The lane of notices with a real mail server and a stand-in of Telegram behind it."""

    def __init__(self, store: Store, telegram: Telegram, post: Post) -> None:
        self.store = store
        self.hands = clock()
        self.people: dict[str, dict[str, Any]] = {IVAN: {"telegram": FIRST, "mail": "ivan@agency.example"}}
        self.mail = section(post)
        self.telegram = TelegramSection(api=telegram.url)
        self.max = MaxBotSection()
        self.connected = {"mail", "telegram"}
        server = MailServer(self.mail, "", timeout=5)
        self.bots: dict[Way, Messenger] = {"telegram": Bot(self.telegram, TOKEN)}
        self.is_busy = False
        port = NoticePort(
            self.mail, server, self.bots, self.rule_engine, ACCOUNT, self.hands, self.hands,
            more_may_come=lambda: self.is_busy,
        )  # fmt: skip
        self.lane = ChannelSender(AccountStore(store, ACCOUNT), port, self.hands, self.hands)

    @property
    def channels(self) -> Channels:
        return Channels(
            mail=self.mail if "mail" in self.connected else None,
            telegram=self.telegram if "telegram" in self.connected else None,
            max=self.max if "max" in self.connected else None,
            people={UserName(name): PersonSection.model_validate(told) for name, told in self.people.items()},
        )

    def rule_engine(self) -> RuleEngine:
        return replace(rule_engine(), config=replace(rule_engine().config, channels=self.channels))

    def tell(self, name: str = IVAN, text: str = "Клиент ждёт <ответа>", *, urgent: bool = False) -> None:
        body = {"user_id": user(name), "text": text, "urgent": urgent, "about": "Ромашка", "url": URL}
        queue(self.store, Effect("notify", 7, body, f"уведомление «{text}»"), event_key=f"{name} {text[:100]}")
        self.lane.send()

    def decide(self, *told: tuple[str, str], name: str = IVAN, rule: str = "rule", urgent: bool = False) -> None:
        """A rule has something to say of each of these (deal, text); nothing leaves yet."""
        for number, (about, text) in enumerate(told):
            body = {"user_id": user(name), "text": text, "urgent": urgent, "about": about, "url": f"{URL}{number}"}
            key = f"{rule} {name} {about} {text}"
            queue(self.store, Effect("notify", 70 + number, body, f"уведомление «{text}»"), event_key=key, name=rule)


@pytest.fixture
def office(store: Store, telegram: Telegram, post: Post) -> Office:
    return Office(store, telegram, post)


def test_the_first_way_is_enough(office: Office, telegram: Telegram, post: Post) -> None:
    office.tell()
    (told,) = telegram.sent
    assert told == (
        FIRST,
        f'<b>Ромашка</b>\nКлиент ждёт &lt;ответа&gt;\n<a href="{URL}">Открыть сделку</a>',
    )
    assert post.taken == []
    assert states(office.store) == ["done"]


def test_the_order_is_the_persons(office: Office, telegram: Telegram, post: Post) -> None:
    office.people[IVAN]["order"] = ["mail", "telegram"]
    office.tell()
    (letter,) = post.letters
    assert (str(letter["To"]), letter["Subject"]) == (
        f"{IVAN} <ivan@agency.example>",
        "Ромашка: Клиент ждёт <ответа>",
    )
    assert letter["Auto-Submitted"] == "auto-generated"
    assert URL in letter.get_content()
    assert telegram.sent == []


def test_what_is_drawn_for_mail_goes_with_its_words_and_messengers_have_the_words(
    office: Office, telegram: Telegram, post: Post
) -> None:
    body = {"user_id": user(IVAN), "text": "Неделя", "urgent": False, "about": "Итоги", "url": "", "html": "<p>Н</p>"}
    for order in (["mail"], ["telegram"]):
        office.people[IVAN]["order"] = order
        queue(office.store, Effect("notify", 7, body, "уведомление"), event_key=order[0])
        office.lane.send()
    (letter,) = post.letters
    forms = {part.get_content_type(): part.get_content().strip() for part in letter.iter_parts()}
    assert forms == {"text/plain": "Неделя", "text/html": "<p>Н</p>"}
    assert [text for _, text in telegram.sent] == ["<b>Итоги</b>\nНеделя"]


def test_max_is_a_way_like_the_others(office: Office, telegram: Telegram, post: Post, max_bot: MaxStandIn) -> None:
    office.connected, office.people[IVAN] = {"max", "telegram", "mail"}, {"max": THIRD, "order": ["max", "telegram"]}
    office.bots["max"] = MaxBot(MaxBotSection(api=f"{max_bot.url}/max"), max_bot.token)
    office.tell()
    (sent,) = max_bot.sent
    assert (sent["user_id"], sent["text"]) == (THIRD, f"Ромашка\nКлиент ждёт <ответа>\n{URL}")
    assert (states(office.store), telegram.sent, post.taken) == (["done"], [], [])


def test_who_has_stopped_the_bot_in_max_is_told_in_telegram(
    office: Office, telegram: Telegram, max_bot: MaxStandIn
) -> None:
    office.connected = {"max", "telegram"}
    office.people[IVAN] = {"max": THIRD, "telegram": FIRST, "order": ["max", "telegram"]}
    office.bots["max"] = MaxBot(MaxBotSection(api=f"{max_bot.url}/max"), max_bot.token)
    max_bot.blocked.add(THIRD)
    office.tell()
    assert (len(telegram.sent), max_bot.sent, states(office.store)) == (1, [], ["done"])


@pytest.mark.parametrize(
    "answer",
    [
        (403, "Forbidden: bot was blocked by the user", {}),
        (400, "Bad Request: chat not found", {}),
        (429, "Too Many Requests", {"retry_after": 60}),
        (500, "Internal Server Error", {}),
    ],
)
def test_when_a_way_fails_the_next_one_is_taken(
    office: Office, telegram: Telegram, post: Post, answer: tuple[int, str, dict[str, Any]]
) -> None:
    telegram.answers = [answer]
    office.tell()
    assert (len(post.taken), states(office.store)) == (1, ["done"])


def test_a_person_without_a_section_is_told_at_the_address_that_amocrm_knows(office: Office, post: Post) -> None:
    office.tell(ELENA)
    assert post.to == [agency().user(ELENA).email]


def test_who_can_not_be_told_is_named_with_what_to_do(office: Office) -> None:
    office.connected = {"telegram"}
    office.tell(ELENA)
    assert states(office.store) == ["unsent"]
    assert errors(office.store) == [
        f'никуда не отправлено: у «{ELENA}» нет ни Telegram, ни MAX, ни почты ([people."{ELENA}"])'
    ]


def test_when_all_ways_refuse_a_person_decides(office: Office, telegram: Telegram, post: Post) -> None:
    telegram.blocked = {FIRST}
    post.rcpt["ivan@agency.example"] = "550 5.1.1 нет такого ящика"
    office.tell()
    assert states(office.store) == ["failed"]
    assert "bot was blocked by the user; 550 5.1.1 нет такого ящика" in errors(office.store)[0]


def test_when_one_way_may_work_later_it_is_tried_later(office: Office, telegram: Telegram, post: Post) -> None:
    telegram.blocked = {FIRST}
    post.rcpt["ivan@agency.example"] = "450 4.2.1 ящик занят"
    office.tell()
    assert states(office.store) == ["ready"]
    post.rcpt.clear()
    office.hands.advance(timedelta(minutes=1))
    office.lane.send()
    assert (states(office.store), len(post.taken)) == (["done"], 1)


def test_a_doubt_is_settled_by_telling_again(office: Office, telegram: Telegram) -> None:
    """Twice is better than never, for our own people."""
    office.connected = {"telegram"}
    telegram.answers = [(500, "Internal Server Error", {})]
    office.tell()
    assert states(office.store) == ["ready"]
    office.hands.advance(timedelta(minutes=1))
    office.lane.send()
    assert (states(office.store), len(telegram.sent)) == (["done"], 1)


def test_a_way_that_is_down_is_left_alone_for_a_minute(office: Office, telegram: Telegram, post: Post) -> None:
    telegram.answers = [(401, "Unauthorized", {})]
    office.tell(text="раз")
    office.tell(text="два")
    assert (len(post.taken), telegram.sent) == (2, []), "Telegram would take it by now, and is not asked"
    office.hands.advance(timedelta(minutes=2))
    office.tell(text="три")
    assert len(telegram.sent) == 1


NIGHT = datetime(2026, 11, 23, 20, 30, tzinfo=UTC)  # 23:30 in Moscow
MORNING = datetime(2026, 11, 24, 6, tzinfo=UTC)  # 09:00


def test_in_quiet_hours_it_waits_for_their_end(office: Office, telegram: Telegram) -> None:
    office.people[IVAN]["quiet"] = "21:00-09:00"
    office.hands.move_to(NIGHT)
    office.tell()
    assert (states(office.store), errors(office.store)) == (["ready"], [f"тихие часы у «{IVAN}»"])
    office.hands.move_to(MORNING - timedelta(seconds=1))
    office.lane.send()
    assert telegram.sent == []
    office.hands.move_to(MORNING + timedelta(seconds=1))
    office.lane.send()
    assert len(telegram.sent) == 1


def test_what_is_urgent_does_not_wait_nor_what_others_are_told(office: Office, telegram: Telegram) -> None:
    office.people |= {IVAN: {"telegram": FIRST, "quiet": "21:00-09:00"}, ELENA: {"telegram": SECOND}}
    office.hands.move_to(NIGHT)
    office.tell()
    office.tell(text="пожар", urgent=True)
    office.tell(ELENA)
    assert [(chat, "пожар" in text) for chat, text in telegram.sent] == [(FIRST, True), (SECOND, False)]


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (NIGHT, MORNING),
        (datetime(2026, 11, 24, 5, 59, tzinfo=UTC), MORNING),
        (MORNING, None),
        (datetime(2026, 11, 23, 12, tzinfo=UTC), None),
    ],
)
def test_when_quiet_hours_end(office: Office, now: datetime, until: datetime | None) -> None:
    office.people[IVAN]["quiet"] = "21:00-09:00"
    reach = Reach(office.channels, agency())
    person = reach.person(user(IVAN))
    assert person is not None
    assert reach.quiet_until(person, now) == until


# --- about many deals at once ---------------------------------------------------------------------------------------


def foreign(name: str) -> tuple[str, str]:
    return name, f"{name}: телефон клиента не российский. Не звоните"


def results(store: Store) -> list[str]:
    with store.read() as connection:
        return [json.loads(told)["told"] for told in connection.execute(select(outbox.c.result)).scalars() if told]


def test_what_a_rule_says_of_many_deals_is_one_notice_with_a_list(office: Office, telegram: Telegram) -> None:
    office.decide(*(foreign(name) for name in ("Ромашка", "Акция «Лето»", "Василёк")))
    office.lane.send()
    ((chat, text),) = telegram.sent
    assert chat == FIRST
    assert text == (
        "<b>Сделок: 3</b>\nТелефон клиента не российский. Не звоните\n\n"
        f"1. Ромашка — {URL}0\n2. Акция «Лето» — {URL}1\n3. Василёк — {URL}2"
    )
    assert states(office.store) == ["done"] * 3
    assert results(office.store) == [f"Telegram: {IVAN}, одним уведомлением о сделках: 3"] * 3


def test_different_words_are_all_in_the_list(office: Office, telegram: Telegram) -> None:
    office.decide(("Ромашка", "Ромашка: ждёт 3 дня"), ("Василёк", "ждёт 5 дней"))
    office.lane.send()
    ((_, text),) = telegram.sent
    assert text.endswith(f"1. Ромашка: ждёт 3 дня — {URL}0\n2. Василёк: ждёт 5 дней — {URL}1")


def test_the_same_words_of_one_deal_are_said_once(office: Office, telegram: Telegram) -> None:
    body = {"user_id": user(IVAN), "text": "Ждёт", "urgent": False, "about": "Ромашка", "url": URL}
    for number in range(2):
        queue(office.store, Effect("notify", 7, body, "уведомление"), event_key=f"event {number}")
    office.lane.send()
    assert [text for _, text in telegram.sent] == [f'<b>Ромашка</b>\nЖдёт\n<a href="{URL}">Открыть сделку</a>']
    assert states(office.store) == ["done", "done"]


def test_another_rule_another_person_and_what_is_urgent_are_notices_of_their_own(
    office: Office, telegram: Telegram
) -> None:
    office.people[ELENA] = {"telegram": SECOND}
    office.decide(foreign("Ромашка"), foreign("Василёк"))
    office.decide(foreign("Ромашка"), rule="other")
    office.decide(foreign("Ромашка"), name=ELENA)
    office.decide(foreign("Лютик"), urgent=True)
    office.lane.send()
    assert sorted(chat for chat, _ in telegram.sent) == [FIRST, FIRST, FIRST, SECOND]
    assert sum("Сделок: 2" in text for _, text in telegram.sent) == 1


def test_more_deals_than_anybody_reads_are_counted(office: Office, telegram: Telegram) -> None:
    office.decide(*(foreign(f"Сделка {number}") for number in range(MAX_LISTED + 5)))
    office.lane.send()
    said = "".join(text for _, text in telegram.sent)
    assert f"{MAX_LISTED}. Сделка {MAX_LISTED - 1}" in said
    assert said.endswith("… и ещё 5")
    assert f"Сделка {MAX_LISTED}" not in said


def test_while_more_events_are_judged_a_notice_waits_for_the_others_but_not_for_ever(
    office: Office, telegram: Telegram
) -> None:
    office.is_busy = True
    office.decide(foreign("Ромашка"))
    office.lane.send()
    assert (telegram.sent, states(office.store)) == ([], ["ready"])
    office.decide(foreign("Василёк"))
    office.is_busy = False
    office.lane.send()
    assert len(telegram.sent) == 1
    office.is_busy = True
    office.decide(foreign("Лютик"))
    office.hands.advance(timedelta(seconds=MAX_WAIT_SECONDS))
    office.lane.send()
    assert len(telegram.sent) == 2


def test_what_is_urgent_waits_for_nothing(office: Office, telegram: Telegram) -> None:
    office.is_busy = True
    office.decide(foreign("Ромашка"), urgent=True)
    office.lane.send()
    assert len(telegram.sent) == 1


def test_a_list_that_could_not_be_sent_is_sent_whole_later(office: Office, telegram: Telegram) -> None:
    office.connected = {"telegram"}
    telegram.answers = [(429, "Too Many Requests", {"retry_after": 60})]
    office.decide(foreign("Ромашка"), foreign("Василёк"))
    office.lane.send()
    assert states(office.store) == ["ready", "ready"]
    office.hands.advance(timedelta(seconds=61))
    office.lane.send()
    assert (len(telegram.sent), states(office.store)) == (1, ["done", "done"])


# --- who is told -------------------------------------------------------------------------------------------------

TODAY = Due.parse("end of day")


def resolver(*reached: str) -> Resolver:
    known = {user(name) for name in reached}
    people = People(agency(), {"head": UserName(ELENA)})
    return Resolver(agency(), people, CalendarOptions().calendar("Europe/Moscow"), lambda one: one in known)


def rolled_back(*reached: str) -> list[Effect]:
    now = record(BRIEF)
    move = RollBack(
        deal_id=7, to=agency().stage("Продажи / Новый клиент").key, because="перехода на этап «Бриф получен»",
        missing=(Lack("заполните", "Бюджет"),), tell=user(IVAN), due=TODAY,
    )  # fmt: skip
    deal = Viewer(agency(), "https://agency.amocrm.ru").deal(now)
    return resolver(*reached).effects(move, deal, now, clock().now())


def test_who_moved_a_deal_that_is_put_back_is_told_if_he_can_be() -> None:
    (back,) = rolled_back(IVAN)
    task, notice = back.then
    assert (task.kind, notice.kind) == ("create_task", "notify")
    assert notice.body["user_id"] == user(IVAN)
    assert notice.body["text"] == task.body["text"], "the same words"


def test_nobody_is_told_where_nobody_can_be() -> None:
    (back,) = rolled_back(ELENA)
    assert [effect.kind for effect in back.then] == ["create_task"]


def test_a_notice_that_a_rule_asks_for_is_kept_even_if_nobody_can_be_told() -> None:
    """The journal says then that it went nowhere."""
    now = record(BRIEF)
    deal = Viewer(agency(), "https://agency.amocrm.ru").deal(now)
    (told,) = resolver().effects(Notify(deal_id=7, to=("head",), text="Клиент ждёт"), deal, now, clock().now())
    assert told.body["user_id"] == user(ELENA)


def test_what_is_connected_decides_who_can_be_told(office: Office) -> None:
    ways = {}
    for connected in ({"mail", "telegram"}, {"telegram"}, {"mail"}, set()):
        office.connected = set(connected)
        reach = Reach(office.channels, agency())
        ways[tuple(sorted(connected))] = (reach.is_reachable(user(IVAN)), reach.is_reachable(user(ELENA)))
        assert not reach.is_reachable(999_999)
    assert ways == {
        ("mail", "telegram"): (True, True),
        ("telegram",): (True, False),
        ("mail",): (True, True),
        (): (False, False),
    }


# --- with a file and the client's phone -------------------------------------------------------------------------------


class FilesOffice(Office):
    """``files``: what the deal's file is, or why it can't be had; ``phone``: the client's."""

    def __init__(self, store: Store, telegram: Telegram, post: Post) -> None:
        super().__init__(store, telegram, post)
        self.file: FoundFile | Exception = FoundFile("скрин.png", BytesIO(b"12345"), 5)
        self.phone: str | Exception = "8 (916) 123-45-67"
        port = NoticePort(
            self.mail, MailServer(self.mail, "", timeout=5), {"telegram": Bot(self.telegram, TOKEN)}, self.rule_engine,
            ACCOUNT, self.hands, self.hands, files=cast(DealFiles, self),
        )  # fmt: skip
        self.lane = ChannelSender(AccountStore(store, ACCOUNT), port, self.hands, self.hands)

    @contextmanager
    def newest(self, deal_id: int, attach: Any) -> Iterator[FoundFile]:
        if isinstance(self.file, Exception):
            raise self.file
        yield self.file

    def phones(self, rows: Any) -> dict[int, str]:
        if isinstance(self.phone, Exception):
            raise self.phone
        return {row.id: self.phone for row in rows}

    def paid(self, text: str = "Оплата: {Телефон}") -> None:
        attach = {"files": ["Скрин"], "pictures": True}
        body = {
            "user_id": user(IVAN), "text": text, "urgent": False, "about": "Ромашка", "url": URL, "attach": attach
        }  # fmt: skip
        queue(self.store, Effect("notify", 7, body, "уведомление"), event_key=text[:40])
        self.lane.send()


@pytest.fixture
def paid_office(store: Store, telegram: Telegram, post: Post) -> FilesOffice:
    return FilesOffice(store, telegram, post)


def test_the_picture_and_the_phone_are_one_message(paid_office: FilesOffice, telegram: Telegram) -> None:
    paid_office.paid()
    ((chat, kind, name, content, caption),) = telegram.files
    assert (chat, kind, name, content) == (FIRST, "photo", "скрин.png", b"12345")
    assert "Оплата: 8 (916) 123-45-67" in caption
    assert (telegram.sent, states(paid_office.store)) == ([], ["done"])


LONG = "Оплата " + "да " * 600
VERY_LONG = "Оплата " + "да " * 1500
BUSY = (429, "Too Many Requests: retry after 5", {"retry_after": 5})


def test_the_picture_follows_a_long_text(paid_office: FilesOffice, telegram: Telegram) -> None:
    paid_office.paid(LONG)
    assert (telegram.files[0][4], len(telegram.sent)) == ("", 1)


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_what_went_out_is_not_sent_again_with_what_did_not(
    paid_office: FilesOffice, telegram: Telegram, taken: int
) -> None:
    paid_office.connected = {"telegram"}
    telegram.answers = [*[None] * taken, BUSY]
    paid_office.paid(VERY_LONG)
    assert (len(telegram.sent), len(telegram.files), states(paid_office.store)) == (taken, 0, ["ready"])
    paid_office.hands.advance(timedelta(minutes=1))
    paid_office.lane.send()
    assert (len(telegram.sent), len(telegram.files), states(paid_office.store)) == (2, 1, ["done"])


@pytest.mark.parametrize("taken", [0, 1])
def test_a_long_notice_without_a_file_goes_on_where_it_broke_off(
    paid_office: FilesOffice, telegram: Telegram, taken: int
) -> None:
    paid_office.connected = {"telegram"}
    telegram.answers = [*[None] * taken, BUSY]
    paid_office.tell(text=VERY_LONG)
    paid_office.hands.advance(timedelta(minutes=1))
    paid_office.lane.send()
    assert (len(telegram.sent), states(paid_office.store)) == (2, ["done"])


def test_a_picture_that_is_refused_after_the_text_is_told_of(paid_office: FilesOffice, telegram: Telegram) -> None:
    telegram.answers = [None, (400, "Bad Request: file is broken", {})]
    paid_office.paid(LONG)
    (_, text), (_, note) = telegram.sent
    assert "Файл не приложен" not in text
    assert "Файл не приложен: Telegram: 400 Bad Request: file is broken" in note
    assert (telegram.files, states(paid_office.store)) == ([], ["done"])


def test_the_rest_of_a_text_that_broke_off_goes_out_though_the_picture_is_gone(
    paid_office: FilesOffice, telegram: Telegram
) -> None:
    paid_office.connected = {"telegram"}
    telegram.answers = [None, BUSY]
    paid_office.paid(VERY_LONG)
    paid_office.file = ChannelRefused("такого файла на сделке нет")
    paid_office.hands.advance(timedelta(minutes=1))
    paid_office.lane.send()
    assert "".join(text for _, text in telegram.sent).count("да ") >= 1498
    assert "Файл не приложен: такого файла на сделке нет." in telegram.sent[-1][1]


@pytest.mark.parametrize("why", ["такого файла на сделке нет", "у токена amoCRM нет права на файлы"])
def test_the_text_goes_without_the_picture_and_says_so(paid_office: FilesOffice, telegram: Telegram, why: str) -> None:
    paid_office.file = ChannelRefused(why)
    paid_office.paid()
    ((_, words),) = telegram.sent
    assert f"Файл не приложен: {why}." in words
    assert "Оплата: 8 (916) 123-45-67" in words


def test_a_client_without_a_phone(paid_office: FilesOffice, telegram: Telegram) -> None:
    paid_office.phone = ""
    paid_office.paid()
    assert "Оплата: телефона нет" in telegram.files[0][4]


def test_a_notice_waits_for_the_phone_and_holds_up_no_other(paid_office: FilesOffice, telegram: Telegram) -> None:
    paid_office.phone = CrmTemporary("429")
    paid_office.paid()
    paid_office.tell(text="Клиент ждёт")
    assert (len(telegram.files), len(telegram.sent)) == (0, 1)
    paid_office.phone = "+7 916 123-45-67"
    paid_office.lane.send()
    assert len(telegram.files) == 1


def test_a_letter_says_where_the_file_is(paid_office: FilesOffice, post: Post) -> None:
    paid_office.people = {IVAN: {"mail": "ivan@agency.example"}}
    paid_office.paid()
    (letter,) = post.letters
    assert "Файл — в карточке сделки." in letter.get_content()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"files": ["Чек"], "pictures": False}, "Чек № 5.pdf"),
        ({"files": ["Чек"], "pictures": True}, "IMG_1.HEIC"),
        ({"files": ["Счёт"], "pictures": False}, ""),
    ],
)
def test_the_newest_file_that_fits_is_the_one(
    store: Store, sandbox: LocalCrm, tmp_path: Path, wanted: dict[str, Any], found: str
) -> None:
    office = DocumentOffice(store, sandbox, tmp_path, FolderStorage(tmp_path / "documents"))
    for name in ("Чек.pdf", "Чек № 5.pdf", "скрин.png", "IMG_1.HEIC", "Договор.pdf"):
        office.attach(name, name)
        sandbox.later()
    files = DealFiles(office.client, office.engine)
    missing = nullcontext() if found else pytest.raises(ChannelRefused, match="такого файла на сделке нет")
    with missing, files.newest(office.deal, wanted) as file:
        assert (file.name, file.file.read().decode()) == (found, found)

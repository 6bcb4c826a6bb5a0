"""Platforms' and agencies' words in attendee tables: sections, roles, totals, signs of a platform."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any, Literal

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats.cells import Order
from amo_bridge.webinars.formats.tables import Field, names_of

NO_CLICKS = "{source} не знает о нажатых кнопках: «активных» по этому файлу не будет"


@dataclass(frozen=True)
class Platform:
    """``marks``: headings of which all stand in its table, in any of its languages. ``order``: how it writes
    04/10/2022; "config": as ``[webinar] zoom_dates`` says. ``source``: in words; figures of one source replace each
    other. ``columns``: its own headings → what they are there; nothing: of no use to us."""

    source: str
    marks: tuple[frozenset[str], ...]
    order: Order | Literal["config"] | None = None
    knows_clicks: bool = False
    columns: Mapping[str, tuple[Field, ...]] = field(default_factory=dict)


def _marks(*told: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(normalise(one).strip(" :.") for one in group.split(";")) for group in told)


def _columns(*told: str) -> dict[str, tuple[Field, ...]]:
    """«field, field: heading; heading»; without a field before the colon: columns to pass over."""
    found: dict[str, tuple[Field, ...]] = {}
    for group in told:
        fields, _, headings = group.partition(":")
        named: Any = tuple(name.strip() for name in fields.split(",") if name.strip())
        found |= {normalise(one).strip(" :."): named for one in headings.split(";")}
    return found


# Only what differs from the headings that mean the same everywhere (``tables.ALIASES``) stands in ``columns``. Where a
# platform has one heading for a mark and for a length, both are named: the cells decide.
PLATFORMS = (
    Platform(
        "отчёт Zoom",
        _marks(
            "time in session (minutes)",
            "name (original name)",
            "user name (original name)",
            "user email;duration (minutes)",
            "user email;total duration (minutes)",
            "время в сеансе (минуты)",
            "имя пользователя (настоящее имя)",
            "имя пользователя (исходное имя)",
            "имя (настоящее имя)",
            "имя (исходное имя)",
            "электронная почта пользователя;длительность (минуты)",
            "электронная почта пользователя;продолжительность (минуты)",
        ),
        "config",
    ),
    Platform(
        "отчёт Microsoft Teams",
        _marks(
            "first join;last leave",
            "in-meeting duration",
            "participant id (upn)",
            "первое присоединение;последний выход",
            "идентификатор участника (upn)",
            "длительность участия в собрании",
            "full name;user action;timestamp",
        ),
        "month first",
    ),
    Platform(
        "отчёт Google Meet",
        _marks("first name;last name;time joined;time exited", "time joined;time exited"),
        "month first",
    ),
    Platform(
        "отчёт МТС Линк",
        _marks("имя в чате;роль;время присутствия", "имя в чате;время входа;время выхода"),
        "day first",
    ),
    Platform(
        "отчёт GetCourse",
        _marks(
            "пользователь;был на вебинаре",
            "пользователь;был в эфире",
            "пользователь;время на вебинаре",
            "пользователь;просмотр вебинара",
            "пользователь;просмотрено минут",
            "пользователь;зашел;вышел",
            "id пользователя;был на вебинаре",
            "id пользователя;время на вебинаре",
            "ученик;был на вебинаре",
            "id пользователя;время просмотра",
            "пользователь;перешел по кнопке",
            "эффективный пользователь",
            "user;attended webinar",
            "user;time on webinar",
            "user id;time on webinar",
            "user id;attended webinar",
        ),
        "day first",
        knows_clicks=True,
        columns=_columns(
            "attended,minutes: Был на вебинаре; Был в эфире; Посетил эфир; Attended webinar; Was on webinar",
            "minutes: Просмотр вебинара; Просмотрено минут; Время в эфире; Время на эфире; Webinar watch time; "
            "Time on webinar",
            "came: Зашел на вебинар; Вход на вебинар; Зашел в эфир; Entered webinar",
            "left: Вышел с вебинара; Выход с вебинара; Вышел из эфира; Left webinar",
            "buttons: Перешел по кнопке; Переходил по кнопке; Перешел по ссылке; Нажал на кнопку под эфиром; "
            "Клик по офферу; Клики по офферам; Clicked the button; Offer clicks",
            "name: Пользователь; Ученик; User",
            ": Создан; Последняя активность; Эффективный пользователь; Оставил заказ; Заказы; Комментарии; ID заказа",
        ),
    ),
    Platform(
        "отчёт Pruffme",
        _marks(
            "контроль присутствия",
            "подтверждения присутствия",
            "контроль внимания",
            "presence control",
            "presence checks",
            "имя;фамилия;роль;время присутствия",
            "имя;роль участника;время присутствия",
            "name;role;presence time",
            "first name;last name;role;presence time",
            "first name;presence time",
        ),
        "day first",
        knows_clicks=True,
        columns=_columns(
            "minutes: Время присутствия; Общее время присутствия; Время онлайн; Presence time; Total presence time",
            "attended: Статус присутствия; Факт присутствия; Presence status; Presence",
            "buttons: Клики по CTA; Клики по предложениям; Нажатые предложения; Переходы по предложениям; "
            "Предложения; CTA; Clicked offers; Clicked CTA",
            ": Контроль присутствия; Подтверждения присутствия; Контроль внимания; Presence control; Presence checks; "
            "Сообщений в чате; Вопросов; Голосований; Messages; Тесты; Сертификат",
        ),
    ),
    Platform(
        "отчёт eTutorium",
        _marks(
            "вовлеченность;время присутствия",
            "вовлеченность;время на вебинаре",
            "вовлеченность;присутствие",
            "вовлеченность;вход;выход",
            "вовлеченность;время входа;время выхода",
            "вовлеченность;длительность участия",
            "вовлеченность;статус",
            "engagement;attendance",
            "engagement;time in webinar",
            "engagement;status",
            "engagement;join time;leave time",
            "involvement;attendance",
            "involvement;join time;leave time",
        ),
        "day first",
        knows_clicks=True,
        columns=_columns(
            "attended,minutes: Присутствие; Присутствие на вебинаре; Посещение; Посещаемость; Attendance",
            "minutes: Длительность участия; Длительность присутствия; Time in webinar",
            "buttons: Клики по баннерам и кнопкам; Клики по предложению; Активные ссылки; Clicks on offers",
            ": Вовлеченность; Engagement; Involvement; Активность; Activity; Оценка вебинара; Rating",
        ),
    ),
    Platform(
        "отчёт MyOwnConference",
        _marks(
            "внимание;вход;выход",
            "внимание;вошел;вышел",
            "внимание;время входа;время выхода",
            "внимание;время на вебинаре",
            "имя;электронная почта;вход;выход;длительность",
            "attention;time in;time out",
            "attention;joined;left",
            "attention;entered;left",
            "attention;time on webinar",
        ),
        "day first",
        knows_clicks=True,
        columns=_columns(
            "minutes: Время на вебинаре; Был на вебинаре; Длительность; Time on webinar; Duration",
            "buttons: Клики по объявлению; Клики по рекламе; Продажи; Переход по предложению; Offer clicks; Ad clicks",
            ": Внимание; Attention; Страна; Country; Браузер; Browser; Устройство; Device",
        ),
    ),
    Platform(
        "отчёт Livewebinar",
        _marks(
            "name;email;join time;leave time;country",
            "nickname;joined;left",
            "nickname;join time;leave time",
            "nickname;entered at;exited at",
            "nickname;time in room",
            "attention rate",
            "nickname;role;time spent",
            "никнейм;присоединился;покинул",
            "никнейм;время присоединения;время выхода",
            "никнейм;время в комнате",
            "никнейм;уровень внимания",
        ),
        "day first",
        knows_clicks=True,
        columns=_columns(
            "nick: Nickname; Никнейм",
            "came: Entered at; Joined; Присоединился",
            "left: Exited at; Left; Покинул; Покинул комнату",
            "minutes: Time in room; Time spent; Время в комнате; Время участия",
            "buttons: Call to action; Call-to-action clicks; CTA; CTA clicks; Призыв к действию; Клики по CTA",
            ": Attention rate; Attention; Уровень внимания; Country; Страна; Status; Registration date; Registered",
        ),
    ),
    Platform(
        "отчёт ClickMeeting",
        _marks(
            "date of entry;date of exit",
            "entry date;exit date",
            "login date;logout date",
            "nick;login time;logout time",
            "attendee;login time;logout time",
            "nick;entry time;exit time",
            "дата входа в комнату;дата выхода из комнаты",
            "ник;вход в комнату;выход из комнаты",
            "вход в комнату;выход из комнаты;время в комнате",
            "ник;время входа в систему;время выхода из системы",
        ),
        "day first",
        knows_clicks=True,
        columns=_columns(
            "nick: Nick; Ник",
            "came: Date of entry; Entry date; Entry time; Login date; Login time; Вход в комнату; "
            "Дата входа в комнату; Время входа в систему",
            "left: Date of exit; Exit date; Exit time; Logout date; Logout time; Выход из комнаты; "
            "Дата выхода из комнаты; Время выхода из системы",
            "minutes: Session time; Time spent in the room; Time in the room; Время в комнате; Время сеанса",
            "buttons: Call to action; CTA; Призыв к действию; Clicked call to action",
            ": Country; Страна; Operating system; Browser; Rating; Оценка; Registration date; Дата регистрации",
        ),
    ),
)


def platform_of(headings: Collection[str]) -> Platform | None:
    """By the headings of a table's columns."""
    known = {name for one in headings for name in names_of(one)}
    return next((one for one in PLATFORMS if any(marks <= known for marks in one.marks)), None)


# --- sections, sheets, rows -------------------------------------------------------------------------------------------

HOST = "ведущий или организатор"
ABSENT = "не был на вебинаре"
WAITING = "был только в зале ожидания"
BANNED = "забанен на вебинаре"
TEST = "похоже на проверку: имя или почта тестовые"
STAFF = "свой сотрудник: {mail}"
Section = Literal["hosts", "people", "absent", "waiting", "banned", "activities", "summary"]

_ABOUT = r"(?:(?:сведения|данные|информация|список) (?:об? )?)?"
_SECTIONS: tuple[tuple[Section, re.Pattern[str]], ...] = (
    ("hosts", re.compile(
        rf"{_ABOUT}(?:организатор|соорганизатор|ведущ|соведущ|спикер|докладчик|выступающ|панелист|модератор|"
        rf"эксперт|лектор|преподавател|учител|"
        r"сотрудник|персонал|хост|участник\w* (?:дискуссии|панели|обсуждения))\w*"
        r"|(?:(?:alternative )?host|co-?host|panell?ist|presenter|organi[sz]er|co-?organi[sz]er|moderator|speaker|"
        r"staff|interpreter|producer)s?"
        r"(?: details| list| information| report)?"
    )),
    ("absent", re.compile(
        r"(?:не (?:пришли|были|явились|посетили|присутствовали|участвовали|дошли)|отсутствовали|отсутствующие|"
        r"неявка|не пришедшие|непришедшие|"
        r"(?:записались|зарегистрировались|зарегистрированы|зарегистрированные),? (?:но|и) не (?:пришли|были|"
        r"явились|посетили)|"
        r"absent|absentees?|no[ -]?shows?|did not attend|not attended|"
        r"registered,? (?:but )?(?:did )?not attend(?:ed)?|registrants|"
        r"регистрации|регистрация|зарегистрировались|зарегистрированные|записались|registrations?|registered)"
    )),
    ("waiting", re.compile(r"(?:в )?(?:зал|зале|комната|комнате) ожидания|(?:in )?(?:the )?waiting room|лобби|lobby")),
    ("banned", re.compile(r"забаненные|заблокированные|бан|забанены|banned|blocked|удаленные")),
    ("activities", re.compile(
        r"(?:in-meeting |meeting )?activit(?:y|ies)|engagement|действия(?: участников)?(?: (?:на|во время|в ходе|"
        r"в) \w+)?|активност\w*(?: \w+ \w+)?|"
        r"чат|сообщения(?: чата)?|chat|опросы?|polls?|вопросы|вопросы и ответы|questions?|q ?& ?a|тесты|заказы|"
        r"orders|события"
    )),
    ("people", re.compile(
        rf"{_ABOUT}(?:участник(?!\w* (?:дискуссии|панели))|зрител|слушател|присутствовавш|посетител|гост)\w*|"
        rf"пришли|были|присутствовали|"
        r"(?:attendee|participant|viewer|guest|other attended|other attendee|other participant|"
        r"attended)s?(?: details| list| report)?"
    )),
    ("summary", re.compile(
        r"(?:общая )?сводка|сводная|summary|meeting summary|сведения|итоги|общая информация|overview|статистика"
    )),
)  # fmt: skip


def section(title: str) -> Section | None:
    """What a line or a sheet with this title is about, if that is all it says."""
    plain = re.sub(r"^\d+[.)] *", "", normalise(title)).strip(" :.;")
    plain = re.sub(r" ?\(\d+\)$| ?[:-] ?\d+$", "", plain)
    return next((kind for kind, pattern in _SECTIONS if pattern.fullmatch(plain)), None)


LEFT_OUT_BY_SECTION: dict[Section, str] = {"hosts": HOST, "absent": ABSENT, "waiting": WAITING, "banned": BANNED}

_HOSTS = re.compile(
    r"(?:(?:главный|технический|тех\.?) )?(?:ведущ|соведущ|организатор|соорганизатор|модератор|администратор|админ|"
    r"докладчик|спикер|эксперт|"
    r"лектор|преподавател|учител|куратор|сотрудник|помощник|ассистент|выступающ|владел|хост|продюсер|переводчик|методист|"
    r"тренер)\w*(?: (?:вебинара|собрания|встречи|конференции|мероприятия))?"
    r"|(?:тех(?:ническая|\.)? ?)?поддержка|техподдержка|персонал"
    r"|(?:alternative |meeting |webinar |event )?(?:host|co-?host|organi[sz]er|co-?organi[sz]er|presenter|"
    r"moderator|panell?ist|speaker|admin|"
    r"administrator|staff|trainer|teacher|producer|interpreter|owner|support|instructor|assistant)s?"
)  # fmt: skip
_GUESTS = re.compile(
    r"участни\w*|слушател\w*|зрител\w*|гост\w*|посетител\w*|ученик\w*|ученица|студент\w*|клиент\w*|пользовател\w*|"
    r"attendees?|participants?|viewers?|guests?|listeners?|"
    r"students?|users?|visitors?|members?|подписчик\w*|лид\w*"
)


def is_host(role: str) -> bool | None:
    """What a role says: leads the webinar, attends it; None for a role that nobody knows."""
    told = [part.strip() for part in re.split(r"[,;/]", normalise(role).strip(" .:")) if part.strip()]
    if any(_HOSTS.fullmatch(part) for part in told):
        return True
    return False if told and all(_GUESTS.fullmatch(part) for part in told) else None


_CALLED_HOST = re.compile(r"[(\[]([^()\[\]]+)[)\]]\s*$")


def is_called_host(name: str) -> bool:
    """Whether a name ends with the role: «Ольга (ведущая)», «Olga (Host)»."""
    found = _CALLED_HOST.search(name)
    if found is None:
        return False
    parts = [re.sub(r"^(?:я|me)$", "", part.strip()) for part in re.split(r"[,;]", normalise(found[1]))]
    return any(part and _HOSTS.fullmatch(part) for part in parts)


_CALLED_GUEST = re.compile(r"\s*\((?:guest|гость|unverified|не проверено|внешний|external)\)$", re.IGNORECASE)


def without_guest(name: str) -> str:
    """The name without what a platform adds to those who have no account: «Denis (Guest)»."""
    return _CALLED_GUEST.sub("", name)


_TOTAL = re.compile(
    r"(?:итог\w*|всего|общ\w+ (?:итог|количество|время)|сумма|средн\w+(?: \w+)?|grand total|totals?|sum|average|"
    r"avg|subtotal|среднее)"
    r"(?: (?:участников|человек|людей|зрителей|слушателей|минут|по \w+|participants|attendees|"
    r"people))?(?: ?[:=-]? ?\d+[\d ,.:]*)?"
)


def is_total(words: str) -> bool:
    """Whether a row that begins so sums up the others."""
    return _TOTAL.fullmatch(normalise(words).strip(" :.")) is not None


_TEST_NAME = re.compile(
    r"(?:тест|test|тестов(?:ый|ая|ое)|testing|проверка|проверочный)\d*"
    r"(?: (?:тест|test|\d+|[а-яa-z]\.?|участник|пользователь|user|клиент|вход|аккаунт|имя|ученик|зритель|проверка)\d*)*"
)
_TEST_MAIL = re.compile(
    r"(?:test|тест|testtest|test[._-]?(?:user|mail|account|\d+)|proverka|"
    r"no-?reply)(?:\+[^@]*)?@.+"
)


def is_test(name: str, mails: Collection[str]) -> bool:
    """Whether somebody only tried the room."""
    plain = normalise(name).strip(" .:!-")
    return _TEST_NAME.fullmatch(plain) is not None or any(_TEST_MAIL.fullmatch(mail) for mail in mails)


# --- what stands above the people -------------------------------------------------------------------------------------

TITLE = frozenset({"тема", "topic", "название", "название вебинара", "название мероприятия", "название собрания",
    "вебинар", "мероприятие", "title", "webinar", "webinar title", "meeting title", "event", "event name",
    "webinar name", "тема вебинара", "тема собрания", "эфир", "комната"})  # fmt: skip
DAY = frozenset({"дата", "дата вебинара", "дата проведения", "дата мероприятия", "дата и время",
    "дата и время проведения", "дата и время вебинара", "дата эфира", "дата встречи", "дата собрания", "период",
    "когда", "начало", "время начала", "фактическое время начала", "дата начала", "начало вебинара",
    "начало мероприятия", "дата и время начала", "время начала собрания", "проведен", "date", "start",
    "start time", "actual start time", "webinar date", "event date", "start date", "session date",
    "meeting start time", "started", "started at", "date and time", "event start",
    "held on"})  # fmt: skip
LENGTH = frozenset({"длительность", "длительность вебинара", "продолжительность", "продолжительность вебинара",
    "длительность мероприятия", "длительность собрания", "продолжительность собрания", "фактическая длительность",
    "длительность эфира", "duration", "meeting duration", "actual duration", "webinar duration", "event duration",
    "session duration", "total duration"})  # fmt: skip
HOSTED_BY = frozenset({"host", "host email", "host name", "хост", "организатор", "ведущий", "ведущая", "ведущие",
    "модератор", "организаторы", "спикер", "спикеры", "electronic mail", "user email",
    "электронная почта пользователя", "почта организатора", "email организатора", "организатор собрания",
    "organizer", "organiser", "presenter", "meeting organizer"})  # fmt: skip
MADE = re.compile(r"созда|выгруж|выгрузк|сформир|экспорт|скач|распечат|обновлен|generated|exported|created|"
    r"downloaded|report date|printed")  # fmt: skip
META_ONLY = frozenset({"meeting id", "webinar id", "идентификатор вебинара", "идентификатор конференции",
    "идентификатор собрания", "идентификатор встречи", "id вебинара", "id", "actual start time",
    "фактическое время начала", "start time", "end time", "время начала", "время окончания", "# registrants",
    "unique viewers", "total users", "зарегистрировано", "уникальные зрители", "participants", "участники",
    "max concurrent views"})  # fmt: skip

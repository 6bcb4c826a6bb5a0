"""Tables of cells, and the meaning of their columns by whole headings.

A heading may tell more than its name: «Длительность (сек.)» its unit, «Время входа (МСК)» its zone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import tzinfo
from functools import lru_cache
from typing import Literal, get_args

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import cells
from amo_bridge.webinars.formats.cells import Cell, Unit

Row = list[Cell]


@dataclass(frozen=True)
class Table:
    """``file`` and ``sheet`` say where it is; ``sheet`` is empty for a text file. ``rows`` from the first line on."""

    file: str
    sheet: str
    rows: tuple[tuple[Cell, ...], ...]
    is_hidden: bool = False

    @property
    def where(self) -> str:
        return f"{self.file}, лист «{self.sheet}»" if self.sheet else self.file

    def place(self, number: int) -> str:
        """A row for people: counted from 1, as Excel and text editors do."""
        return f"{self.where}, строка {number + 1}"

    def from_row(self, number: int) -> Iterator[tuple[int, Row]]:
        """(number, cells) of the rows from here on that hold anything."""
        for at in range(number, len(self.rows)):
            row = list(self.rows[at])
            if any(cells.text(cell) for cell in row):
                yield at, row


Field = Literal["name", "mail", "phone", "minutes", "came", "left", "from", "till", "buttons", "banner", "banned",
                "date", "attended", "ip", "city", "first_name", "last_name", "middle_name", "nick", "role",
                "waiting_room", "length", "first_came", "last_left", "webinar"]  # fmt: skip
FIELDS: tuple[Field, ...] = get_args(Field)

WORDS: Mapping[str, str] = {
    "name": "имя", "mail": "почта", "phone": "телефон", "minutes": "минут на вебинаре", "came": "пришёл",
    "left": "ушёл", "from": "начало интервала", "till": "конец интервала", "buttons": "нажатые кнопки",
    "banner": "клик по баннеру", "banned": "забанен", "date": "дата вебинара", "attended": "присутствовал",
    "ip": "IP", "city": "город", "first_name": "только имя", "last_name": "фамилия", "middle_name": "отчество",
    "nick": "имя в чате", "role": "роль", "waiting_room": "в зале ожидания", "length": "длительность вебинара",
    "first_came": "первый вход", "last_left": "последний выход", "webinar": "вебинар",
}  # fmt: skip
"""What each field is called for people."""
NO_COLUMN = "-"
"""Instead of a column's title: there is no such column, whatever one may be taken for."""

# --- headings ---------------------------------------------------------------------------------------------------------

ALIASES: Mapping[Field, str] = {
    "name": "ФИО; Ф.И.О.; Ф.И.О. участника; Ф.И.О. слушателя; "
    "ФИО участника; ФИО слушателя; ФИО клиента; Имя и фамилия; Фамилия и имя; Имя, фамилия; "
    "Фамилия, имя; Фамилия имя; "
    "Имя фамилия; Фамилия Имя Отчество; Фамилия, имя, отчество; Полное имя; Участник; Участники; Имя участника; "
    "Имя зрителя; Зритель; Клиент; "
    "Имя клиента; Пользователь; Имя пользователя; Слушатель; Имя слушателя; Посетитель; Имя посетителя; Ученик; "
    "Имя ученика; Имя гостя; "
    "Имя / ник; Имя/Фамилия; Name; Full name; Fullname; User name; Username; Participant; Participant name; "
    "Participants; Attendee; "
    "Attendee name; Display name; Viewer; Viewer name; Student; Student name; User; Contact name; Visitor; Customer",
    "first_name": "Имя; First name; Firstname; Given name; First",
    "last_name": "Фамилия; Фамилия участника; Last name; Lastname; Surname; Family name; Last; Second name",
    "middle_name": "Отчество; Middle name; Patronymic",
    "nick": "Имя в чате; Ник; Ник в чате; Никнейм; Псевдоним; Логин; Отображаемое имя; Nick; Nickname; Chat name; "
    "Screen name",
    "mail": "Почта; E-mail; Email; Mail; E mail; Эл. почта; Эл почта; Эл. адрес; Электронная почта; "
    "Электронный адрес; "
    "Адрес электронной почты; Адрес эл. почты; Адрес почты; Почтовый адрес; E-mail адрес; Email адрес; Емейл; "
    "Имейл; Имэйл; Е-мейл; Мейл; Емайл; "
    "Почта участника; Почта клиента; E-mail участника; Email участника; Email пользователя; E-mail пользователя; "
    "Email слушателя; E-mail зрителя; "
    "Email зрителя; Электронная почта участника; Электронная почта пользователя; Почта / e-mail; Email address; "
    "E-mail address; Mail address; User email; User e-mail; Attendee email; Participant email; Student email; "
    "Контактный email; "
    "Рабочая почта; Личная почта; Почта 2; Вторая почта; Доп. почта; Дополнительная почта; Email 2; E-mail 2; "
    "Participant ID (UPN); "
    "Идентификатор участника (имя участника-пользователя); Идентификатор участника (UPN); UPN; User principal name",
    "phone": "Телефон; Номер телефона; Тел; Тел.; Номер тел.; Телефон участника; Телефон клиента; Мобильный; "
    "Мобильный телефон; Моб. телефон; "
    "Моб. тел.; Мобильный номер; Контактный телефон; Контактный номер; Сотовый; Сотовый телефон; Телефон 2; "
    "Доп. телефон; "
    "Рабочий телефон; Телефон (WhatsApp); WhatsApp; Ватсап; Phone; Phone number; Phone No; Phone #; Mobile; "
    "Mobile phone; Mobile number; Cell phone; "
    "Telephone; Tel; Contact phone; User phone; Телефон пользователя; Телефон зрителя",
    "came": "Начал смотреть; Начал просмотр; Пришёл; Пришёл в; Вошёл; Вошёл в; Вход; Время входа; Дата входа; "
    "Дата и время входа; Зашёл; Зашёл в; "
    "Время захода; Подключился; Подключение; "
    "Время подключения; Дата подключения; Дата и время подключения; Начало просмотра; Начало участия; Время прихода; "
    "Присоединился; Время присоединения; Вход на вебинар; Вход в комнату; Вход в вебинар; На вебинаре с; "
    "Когда пришёл; Начало сессии; Время начала просмотра; "
    "Время начала участия; Вход в эфир; Join time; Joined; Joined at; Join; Time joined; Join date; Join datetime; "
    "Entered; Entered at; "
    "Enter time; Entry time; Time of entry; Login time; Login; Login date; Logged in; Log in time; Time in; Came; "
    "Connected; Connected at; "
    "Connection time; Connect time; Arrival time; Arrived; Session start; Check-in; Date joined",
    "left": "Закончил смотреть; Закончил просмотр; Перестал смотреть; Ушёл; Ушёл в; Вышел; Вышел в; Выход; "
    "Время выхода; Дата выхода; Дата и время выхода; Отключился; "
    "Отключение; Время отключения; "
    "Дата и время отключения; Дата отключения; Конец просмотра; Конец участия; Окончание просмотра; "
    "Окончание участия; Время ухода; Покинул; "
    "Время покидания; Выход из комнаты; Выход из вебинара; Выход с вебинара; Досмотрел до; Был до; Когда ушёл; "
    "Конец сессии; Время окончания просмотра; "
    "Выход из эфира; Leave time; Left; Left at; Leave; Time left; Time exited; Exit time; Exited; Exit; Logout time; "
    "Logout; Logout date; Logged out; Log out time; Time out; Leave date; Disconnected; Disconnected at; "
    "Disconnect time; Departure time; Session end; "
    "Check-out; Date left",
    "first_came": "Первый вход; Время первого входа; Первое подключение; Первое присоединение; "
    "Первое присоединение к собранию; First join; First join time; First "
    "joined; First joined at; First entry; First login; Первое посещение",
    "last_left": "Последний выход; Время последнего выхода; Последнее отключение; Последний раз покинул; "
    "Последний уход; Last leave; Last leave time; "
    "Last left; Last exit; Last logout; Last left at; Последнее посещение",
    "from": "Интервалы; Интервалы присутствия; Начало интервала",
    "till": "присутствия; Конец интервала",
    "buttons": "Кнопки; Нажатые кнопки; Нажатая кнопка; Кнопка; Клики; Клик; Клики по кнопкам; Клики по кнопке; "
    "Клик по кнопке; Клик по кнопкам; "
    "Нажал кнопку; Нажал на кнопку; Нажатия; Нажатия кнопок; Нажатия на кнопки; Нажатие кнопки; Нажатие на кнопку; "
    "Что нажал; Что нажимал; Какие кнопки нажал; "
    "Кнопки и баннеры; Переходы по кнопке; Переходы по кнопкам; Переход по кнопке; Количество кликов; "
    "Кол-во кликов; Число кликов; Кликов; "
    "Buttons; Button; Clicks; Click; Clicked; Clicked buttons; Buttons clicked; Button clicks; Button click; CTA; "
    "CTA clicks; CTA clicked; Clicked CTA; "
    "Offer clicks; Offer clicked; Clicked offer; Number of clicks; Clicks count",
    "banner": "Баннер; Баннеры; Клик по баннеру; Клики по баннеру; Клики по баннерам; Клики на баннер; "
    "Нажал баннер; Нажал на баннер; Нажатие на баннер; "
    "Переход по баннеру; Переходы по баннеру; Banner; Banners; Banner click; Banner clicks; Clicked banner; "
    "Banner clicked",
    "banned": "Бан; Забанен; Забанен(а); Заблокирован; Заблокирован(а); Блокировка; В бане; Banned; Ban; Blocked; "
    "Is banned",
    "date": "Дата и время начала; Начало вебинара; Дата начала вебинара; Время начала вебинара; Webinar start time; "
    "Дата; Дата вебинара; Дата проведения; Дата проведения вебинара; Дата мероприятия; Дата эфира; "
    "Дата трансляции; Дата занятия; Дата встречи; "
    "День вебинара; Дата и время вебинара; Дата участия; Дата посещения; Когда был вебинар; Дата сессии; "
    "Date; Webinar date; Event date; Session date; Meeting date; Date of webinar; Date attended",
    "attended": "На вебинаре; На эфире; Присутствовал; Присутствовал(а); Присутствовала; Присутствовал на вебинаре; "
    "Присутствовал ли; "
    "Присутствие; Был; Был(а); Был на вебинаре; "
    "Был ли на вебинаре; Посетил; Посетил вебинар; Посещение; Посещение вебинара; Посетил(а); Явка; Участие; "
    "Участие в вебинаре; Участвовал; "
    "Участвовал в вебинаре; Дошёл; Дошёл до вебинара; Статус; Статус участия; Статус посещения; Статус участника; "
    "Пришёл на вебинар; "
    "Пришёл ли; Attended; Attendance; Attendance status; Has attended; Did attend; Visited; Status; Participation; "
    "Present; Showed up; Show up",
    "role": "Роль; Роль участника; Роль в вебинаре; Роль на вебинаре; Роль пользователя; Тип; Тип участника; "
    "Тип пользователя; "
    "Права; Role; User role; Participant role; Attendee role; Type; User type; Participant type; Attendee type",
    "waiting_room": "В зале ожидания; Зал ожидания; В комнате ожидания; Комната ожидания; In waiting room; "
    "Waiting room; Waiting room status",
    "length": "Длительность вебинара; Продолжительность вебинара; Длительность мероприятия; "
    "Продолжительность мероприятия; Длительность эфира; "
    "Длительность встречи; Длительность трансляции; Webinar duration; Meeting length; Event duration; "
    "Webinar length; "
    "Общая длительность вебинара; Scheduled duration",
    "webinar": "Вебинар; Название вебинара; Мероприятие; Название мероприятия; Тема вебинара; Название эфира; "
    "Webinar; Webinar name; "
    "Webinar title; Event name; Event title; Topic; Тема",
    "ip": "IP; IP-адрес; IP адрес; IP address",
    "city": "Город; City",
}  # fmt: skip
# Lengths of a stay are named in so many ways that a grammar of whole headings is shorter than a list.
_STAY_WHAT = (
    "время|длительность|продолжительность|длит|минуты|минут|мин|секунды|секунд|сек|часы|часов|количество минут|"
    "кол-во минут|число минут|"
    "количество секунд|кол-во секунд|всего минут|итого минут|сколько минут|сумма минут"
)
_STAY_OF = (
    "просмотра|участия|присутствия|пребывания|нахождения|посещения|визита|подключения|сессии|сеанса|в сеансе|"
    "на вебинаре|в вебинаре|вебинар|на эфире|в эфире|"
    "в комнате|онлайн|на мероприятии|на встрече|на собрании|собрания|на трансляции|на занятии|на уроке|"
    "в конференции|в зале|"
    "смотрел|смотрела|просмотрено|присутствовал|пробыл|провел|был|участника|зрителя|слушателя|общее|общая|всего|"
    "итого|суммарно|"
    "участия в собрании|участия в вебинаре|присутствия на вебинаре|просмотра вебинара|нахождения на вебинаре|"
    "пребывания на вебинаре|присутствия в комнате"
)
_STAY = re.compile(
    r"ч|час|h|hr|hrs|"
    rf"(?:(?:общее|общая|суммарное|суммарная|полное|фактическое|фактическая|"
    rf"чистое) )?(?:{_STAY_WHAT})(?: (?:{_STAY_OF}))*"
    r"|(?:просмотрел|просмотрено|смотрел|посмотрел|пробыл|провел|был|был на вебинаре|провел на вебинаре|"
    r"присутствовал)(?: (?:минут|мин|секунд|сек|часов))"
    r"|(?:онлайн|online|всего времени|итого времени|просмотр|просмотрено|пробыл|провел на вебинаре|пробыл на вебинаре|"
    r"сколько смотрел|"
    r"сколько был|"
    r"сколько пробыл|присутствие на вебинаре)"
    r"|(?:total |overall )?(?:duration|time|minutes|mins|min|seconds|secs|hours|watch time|watched|watching time|"
    r"view time|viewing time|"
    r"viewed|time spent|time watched|time viewed|time attended|time online|time connected|time present|"
    r"attendance duration|attendance time|attendance minutes|attended minutes|"
    r"minutes attended|minutes watched|minutes viewed|watched minutes|in-meeting duration|session duration|"
    r"session length|session time|stay duration|"
    r"time in session|time in meeting|time in room|time in webinar|time in conference|time in event|attended for|"
    r"duration of attendance|duration of stay|connection duration)"
)  # fmt: skip
# «Время» alone may be a moment as well as a length: somebody must say.
_AMBIGUOUS = frozenset(
    {"время", "time", "онлайн", "online", "был", "присутствовал", "вебинар", "просмотр", "смотрел", "итого", "всего"}
)

_BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
_TAIL = re.compile(r"(?:,|/|\bв\b|\bin\b| -)\s*([^,/]+)$")
_BUTTON = re.compile(
    r"(?:(?:клики?|кликов|нажати[еяй]|нажал[а()]*|переходы?|перешел|clicks?|clicked)\s+)?(?:(?:по|на|on)\s+)?"
    r"(?:кнопк[аиеу]|баннер[ауе]?|ссылк[аиеу]|button|banner|cta|offer|link)"
    r"\s*(?:[:№#—–-]\s*|(?=[«\"“'‘(\d]))(.+)",
    re.IGNORECASE,
)
_SHARES = frozenset({"%", "процент", "проценты", "в процентах", "percent", "доля"})
_COUNTS = frozenset(
    {"количество", "кол-во", "шт", "шт.", "раз", "count", "число", "да/нет", "да / нет", "1/0", "yes/no", "+/-"}
)


@dataclass(frozen=True)
class Heading:
    """What a column's heading tells: its ``field``; ``unit``, ``zone`` of its cells; ``button``: the name of the one
    button that the column is about."""

    title: str
    fields: tuple[Field, ...] = ()
    unit: Unit | None = None
    short_clock: Literal["h:mm", "m:ss"] | None = None
    zone: tzinfo | None = None
    button: str = ""


def _plain(title: str) -> str:
    return normalise(title).replace("*", "").strip(" :.;,")


_FIELDS_OF: dict[str, list[Field]] = {}
for _field, _told in ALIASES.items():
    for _alias in _told.split(";"):
        _FIELDS_OF.setdefault(_plain(_alias), []).append(_field)


_IDENTIFIER = re.compile(r"[A-Za-z]+(?:_[A-Za-z]+)+|[a-z]+(?:[A-Z][a-z]+|[A-Z]{2,})+|[A-Z][a-z]+(?:[A-Z][a-z]+)+")
_WORD = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]")


def _spelled(title: str) -> str:
    """A programmer's heading in words: join_time, durationSeconds."""
    if not _IDENTIFIER.fullmatch(title):
        return title
    words = _WORD.findall(title)
    if len(words) > 1 and cells.unit_named(words[-1]):
        return f"{' '.join(words[:-1])} ({words[-1]})"
    return " ".join(words)


@lru_cache(maxsize=4096)
def heading(title: str) -> Heading:
    """Read a heading whole: as it stands, then without its brackets, then without the unit at its end."""
    written = cells.text(title)
    plain = _plain(_spelled(written))
    if not plain or len(plain) > 80:
        return Heading(written)
    inside = [part.strip() for part in _BRACKETS.findall(_spelled(written))]
    if _is_share(plain, inside):
        # «Просмотрено, %» is no length, and how long the whole webinar was nobody has said.
        return Heading(written)
    unit, zone, short_clock = _unit_first(plain), None, None
    for part in inside:
        unit = unit or cells.unit_named(part)
        zone = zone or (cells.zone_named(part) if part else None)
        short_clock = short_clock or _clock_named(part)
    bare = _plain(_BRACKETS.sub(" ", _spelled(written)))
    shorter = bare
    if tail := _TAIL.search(bare):
        if named := cells.unit_named(tail[1]):
            unit, shorter = unit or named, _plain(bare[: tail.start()])
        elif found := _clock_named(tail[1]):
            short_clock, shorter = short_clock or found, _plain(bare[: tail.start()])
    for told in dict.fromkeys((plain, bare, shorter)):
        if unit and told != plain and told in _AMBIGUOUS and _STAY.fullmatch(told):
            return Heading(written, ("minutes",), unit, short_clock, zone)
        if fields := _fields_of(told):
            is_odd = (
                told != plain and "name" in fields and any(_plain(part) in ("компания", "company") for part in inside)
            )
            return Heading(written, () if is_odd else fields, unit, short_clock, zone)
    if button := _BUTTON.fullmatch(written):
        told = button[1].strip().strip("«»\"“”'‘’()").strip()
        if _plain(told) in _COUNTS:
            return Heading(written, ("buttons",))
        return Heading(written, button=written if told.isdigit() else told)
    return Heading(written)


def _is_share(plain: str, inside: Sequence[str]) -> bool:
    """Whether a column holds percents."""
    return (
        plain.endswith("%")
        or plain.startswith("%")
        or any(part in _SHARES for part in map(_plain, inside))
        or (plain.split(" ")[0] in ("процент", "доля", "percent", "percentage", "share"))
    )


def names_of(title: str) -> tuple[str, ...]:
    """The heading in the forms in which it is compared: whole, without brackets, without the unit at its end."""
    spelled = _spelled(cells.text(title))
    plain, bare = _plain(spelled), _plain(_BRACKETS.sub(" ", spelled))
    tail = _TAIL.search(bare)
    shorter = _plain(bare[: tail.start()]) if tail and (cells.unit_named(tail[1]) or tail[1] == "%") else bare
    return tuple(dict.fromkeys((plain, bare, shorter)))


_CLICKS = re.compile(
    r"(?:количество |кол-во |число |всего )?(?:клик(?:и|ов)?|нажати[еяй]|переход(?:ы|ов)?|нажал(?:\(а\))?)"
    r"(?: (?:по|на) (?:кнопк[еуи]|кнопкам|кнопки|cta|ссылк[еуи]|ссылкам))?"
    r"|(?:клик(?:и|ов|ал|нул)?|нажати[еяй]|нажал|нажимал|переход(?:ы|ил)?|перешел|открыл|открывал)(?:\(а\)|а)? "
    r"(?:по|на|в) (?:кнопк[еуи]|кнопкам|кнопки|оффер(?:у|ы|ам)?|предложени[еюя]|предложениям|спецпредложени[еюя]|cta|"
    r"ссылк[еуи]|ссылкам|оплату|заказ)"
    r"|(?:number of |total )?(?:button |cta |offer |link )?clicks?(?: count)?"
)
_BANNER_CLICKS = re.compile(
    r"(?:количество |кол-во |число |всего )?(?:клик(?:и|ов)?|нажати[еяй]|переход(?:ы|ов)?|нажал(?:\(а\))?) (?:по|на) "
    r"баннер(?:у|ам|ы)?"
)


def _fields_of(plain: str) -> tuple[Field, ...]:
    found = list(_FIELDS_OF.get(plain, ()))
    if not found and _CLICKS.fullmatch(plain):
        return ("buttons",)
    if not found and _BANNER_CLICKS.fullmatch(plain):
        return ("banner",)
    if (_STAY.fullmatch(plain) and plain not in _AMBIGUOUS and "length" not in found) or plain in (
        "присутствие",
        "был на вебинаре",
        "пробыл",
        "участие",
        "attendance",
        "посещение",
    ):
        found.append("minutes")
    return tuple(found)


def is_vague(title: str) -> bool:
    """Whether a heading may name a length as well as something else: what stands below it decides."""
    return _plain(_BRACKETS.sub(" ", cells.text(title))) in _AMBIGUOUS


def _unit_first(plain: str) -> Unit | None:
    """«Секунд на вебинаре», «Минут», «Minutes watched»."""
    if unit := cells.unit_named(plain):
        return None if unit == "d" else unit
    words = plain.split(" ")
    for word in (words[0], words[-1], words[1] if len(words) > 1 else ""):
        if len(word) > 2 and (unit := cells.unit_named(word)) and unit != "d":
            return unit
    return None


def _clock_named(words: str) -> Literal["h:mm", "m:ss"] | None:
    plain = words.casefold().replace(" ", "")
    if re.fullmatch(r"(?:mm?|мм?):(?:ss|сс)", plain):
        return "m:ss"
    return "h:mm" if re.fullmatch(r"(?:hh?|чч?|h):(?:mm|мм)(?::(?:ss|сс))?", plain) else None


@dataclass(frozen=True)
class Columns:
    """``at``: field → numbers of its columns. ``header``: the last row with headings. ``headings``: of each column."""

    header: int
    at: Mapping[Field, tuple[int, ...]]
    headings: Mapping[int, Heading] = field(default_factory=dict)

    def cell(self, row: Sequence[Cell], name: Field) -> Cell:
        """The field's first cell that holds anything; None if the table has no such column or the row is short."""
        told = self.cells(row, name)
        return next((cell for cell in told if cells.text(cell)), told[0] if told else None)

    def cells(self, row: Sequence[Cell], name: Field) -> list[Cell]:
        return [row[number] for number in self.at.get(name, ()) if number < len(row)]

    def has(self, *names: Field) -> bool:
        return all(name in self.at for name in names)

    def of(self, name: Field) -> Heading:
        """The heading of the field's first column."""
        numbers = self.at.get(name)
        return self.headings.get(numbers[0], Heading("")) if numbers else Heading("")

    @property
    def buttons(self) -> dict[int, str]:
        """Column → the one button that it is about."""
        return {number: one.button for number, one in self.headings.items() if one.button}


def titles(row: Sequence[Cell]) -> list[str]:
    """The cells of a header in the form in which they are compared."""
    return [_plain(cells.text(cell)) for cell in row]


def signature(row: Sequence[Cell]) -> str:
    """The same for every file with these columns, whatever is in them."""
    told = [normalise(cells.text(cell)).strip(" :.") for cell in row]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:32]


def named_columns(header: int, row: Sequence[Cell], names: Mapping[Field, str]) -> Columns:
    """Columns as a person named them and no others; units and zones are what their headings say."""
    return overridden(Columns(header, {}), row, names)


def overridden(columns: Columns, row: Sequence[Cell], names: Mapping[Field, str]) -> Columns:
    """The columns with what a person has said of some; ``NO_COLUMN``: there is none of the kind."""
    known = titles(row)
    at = dict(columns.at)
    headings = dict(columns.headings)
    for name, told in names.items():
        at.pop(name, None)
        title = _plain(told)
        if told == NO_COLUMN or not title or title not in known:
            continue
        number = known.index(title)
        for other in [other for other in at if other not in names and number in at[other]]:
            at[other] = tuple(one for one in at[other] if one != number)
            if not at[other]:
                del at[other]
        at[name] = (number,)
        headings[number] = replace(heading(cells.text(row[number])), button="")
    return Columns(columns.header, at, headings)


def _is_value(cell: Cell) -> bool:
    """Whether a cell holds what no heading does."""
    return (cell not in (None, "") and not isinstance(cell, str)) or "@" in cells.text(cell)


def header_row(table: Table, within: int) -> int:
    """Where the header of an unknown table seems to be: the first of the fullest rows that hold words only."""
    words = [row if not any(map(_is_value, row)) else () for row in table.rows[:within]]
    rows = words if any(words) else table.rows[:within]
    widths = [sum(1 for cell in row if cells.text(cell)) for row in rows]
    return widths.index(max(widths)) if widths else 0

"""Spend sheet: clients' money left, read from people's table into fields of deals each working day.

The table is people's: nothing is written there. A row is taken whole or not at all; what can't be read without guessing
is told, and the other rows go on. What is written into a deal is seen by the rules that count from these fields.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from sqlalchemy import delete, insert, select

from amo_bridge.channels.sheets import HEAD_WITHIN, Cell, SheetService
from amo_bridge.clock import Clock
from amo_bridge.config.advertising import SpendSheetSection
from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import BridgeError, ChannelRefused, LeadLost, StoreUnavailable, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.deals import LONGEST_NAME, Mirror
from amo_bridge.retry import Backoff
from amo_bridge.rules.actions import SetFields
from amo_bridge.rules.deal import Deal
from amo_bridge.storage.accounts import SPEND_SHEET_READ, SPEND_SHEET_TOLD, Cursors
from amo_bridge.storage.database import AccountStore, chunks, insert_new, notify
from amo_bridge.storage.tables import cursors, deals, in_open_state, outbox, spend_sheet_troubles
from amo_bridge.text.names import normalise

RULE = "spend_sheet"
JOURNAL = "таблица трат"
ADVICE = "; проверьте [spend_sheet]"
TOLD_AFTER = timedelta(minutes=10)
"""An outage that passes sooner is told to nobody."""
MOST_TOLD = 10
LONGEST_CELL = 60
FIRST_DAY = date(1899, 12, 30)
"""Day 0 of a table's dates (Sheets API, DateTimeRenderOption; the same in XLSX)."""
EARLIEST = date(2000, 1, 1)
_LINK = re.compile(r"https?://([^/\s]+)/leads/detail/(\d{1,15})(?:[/?#]\S*)?", re.IGNORECASE)
_NUMBER = re.compile(r"[№#]?\s*(\d{1,15})")
_MONEY = re.compile(r"₽|₸|\$|€|руб(?:лей|ля|ль)?\.?|р\.?|тг\.?", re.IGNORECASE)
_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2})(?:\s*г\.?)?")


class Unreadable(ValueError):
    """What a row says can't be taken; the text (Russian) says why."""


@dataclass(frozen=True)
class SpendRow:
    """``number``: of the row in the sheet, from 1. What is None is not known."""

    number: int
    client: str
    left: Decimal | None
    per_day: Decimal | None
    on: date | None

    @property
    def says_nothing(self) -> bool:
        return self.left is None and self.per_day is None


@dataclass(frozen=True)
class Trouble:
    """``number``: of the row in the sheet."""

    number: int
    client: str
    why: str

    @property
    def key(self) -> str:
        """By which it is known that it was told; rows move, so their numbers are not of it."""
        return SPEND_SHEET_TOLD.format(f"{zlib.crc32(f'{normalise(self.client)}|{self.why}'.encode()):08x}")

    def __str__(self) -> str:
        return f"строка {self.number}, «{self.client[:LONGEST_CELL]}»: {self.why}"


def amount_of(cell: Cell, what: str) -> Decimal | None:
    """A sum as people type it; None for an empty cell. Raises Unreadable, also for what can be read in two ways."""
    if isinstance(cell, bool):
        raise _unreadable(what, cell)
    if isinstance(cell, int | float):
        return round(Decimal(str(cell)), 2)
    text = _MONEY.sub("", " ".join(cell.split())).strip()
    if not cell.strip():
        return None
    sign = "-" if text[:1] in ("-", "−", "–") else ""
    text = text[1:].strip() if sign else text
    for groups, point in ((r"[ ']", r"[.,]"), (",", r"\."), (r"\.", ",")):
        whole = rf"\d{{1,3}}(?:{groups}\d{{3}})+"
        if found := re.fullmatch(rf"({whole})(?:{point}(\d{{1,2}}))?", text):
            # «12,345» is twelve thousand to one person and twelve and a third to another.
            if groups != r"[ ']" and found[2] is None and len(re.findall(r"\D", text)) == 1:
                raise Unreadable(f"{what} «{text}» можно понять двояко: уберите разделитель тысяч")
            return Decimal(sign + re.sub(r"\D", "", found[1]) + "." + (found[2] or "0"))
    if re.fullmatch(r"\d{1,15}(?:[.,]\d{1,2})?", text):
        return Decimal(sign + text.replace(",", "."))
    raise _unreadable(what, cell)


def day_of(cell: Cell, what: str) -> date | None:
    """A date as people type it, or as the service keeps it; None for an empty cell. Raises Unreadable."""
    if isinstance(cell, str):
        text = cell.strip().split("T")[0] if re.match(r"\d{4}-", cell.strip()) else cell.strip()
        if not text:
            return None
        try:
            if found := _DAY.fullmatch(text):
                year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
                return date(year, int(found[2]), int(found[1]))
            return date.fromisoformat(text)
        except ValueError:
            raise _unreadable(what, cell) from None
    if isinstance(cell, bool) or not 0 <= cell - (EARLIEST - FIRST_DAY).days < 36525:
        raise _unreadable(what, cell)
    return FIRST_DAY + timedelta(days=int(cell))


def _unreadable(what: str, cell: Cell) -> Unreadable:
    return Unreadable(f"{what} «{str(cell)[:LONGEST_CELL]}» не прочесть")


def rows_of(section: SpendSheetSection, cells: Sequence[Sequence[Cell]], today: date) -> list[SpendRow | Trouble]:
    """The rows that name a client. Raises ChannelRefused for a sheet whose columns can't be told."""
    head, columns = _columns(section, cells)
    found: list[SpendRow | Trouble] = []
    for number, row in enumerate(cells[head:], start=head + 1):
        values = {key: row[column] if column < len(row) else "" for key, column in columns.items()}
        client = values["client"]
        name = str(int(client) if isinstance(client, float) and client.is_integer() else client).strip()
        if name:
            try:
                found.append(_row(number, name, values, today))
            except Unreadable as error:
                found.append(Trouble(number, name, str(error)))
    return found


def _columns(section: SpendSheetSection, cells: Sequence[Sequence[Cell]]) -> tuple[int, dict[str, int]]:
    """How many rows stand above those of clients, and key of the section → column."""
    titles = [[normalise(str(cell)) for cell in row] for row in cells[:HEAD_WITHIN]]
    head = next((number for number, row in enumerate(titles) if normalise(section.client) in row), None)
    if head is None:
        raise ChannelRefused(f"на листе «{section.sheet}» нет столбца «{section.client}»: поправьте client или лист")
    columns = {}
    for key, title in section.titles.items():
        if (count := titles[head].count(normalise(title))) != 1:
            words = f"нет столбца «{title}»" if not count else f"два столбца «{title}»"
            raise ChannelRefused(f"на листе «{section.sheet}» {words}: поправьте {key} или заголовок")
        columns[key] = titles[head].index(normalise(title))
    return head + 1, columns


def _row(number: int, client: str, values: Mapping[str, Cell], today: date) -> SpendRow:
    """Raises Unreadable."""
    left = amount_of(values["left"], "остаток")
    per_day = amount_of(values.get("per_day", ""), "расход в день")
    if per_day is not None and per_day < 0:
        raise Unreadable(f"расход в день меньше нуля: {per_day}")
    if "on" not in values or left is None:
        return SpendRow(number, client, left, per_day, None)
    on = day_of(values["on"], "дату остатка")
    if on is None:
        raise Unreadable("не сказано, на какую дату остаток")
    if on > today:
        raise Unreadable(f"дата остатка {on:%d.%m.%Y} ещё не наступила")
    return SpendRow(number, client, left, per_day, on)


class ClientDeals:
    """Deals as a sheet names them: by number, by link, by name on the stages of the section."""

    def __init__(self, engine: RuleEngine, section: SpendSheetSection, store: AccountStore) -> None:
        account = engine.account
        self._store = store
        self._host = urlsplit(engine.config.account.url).netloc.casefold()
        self._stages = {account.stage(name).key for name in section.stages}
        self._pipelines = {account.pipeline(name).id for name in section.pipelines}

    def find(self, clients: Iterable[str]) -> dict[str, list[DealRecord]]:
        """Client → the deals that are meant."""
        numbers: dict[str, int] = {}
        names: dict[str, str] = {}
        wanted = set(clients)
        for client in wanted:
            if (number := self._number_in(client)) is not None:
                numbers[client] = number
            if not _LINK.fullmatch(client):
                names[client] = normalise(client)
        named = self._named(set(names.values()))
        copies = Mirror(self._store).get({one for ids in named.values() for one in ids} | set(numbers.values()))
        records = {number: copy.record for number, copy in copies.items() if not copy.record.is_deleted}
        found: dict[str, list[DealRecord]] = {}
        for client in wanted:
            by_name = [one for one in named.get(names.get(client, ""), ()) if self._counts(records.get(one))]
            ids = {*by_name, *([numbers[client]] if client in numbers else [])}
            found[client] = [records[one] for one in sorted(ids) if one in records]
        return found

    def _number_in(self, client: str) -> int | None:
        if found := _LINK.fullmatch(client):
            return int(found[2]) if found[1].casefold() == self._host else None
        return int(found[1]) if (found := _NUMBER.fullmatch(client)) else None

    def _named(self, names: set[str]) -> dict[str, list[int]]:
        """Normalised name → numbers of deals."""
        found: dict[str, list[int]] = {}
        query = select(deals.c.deal_id, deals.c.plain_name).where(self._store.owns(deals))
        by_start = {name[:LONGEST_NAME]: name for name in names}
        with self._store.read() as connection:
            for chunk in chunks(sorted(by_start)):
                for row in connection.execute(query.where(deals.c.plain_name.in_(chunk))):
                    found.setdefault(by_start[row.plain_name], []).append(row.deal_id)
        return found

    def _counts(self, record: DealRecord | None) -> bool:
        """Whether it is found by its name."""
        if record is None:
            return False
        if self._stages or self._pipelines:
            is_there = (record.pipeline_id, record.status_id) in self._stages
            return is_there or (record.pipeline_id in self._pipelines and record.status_id not in (WON, LOST))
        return record.status_id not in (WON, LOST)


class SpendSheetJob:
    """In a thread of its own, once a working day from ``at`` on; see channels/sender.Sending."""

    name = RULE

    def __init__(
        self,
        service: SheetService,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self._service = service
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._cursors = Cursors(store)
        self._backoff = Backoff(clock, patience=4)
        self._failing_since: datetime | None = None
        self._has_troubles = False
        self._has_said_kept = False

    @property
    def is_put_off(self) -> bool:
        """After an error, and while rows of the sheet can't be taken."""
        return self._backoff.failures > 0 or self._has_troubles

    def recover(self) -> None:
        """A morning that broke off is read anew: its writes and its cursor are kept together."""

    def send(self) -> int:
        """How many deals are to get new figures. Raises BridgeError; also, when all is done, for rows that could not
        be taken."""
        engine = self._rule_engine()
        section, here = engine.config.channels.spend_sheet, engine.calendar.local(self._account_clock.now())
        if section is None or engine.config.bridge.dry_run:
            return 0
        self._say_kept()
        if self._backoff.lasts or here.time() < section.at:
            return 0
        today = here.date()
        is_done = self._cursors.read(SPEND_SHEET_READ) == today.toordinal()
        if is_done or not engine.calendar.is_working_day(today) or self._is_under_way():
            return 0
        try:
            written, troubles = self._take(engine, section, today)
        except (LeadLost, StoreUnavailable):
            raise
        except BridgeError as error:
            self._wait(error)
            raise
        self._backoff.rest()
        self._failing_since, self._has_troubles = None, bool(troubles)
        if troubles:
            raise ChannelRefused(_problem_text(section, troubles))
        return written

    def _say_kept(self) -> None:
        """What the last reading could not take, once: the process that read it may be gone. Raises ChannelRefused."""
        if self._has_said_kept:
            return
        query = select(spend_sheet_troubles.c.words).where(self._store.owns(spend_sheet_troubles))
        with self._store.read() as connection:
            words = connection.execute(query).scalar()
        self._has_said_kept = True
        if words:
            self._has_troubles = True
            raise ChannelRefused(words)

    def _is_under_way(self) -> bool:
        """Do figures of the last reading wait for amoCRM? A deal would be compared with what it is not any more."""
        mine = (self._store.owns(outbox), outbox.c.rule == RULE, in_open_state(outbox))
        with self._store.read() as connection:
            return connection.execute(select(outbox.c.id).where(*mine).limit(1)).first() is not None

    def _wait(self, error: BridgeError) -> None:
        self._backoff.fail(error)
        now = self._clock.now()
        self._failing_since = self._failing_since or now
        is_ours = isinstance(error, UnknownName | ChannelRefused)
        if is_ours or now - self._failing_since >= TOLD_AFTER:
            self._alerts.tell(f"таблица трат не читается: {error}{ADVICE if is_ours else ''}", self.name)

    @property
    def _alerts(self) -> Alerts:
        return Alerts(self._store, CurrentRules(self._rule_engine()), self._clock)

    def _take(self, engine: RuleEngine, section: SpendSheetSection, today: date) -> tuple[int, list[Trouble]]:
        """Read the sheet, keep what is to be written. Raises BridgeError."""
        rows = rows_of(section, self._service.read(section.sheet), today)
        troubles = [row for row in rows if isinstance(row, Trouble)]
        told = [row for row in rows if isinstance(row, SpendRow) and not row.says_nothing]
        found = ClientDeals(engine, section, self._store).find(row.client for row in told)
        rows_for = Counter(found[row.client][0].id for row in told if len(found[row.client]) == 1)
        figures: dict[int, tuple[SpendRow, DealRecord]] = {}
        for row in told:
            records = found[row.client]
            if why := _why_not(row, records, rows_for):
                troubles.append(Trouble(row.number, row.client, why))
            else:
                figures[records[0].id] = (row, records[0])
        troubles.sort(key=lambda one: one.number)
        return self._write(engine, section, figures, today, troubles), troubles

    def _write(
        self,
        engine: RuleEngine,
        section: SpendSheetSection,
        figures: Mapping[int, tuple[SpendRow, DealRecord]],
        today: date,
        troubles: Sequence[Trouble],
    ) -> int:
        """All of the day at once, so that it is either done with or read anew."""
        now, notes, planned = self._clock.now(), {}, []
        for number, (row, record) in figures.items():
            deal = engine.viewer.deal(record)
            if deal.has_tag(engine.config.bridge.opt_out_tag):
                continue
            values = dict(_changed(engine, section, row, deal, today))
            for effect in engine.resolver.effects(SetFields(deal_id=number, values=values), deal, record, now):
                notes[number] = f"таблица трат, строка {row.number}: {effect.words}"
                planned.append(Planned(None, RULE, f"{RULE}|{number}|{today.isoformat()}", effect))
        keys = {one.key: one for one in troubles}
        known = self._known_keys()
        if new := [one for key, one in keys.items() if key not in known]:
            digest = zlib.crc32("".join(sorted(one.key for one in new)).encode())
            self._alerts.tell(_problem_text(section, new), f"{self.name}:{digest:08x}")
        with self._store.write() as connection:
            insert_new(connection, outbox, [one.row(self._store.account_id, now) for one in planned])
            Journal(self._store).note(connection, now, JOURNAL, notes)
            self._cursors.write(connection, SPEND_SHEET_READ, today.toordinal())
            for key in keys.keys() - known:
                self._cursors.write(connection, key, today.toordinal())
            self._cursors.forget(connection, *(known - keys.keys()))
            connection.execute(delete(spend_sheet_troubles).where(self._store.owns(spend_sheet_troubles)))
            if troubles:
                kept = {"account": self._store.account_id, "words": _problem_text(section, troubles)}
                connection.execute(insert(spend_sheet_troubles).values(kept))
            notify(connection, self._store.account_id)
        log.info("spend sheet read", deals=len(planned), troubles=len(troubles))
        return len(planned)

    def _known_keys(self) -> set[str]:
        """Keys of what people know of already."""
        mine = (self._store.owns(cursors), cursors.c.name.startswith(SPEND_SHEET_TOLD.format(""), autoescape=True))
        with self._store.read() as connection:
            return set(connection.execute(select(cursors.c.name).where(*mine)).scalars())


def _why_not(row: SpendRow, records: Sequence[DealRecord], rows_for: Mapping[int, int]) -> str:
    """Why a row can't be taken (Russian); empty if it can."""
    if not records:
        return "такой сделки нет"
    if len(records) > 1:
        return f"таких сделок несколько: {', '.join(str(one.id) for one in records)}; впишите номер или ссылку"
    return "об этой сделке несколько строк" if rows_for[records[0].id] > 1 else ""


def _problem_text(section: SpendSheetSection, troubles: Sequence[Trouble]) -> str:
    words = "; ".join(str(one) for one in troubles[:MOST_TOLD])
    more = f"; и ещё {len(troubles) - MOST_TOLD}" if len(troubles) > MOST_TOLD else ""
    return f"таблица трат, лист «{section.sheet}»: {words}{more}"


def _changed(
    engine: RuleEngine, section: SpendSheetSection, row: SpendRow, deal: Deal, today: date
) -> Iterator[tuple[str, object]]:
    """Field's name → the new value, of those that the deal has otherwise."""
    fields = engine.account.field
    pairs = ((section.left_field, row.left), (section.per_day_field, row.per_day))
    for field_name, amount in pairs:
        if field_name is not None and amount is not None:
            name = fields(field_name).name
            if not _holds(deal.text(name), amount):
                yield name, int(amount) if amount == amount.to_integral_value() else float(amount)
    if row.left is None:
        return
    on_name = fields(section.on_field).name
    held = deal.value(on_name)
    day = engine.calendar.local(held).date() if isinstance(held, datetime) else held
    # Without a column of dates a sum is of the day on which it was first read: one that nobody renews must not
    # move the end of the money on, day by day.
    is_new = not _holds(deal.text(fields(section.left_field).name), row.left)
    on = row.on or (today if is_new or day is None else day)
    if on != day:
        yield on_name, on


def _holds(text: str, amount: Decimal) -> bool:
    """Whether a field says so; amoCRM gives numbers as texts."""
    try:
        return Decimal(text) == amount
    except InvalidOperation:
        return False

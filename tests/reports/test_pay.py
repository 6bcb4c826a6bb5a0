"""Who is paid what for which deal: each case of the regulation and each doubt, on both stores (M17)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.fakes import ACCOUNT
from support.local_crm import TOKEN, served
from support.running_bridge import UNHURRIED

from amo_bridge.clock import FixedClock
from amo_bridge.config.pay import PaySection
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.engine.violations import Breach, Violations
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.facts import OWNER, STAGE, Fact, FactLog, Source, field_fact, record_facts, stage_value
from amo_bridge.reports.pay import Sheet, differences, sheet_of
from amo_bridge.reports.pay_ledger import PayLedger, PayRefused
from amo_bridge.reports.pay_terms import Terms, watched_fields
from amo_bridge.reports.violations import Month
from amo_bridge.sandbox.account_file import SMM
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.database import AccountStore, Store

ALMATY = ZoneInfo("Asia/Almaty")
ALINA, TIMUR, HEAD = "Алина Жумабаева", "Тимур Ахметов", "Анастасия Ким"
STARTED, PAID, REFUNDED = "Дата начала обслуживания", "Дата оплаты", "Дата возврата"
LAUNCHED, NOTIFIED, RENEWED, LOST = (
    f"Клиенты / {stage}"
    for stage in ("Проект запущен", "Отправлено уведомление", "Обслуживание продлено", "Клиент потерян")
)
NOVEMBER = Month(date(2026, 11, 1))
DEAL = 7
SECTION: dict[str, Any] = {
    "people": [ALINA, TIMUR],
    "salary": 150_000,
    "started": STARTED,
    "renewed": {"sum": 10_000, "stages": [RENEWED], "fields": [PAID]},
    "lost": {"sum": 5_000, "stages": [LOST]},
    "refunded": {"sum": 4_000, "fields": [REFUNDED]},
    "kept": 2_000,
}


@cache
def smm() -> Account:
    """The SMM agency's account, read once."""
    with served(load_world(SMM)) as crm:
        return Account.read(CrmClient(crm.url, LongLivedToken(TOKEN), LocalRateLimiter(UNHURRIED)))


def at(day: int, hour: float = 12, month: int = 11) -> datetime:
    """By Almaty's clocks, in 2026."""
    return datetime(2026, month, day, tzinfo=ALMATY) + timedelta(hours=hour)


def seconds(day: int, month: int = 11) -> str:
    """A date as amoCRM keeps it."""
    return str(int(at(day, 0, month).timestamp()))


LONG_AGO, AFTERWARDS = at(1, month=8), at(2, month=12)


class Office:
    """Facts as the bridge would keep them, and the deals as they are."""

    def __init__(self, store: Store) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.ledger = PayLedger(self.store, FixedClock(AFTERWARDS))
        self.deals: dict[int, dict[str, Any]] = {}
        self.keep(at(1, 0, 1))

    def keep(self, since: datetime) -> None:
        """Facts are kept from then on."""
        fields = watched_fields(self.section(), smm(), [])
        log = FactLog(self.store)
        log.begin(None, since, iter(()))
        log.begin(fields, since, iter(()))

    @staticmethod
    def section(**changed: Any) -> PaySection:
        return PaySection.model_validate({**SECTION, **changed})

    def deal(self, deal: int = DEAL, who: str = ALINA, created: datetime = LONG_AGO) -> int:
        self.deals[deal] = {"responsible_user_id": smm().user(who).id, "created_at": created}
        record = DealRecord(id=deal, name=f"Клиент {deal}", updated_at=created, **self.deals[deal])
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(record, created, ())], created)
        return deal

    def fact(
        self, what: str, was: str, now: str, when: datetime, deal: int = DEAL, source: Source = "hook",
        by: Callable[[], int | None] = lambda: smm().user(ALINA).id,
    ) -> None:  # fmt: skip
        with self.store.write() as connection:
            record_facts(connection, ACCOUNT, [Fact(deal, what, was, now, when, by(), source)])

    def moved(
        self, stage: str, when: datetime, deal: int = DEAL, source: Source = "hook", **by: Callable[[], int | None]
    ) -> None:
        known = smm().stage(stage)
        self.fact(STAGE, "", stage_value(known.pipeline_id, known.status_id), when, deal, source, **by)

    def filled(
        self, field: str, now: str, when: datetime, was: str = "", deal: int = DEAL, source: Source = "hook"
    ) -> None:
        self.fact(field_fact(smm().field(field).id), was, now, when, deal, source)

    def given(self, old: str, new: str, when: datetime, deal: int = DEAL) -> None:
        self.fact(OWNER, str(smm().user(old).id), str(smm().user(new).id), when, deal)

    def violation(
        self, who: str, when: datetime, penalty: int | None, clause: str = "M7", currency: str = "KZT"
    ) -> None:
        breach = Breach(
            at=when, user_id=smm().user(who).id, person=who, clause=clause, deal_id=DEAL, deal_name="Клиент",
            rule="stage_ladder.launch", why="не запущен", penalty=penalty, currency=currency,
        )  # fmt: skip
        with self.store.write() as connection:
            Violations(self.store, FixedClock(when)).record(connection, f"{who}{when}", breach)

    def sheet(self, month: Month = NOVEMBER, now: datetime = AFTERWARDS, **changed: Any) -> Sheet:
        calendar = CalendarOptions.model_validate({"country": "KZ"}).calendar("Asia/Almaty")
        terms = Terms.of(self.section(**changed), smm(), calendar)
        return sheet_of(self.store, terms, month, now, "KZT", self.ledger.corrections(month))


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def lines(sheet: Sheet) -> list[tuple[str, str, int]]:
    """Without salaries: (kind, who, sum)."""
    return [(one.kind, one.person.split()[0], one.amount) for one in sheet.lines if one.kind != "salary"]


Act = Callable[[Office], object]


def started(office: Office, day: int, month: int = 11) -> None:
    """A client whose service begins on that day, written down on it."""
    office.deal(created=at(day, 0, month) - timedelta(days=5))
    office.filled(STARTED, seconds(day, month), at(day, 10, month))


def old_client(office: Office) -> None:
    started(office, 1, 10)


@pytest.mark.parametrize(
    ("acts", "wanted", "left"),
    [
        # --- the first ten days ---
        ([lambda o: started(o, 2)], [("kept", "Алина", 2_000)], ""),
        ([lambda o: started(o, 2), lambda o: o.filled(REFUNDED, seconds(11), at(11))],
         [("refunded", "Алина", -4_000)], ""),
        ([lambda o: started(o, 2), lambda o: o.filled(REFUNDED, seconds(12), at(12))], [("kept", "Алина", 2_000)], ""),
        # Written down late: the field says the day itself.
        ([lambda o: started(o, 2), lambda o: o.filled(REFUNDED, seconds(11), at(25))],
         [("refunded", "Алина", -4_000)], ""),
        ([lambda o: started(o, 2), lambda o: o.filled(REFUNDED, seconds(5), at(5)),
          lambda o: o.filled(REFUNDED, "", at(6), seconds(5))], [("kept", "Алина", 2_000)], ""),
        # The tenth day is in another month.
        ([lambda o: started(o, 22)], [], ""),
        ([lambda o: started(o, 21)], [("kept", "Алина", 2_000)], ""),
        ([lambda o: started(o, 25, 10)], [("kept", "Алина", 2_000)], ""),
        ([lambda o: started(o, 22, 10)], [], ""),
        # A mistyped date that was corrected.
        ([lambda o: started(o, 29), lambda o: o.filled(STARTED, seconds(2), at(29, 11), seconds(29))],
         [("kept", "Алина", 2_000)], ""),
        # The launch was put off; a client who pays early begins no other first days.
        ([lambda o: started(o, 2), lambda o: o.filled(STARTED, seconds(5), at(4), seconds(2)),
          lambda o: o.filled(REFUNDED, seconds(14), at(14))], [("refunded", "Алина", -4_000)], ""),
        ([lambda o: started(o, 2), lambda o: o.filled(STARTED, seconds(20), at(20), seconds(2)),
          lambda o: o.filled(REFUNDED, seconds(25), at(25))], [("kept", "Алина", 2_000)], ""),
        ([lambda o: started(o, 2), lambda o: o.filled(PAID, seconds(8), at(8)),
          lambda o: o.filled(STARTED, seconds(8), at(8), seconds(2))], [("kept", "Алина", 2_000)], "дней: 6, нужно 27"),
        # --- renewed ---
        ([old_client, lambda o: o.moved(RENEWED, at(3))], [("renewed", "Алина", 10_000)], ""),
        ([old_client, lambda o: o.filled(PAID, seconds(3), at(3))], [("renewed", "Алина", 10_000)], ""),
        # Payment, the date of service and the stage are one renewal, even across midnight of the month.
        ([old_client, lambda o: o.filled(PAID, seconds(30, 10), at(2)), lambda o: o.moved(RENEWED, at(2, 12.1)),
          lambda o: o.filled(STARTED, seconds(30, 10), at(2, 12.1), seconds(1, 10))], [], ""),
        ([old_client, lambda o: o.filled(PAID, seconds(1), at(3)), lambda o: o.moved(RENEWED, at(3, 12.1)),
          lambda o: o.moved(NOTIFIED, at(25)), lambda o: o.moved(RENEWED, at(26))], [("renewed", "Алина", 10_000)], ""),
        ([old_client, lambda o: o.filled(PAID, seconds(3, 12), at(3)),
          lambda o: o.filled(PAID, seconds(3), at(3, 13), seconds(3, 12))], [("renewed", "Алина", 10_000)], ""),
        ([old_client, lambda o: o.moved(NOTIFIED, at(2)), lambda o: o.moved(RENEWED, at(3)),
          lambda o: o.moved(NOTIFIED, at(3, 12.2))], [], ""),
        ([lambda o: started(o, 8, 10), lambda o: o.moved(RENEWED, at(3))], [], "дней: 26, нужно 27"),
        ([lambda o: started(o, 7, 10), lambda o: o.moved(RENEWED, at(3))], [("renewed", "Алина", 10_000)], ""),
        ([lambda o: o.deal(), lambda o: o.moved(RENEWED, at(3))], [], "не записано"),
        # --- lost ---
        ([old_client, lambda o: o.moved(LOST, at(9))], [("lost", "Алина", -5_000)], ""),
        ([lambda o: started(o, 20, 10), lambda o: o.moved(LOST, at(9))], [], "дней: 20, нужно 27"),
        ([old_client, lambda o: o.moved(LOST, at(9)), lambda o: o.moved(NOTIFIED, at(12))], [], "вернулся: этап"),
        ([old_client, lambda o: o.moved(LOST, at(9)), lambda o: o.moved(NOTIFIED, at(12)),
          lambda o: o.moved(LOST, at(20))], [("lost", "Алина", -5_000)], ""),
        ([old_client, lambda o: o.moved(LOST, at(30, 23.9)), lambda o: o.moved(NOTIFIED, at(1, 1, 12))],
         [("lost", "Алина", -5_000)], ""),
        ([old_client, lambda o: o.moved(LOST, at(30, 10, 10))], [], ""),
        ([old_client, lambda o: o.moved(LOST, at(30, 10, 10)), lambda o: o.moved(RENEWED, at(5))],
         [("renewed", "Алина", 10_000)], ""),
        # --- whose ---
        ([old_client, lambda o: o.moved(RENEWED, at(3)), lambda o: o.given(TIMUR, ALINA, at(4))],
         [("renewed", "Тимур", 10_000)], ""),
        ([old_client, lambda o: o.given(TIMUR, ALINA, at(2)), lambda o: o.moved(RENEWED, at(3))],
         [("renewed", "Алина", 10_000)], ""),
        ([lambda o: started(o, 2), lambda o: o.given(TIMUR, ALINA, at(9))], [("kept", "Алина", 2_000)], ""),
        ([old_client, lambda o: o.moved(RENEWED, at(3)), lambda o: o.given(HEAD, ALINA, at(4))], [],
         "сделка была у «Анастасия Ким»"),
        # --- what nobody knows ---
        ([lambda o: o.keep(at(5)), lambda o: o.deal(), lambda o: o.filled(STARTED, seconds(2), at(5), source="known")],
         [], "история сделки неполна"),
        ([lambda o: o.keep(at(5)), lambda o: o.deal(created=at(20, month=10)),
          lambda o: o.filled(STARTED, seconds(2), at(5), source="known")], [("kept", "Алина", 2_000)], ""),
        ([lambda o: o.filled(STARTED, seconds(1, 10), at(1, 10, 10)), lambda o: o.moved(LOST, at(9))], [],
         "чья она была, неизвестно"),
    ],
)  # fmt: skip
def test_what_counts_for_whom(office: Office, acts: list[Act], wanted: list[tuple[str, str, int]], left: str) -> None:
    for act in acts:
        act(office)
    sheet = office.sheet()
    assert lines(sheet) == wanted
    told = " ".join(one.words for one in sheet.uncounted)
    assert left in told
    assert bool(left) == bool(told)
    assert all(line.deal_id == DEAL and line.words for line in sheet.lines if line.kind != "salary")


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, []),
        ({"start_day_counts": False}, [("kept", 2_000)]),
        ({"refund_days": 11}, [("kept", 2_000)]),
        ({"refund_days": 9}, []),
        ({"kept": None}, []),
    ],
)
def test_how_the_first_days_are_counted(office: Office, changed: dict[str, Any], wanted: list[tuple[str, int]]) -> None:
    """With the day of the start as the first, the tenth is 31 October; without it 1 November, as the eleventh is."""
    started(office, 22, 10)
    assert [(kind, amount) for kind, _, amount in lines(office.sheet(**changed))] == wanted


def test_whose_client_it_was_may_be_told_from_the_start(office: Office) -> None:
    old_client(office)
    office.given(TIMUR, ALINA, at(20, month=10))
    office.moved(RENEWED, at(3))
    assert [who for _, who, _ in lines(office.sheet())] == ["Алина"]
    assert [who for _, who, _ in lines(office.sheet(whose="start"))] == ["Тимур"]


def test_the_first_payment_does_not_take_the_renewal_that_follows_it(office: Office) -> None:
    started(office, 5, 10)
    office.filled(PAID, seconds(6, 10), at(6, month=10))
    office.filled(PAID, seconds(1), at(1), seconds(6, 10))
    october = office.sheet(Month(date(2026, 10, 1)))
    assert "renewed" not in {kind for kind, _, _ in lines(october)}
    assert ["дней: 1, нужно 27" in one.words for one in october.uncounted] == [True]
    assert [kind for kind, _, _ in lines(office.sheet())] == ["renewed"]


@pytest.mark.parametrize(
    ("stays", "wanted"),
    [
        pytest.param([(NOTIFIED, at(1)), (LOST, at(30, 23)), (NOTIFIED, at(1, 9, 12))], [], id="ошибка на стыке"),
        pytest.param(
            [(NOTIFIED, at(1)), (LOST, at(30, 23)), (NOTIFIED, at(1, 23.1, 12))], [-5_000], id="вернулся позже"
        ),
        pytest.param([(NOTIFIED, at(1)), (LOST, at(30, 23)), (LAUNCHED, at(1, 9, 12))], [-5_000], id="другой этап"),
        pytest.param(
            [(NOTIFIED, at(1, month=9)), (LOST, at(15, month=10)), (NOTIFIED, at(15)), (LOST, at(15, 13))],
            [],
            id="вынесли",
        ),
        pytest.param([(NOTIFIED, at(1)), (LOST, at(15)), (NOTIFIED, at(15, 13)), (LOST, at(15, 14))], [-5_000]),
    ],
)
def test_a_client_dragged_to_or_from_the_lost_by_mistake(
    office: Office, stays: list[tuple[str, datetime]], wanted: list[int]
) -> None:
    started(office, 1, 9)
    for stage, when in sorted(stays, key=lambda one: one[1]):
        office.moved(stage, when)
    assert [amount for _, _, amount in lines(office.sheet(now=at(5, month=12)))] == wanted


def test_a_mistake_is_seen_by_the_stage_that_the_first_move_tells_of(office: Office) -> None:
    old_client(office)
    notified, lost = (smm().stage(name) for name in (NOTIFIED, LOST))
    before = stage_value(notified.pipeline_id, notified.status_id)
    office.fact(STAGE, before, stage_value(lost.pipeline_id, lost.status_id), at(9))
    office.moved(NOTIFIED, at(9, 13))
    assert (lines(office.sheet()), office.sheet().uncounted) == ([], [])


def test_two_renewals_a_month_apart_are_two(office: Office) -> None:
    old_client(office)
    office.filled(PAID, seconds(1), at(1))
    office.filled(PAID, seconds(28), at(28), seconds(1))
    assert [kind for kind, _, _ in lines(office.sheet())] == ["renewed", "renewed"]


@pytest.mark.parametrize(
    ("emptied", "wanted"),
    [pytest.param(at(25), ["renewed"], id="через три недели"), pytest.param(at(4), [], id="за сутки")],
)
def test_a_renewal_stays_though_its_mark_is_taken_off_later(
    office: Office, emptied: datetime, wanted: list[str]
) -> None:
    old_client(office)
    office.filled("Оплачено месяцев", "1", at(3, 13))
    office.filled("Оплачено месяцев", "", emptied, "1")
    renewed = {"sum": 10_000, "fields": ["Оплачено месяцев"]}
    assert [kind for kind, _, _ in lines(office.sheet(renewed=renewed))] == wanted


@pytest.mark.parametrize("field", ["Оплачено месяцев", PAID])
def test_what_is_found_again_after_a_rebuild_is_no_other_renewal(office: Office, field: str) -> None:
    old_client(office)
    office.filled(field, seconds(31, 10), at(31, 20, 10), source="list")
    office.filled(field, seconds(31, 10), at(1, 10), source="found")
    renewed = {"sum": 10_000, "fields": [field]}
    sheets = [office.sheet(Month(date(2026, month, 1)), renewed=renewed) for month in (10, 11)]
    assert [[kind for kind, _, _ in lines(sheet) if kind == "renewed"] for sheet in sheets] == [["renewed"], []]


def test_the_evidence_says_what_when_and_by_whom(office: Office) -> None:
    old_client(office)
    office.filled(PAID, seconds(3), at(4))
    office.moved(RENEWED, at(4, 12.5), source="bridge")
    (line,) = [line for line in office.sheet().lines if line.kind == "renewed"]
    assert line.day == date(2026, 11, 3)
    assert line.words == (
        f"поле «Дата оплаты»: 03.11.2026, записано 04.11.2026 12:00, {ALINA}; "
        f"этап «{RENEWED}» 04.11.2026 12:30, {ALINA}"
    )


@pytest.mark.parametrize(
    "by", [lambda: 0, lambda: None, lambda: smm().current_user_id], ids=["a robot", "nobody knows", "the bridge"]
)
def test_a_robot_that_moves_a_deal_days_later_tells_of_the_payment_it_moves_it_for(
    office: Office, by: Callable[[], int | None]
) -> None:
    """Down from the 3rd to the 5th: that payment came too early, on day 26, and is none on day 28 either."""
    started(office, 8, 10)
    office.filled(PAID, seconds(3), at(3))
    office.moved(RENEWED, at(5), by=by)
    assert lines(office.sheet()) == []
    office.filled(PAID, seconds(9), at(9), seconds(3))
    assert lines(office.sheet()) == [("renewed", "Алина", 10_000)]


def test_a_person_who_moves_a_deal_says_so_himself(office: Office) -> None:
    started(office, 8, 10)
    office.filled(PAID, seconds(3), at(3))
    office.moved(RENEWED, at(5))
    assert lines(office.sheet()) == [("renewed", "Алина", 10_000)]


def test_the_documents_own_sums_reckoned_by_hand(office: Office) -> None:
    """«Система мотивации»: salary 150,000; renewed +10,000 each; lost −5,000; money back within the first ten days
    −4,000, not +2,000; the best +30,000. Two renewed, one lost, one back on the tenth day, one on the eleventh."""
    for deal in (1, 2, 3):
        office.deal(deal)
        office.filled(STARTED, seconds(1, 10), at(1, 10, 10), deal=deal)
    office.moved(RENEWED, at(3), 1)
    office.moved(RENEWED, at(4), 2)
    office.moved(LOST, at(9), 3)
    for deal, day in ((4, 11), (5, 12)):
        office.deal(deal)
        office.filled(STARTED, seconds(2), at(2), deal=deal)
        office.filled(REFUNDED, seconds(day), at(day), deal=deal)
    sheet = office.sheet(best={"sum": 30_000, "by": "renewed"})
    assert sheet.total(smm().user(ALINA).id) == 150_000 + 2 * 10_000 - 5_000 - 4_000 + 2_000 + 30_000
    assert sheet.total(smm().user(TIMUR).id) == 150_000


# --- salaries, fines, the best -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "part_month", "wanted"),
    [
        ({}, "working days", 150_000),
        # November 2026 has 21 working days in Kazakhstan.
        ({"from": "2026-11-16"}, "working days", 78_571),
        ({"from": "2026-11-16"}, "calendar days", 75_000),
        ({"from": "2026-11-16"}, "whole", 150_000),
        ({"to": "2026-11-13"}, "working days", 71_429),
        ({"to": "2026-10-31"}, "working days", None),
        ({"from": "2026-12-01"}, "whole", None),
        ({"salary": 200_000}, "working days", 200_000),
        ({"salary": 0}, "working days", None),
    ],
)
def test_the_salary_of_who_came_or_left(
    office: Office, own: dict[str, Any], part_month: str, wanted: int | None
) -> None:
    sheet = office.sheet(employed={TIMUR: own}, part_month=part_month)
    timur = [one.amount for one in sheet.lines if one.person == TIMUR]
    assert timur == ([] if wanted is None else [wanted])
    assert sheet.total(smm().user(ALINA).id) == 150_000


def test_who_has_left_gets_nothing_for_what_came_later(office: Office) -> None:
    old_client(office)
    office.moved(RENEWED, at(3))
    sheet = office.sheet(employed={ALINA: {"to": "2026-11-02"}})
    assert lines(sheet) == []
    assert "не работал" in sheet.uncounted[0].words


@pytest.mark.parametrize(
    ("penalty", "currency", "fines", "wanted", "left"),
    [
        (5_000, "KZT", {}, -5_000, ""),
        (5_000, "RUB", {}, None, "штраф в RUB"),
        (None, "", {"m7": 3_000}, -3_000, ""),
        (None, "", {}, None, "суммы у него нет"),
        (5_000, "KZT", {"M7": 3_000}, -5_000, ""),
    ],
)
def test_fines_of_the_ledger(
    office: Office, penalty: int | None, currency: str, fines: dict[str, int], wanted: int | None, left: str
) -> None:
    office.violation(ALINA, at(9), penalty, currency=currency)
    office.violation(ALINA, at(9, month=10), 7_000)
    sheet = office.sheet(fines=fines)
    assert [amount for _, _, amount in lines(sheet)] == ([] if wanted is None else [wanted])
    assert [left in one.words for one in sheet.uncounted] == ([True] if left else [])


def test_what_is_forgiven_and_whose_sheet_there_is_not(office: Office) -> None:
    office.violation(ALINA, at(9), 5_000)
    office.violation(HEAD, at(9), 5_000)
    Violations(office.store, FixedClock(at(10))).forgive([1], "Анна", "болела")
    sheet = office.sheet()
    assert lines(sheet) == []
    assert "«Анастасия Ким» нет в [pay] people" in sheet.uncounted[0].words


def clients(office: Office, *told: tuple[str, str]) -> None:
    """(Whose, what became of him) of old clients."""
    for number, (who, what) in enumerate(told, start=20):
        office.deal(number, who)
        office.filled(STARTED, seconds(1, 9), at(1, 10, 9), deal=number)
        office.moved(RENEWED if what == "renewed" else LOST, at(9), number)


@pytest.mark.parametrize(
    ("told", "best", "wanted", "note"),
    [
        ([(ALINA, "renewed")], {}, {"Алина": 30_000}, ""),
        ([(ALINA, "renewed"), (TIMUR, "renewed")], {}, {}, "Лучших менеджеров несколько"),
        ([(ALINA, "renewed"), (TIMUR, "renewed")], {"ties": "each"}, {"Алина": 30_000, "Тимур": 30_000}, ""),
        ([(ALINA, "renewed"), (TIMUR, "renewed")], {"ties": "split", "sum": 30_001},
         {"Алина": 15_000, "Тимур": 15_000}, ""),
        ([(ALINA, "renewed"), (ALINA, "lost"), (TIMUR, "renewed")], {"by": "balance"}, {"Тимур": 30_000}, ""),
        ([(ALINA, "lost")], {}, {}, "Лучшего менеджера нет"),
        ([(ALINA, "renewed")], {"least": 2}, {}, "нужно не меньше 2"),
        ([(ALINA, "lost")], {"by": "amount"}, {"Тимур": 30_000}, ""),
        ([], {"by": "kept"}, {}, "Лучшего менеджера нет"),
    ],
)  # fmt: skip
def test_the_best_of_the_month(
    office: Office, told: list[tuple[str, str]], best: dict[str, Any], wanted: dict[str, int], note: str
) -> None:
    clients(office, *told)
    sheet = office.sheet(best={"sum": 30_000, **best})
    assert {who: amount for kind, who, amount in lines(sheet) if kind == "best"} == wanted
    assert note in " ".join(sheet.notes)
    running = office.sheet(best={"sum": 30_000, **best}, now=at(15))
    assert "best" not in {line.kind for line in running.lines}
    assert "определится, когда месяц кончится" in " ".join(running.notes)


# --- what is not known ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "told"),
    [
        (at(1, 0), False),
        (at(1, 1), True),
        (at(20), True),
    ],
)
def test_a_month_of_which_the_beginning_was_not_kept_says_so(office: Office, since: datetime, told: bool) -> None:
    office.keep(since)
    assert any("pay rebuild 2026-11" in note for note in office.sheet().notes) == told


def test_names_that_the_account_does_not_know_are_told_and_the_rest_is_paid(office: Office) -> None:
    old_client(office)
    office.moved(LOST, at(9))
    renewed = {"sum": 10_000, "stages": ["Клиенты / Нет такого"]}
    sheet = office.sheet(renewed=renewed, people=[ALINA, "Никто Никакой"])
    assert lines(sheet) == [("lost", "Алина", -5_000)]
    assert [note for note in sheet.notes if "Нет такого" in note]
    assert [note for note in sheet.notes if "Никто Никакой" in note]


# --- closed and reopened -------------------------------------------------------------------------------------------


def test_a_closed_month_stays_as_it_was_and_says_what_would_differ(office: Office) -> None:
    started(office, 2)
    sheet = office.sheet()
    office.ledger.close(sheet, "Анна")
    frozen = office.ledger.frozen(NOVEMBER)
    assert frozen is not None
    assert (frozen.lines, frozen.people, frozen.notes) == (sheet.lines, dict(sheet.people), sheet.notes)
    # A refund that was written down after the month was closed.
    office.filled(REFUNDED, seconds(5), at(3, month=12))
    assert office.ledger.frozen(NOVEMBER) == frozen
    changed = differences(frozen.lines, office.sheet().lines)
    told = [(one.was.kind if one.was else "", one.would_be.kind if one.would_be else "", one.amount) for one in changed]
    assert told == [("kept", "", -2_000), ("", "refunded", -4_000)]


def test_closed_once_reopened_with_a_trace_and_closed_anew(office: Office) -> None:
    office.ledger.close(office.sheet(), "Анна")
    with pytest.raises(PayRefused, match="закрыта"):
        office.ledger.close(office.sheet(), "Анна")
    with pytest.raises(PayRefused, match="закрыта"):
        office.ledger.correct(NOVEMBER, 1, ALINA, -100, "так", "Анна")
    office.ledger.reopen(NOVEMBER, "Пётр", "возврат")
    with pytest.raises(PayRefused, match="не закрыта"):
        office.ledger.reopen(NOVEMBER, "Пётр", "возврат")
    office.ledger.correct(NOVEMBER, smm().user(ALINA).id, ALINA, -100, "опоздала", "Пётр", DEAL)
    sheet = office.sheet()
    assert lines(sheet) == [("correction", "Алина", -100)]
    assert sheet.lines[-1 if sheet.lines[-1].kind == "correction" else 1].words == "опоздала — Пётр"
    office.ledger.close(sheet, "Анна")
    told = [(one.closed_by, one.reopened_by, one.why) for one in office.ledger.closings(NOVEMBER)]
    assert told == [("Анна", "", ""), ("Анна", "Пётр", "возврат")]


def test_a_correction_that_came_meanwhile_is_not_lost_by_closing(office: Office) -> None:
    sheet = office.sheet()
    office.ledger.correct(NOVEMBER, smm().user(ALINA).id, ALINA, 500, "премия", "Пётр")
    with pytest.raises(PayRefused, match="добавили поправку"):
        office.ledger.close(sheet, "Анна")
    assert office.ledger.frozen(NOVEMBER) is None


def test_comments_stay_with_their_line(office: Office) -> None:
    started(office, 2)
    (line,) = [line for line in office.sheet().lines if line.kind == "kept"]
    office.ledger.comment(NOVEMBER, line.key, "это мой клиент", "тимур")
    office.ledger.close(office.sheet(), "Анна")
    office.ledger.comment(NOVEMBER, line.key, "нет", "Анна")
    assert [(one.who, one.words) for one in office.ledger.comments(NOVEMBER)[line.key]] == [
        ("тимур", "это мой клиент"),
        ("Анна", "нет"),
    ]


def test_months_and_accounts_are_apart(office: Office, store: Store) -> None:
    office.ledger.correct(NOVEMBER, 1, ALINA, 500, "премия", "Пётр")
    assert office.ledger.corrections(NOVEMBER.following) == []
    assert PayLedger(AccountStore(store, ACCOUNT + 1), FixedClock(datetime.now(UTC))).corrections(NOVEMBER) == []

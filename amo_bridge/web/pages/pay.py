"""Pay sheet of a month: lines with evidence, disputes, corrections; closed and reopened (M17)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as Answer

from amo_bridge.config.pay import PaySection
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.pay import KINDS, Difference, Line, Sheet, differences, sheet_of
from amo_bridge.reports.pay_ledger import Closing, Comment, PayLedger, PayRefused
from amo_bridge.reports.pay_terms import Terms
from amo_bridge.reports.violations import Month
from amo_bridge.reports.workbook import Table, is_available, workbook
from amo_bridge.text.csv_table import as_csv
from amo_bridge.text.typography import money
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import MOST as LARGEST_NUMBER
from amo_bridge.web.context import audit, current_account, user
from amo_bridge.web.pages import Menu, download
from amo_bridge.web.services.deals import addresses_of

routes = Blueprint("pay", __name__)
MENU = Menu(_l("Зарплата"), "pay.show", place=56, needs=lambda config: config.pay is not None)
MOST = 100
"""Lines of a person on the page; the files have them all."""
LONGEST_WORDS = 500
LARGEST_SUM = 10**12
KIND_WORDS: Mapping[str, Any] = {
    "salary": _l("Оклад"),
    "renewed": _l("Клиент продлил"),
    "lost": _l("Клиент потерян"),
    "refunded": _l("Возврат денег"),
    "kept": _l("Без возврата"),
    "best": _l("Лучший менеджер месяца"),
    "fine": _l("Штраф"),
    "correction": _l("Поправка"),
}


@dataclass(frozen=True)
class Board:
    """A month as the visitor may see it. ``sheet``: the frozen one, if the month is closed. ``mine``: his own id; None
    for whoever sees all. ``changed``: what the closed month would be now."""

    sheet: Sheet
    closings: list[Closing]
    comments: Mapping[str, list[Comment]]
    changed: list[Difference]
    people: Mapping[int, str]
    mine: int | None

    @property
    def is_closed(self) -> bool:
        return bool(self.closings) and self.closings[0].reopened_at is None

    @property
    def lines(self) -> list[Line]:
        return [line for line in self.sheet.lines if line.user_id in self.people]


@routes.get("/reports/pay")
@open_to(Role.MANAGER)
def show() -> str:
    here = current_account()
    month, this_month = month_asked_for(here), _this_month(here)
    board = _board(here, month)
    return render_template(
        "reports/pay.html",
        here=here,
        deal_address=addresses_of(here),
        board=board,
        month=month,
        following=month.following if month.first < this_month.first else None,
        is_over=month.first < this_month.first,
        has_section=here.config.pay is not None,
        is_known=here.crm_account is not None and here.is_known,
        kinds=_kind_words(),
        by_kind=_by_kind,
        checksum=_checksum,
        most=MOST,
        has_xlsx=is_available(),
        longest=LONGEST_WORDS,
    )


@routes.get("/reports/pay.csv")
@open_to(Role.MANAGER)
def as_text() -> Response:
    here, month = current_account(), month_asked_for(current_account())
    board = _board(here, month) or abort(404)
    return download(as_csv(_head(), _rows(here, board)), f"pay-{month}.csv")


@routes.get("/reports/pay.xlsx")
@open_to(Role.MANAGER)
def as_workbook() -> Response:
    here, month = current_account(), month_asked_for(current_account())
    board = _board(here, month) or abort(404)
    head = [_("Человек"), *(str(words) for words in KIND_WORDS.values()), _("Итого")]
    rows: list[list[str | int]] = [
        [name, *_by_kind(board.sheet, number).values(), board.sheet.total(number)]
        for number, name in board.people.items()
    ]
    lines = Table(_("Строки"), _head(), _rows(here, board))
    return download(workbook(_("Зарплата"), head, rows, [lines]), f"pay-{month}.xlsx")


@routes.post("/reports/pay/comment")
@open_to(Role.MANAGER)
def comment() -> Answer:
    """A dispute about a line, or the answer to one: by whoever sees the line."""
    here, month = current_account(), month_asked_for(current_account())
    board = _board(here, month) or abort(404)
    key, words = request.form.get("line", ""), " ".join(request.form.get("words", "").split())
    line = next((one for one in board.lines if one.key == key), None)
    if line is None:
        flash(_("Такой строки в ведомости больше нет."))
    elif not words or len(words) > LONGEST_WORDS:
        flash(_("Напишите, с чем вы не согласны, не длиннее 500 знаков."))
    else:
        _ledger(here).comment(month, key, words, user().login)
        audit("pay.comment", f"Ведомость за {month}, {line.person}, {KINDS[line.kind]}: комментарий — {words}")
        flash(_("Комментарий записан."))
    return _back(month)


@routes.post("/reports/pay/correct")
@open_to(Role.HEAD)
def correct() -> Answer:
    here, month = current_account(), month_asked_for(current_account())
    board = _board(here, month) or abort(404)
    person, amount = request.form.get("person", type=int), _amount(request.form.get("amount", ""))
    deal_text, why = request.form.get("deal", "").strip(), " ".join(request.form.get("why", "").split())
    deal = int(deal_text) if deal_text.isdecimal() and deal_text.isascii() else None
    if person is None or person not in board.people or not amount or not why or len(why) > LONGEST_WORDS:
        flash(
            _("Выберите человека, впишите сумму целым числом (с минусом — удержать) и причину, не длиннее 500 знаков.")
        )
        return _back(month)
    if deal_text and (deal is None or deal > LARGEST_NUMBER):
        flash(_("Номер сделки — только цифры."))
        return _back(month)
    try:
        _ledger(here).correct(month, person, board.people[person], amount, why, user().login, deal)
    except PayRefused as error:
        flash(str(error))
        return _back(month)
    told = money(amount, board.sheet.currency)
    audit("pay.correct", f"Ведомость за {month}, {board.people[person]}: поправка {told} — {why}")
    flash(_("Поправка записана."))
    return _back(month)


@routes.post("/reports/pay/close")
@open_to(Role.HEAD)
def close() -> Answer:
    here, month = current_account(), month_asked_for(current_account())
    if month.first >= _this_month(here).first:
        flash(_("Месяц ещё не кончился: закрыть его можно с первого числа следующего."))
        return _back(month)
    _terms, sheet = live_sheet(here, month) or abort(404)
    # What the page showed is what is closed.
    if request.form.get("total", "") != _checksum(sheet):
        flash(_("Ведомость с тех пор изменилась: посмотрите её ещё раз и закройте."))
        return _back(month)
    try:
        _ledger(here).close(sheet, user().login)
    except PayRefused as error:
        flash(str(error))
        return _back(month)
    totals = ", ".join(
        f"{name} {money(sheet.total(number), sheet.currency)}" for number, name in sheet.everybody.items()
    )
    audit("pay.close", f"Ведомость за {month} закрыта: {totals}")
    flash(_("Ведомость закрыта: её строки больше не изменятся."))
    return _back(month)


@routes.post("/reports/pay/reopen")
@open_to(Role.HEAD)
def reopen() -> Answer:
    here, month = current_account(), month_asked_for(current_account())
    why = " ".join(request.form.get("why", "").split())
    if not why or len(why) > LONGEST_WORDS:
        flash(_("Напишите, зачем открыть ведомость снова, не длиннее 500 знаков."))
        return _back(month)
    try:
        _ledger(here).reopen(month, user().login, why)
    except PayRefused as error:
        flash(str(error))
        return _back(month)
    audit("pay.reopen", f"Ведомость за {month} снова открыта: {why}")
    flash(_("Ведомость снова открыта; какой она была, хранится."))
    return _back(month)


def month_asked_for(here: AccountView) -> Month:
    """As the address asks; nonsense, and what is still to come, is the month that is running."""
    this_month = _this_month(here)
    told = Month.of(request.args.get("month", ""))
    return told if told and told.first <= this_month.first else this_month


def live_sheet(here: AccountView, month: Month) -> tuple[Terms, Sheet] | None:
    """The sheet made now; None without ``[pay]``, or before the bridge has met the account."""
    section, account = _section(here), here.crm_account
    if section is None or account is None or not here.is_known:
        return None
    config = here.config
    terms = Terms.of(section, account, config.calendar.calendar(str(here.zone)), config.bridge.secret_fields)
    currency = section.currency or account.currency
    corrections = _ledger(here).corrections(month)
    return terms, sheet_of(here.account_store, terms, month, here.clock.now(), currency, corrections)


def _section(here: AccountView) -> PaySection | None:
    """With the names that the account has by now."""
    return here.fit.config.pay


def _board(here: AccountView, month: Month) -> Board | None:
    """None: there is nothing that this visitor may see."""
    made = live_sheet(here, month)
    if made is None:
        return None
    terms, live = made
    mine = None if user().may(Role.HEAD) else terms.whose(user().login)
    if mine is None and not user().may(Role.HEAD):
        return None
    ledger = _ledger(here)
    frozen = ledger.frozen(month)
    sheet = frozen or live
    changed = differences(frozen.lines, live.lines) if frozen else []
    people = sheet.everybody
    if mine is not None:
        people = {mine: people.get(mine, terms.people[mine])}
        changed = [one for one in changed if mine in {line.user_id for line in (one.was, one.would_be) if line}]
    return Board(sheet, ledger.closings(month), ledger.comments(month), changed, people, mine)


def _by_kind(sheet: Sheet, user_id: int) -> dict[str, int]:
    own = sheet.of(user_id)
    return {kind: sum(line.amount for line in own if line.kind == kind) for kind in KIND_WORDS}


def _checksum(sheet: Sheet) -> str:
    """Of who gets what for what: another sheet has another."""
    told = "\n".join(f"{line.key} {line.user_id} {line.amount}" for line in sheet.lines)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _amount(text: str) -> int | None:
    """«-5 000» as people write it; None for what is no whole sum."""
    plain = "".join(text.split()).replace("−", "-")
    if not plain.removeprefix("-").isdecimal() or not plain.isascii() or len(plain) > 14:
        return None
    amount = int(plain)
    return amount if abs(amount) <= LARGEST_SUM else None


def _head() -> list[str]:
    return [
        _("Человек"), _("Что"), _("Сумма"), _("Валюта"), _("День"), _("Сделка"), _("Название"), _("Адрес"),
        _("Основание"), _("Комментарии"),
    ]  # fmt: skip


def _kind_words() -> dict[str, str]:
    """In the reader's language: for hundreds of lines."""
    return {kind: str(words) for kind, words in KIND_WORDS.items()}


def _rows(here: AccountView, board: Board) -> list[list[str | int | None]]:
    kinds = _kind_words()
    return [
        [
            line.person, kinds[line.kind], line.amount, board.sheet.currency, f"{line.day:%d.%m.%Y}",
            line.deal_id, line.deal_name, deal_url(here.config.account.url, line.deal_id) if line.deal_id else "",
            line.words, "; ".join(f"{one.who}: {one.words}" for one in board.comments.get(line.key, ())),
        ]
        for line in board.lines
    ]  # fmt: skip


def _ledger(here: AccountView) -> PayLedger:
    return PayLedger(here.account_store, here.clock)


def _back(month: Month) -> Answer:
    return redirect(url_for("pay.show", month=month))


def _this_month(here: AccountView) -> Month:
    return Month.containing(here.clock.now().astimezone(here.zone).date())

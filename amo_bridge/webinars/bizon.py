"""Bizon365 tells that a report is ready: its viewers are fetched and become a draft of an import."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import requests
from sqlalchemy import Row, select, update

from amo_bridge.clock import Clock
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.effects import NO_DEAL, Effect
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.secrets import account_name, small_state
from amo_bridge.storage.tables import bizon_reports, outbox
from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.imports.drafts import DraftService, Upload
from amo_bridge.webinars.imports.repository import COUNTS, NotNow
from amo_bridge.webinars.imports.service import DRY, ImportService

# --- its API: the viewers of a report, page by page -------------------------------------------------------------------
#
# ``GET webinars/reports/getviewers?webinarId&skip&limit(≤1000)`` with the token in ``X-Token`` answers ``{errors: [],
# viewers: […], total, skip, limit, loaded}`` (fixtures of slavkluev/bizon365-api-php). Nothing is known of its limits.

PATH = "/api/v1/webinars/reports/getviewers"
TIMEOUT = (10.0, 30.0)
A_PAGE = 1000
MOST_PAGES = 100
WRONG_TOKEN = (401, 403)
NO_TOKEN = "токен Бизон365 не задан: впишите его на странице «Вебинары»"


class BizonError(BridgeError):
    """The report can't be had just now: why, and what to do (Russian). ``retry_after``: seconds, if Bizon365 said."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Bizon:
    """``api``: the address without a path, «https://online.bizon365.ru»."""

    def __init__(self, api: str, token: str, *, timeout: tuple[float, float] = TIMEOUT) -> None:
        self._url = api.rstrip("/") + PATH
        self._token = token
        self._timeout = timeout

    def viewers(self, webinar_id: str) -> bytes:
        """All viewers of a report: JSON as ``formats/vendor_exports.py`` reads it. Raises BizonError."""
        if not self._token:
            raise BizonError(NO_TOKEN)
        pages: list[Mapping[str, Any]] = []
        with requests.Session() as session:
            # Neither proxies of the environment nor a netrc: they would replace or see the token.
            session.trust_env = False
            while len(pages) < MOST_PAGES:
                page = self._page(session, webinar_id, sum(len(one["viewers"]) for one in pages))
                pages.append(page)
                if _is_last(pages):
                    viewers = [{"viewers": one["viewers"]} for one in pages]
                    return json.dumps(viewers, ensure_ascii=False).encode()
        raise BizonError(f"зрителей больше {MOST_PAGES * A_PAGE}: выгрузите отчёт в Excel и загрузите файлом")

    def _page(self, session: requests.Session, webinar_id: str, skip: int) -> Mapping[str, Any]:
        asked: dict[str, str | int] = {"webinarId": webinar_id, "skip": skip, "limit": A_PAGE}
        try:
            # A redirect would carry the token to whoever it leads to.
            answer = session.get(
                self._url, params=asked, headers={"X-Token": self._token}, timeout=self._timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise BizonError(f"Бизон365 не отвечает ({type(error).__name__})") from error
        _check(answer)
        return _report_of(answer)


def _check(answer: requests.Response) -> None:
    if answer.status_code in WRONG_TOKEN:
        raise BizonError(
            f"Бизон365 не принял токен ({answer.status_code}): создайте новый и впишите его на странице «Вебинары»"
        )
    if answer.status_code == 404:
        raise BizonError("такого отчёта у Бизон365 нет (404): может быть, он ещё не готов")
    if answer.status_code == 429:
        after = answer.headers.get("Retry-After", "")
        raise BizonError("Бизон365 просит спрашивать реже (429)", retry_after=float(after) if after.isdigit() else None)
    if answer.status_code != 200:
        raise BizonError(f"Бизон365 сейчас не отвечает как надо ({answer.status_code})")


def _report_of(answer: requests.Response) -> Mapping[str, Any]:
    try:
        told = answer.json()
    except ValueError as error:
        raise BizonError("Бизон365 прислал вместо отчёта что-то другое, похоже на страницу сайта") from error
    if not isinstance(told, Mapping):
        raise BizonError("Бизон365 прислал отчёт незнакомого вида")
    if errors := told.get("errors"):
        raise BizonError(f"Бизон365 ответил ошибкой: {str(errors)[:200]}")
    if not isinstance(told.get("viewers"), list):
        raise BizonError("в ответе Бизон365 нет зрителей: отчёт, может быть, ещё не готов")
    return told


def _is_last(pages: list[Mapping[str, Any]]) -> bool:
    """By ``total``, where it is told; a page that is not full ends it too."""
    last, total = pages[-1], pages[-1].get("total")
    if not last["viewers"]:
        return True
    if isinstance(total, int):
        return sum(len(one["viewers"]) for one in pages) >= total
    return len(last["viewers"]) < A_PAGE


# --- the reports that it has told of ----------------------------------------------------------------------------------

# The reports that Bizon365 has told of: which are to be fetched, when, and what became of them.

State = Literal["waiting", "taken", "failed"]
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
GIVE_UP_AFTER = 3 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """Times are Unix seconds. ``trouble``: why it is still waiting, or what should be known of it (Russian).
    ``imports``: the numbers of the imports that it has become."""

    webinar_id: str
    state: State
    heard_at: float
    attempts: int
    due_at: float
    trouble: str
    imports: tuple[int, ...]


class BizonReports:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def report_ready(self, webinar_id: str) -> None:
        """Bizon365 says that the report is ready. One that is known already is fetched once all the same."""
        row = {
            "account": self._store.account_id, "webinar_id": webinar_id, "state": "waiting", "heard_at": self._now,
            "attempts": 0, "due_at": self._now, "trouble": "", "imports": "[]",
        }  # fmt: skip
        with self._store.write() as connection:
            insert_new(connection, bizon_reports, [row])

    def try_again(self, webinar_id: str | None = None) -> bool:
        """Fetch this one now, whatever became of it; without an id: all that wait or were given up. Are there any?"""
        table = bizon_reports.c
        which = table.state != "taken" if webinar_id is None else table.webinar_id == webinar_id
        those = (table.account == self._store.account_id, which)
        again = {"state": "waiting", "attempts": 0, "due_at": self._now, "heard_at": self._now}
        with self._store.write() as connection:
            return connection.execute(update(bizon_reports).where(*those).values(again)).rowcount > 0

    def due(self) -> Report | None:
        """The next that is to be fetched now."""
        table = bizon_reports.c
        mine = (table.account == self._store.account_id, table.state == "waiting", table.due_at <= self._now)
        with self._store.read() as connection:
            row = connection.execute(select(bizon_reports).where(*mine).order_by(table.due_at).limit(1)).first()
        return _report(row) if row else None

    def later(self, report: Report, why: str, retry_after: float | None = None) -> None:
        """It could not be had: again after a pause that grows; not for ever."""
        pause = min(FIRST_PAUSE * 2.0 ** min(report.attempts, 10), LONGEST_PAUSE)
        due_at = self._now + max(pause, retry_after or 0.0)
        state: State = "waiting" if due_at - report.heard_at < GIVE_UP_AFTER else "failed"
        self._become(report, state=state, attempts=report.attempts + 1, due_at=due_at, trouble=why)

    def taken(self, report: Report, imports: Sequence[int], remark: str = "") -> None:
        """It has become these imports."""
        self._become(report, state="taken", trouble=remark, imports=json.dumps(list(imports)))

    def all(self, most: int = 20) -> list[Report]:
        """Those told of last, newest first."""
        mine = select(bizon_reports).where(self._store.owns(bizon_reports))
        with self._store.read() as connection:
            found = connection.execute(mine.order_by(bizon_reports.c.heard_at.desc()).limit(most))
            return [_report(row) for row in found]

    def _become(self, report: Report, **values: object) -> None:
        mine = (self._store.owns(bizon_reports), bizon_reports.c.webinar_id == report.webinar_id)
        with self._store.write() as connection:
            connection.execute(update(bizon_reports).where(*mine).values(values))

    @property
    def _now(self) -> float:
        return self._clock.now().timestamp()


def _report(row: Row[Any]) -> Report:
    return Report(
        webinar_id=row.webinar_id,
        state=row.state,
        heard_at=row.heard_at,
        attempts=row.attempts,
        due_at=row.due_at,
        trouble=row.trouble,
        imports=tuple(json.loads(row.imports)),
    )


# What nobody else may read: the token for Bizon365's API and the secret of the path by which it tells of reports.

TOKEN = "AMO_BRIDGE_BIZON_TOKEN"


class BizonSettings:
    """The environment's token (or the file's that it names) comes before the one that was typed on the page. Everything
    raises StoreUnavailable, ConfigError for a wrong key."""

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._state = small_state(config, environment)
        self._account = account_name(config)

    @property
    def token(self) -> str:
        """Empty if there is none."""
        return secret(self._environment, TOKEN) or str(self._state.secrets.read(self._name("token")) or "")

    def keep_token(self, token: str) -> None:
        """Keep it, encrypted; an empty one is forgotten."""
        if token:
            self._state.secrets.write(self._name("token"), token)
        else:
            self._state.secrets.remove(self._name("token"))

    @property
    def hook_secret(self) -> str:
        """Made once."""
        with self._state.lock("secrets"):
            kept = self._state.secrets.read(self._name("hook"))
            if kept is None:
                kept = secrets.token_urlsafe(32)
                self._state.secrets.write(self._name("hook"), kept)
        return str(kept)

    def _name(self, what: str) -> str:
        return f"bizon {what} {self._account}"


# A fetched report → a draft of an import, as if its file had been uploaded; begun at once if the config says so.

RULE = "bridge.bizon"
MADE_BY = "Бизон365"
BEFORE = "этот отчёт уже загружен"


class BizonImport:
    """Makes an import of a fetched report. ``pages``: where the bridge's pages are, for the link; empty if that is not
    known."""

    def __init__(self, store: AccountStore, rule_engine: Callable[[], RuleEngine], clock: Clock, pages: str) -> None:
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._pages = pages
        self._reports = BizonReports(store, clock)

    def add(self, report: Report, content: bytes) -> None:
        """Keep it as a draft, and begin it if the config says so.

        Raises ExportError for a report that can't be used (yet), UnknownName, StoreUnavailable.
        """
        rule_engine = self._rule_engine()
        drafting = DraftService(self._store, rule_engine.config, rule_engine.account, self._clock)
        upload = Upload(f"{report.webinar_id}.json", content)
        before = drafting.memory.same_file(upload.digest, (*COUNTS, "draft"))
        if before is not None and drafting.book.get(before).made_by != MADE_BY:
            self._reports.taken(report, [before], BEFORE)
            return
        # A draft of ours is what a bridge left that died in the middle of this.
        numbers = [before] if before is not None else drafting.draft([upload], MADE_BY)
        remark = self._begin(drafting, numbers)
        self._tell(report, drafting, numbers)
        self._reports.taken(report, numbers, remark)

    def _begin(self, drafting: DraftService, numbers: Sequence[int]) -> str:
        """Why it was not begun, if it should have been."""
        bizon = drafting.options.bizon
        if bizon is None or bizon.what_then != "at once":
            return ""
        dry_run = self._rule_engine().config.bridge.dry_run
        if dry_run:
            return DRY
        control = ImportService(self._store, drafting, dry_run=dry_run)
        for number in numbers:
            if drafting.book.get(number).state == "draft":
                try:
                    control.start(number, as_shown=False)
                except NotNow as error:
                    return str(error)
        return ""

    def _tell(self, report: Report, drafting: DraftService, numbers: Sequence[int]) -> None:
        bizon = drafting.options.bizon
        if bizon is None or not bizon.tell:
            return
        people = sum(drafting.book.counts(number).all for number in numbers)
        begun = any(drafting.book.get(number).state != "draft" for number in numbers)
        what = "загружается в amoCRM" if begun else "посмотрите и загрузите"
        links = "".join(f"\n{self._pages}/webinars/{number}" for number in numbers) if self._pages else ""
        text = f"Отчёт вебинара {report.webinar_id} получен, участников {people}: {what}{links}"
        now = self._clock.now()
        bodies = self._rule_engine().resolver.free_notice(text, bizon.tell, MADE_BY, DealRecord(id=NO_DEAL), now)
        rows = [
            Planned(None, RULE, f"{RULE}|{report.webinar_id}|{body['user_id']}", Effect("notify", NO_DEAL, body, text))
            for body in bodies
        ]
        with self._store.write() as connection:
            insert_new(connection, outbox, [row.row(self._store.account_id, now) for row in rows])


# The worker's job: reports that are due, one after the other.
#
# A vendor may take its time, and the worker has amoCRM's webhooks to answer: a thread beside it asks, the worker only
# looks whether that is over. A thread whose bridge dies or loses the lead is forgotten with what it
# fetched: the report stands in the store as waiting.


class BizonJob:
    """``fetch`` asks Bizon365 and raises BizonError; ``again`` asks the worker for this job once more."""

    def __init__(
        self, reports: BizonReports, fetch: Callable[[str], bytes], bizon_import: BizonImport, again: Callable[[], None]
    ) -> None:
        self._reports = reports
        self._fetch = fetch
        self._import = bizon_import
        self._again = again
        self._running: _Fetch | None = None

    def run(self) -> None:
        """Raises StoreUnavailable; then what was fetched is dealt with by the next run."""
        fetch = self._running
        if fetch is None:
            if (report := self._reports.due()) is not None:
                self._running = _Fetch(report, self._fetch, self._again)
                self._running.start()
            return
        if fetch.is_over:
            self._deal_with(fetch)
            self._running = None
            self._again()

    def _deal_with(self, fetch: _Fetch) -> None:
        report = fetch.report
        try:
            self._import.add(report, fetch.content())
        except BizonError as error:
            log.warning("report not fetched", webinar=report.webinar_id, error=str(error))
            self._reports.later(report, str(error), error.retry_after)
        except (ExportError, UnknownName) as error:
            # Contacts that are not read yet, a report that is not filled yet, a name that the account has lost.
            log.warning("report not taken", webinar=report.webinar_id, error=str(error))
            self._reports.later(report, str(error))
        except BridgeError:
            # The store is gone, or somebody else leads.
            raise
        except Exception as error:
            # A report that meets a bug must not hold up everything else.
            log.exception("report failed", webinar=report.webinar_id)
            self._reports.later(report, f"ошибка моста: {error!r}")


class _Fetch:
    """One request to Bizon365, under way in its thread."""

    def __init__(self, report: Report, fetch: Callable[[str], bytes], over: Callable[[], None]) -> None:
        self.report = report
        self.is_over = False
        self._fetch = fetch
        self._over = over
        self._content = b""
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="bizon", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def content(self) -> bytes:
        """What was fetched. Raises what the request raised."""
        if self._error is not None:
            raise self._error
        return self._content

    def _run(self) -> None:
        try:
            self._content = self._fetch(self.report.webinar_id)
        except Exception as error:  # noqa: BLE001 - raised again where it is looked at
            self._error = error
        self.is_over = True
        self._over()

"""The worker of an account, and the ticker by which APScheduler requests its jobs.

What is due stands in the store, so a missed tick, a restart or two ticks at once change nothing.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler

from amo_bridge.channels.sender import ChannelWorkers
from amo_bridge.engine.event_queue import BATCH_SIZE, decode_new
from amo_bridge.engine.metrics import on_behalf_of
from amo_bridge.engine.processor import EventProcessor
from amo_bridge.engine.sender import Sender
from amo_bridge.errors import BridgeError, CrmForbidden, CrmRefused, CrmStopped, LeadLost
from amo_bridge.logs import log
from amo_bridge.mirror.tasks import ReadTasks
from amo_bridge.retry import delay
from amo_bridge.storage.database import AccountStore

RECONCILE = "reconcile"
RETENTION = "retention"
TIMERS = "timers"
TOKEN_WATCH = "token_watch"
SERIES = "series"
IMPORTS = "imports"
REHEARSALS = "rehearsals"
EVENING = "evening"
WEEKLY_LETTER = "weekly_letter"
DAILY_REPORTS = "daily_reports"
POLICIES = "policies"
SHIFT_STARTS = "shift_starts"
ADS_CHECK = "ads_check"
KPI_DAYS = "kpi_days"
BIZON = "bizon"
CALLS = "calls"
NAMES = "names"
UPDATES = "updates"
# Asked for at the start, and by itself until it is done.
FIRST_READING = "first_reading"
JOB_WORDS: Mapping[str, str] = {
    RECONCILE: "поиск пропущенного",
    TIMERS: "шаги правил по часам",
    TOKEN_WATCH: "срок доступа",
    SERIES: "серии писем",
    IMPORTS: "загрузка вебинара",
    EVENING: "вечерний список",
    WEEKLY_LETTER: "письмо за неделю",
    DAILY_REPORTS: "отчёты за день",
    POLICIES: "правила CRM",
    SHIFT_STARTS: "начало смены",
    ADS_CHECK: "проверка рекламы",
    BIZON: "отчёты Бизон365",
    CALLS: "звонки АТС",
    NAMES: "имена аккаунта",
    UPDATES: "новые версии моста",
    FIRST_READING: "первое чтение аккаунта",
}
"""What requests of a job are for, as the log of requests says it."""
# Four requests each time (deals, contacts, events, the webhook): well under one a minute when nothing happens.
# The account's names cost eight requests every hour; whatever amoCRM refuses has them read at once.
# Retention looks by itself whether a day has passed. Imports and rehearsals are begun by a page or a command, maybe in
# another process: the worker looks into the store for them. Timers cost one look too; so late a step is at most.
EVERY_SECONDS = {
    RECONCILE: 300, SERIES: 60, TIMERS: 10, EVENING: 60, DAILY_REPORTS: 60, RETENTION: 3600, TOKEN_WATCH: 3600,
    WEEKLY_LETTER: 60, POLICIES: 60, SHIFT_STARTS: 60, ADS_CHECK: 60, KPI_DAYS: 300, IMPORTS: 3, REHEARSALS: 3,
    BIZON: 10, NAMES: 3600, CALLS: 300, UPDATES: 3600,
}  # fmt: skip


class Ticker:
    def __init__(self) -> None:
        self._scheduler: BackgroundScheduler | None = None

    def start(self, worker: Worker) -> None:
        """Begin to tick; ticks that were missed while the machine slept come once."""
        self._scheduler = BackgroundScheduler(timezone=ZoneInfo("UTC"))
        for job, seconds in EVERY_SECONDS.items():
            self._scheduler.add_job(
                worker.request_job,
                "interval",
                args=[job],
                seconds=seconds,
                coalesce=True,
                misfire_grace_time=None,
                id=job,
            )
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None


# The worker: one thread that decodes, judges and sends, for one account, in that order, over and over.
#
# One at a time is what keeps each deal's order, and is enough: amoCRM allows one account 7 requests a second.

# Without a wake: postponed work falls due, and another process may have put something into the inbox.
LOOK_AGAIN = 1.0
# What comes together is answered together: after a wake the worker waits until none has come for so long, and at most
# for so long. A thousand that come within a second or two share their requests.
QUIET = 0.05
LONGEST_GATHERING = 1.0
# After a second without work a hook is most likely alone, and amoCRM takes its read and its write at once: it waits
# just long enough for a crowd to show itself.
LONE_QUIET = 0.01
# As often as an open circuit breaker lets a request through to see whether amoCRM takes us again.
LONGEST_PAUSE = 120.0


class Worker:
    """``trouble``: the outage being waited out, one line for the health page; empty if none. ``take_enquiries``: see
    EnquiryProcessor.

    ``has_work`` is asked before each round: is it worth the while? ``has_lost_lead``: another process works for the
    account now, and this one has stopped. ``wake_up``: set by whoever has something to do for it."""

    def __init__(
        self,
        store: AccountStore,
        processor: EventProcessor,
        sender: Sender,
        refresh_account: Callable[[], None],
        jobs: Mapping[str, Callable[[], object]] | None = None,
        channels: ChannelWorkers | None = None,
        tell_of_stop: Callable[[CrmStopped], None] = lambda error: None,
        has_work: Callable[[], bool] = lambda: True,
        read_tasks: ReadTasks = lambda task_ids: {},
        take_enquiries: Callable[[], int] = lambda: 0,
        keep_requests: Callable[[], None] = lambda: None,
        wake_up: threading.Event | None = None,
    ) -> None:
        self.channels = channels or ChannelWorkers()
        self.trouble = ""
        self.has_lost_lead = False
        self._jobs = dict(jobs or {})
        self._asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._store = store
        self._processor = processor
        self._sender = sender
        self._refresh_account = refresh_account
        self._tell_of_stop = tell_of_stop
        self._has_work = has_work
        self._read_tasks = read_tasks
        self._take_enquiries = take_enquiries
        self._keep_requests = keep_requests
        self._is_behind = False
        self._worked_at = float("-inf")
        self._wake_up = wake_up or threading.Event()
        self._stopping = threading.Event()
        self._again = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        self._recover()
        self._thread.start()
        self.channels.start()

    def wake(self) -> None:
        self._wake_up.set()

    def try_again(self) -> None:
        """Whatever it is waiting out may be over: don't wait any longer."""
        self._again.set()

    def request_job(self, job: str) -> None:
        """Have a job (reconcile …) done before the next round; jobs run in this one thread too."""
        self._asked.put(job)
        self._wake_up.set()

    @property
    def is_asked(self) -> bool:
        """Is there a job to be done?"""
        return not self._asked.empty()

    def register_job(self, job: str, how: Callable[[], object]) -> None:
        """Another job, before the start."""
        self._jobs[job] = how

    def stop(self, timeout: float = 30) -> None:
        """Finish the round in hand and leave."""
        self._stopping.set()
        self._again.set()
        self._wake_up.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self.channels.stop(timeout)

    def _recover(self) -> None:
        self._sender.recover()
        self.channels.recover()

    def once(self) -> int:
        """One round: decode, judge, send. Returns how much was moved on; 0 means there is nothing to do now."""
        self._do_jobs()
        if not self._has_work():
            return 0
        moved = decode_new(self._store, self._read_tasks)
        self._is_behind = moved >= BATCH_SIZE
        with on_behalf_of("обращения"):
            moved += self._take_enquiries()
        with on_behalf_of("события: сделки читаются заново"):
            moved += self._processor.process()
        if self._processor.found_unknown_name:
            self._processor.found_unknown_name = False
            self._refresh_account()
        moved += self.channels.send_near()
        if moved:
            self.channels.wake()
        return moved + self._sender.send()

    def _do_jobs(self) -> None:
        asked = set()
        while not self._asked.empty():
            asked.add(self._asked.get())
        # In the order in which they were learned: what hears of the outside comes before what acts on it.
        left = [name for name in self._jobs if name in asked]
        while left:
            try:
                self._do(left[0])
            except BridgeError:
                for name in left:
                    self._asked.put(name)
                raise
            left.pop(0)

    def _do(self, job: str) -> None:
        try:
            with on_behalf_of(JOB_WORDS.get(job, job)):
                self._jobs[job]()
        except (CrmRefused, CrmForbidden) as error:
            # A list that we may not see must not keep the bridge from everything else.
            log.error("job failed", job=job, error=str(error))

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._gather()
            self._again.clear()
            try:
                if failures:
                    # What was being sent when the round broke off may be in amoCRM, though nobody wrote that down.
                    self._recover()
                moved = self.once()
            except LeadLost:
                self.has_lost_lead = True
                return
            except Exception as error:  # noqa: BLE001 - a dead worker would take hooks and handle none
                failures += 1
                self.say(error)
                self._keep_requests()
                self._pause(min(delay(failures + (4 if isinstance(error, CrmStopped) else 0)), LONGEST_PAUSE))
                continue
            failures, self.trouble = 0, ""
            self._keep_requests()
            if moved:
                self._worked_at = monotonic()
            else:
                self._wake_up.wait(LOOK_AGAIN)

    def _gather(self) -> None:
        """Let what comes just now come in. Returns at once without a wake, or when a whole batch waits anyway."""
        begun = monotonic()
        until = begun + LONGEST_GATHERING
        quiet = LONE_QUIET if begun - self._worked_at > LONGEST_GATHERING else QUIET
        while self._wake_up.is_set():
            self._wake_up.clear()
            left = until - monotonic()
            if left <= 0 or self._is_behind or self._stopping.is_set():
                return
            self._wake_up.wait(min(quiet, left))
            quiet = QUIET

    def _pause(self, seconds: float) -> None:
        if not self._stopping.is_set():
            self._again.wait(seconds)

    def say(self, error: Exception) -> None:
        """An outage in one line; a bug of our own with its traceback. Once, as long as it stays the same."""
        if str(error) != self.trouble:
            is_bug = not isinstance(error, BridgeError)
            log.error("worker waits", error=str(error), kind=type(error).__name__, exc_info=is_bug)
            if isinstance(error, CrmStopped):
                self._tell(error)
        self.trouble = str(error) or type(error).__name__

    def _tell(self, error: CrmStopped) -> None:
        try:
            self._tell_of_stop(error)
            self.channels.wake()
        except BridgeError as trouble:
            log.error("nobody could be told", about="amoCRM stopped us", error=str(trouble))

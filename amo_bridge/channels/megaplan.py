"""Megaplan: amoCRM's tasks made there under the client's project; state and comments come back.

::

    new ─► sending ─► made ─► linked ─► done       finished there: the task here is finished with that result
             │ ▲                  └───► gone       it was deleted there, or finished here
             ▼ │
            doubt                                  the answer was lost: looked for by its mark, made again if not there

A row is kept before anything is sent. «sending» found after a crash is «doubt». The number is kept before the project
is set, so that a crash between the two steps repeats the second alone. A comment becomes a note once, by its number.

API v3 (integrations-2.md 10.2): a list's query is JSON as the whole query string; an answer is ``{meta: {status,
errors}, data}``. A task's project can't be named when it is made, only afterwards. Assumed: that a task is read at
``/task/{id}``, its comments at ``/task/{id}/comments`` with ``content``, ``owner`` and ``timeCreated``, and that
``auditors`` is the key of auditors.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import Row, select, update

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.clock import Clock
from amo_bridge.config.other_crms import MEGAPLAN_PASSWORD, MegaplanSection, MegaplanTasks
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.deal_view import FieldReader, deal_url
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.logs import log
from amo_bridge.mirror.deals import Mirror
from amo_bridge.retry import Backoff
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, insert_new, notify
from amo_bridge.storage.tables import megaplan_tasks, outbox, tasks
from amo_bridge.text.names import any_begins_with, normalise

if TYPE_CHECKING:
    from requests import Response

TITLE = "Megaplan"
A_PAGE = 50
MOST_PAGES = 40
SOON_SECONDS = 60.0


class Megaplan:
    """One employee's access. ``monotonic``: seconds, for how long a token lives."""

    def __init__(
        self, section: MegaplanSection, password: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._login, self._password = section.login, password
        self._http = HttpClient(TITLE, section.api, password)
        self._monotonic = monotonic
        self._token, self._dies_at = "", 0.0

    def check(self) -> str:
        self._asked("GET", f"/api/v3/task?{_query({'limit': 1})}")
        return f"{TITLE} пускает"

    def create(self, name: str, subject: str, responsible: str, deadline: datetime, auditors: Sequence[str]) -> str:
        """The number of a new task, not yet in a project. Raises ChannelError; ChannelUncertain if it may be there."""
        body: dict[str, Any] = {
            "contentType": "Task",
            "name": name,
            "subject": subject,
            "isUrgent": False,
            "isTemplate": False,
            "responsible": {"contentType": "Employee", "id": responsible},
            "deadline": {"contentType": "DateTime", "value": deadline.isoformat()},
        }
        if auditors:
            body["auditors"] = [{"contentType": "Employee", "id": number} for number in auditors]
        return self._number(self._asked("POST", "/api/v3/task", body))

    def put_into_project(self, task: str, project: str) -> None:
        """Harmless when it is there already. Raises ChannelError."""
        self._asked("POST", f"/api/v3/task/{task}", {"parent": {"contentType": "Project", "id": project}})

    def find(self, mark: str) -> str | None:
        """The number of the task whose subject holds the mark. Raises ChannelError."""
        for row in self._pages("/api/v3/task", "Task", fields=["subject"]):
            if mark in str(row.get("subject") or ""):
                return str(row["id"])
        return None

    def status(self, task: str) -> str:
        """«assigned», «done» …; empty if there is no such task. Raises ChannelError."""
        row = self._asked("GET", f"/api/v3/task/{task}?{_query({'fields': ['status']})}", is_there=False)
        if row is None:
            return ""
        if not isinstance(row, dict) or not (status := str(row.get("status") or "")):
            # Not a task that is gone: it would never be looked at again.
            raise self._http.unreadable(ValueError("в ответе нет состояния задачи"))
        return status

    def comments(self, task: str) -> list[Mapping[str, Any]]:
        """All of them, oldest first. Raises ChannelError."""
        # Each once, even where a page is not taken to begin behind the one before: a note must not come twice.
        rows = {int(row["id"]): row for row in self._pages(f"/api/v3/task/{task}/comments", "Comment")}
        return [rows[number] for number in sorted(rows)]

    def _pages(self, path: str, kind: str, **asked: Any) -> Iterator[Mapping[str, Any]]:
        """The rows of a list, page by page. Raises ChannelDown where it has no end, ChannelError."""
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = {} if after is None else {"pageAfter": {"contentType": kind, "id": after}}
            rows = self._list(f"{path}?{_query({'limit': A_PAGE, **asked, **page})}")
            yield from rows
            if len(rows) < A_PAGE:
                return
            last = str(rows[-1]["id"])
            if last == after:
                # ``pageAfter`` is known of tasks, assumed of comments; what is read so far is worth more than an error.
                log.warning("the list of Megaplan has no second page", path=path, rows=len(rows))
                return
            after = last
        raise ChannelDown(f"{TITLE}: {path} длиннее {A_PAGE * MOST_PAGES} строк, до конца список не прочитать")

    def _list(self, path: str) -> list[Mapping[str, Any]]:
        rows = self._asked("GET", path)
        if not isinstance(rows, list):
            raise self._http.unreadable(ValueError("в ответе нет списка"))
        return [row for row in rows if isinstance(row, dict) and str(row.get("id", "")).isdecimal()]

    def _number(self, row: Any) -> str:
        number = str(row.get("id", "")) if isinstance(row, dict) else ""
        if not number.isdecimal():
            raise self._http.unreadable(ValueError("в ответе нет номера задачи"))
        return number

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, is_there: bool = True) -> Any:
        response = self._with_token(method, path, body)
        if response.status_code == 401:
            # Dead before its time: nothing was done, so the same goes out once more with a new one.
            self._token = ""
            response = self._with_token(method, path, body)
        told = self._http.json_of(response)
        if told is None:
            if is_there:
                raise ChannelRefused(f"{TITLE}: 404 на {path.partition('?')[0]}")
            return None
        if not isinstance(told, dict) or "meta" not in told:
            raise self._http.unreadable(ValueError("в ответе нет meta"))
        meta = told["meta"] if isinstance(told["meta"], dict) else {}
        errors, status = meta.get("errors"), meta.get("status")
        status = status if isinstance(status, int) else 200
        if status >= 500:
            # With HTTP 200, too: who knows what was done.
            raise self._http.unreadable(ValueError(f"{status} {errors or ''}".strip()))
        if errors or status >= 400:
            raise ChannelRefused(f"{TITLE}: {json.dumps(errors or status, ensure_ascii=False)[:200]}")
        if (data := told.get("data")) is None and not is_there:
            raise self._http.unreadable(ValueError("в ответе нет задачи"))
        return data

    def _with_token(self, method: str, path: str, body: Mapping[str, Any] | None) -> Response:
        headers = {"Authorization": f"Bearer {self._access()}"}
        return self._http.request(method, path, body, headers=headers)

    def _access(self) -> str:
        if self._token and self._monotonic() < self._dies_at:
            return self._token
        form = {"username": self._login, "password": self._password, "grant_type": "password"}
        response = self._http.request("POST", "/api/v3/auth/access_token", form=form)
        if response.status_code in (400, 401, 403):
            raise ChannelDown(f"{TITLE} не пускает: проверьте login и {MEGAPLAN_PASSWORD} ({response.status_code})")
        told = self._http.json_of(response)
        if not isinstance(told, dict) or not told.get("access_token"):
            raise self._http.unreadable(ValueError("в ответе нет токена"))
        lives = told.get("expires_in")
        self._token = str(told["access_token"])
        self._dies_at = self._monotonic() + (float(lives) if isinstance(lives, int | float) else 600) - SOON_SECONDS
        return self._token


def _query(asked: Mapping[str, Any]) -> str:
    return quote(json.dumps(asked, ensure_ascii=False, separators=(",", ":")))


RULE, JOURNAL = "bridge.megaplan", "Megaplan"
SINCE = "megaplan_since"
"""Cursor: tasks set before this moment (Unix seconds) are not the bridge's business."""
PERIOD_SECONDS = 60.0
LOOK_SECONDS = 300.0
SETTLE_SECONDS = 60.0
"""A task whose answer was lost may appear in the list a little later."""
PUT_OFF_SECONDS = 600.0
MOST_IN_A_ROW = 3
"""So many errors one after another are the service's, not a task's."""
REFUSED_SECONDS = 3600.0
LONGEST_NAME = 200
LONGEST_COMMENT = 2000
FINISHED = ("done", "completed")
DROPPED = ("rejected", "cancelled")
OPEN = ("new", "sending", "doubt", "made")


class MegaplanJob:
    """See channels/sender.Sending. ``tell(text, about)`` tells a person, at most once a day about one thing; ``came``
    hears that there is something to write into amoCRM."""

    name = "megaplan"

    def __init__(
        self,
        megaplan: Megaplan,
        section: MegaplanSection,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
        tell: Callable[[str, str], None],
        came: Callable[[], None] = lambda: None,
    ) -> None:
        self._megaplan = megaplan
        self._section = section
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._tell = tell
        self._came = came
        self._cursors = Cursors(store)
        self._backoff = Backoff(clock, patience=5)

    @property
    def is_put_off(self) -> bool:
        """After an error, until a round went through."""
        return self._backoff.failures > 0

    def recover(self) -> None:
        """What was being sent when the process died may be there."""
        with self._store.write() as connection:
            mine = (self._store.owns(megaplan_tasks), megaplan_tasks.c.state == "sending")
            connection.execute(update(megaplan_tasks).where(*mine).values(state="doubt", due_at=self._later()))

    def send(self) -> int:
        """A round, if its time has come; how much was moved on. Raises ChannelError, LeadLost, StoreUnavailable."""
        if self._backoff.lasts or self._rule_engine().config.bridge.dry_run:
            return 0
        try:
            moved = self._round()
        except ChannelError as error:
            self._backoff.fail(error)
            if not isinstance(error, ChannelBusy | ChannelUncertain):
                self._tell(f"{TITLE}: задачи не передаются, мост повторит сам. {error}", "megaplan")
            raise
        self._backoff.rest(PERIOD_SECONDS)
        return moved

    def _round(self) -> int:
        self._take_new()
        moved, errors, in_a_row = 0, [], 0
        steps = [(self._forward, row) for row in self._rows(OPEN)] + [
            (self._look, row) for row in self._rows(("linked",))
        ]
        for step, row in steps:
            if row.due_at > self._clock.now().timestamp():
                continue
            try:
                moved += step(row)
                in_a_row = 0
            except ChannelError as error:
                # It may be this task alone: the others go on, unless nothing gets through at all.
                errors.append(error)
                in_a_row += 1
                self._put_off(row)
                if in_a_row == MOST_IN_A_ROW:
                    break
        if errors:
            raise errors[0]
        return moved

    def _put_off(self, row: Row[Any]) -> None:
        """A row that stands where it stood; one whose answer was lost has its own time to be looked for."""
        if self._fresh(row).state == row.state:
            self._set(row, due_at=self._clock.now().timestamp() + PUT_OFF_SECONDS)

    # --- out ---

    def _take_new(self) -> None:
        """Rows for open tasks of the configured kinds whose deal names its project."""
        since = self._cursors.read(SINCE)
        if since is None:
            with self._store.write() as connection:
                self._cursors.write(connection, SINCE, self._account_clock.now().timestamp())
            return
        known = select(megaplan_tasks.c.task_id).where(self._store.owns(megaplan_tasks))
        mine = (
            self._store.owns(tasks), tasks.c.is_completed.is_(False), tasks.c.entity_type == "deal",
            tasks.c.created_at >= since, tasks.c.task_id.not_in(known),
        )  # fmt: skip
        with self._store.read() as connection:
            found = connection.execute(select(tasks).where(*mine).order_by(tasks.c.task_id)).all()
        wanted = [(row, kind) for row in found if (kind := self._kind_of(row.text)) is not None]
        if not wanted:
            return
        copies = Mirror(self._store).get(row.entity_id for row, _ in wanted)
        rows, without = [], set()
        for row, kind in wanted:
            copy = copies.get(row.entity_id)
            project = self._project(copy.record) if copy else ""
            if not project:
                without.add(row.entity_id)
                continue
            rows.append(self._new_row(row, kind, project))
        if without:
            numbers = ", ".join(map(str, sorted(without)))
            field = self._section.project_field
            words = f"{TITLE}: задачи ждут номера проекта — поле «{field}» не число в сделках: {numbers}"
            self._tell(words, "megaplan:project")
        with self._store.write() as connection:
            insert_new(connection, megaplan_tasks, rows)

    def _kind_of(self, text: str) -> MegaplanTasks | None:
        return next((kind for kind in self._section.tasks if any_begins_with((text,), kind.begins)), None)

    def _project(self, deal: DealRecord) -> str:
        texts = FieldReader(self._rule_engine().account).texts(deal)
        wanted = normalise(self._section.project_field)
        told = next((text for name, text in texts.items() if normalise(name) == wanted), "").strip()
        return told if told.isdecimal() else ""

    def _new_row(self, row: Row[Any], kind: MegaplanTasks, project: str) -> dict[str, Any]:
        auditors = [self._section.head] if kind.is_global and self._section.head else []
        deadline = datetime.fromtimestamp(row.due_at, UTC).isoformat()
        body = {"text": row.text, "responsible": kind.responsible, "deadline": deadline, "auditors": auditors}
        return {
            "account": self._store.account_id, "task_id": row.task_id, "deal_id": row.entity_id, "state": "new",
            "number": "", "project": project, "body": json.dumps(body, ensure_ascii=False), "words": "",
            "comment_id": 0, "due_at": 0.0,
        }  # fmt: skip

    def _forward(self, row: Row[Any]) -> int:
        """The next step of a row; one that Megaplan refuses does not hold up the others."""
        if row.state == "new" and self._is_finished_here(row):
            self._set(row, state="gone", words="завершена в amoCRM раньше, чем передана")
            return 1
        try:
            if row.state in ("doubt", "sending"):
                number = self._megaplan.find(self._mark(row))
                self._set(row, state="made" if number else "new", number=number or "", due_at=0.0)
                return 1
            if row.state == "new":
                number = self._create(row)
                self._set(row, state="made", number=number, due_at=0.0)
                row = self._fresh(row)
            self._megaplan.put_into_project(row.number, row.project)
            url = f"{self._section.api.rstrip('/')}/task/{row.number}/card/"
            self._set(row, state="linked", words="", due_at=0.0, note=f"задача передана в {TITLE}: {url}")
            return 1
        except ChannelUncertain:
            if row.state == "new":
                self._set(row, state="doubt", due_at=self._later())
            raise
        except ChannelRefused as error:
            state = "new" if row.state == "new" else row.state
            self._set(row, state=state, words=str(error), due_at=self._clock.now().timestamp() + 3600)
            self._tell(
                f"{TITLE} не принял задачу сделки {row.deal_id}, мост повторит через час: {error}", "megaplan:task"
            )
            return 0
        except ChannelError:
            if row.state == "new":
                # Surely not made: nothing to look for.
                self._set(row, state="new", due_at=0.0)
            raise

    def _create(self, row: Row[Any]) -> str:
        body = json.loads(row.body)
        url = deal_url(self._rule_engine().config.account.url, row.deal_id)
        subject = f"{body['text']}\n\nСделка: {url}\n{self._mark(row)}"
        # Committed before the request: a crash leaves a trace.
        self._set(row, state="sending", due_at=self._later())
        deadline = datetime.fromisoformat(body["deadline"])
        name = body["text"][:LONGEST_NAME]
        return self._megaplan.create(name, subject, body["responsible"], deadline, body["auditors"])

    def _mark(self, row: Row[Any]) -> str:
        """By which the task is found when its answer was lost."""
        return f"[amo-{self._store.account_id}-{row.task_id}]"

    # --- back ---

    def _look(self, row: Row[Any]) -> int:
        """Comments and state of one task, all that follows from them in one transaction."""
        if self._is_finished_here(row):
            self._set(row, state="gone", words="завершена в amoCRM")
            return 1
        status = self._megaplan.status(row.number)
        if not status:
            self._set(row, state="gone", words="удалена", note=f"задача в {TITLE} удалена: {row.number}")
            return 1
        told = self._megaplan.comments(row.number)
        news = [one for one in told if int(one["id"]) > row.comment_id]
        effects = [(f"c{one['id']}", self._note(row, one)) for one in news]
        values: dict[str, Any] = {"due_at": self._clock.now().timestamp() + LOOK_SECONDS}
        if news:
            values["comment_id"] = int(news[-1]["id"])
        if status in FINISHED or status in DROPPED:
            effects.append(("done", self._finish(row, status, told)))
            values |= {"state": "done", "words": status}
        self._set(row, effects=effects, **values)
        if effects:
            self._came()
        return len(effects)

    def _is_finished_here(self, row: Row[Any]) -> bool:
        mine = (self._store.owns(tasks), tasks.c.task_id == row.task_id)
        with self._store.read() as connection:
            known = connection.execute(select(tasks.c.is_completed).where(*mine)).scalar()
        return known is None or bool(known)

    def _note(self, row: Row[Any], comment: Any) -> Effect:
        owner = comment.get("owner")
        who = str(owner.get("name") or "") if isinstance(owner, dict) else ""
        text = str(comment.get("content") or "").strip()[:LONGEST_COMMENT]
        words = f"{TITLE}, {who}: {text}" if who else f"{TITLE}: {text}"
        body = {"entity_id": row.deal_id, "note_type": "common", "params": {"text": words}}
        return Effect("add_note", row.deal_id, body, f"примечание «{words[:80]}»")

    def _finish(self, row: Row[Any], status: str, comments: Sequence[Any]) -> Effect:
        told = "Выполнена в Мегаплане" if status in FINISHED else "Отклонена в Мегаплане"
        last = str(comments[-1].get("content") or "").strip()[:200] if comments else ""
        result = f"{told}: {last}" if last else told
        body = {"id": row.task_id, "is_completed": True, "result": {"text": result}}
        text = json.loads(row.body)["text"]
        now = self._account_clock.now().timestamp()
        return Effect("change_task", row.deal_id, body, f"задача «{text}» закрыта: {result}", not_before=now)

    # --- rows ---

    def _later(self) -> float:
        return self._clock.now().timestamp() + SETTLE_SECONDS

    def _rows(self, states: Sequence[str]) -> list[Row[Any]]:
        mine = (self._store.owns(megaplan_tasks), megaplan_tasks.c.state.in_(states))
        with self._store.read() as connection:
            return list(connection.execute(select(megaplan_tasks).where(*mine).order_by(megaplan_tasks.c.id)))

    def _fresh(self, row: Row[Any]) -> Row[Any]:
        with self._store.read() as connection:
            return connection.execute(select(megaplan_tasks).where(megaplan_tasks.c.id == row.id)).one()

    def _set(self, row: Row[Any], *, note: str = "", effects: Iterable[tuple[str, Effect]] = (), **values: Any) -> None:
        at = self._clock.now()
        planned = [
            Planned(None, RULE, f"{RULE}|{row.task_id}|{key}", effect).row(self._store.account_id, at)
            for key, effect in effects
        ]
        with self._store.write() as connection:
            connection.execute(update(megaplan_tasks).where(megaplan_tasks.c.id == row.id).values(values))
            if note:
                Journal(self._store).note(connection, at, JOURNAL, {row.deal_id: note})
            if planned:
                insert_new(connection, outbox, planned)
                notify(connection, self._store.account_id)

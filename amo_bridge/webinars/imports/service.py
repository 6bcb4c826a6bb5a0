"""Service of imports: begun, held, resumed, decided, repeated and undone by people."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, case, update
from sqlalchemy.engine import Connection

from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import import_rows, imports
from amo_bridge.webinars.imports.drafts import DraftService
from amo_bridge.webinars.imports.model import ADD, BEGUN, FIRST_STEP, ImportRow, State, begin_undo, first_step
from amo_bridge.webinars.imports.repository import NoSuchImport, NotNow
from amo_bridge.webinars.plan import STANDING_WORDS, Override, Row

MOST_NAMED = 5


class RowRepeat:
    """Works again on single rows of an import that was begun: left out and decided about, or failed and repeated.

    Only these rows, like any other of it: once, whatever breaks off, and undone with the others.
    """

    def __init__(self, account_id: int, drafting: DraftService) -> None:
        self._account_id = account_id
        self._drafting = drafting
        self._book = drafting.book

    def decide(self, number: int, kept: ImportRow, said: Override) -> None:
        """By what is known now. Raises NotNow (Russian): for somebody who was imported, here or elsewhere."""
        if not kept.is_left_out:
            raise NotNow(f"загрузка № {number}, строка {kept.number}: {kept.became}, решать больше нечего")
        held_on, key = self._book.get(number).held_on, kept.row.person.key
        if not said.skip and (other := self._drafting.memory.elsewhere(number, key, held_on)):
            raise NotNow(f"этим участником уже занималась загрузка № {other}")
        row = self._drafting.planned(number, kept.number, said)
        begins = {"step": first_step(row), "state": "ready", "due_at": 0.0} if row.what != "nothing" else {}
        with self._book.writing() as connection:
            if begins:
                self._go_on(connection, number)
            if not self._book.decide(connection, number, kept.number, said, row, **begins):
                raise NotNow(f"загрузка № {number}, строка {kept.number}: о ней только что решили")

    def repeat(self, number: int, places: Collection[int]) -> int:
        """Work on people again for whom it has failed, by what is known now; how many. Raises NotNow (Russian) when
        that is nobody."""
        held_on, rows, reasons = self._book.get(number).held_on, dict[int, Row](), list[str]()
        for kept, row in self._drafting.planned_anew(number):
            if kept.state != "failed" or (places and kept.number not in places):
                continue
            if other := self._drafting.memory.elsewhere(number, kept.row.person.key, held_on):
                reasons.append(f"строка {kept.number}: этим участником уже занималась загрузка № {other}")
            elif row.what == "nothing":
                reasons.append(f"строка {kept.number}: {row.why}")
            else:
                rows[kept.number] = row
        if not rows:
            told = "; ".join(reasons[:MOST_NAMED]) or "таких, у кого не вышло, нет"
            raise NotNow(f"загрузка № {number}, повторять нечего: {told}")
        with self._book.writing() as connection:
            self._go_on(connection, number)
            return self._book.repeat(connection, number, rows, first_step)

    def _go_on(self, connection: Connection, number: int) -> None:
        """There is something to do again; an import that is paused stays so."""
        is_done = imports.c.state == "done"
        again = {
            "state": case((is_done, "running"), else_=imports.c.state),
            "finished_at": None,
            # What may get lost is looked for among what was made since the work began: it begins anew.
            "started_at": case((is_done, None), else_=imports.c.started_at),
        }
        mine = (imports.c.account == self._account_id, imports.c.id == number, imports.c.state.in_(BEGUN))
        if connection.execute(update(imports).where(*mine).values(again)).rowcount != 1:
            raise NotNow(f"загрузка № {number} уже отменяется")


# The leader's worker does the work. Everything here changes the store and nothing else, so a page, a command and the
# bridge may be three processes.

UNDOABLE: tuple[State, ...] = ("done", "paused")
DRY = "[bridge] dry_run = true: мост вхолостую, загрузка ничего не записала бы; выключите dry_run и начните снова"

NO_ADDRESS = (
    "нет ни почты, ни телефона: его не найти в amoCRM и не узнать в другой раз; нужен — заведите его там вручную"
)


class UnknownContact(NoSuchImport):
    """Somebody names a contact that the account has not (Russian)."""


class NoAddress(NoSuchImport):
    """Somebody decides about a person who could not be recognised another time (Russian)."""


class PlanChanged(NotNow):
    """Other things would be done than were shown: somebody should look first (Russian)."""


class ImportService:
    def __init__(self, store: AccountStore, drafting: DraftService, *, dry_run: bool) -> None:
        self._store = store
        self._drafting = drafting
        self._book = drafting.book
        self._row_repeat = RowRepeat(store.account_id, drafting)
        self._dry_run = dry_run

    def start(self, number: int, *, as_shown: bool = True) -> None:
        """Carry a draft out, by what is known of its people now. ``as_shown``: only the plan that somebody has seen.
        Raises NoSuchImport (Russian) when that can't be; PlanChanged: once, the plan is kept as it is now."""
        if self._dry_run:
            raise NotNow(DRY)
        if other := self._drafting.memory.shared_with(number):
            # What that one makes is not known before it has made it: the same people would be made twice.
            raise NotNow(f"часть этих людей ещё загружает загрузка № {other}: начните эту, когда та закончится")
        planned = self._drafting.replan(number)
        if as_shown:
            _expect_same(planned)
        lacking = [kept.id for kept, row in planned if row.adds]
        with self._store.write() as connection:
            self._book.become_in(connection, number, ["draft"], "running")
            for what, step in FIRST_STEP.items():
                self._change(connection, number, import_rows.c.what == what, step=step, state="ready")
            self._change(connection, number, import_rows.c.what == "nothing", state="skipped")
            self._book.mark(connection, lacking, step=ADD)

    def pause(self, number: int) -> None:
        """Nothing more is sent until somebody says so; a request that is on its way is waited for."""
        self._book.become(number, ["running"], "paused")

    def resume(self, number: int) -> None:
        self._book.become(number, ["paused"], "running")

    def drop(self, number: int) -> None:
        """Throw a draft away."""
        self._book.drop(number)

    def undo(self, number: int) -> None:
        """Take back what was done; of an import that was not finished the rest is not begun."""
        with self._store.write() as connection:
            self._book.become_in(connection, number, UNDOABLE, "undoing", finished_at=None)
            begin_undo(connection, self._store.account_id, number)

    def say(self, number: int, place: int, said: Override) -> None:
        """A person's own decision about one row. The plan of a draft follows it; of an import that was begun, just this
        person is imported, by whoever leads. Raises NoSuchImport."""
        if said.contact_id is not None and not self._drafting.knows_contact(said.contact_id):
            raise UnknownContact(f"контакта {said.contact_id} мост не знает")
        kept = self._book.row(number, place)
        if (said.as_new or said.contact_id) and not kept.row.person.mails and not kept.row.person.phones:
            raise NoAddress(NO_ADDRESS)
        if self._book.get(number).state in BEGUN:
            if self._dry_run:
                raise NotNow(DRY)
            self._row_repeat.decide(number, kept, said)
        else:
            self._book.say(number, [place], said)
            self._drafting.replan(number)

    def say_of_unknown_minutes(self, number: int, said: Override) -> int:
        """One decision about everybody of whom nobody knows how long he watched; how many they are. Raises
        NoSuchImport, NotNow."""
        rows = self._book.rows(number, import_rows.c.standing == "no_minutes")
        if self._book.get(number).state in BEGUN:
            if self._dry_run:
                raise NotNow(DRY)
            left_out = [kept for kept in rows if kept.is_left_out]
            for kept in left_out:
                self._row_repeat.decide(number, kept, said)
            return len(left_out)
        self._book.say(number, [kept.number for kept in rows], said)
        self._drafting.replan(number)
        return len(rows)

    def repeat(self, number: int, place: int | None = None) -> int:
        """Work again on one person, or on everybody, for whom it has failed; how many they are. Raises NoSuchImport,
        NotNow (Russian)."""
        self._book.expect(number, BEGUN)
        if self._dry_run:
            raise NotNow(DRY)
        if place is not None:
            self._book.row(number, place)
        return self._row_repeat.repeat(number, [place] if place is not None else ())

    def _change(self, connection: Connection, number: int, which: ColumnElement[bool], **values: object) -> None:
        mine = (self._store.owns(import_rows), import_rows.c.import_id == number, which)
        connection.execute(update(import_rows).where(*mine).values(**values))


def _expect_same(planned: Sequence[tuple[ImportRow, Row]]) -> None:
    """What is done, and with whom; a deal that only stands on another stage now is nobody's surprise."""
    changed = [
        f"{row.person.name or row.person.key}: {STANDING_WORDS[kept.row.standing]} → {STANDING_WORDS[row.standing]}"
        for kept, row in planned
        if (kept.row.what, kept.row.contact_id) != (row.what, row.contact_id)
    ]
    if changed:
        more = f" и ещё {len(changed) - MOST_NAMED}" if len(changed) > MOST_NAMED else ""
        told = "; ".join(changed[:MOST_NAMED])
        raise PlanChanged(f"с тех пор, как показан план, он изменился ({told}{more}): посмотрите его и начните снова")

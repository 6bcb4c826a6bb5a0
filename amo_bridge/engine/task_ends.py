"""Task ends: closes the tasks that rules set once they have lost their reason (``until``).

What ends a task is stored with it when it is set, in amoCRM's ids: later changes of the config do not touch it. The
engine closes it by the rule that set it, whether that rule is on or not; a task that the bridge did not set is never
touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select, union_all, update
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import Account, Stage
from amo_bridge.errors import UnknownName
from amo_bridge.events import Event, FieldChanged, FileAttached, StageEntered
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.actions import Action, CreateTask, FieldFilled, FileThere, MoveDeal, Skip
from amo_bridge.rules.deal import AttachedFile, Deal, stage_is_one_of
from amo_bridge.rules.handler import Handler, Options, Rule
from amo_bridge.rules.option_types import Text
from amo_bridge.rules.options import WantedFile
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import made, tasks
from amo_bridge.text.names import same_name

NEW_TASK = "create_task"
STAGE_OPTIONS = ("stages", "goes_on")
"""Options that name the stages on which a rule works: a deal that goes from one of them to another has not left."""


class FieldEnd(NamedTuple):
    """A field that ends a task. ``id``: of a custom field, which may be renamed. ``was_filled``: when the task was set;
    then only a change of it counts."""

    name: str
    id: int | None
    was_filled: bool


@dataclass(frozen=True)
class TaskEnds:
    """When a task ends, as it is stored. The deal's end is always among it.

    ``stages``: pairs (pipeline, status) on which the task stays, the one it was set for among them; ``leaves``: it ends
    when the deal is on another one, open or closed.
    """

    stages: tuple[tuple[int, int], ...]
    leaves: bool
    fields: tuple[FieldEnd, ...] = ()
    files: tuple[FileThere, ...] = ()

    def to_json(self) -> str:
        told = {
            "stages": self.stages,
            "leaves": self.leaves,
            "fields": self.fields,
            "files": [[file.named, file.name_starts_with] for file in self.files],
        }
        return json.dumps(told, ensure_ascii=False)

    @classmethod
    def of_json(cls, text: str) -> TaskEnds:
        told = json.loads(text)
        return cls(
            stages=tuple((pipeline, status) for pipeline, status in told["stages"]),
            leaves=told["leaves"],
            fields=tuple(FieldEnd(*one) for one in told["fields"]),
            files=tuple(FileThere(named, tuple(beginnings)) for named, beginnings in told["files"]),
        )

    def reached(
        self, deal: Deal, events: Sequence[Event], account: Account, *, is_move_judged: bool = True
    ) -> tuple[str, Event] | None:
        """Why the task ends (Russian), and by which of these events; None if it does not.

        ``is_move_judged``: have the gates let the deal onto its stage? Before that they may still roll it back.
        """
        if is_move_judged and deal.stage.key not in self.stages:
            moved = next((event for event in events if isinstance(event, StageEntered)), events[0])
            if deal.stage.is_won or deal.stage.is_lost:
                return f"Сделка закрыта: «{deal.stage.name}»", moved
            if self.leaves:
                return f"Сделка ушла с этапа «{_name_of(self.stages[0], account)}»", moved
        return self._filled(deal, events, account) or self._attached(deal, events)

    def _filled(self, deal: Deal, events: Sequence[Event], account: Account) -> tuple[str, Event] | None:
        for one in self.fields:
            name = _field_name(one, account)
            changed = (
                event for event in events if isinstance(event, FieldChanged) and same_name(event.field_name, name)
            )
            event = next(changed, None)
            if deal.has(name) and (event or not one.was_filled):
                return f"Поле «{name}» заполнено", event or events[0]
        return None

    def _attached(self, deal: Deal, events: Sequence[Event]) -> tuple[str, Event] | None:
        for event in events if self.files else ():
            if isinstance(event, FileAttached):
                file = AttachedFile(name=event.file_name)
                if any(_wanted(one).fits(file, deal) for one in self.files):
                    return f"Файл «{event.file_name}» приложен", event
        return None


def _wanted(file: FileThere) -> WantedFile:
    named = None if file.named is None else Text(file.named)
    return WantedFile(named=named, name_starts_with=file.name_starts_with)


def _name_of(stage: tuple[int, int], account: Account) -> str:
    return account.stage_of(*stage).name if account.has_stage(*stage) else f"{stage[0]}.{stage[1]}"


def _field_name(one: FieldEnd, account: Account) -> str:
    """Its name by now."""
    return next((field.name for field in account.fields("leads") if field.id == one.id), one.name)


# --- when a task is set -----------------------------------------------------------------------------------------------


def ends_of(action: CreateTask, actions: Iterable[Action], rule: Rule, deal: Deal, account: Account) -> TaskEnds | None:
    """What ends a task that the rule sets, with the other ``actions``; None: nothing but a person.

    It is set for the stage where the deal will be when all is done; on another deal of the client, it ends with that
    deal. Raises UnknownName.
    """
    until = action.until if action.until is not None else (rule.handler.tasks_until,)
    if "never" in until:
        return None
    if action.deal_id != deal.id:
        return TaskEnds(stages=(), leaves=False)
    target = next((account.stage(one.to) for one in actions if isinstance(one, MoveDeal)), deal.stage)
    fields = (one for one in until if isinstance(one, FieldFilled))
    return TaskEnds(
        stages=tuple(dict.fromkeys((target.key, *_stages_of(rule, target, account)))),
        leaves="stage left" in until,
        fields=tuple(FieldEnd(one.field, _field_id(one.field, account), deal.has(one.field)) for one in fields),
        files=tuple(one for one in until if isinstance(one, FileThere)),
    )


def _stages_of(rule: Rule, target: Stage, account: Account) -> Iterator[tuple[int, int]]:
    """The stages on which the rule works, if the task is set for one of them."""
    named = [name for option in STAGE_OPTIONS for name in getattr(rule.options, option, ())]
    if stage_is_one_of(target.title, named):
        yield from (stage.key for stage in account.stages if stage_is_one_of(stage.title, named))


def _field_id(name: str, account: Account) -> int | None:
    """None for what amoCRM has built in."""
    try:
        return account.field(name).id
    except UnknownName:
        return None


# --- what is open -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EndingTask:
    """An open task that a rule set, and what ends it."""

    task_id: int
    rule: str
    ends: TaskEnds


@dataclass
class EndingTasks:
    """The open tasks with an end of the deals of one batch."""

    of_deals: Mapping[int, Sequence[EndingTask]] = field(default_factory=dict)

    @classmethod
    def read(cls, store: AccountStore, deal_ids: Iterable[int]) -> EndingTasks:
        """One indexed read for all of them. Raises StoreUnavailable."""
        found: dict[int, list[EndingTask]] = {}
        same_task = and_(tasks.c.account == made.c.account, tasks.c.task_id == made.c.entity_id)
        query = (
            select(made.c.entity_id.label("task_id"), made.c.rule, made.c.until)
            .join_from(made, tasks, same_task)
            .where(store.owns(made), made.c.kind == NEW_TASK, made.c.until.is_not(None))
            .where(tasks.c.is_completed.is_(False))
        )
        # A rule may set a task on another deal than the one it judged: it ends with the deal on whose card it stands.
        on_no_deal = or_(tasks.c.entity_type.is_(None), tasks.c.entity_type != "deal")
        own = query.add_columns(made.c.deal_id).where(or_(on_no_deal, tasks.c.entity_id == made.c.deal_id))
        of_others = query.add_columns(tasks.c.entity_id.label("deal_id")).where(
            store.owns(tasks), tasks.c.entity_type == "deal", tasks.c.entity_id != made.c.deal_id
        )
        with store.read() as connection:
            for chunk in chunks(sorted(set(deal_ids))):
                both = union_all(own.where(made.c.deal_id.in_(chunk)), of_others.where(tasks.c.entity_id.in_(chunk)))
                for row in connection.execute(both.order_by("task_id")):
                    one = EndingTask(row.task_id, row.rule, TaskEnds.of_json(row.until))
                    found.setdefault(row.deal_id, []).append(one)
        return cls(found)

    def of(self, deal_id: int | None) -> Sequence[EndingTask]:
        return self.of_deals.get(deal_id or 0, ())

    def await_file(self, deal_id: int | None) -> bool:
        """Does a file end one of the deal's tasks?"""
        return any(task.ends.files for task in self.of(deal_id))


def forget_ends(connection: Connection, account_id: int, task_ids: Sequence[int]) -> None:
    """The bridge has closed these tasks: the mirror may know it later than the next event of the deal is judged."""
    for chunk in chunks(task_ids):
        mine = (made.c.account == account_id, made.c.kind == NEW_TASK, made.c.entity_id.in_(chunk))
        connection.execute(update(made).where(*mine).values(until=None))


# --- rules that are not there any more --------------------------------------------------------------------------------


def removed_rule(name: str) -> Rule:
    """A rule that has left the config, as it stands in the journal: what it set is closed under its name."""
    handler, _, block = name.partition(".")
    gone = Handler(
        name=handler, on=(), options=Options, judge=_decides_nothing, gate=False, needs=frozenset(),
        summary="правила больше нет в настройке", covers="",
    )  # fmt: skip
    return Rule(handler=gone, block=block, options=Options(), enabled=False)


def _decides_nothing(event: Event, deal: Deal, options: Options) -> Skip:
    return Skip("правила больше нет в настройке")


def finished_tasks(bodies: Iterable[Mapping[str, Any]]) -> set[int]:
    """The tasks that changes with these bodies close."""
    return {body["id"] for body in bodies if body.get("is_completed")}

"""Provision plan: what the account lacks, as steps for the API and steps by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field

from amo_bridge.crm.account import Account, Field, Pipeline
from amo_bridge.errors import AmbiguousName, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.provision.requirements import Wanted, WantedField
from amo_bridge.text.names import normalise

ENTITIES = {"leads": "сделки", "contacts": "контакта"}
KINDS = {
    "text": "текст",
    "textarea": "текстовая область",
    "numeric": "число",
    "checkbox": "флаг",
    "select": "список",
    "multiselect": "мультисписок",
    "radiobutton": "переключатель",
    "date": "дата",
    "date_time": "дата и время",
    "birthday": "день рождения",
    "url": "ссылка",
    "streetaddress": "короткий адрес",
}
"""amoCRM's types as its own settings page calls them."""
LIKE_TEXT = frozenset({"text", "textarea", "numeric", "url", "streetaddress", "tracking_data", "price", "monetary"})
"""A rule that needs some text is content with any of these."""


@dataclass(frozen=True)
class NewPipeline:
    """A pipeline, its stages from left to right."""

    name: str
    stages: tuple[str, ...]

    def __str__(self) -> str:
        return f"воронка «{self.name}»: {', '.join(self.stages) or 'без своих этапов'}"


@dataclass(frozen=True)
class NewStage:
    """A stage of a pipeline that is there; ``sort`` puts it behind the one that precedes it in the config."""

    pipeline: Pipeline
    name: str
    sort: int

    def __str__(self) -> str:
        return f"этап «{self.pipeline.name} / {self.name}»"


@dataclass(frozen=True)
class NewField:
    """A field of deals or contacts."""

    wanted: WantedField

    def __str__(self) -> str:
        shape = self.wanted.shape
        choices = f": {', '.join(shape.choices)}" if shape.choices else ""
        guess = " (никто не просит другого)" if self.wanted.is_open else ""
        return f"поле {ENTITIES[self.wanted.entity]} «{self.wanted.name}» — {KINDS[shape.type]}{choices}{guess}"


@dataclass(frozen=True)
class NewChoices:
    """Choices that a field of the account lacks; those it has stay."""

    field: Field
    choices: tuple[str, ...]

    def __str__(self) -> str:
        words = "вариант" if len(self.choices) == 1 else "варианты"
        return f"{words} в поле {ENTITIES[self.field.entity]} «{self.field.name}»: {', '.join(self.choices)}"


@dataclass(frozen=True)
class NewTags:
    """Tags of deals."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"теги сделок: {', '.join(self.names)}"


@dataclass(frozen=True)
class NewLossReasons:
    """Loss reasons. Whether amoCRM takes them by its API is not documented: it is tried."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"причины отказа: {', '.join(self.names)}"


Step = NewPipeline | NewStage | NewField | NewChoices | NewTags | NewLossReasons


@dataclass
class Plan:
    """``steps``, in the order in which they are to be taken, what people should know before they agree to them
    (``warnings``), and what only people can do ``by_hand`` (Russian)."""

    steps: list[Step] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)


def plan(wanted: Wanted, account: Account, tags: Iterable[str]) -> Plan:
    """``tags``: those of deals that are there. Asks nothing and changes nothing."""
    found = Plan()
    found.steps += _pipelines(wanted, account, found.by_hand)
    found.warnings += _guessed_orders(wanted, found.steps)
    found.by_hand += _bare_stages(wanted, account)
    for one in wanted.fields:
        found.steps += _field(one, account, found.by_hand)
    there = {normalise(tag) for tag in tags}
    if new := tuple(tag for tag in wanted.tags if normalise(tag) not in there):
        found.steps.append(NewTags(new))
    if new := tuple(name for name in wanted.loss_reasons if not _knows(account.loss_reason, name)):
        found.steps.append(NewLossReasons(new))
    found.by_hand += [task_type_by_hand(name) for name in wanted.task_types if not _knows(account.task_type, name)]
    found.by_hand += [
        f"сотрудник «{name}»: пригласите его (Настройки → Пользователи) или назовите в настройке другого"
        for name in wanted.users
        if not _knows(account.user, name)
    ]
    return found


def task_type_by_hand(name: str) -> str:
    """amoCRM's API reads task types and makes none."""
    return f"тип задачи «{name}»: в любой задаче откройте список типов → «Добавить тип»"


def loss_reason_by_hand(name: str) -> str:
    """For accounts whose API does not take loss reasons."""
    return f"причина отказа «{name}»: Сделки → «…» → Настроить воронку → «Причины отказа»"


def _pipelines(wanted: Wanted, account: Account, by_hand: list[str]) -> Iterator[Step]:
    for name, stages in wanted.stages.items():
        try:
            pipeline = account.pipeline(name)
        except AmbiguousName as error:
            by_hand.append(str(error))
        except UnknownName:
            yield NewPipeline(name, tuple(stages))
        else:
            if pipeline.is_archived:
                by_hand.append(f"воронка «{name}» в архиве: верните её или назовите другую")
            yield from _stages(pipeline, stages, account)


def _stages(pipeline: Pipeline, stages: Iterable[str], account: Account) -> Iterator[NewStage]:
    sorts = {normalise(one.name): one.sort for one in account.stages if one.pipeline_id == pipeline.id}
    # «Неразобранное» stands before all, at 10.
    before = 10
    for name in stages:
        there = sorts.get(normalise(name))
        if there is None:
            before += 1
            yield NewStage(pipeline, name, before)
        else:
            before = there


def _guessed_orders(wanted: Wanted, steps: Iterable[Step]) -> Iterator[str]:
    unordered = {normalise(pipeline) for pipeline in wanted.unordered}
    touched = [step.name for step in steps if isinstance(step, NewPipeline) and len(step.stages) > 1]
    touched += [step.pipeline.name for step in steps if isinstance(step, NewStage)]
    for name in dict.fromkeys(touched):
        if normalise(name) in unordered:
            yield (
                f"воронка «{name}»: порядок этапов не указан, они встанут так, как названы в правилах. Напишите его в "
                "[provision.pipelines]: потом мост этапы не переставит"
            )


def _bare_stages(wanted: Wanted, account: Account) -> Iterator[str]:
    planned = {normalise(stage) for stages in wanted.stages.values() for stage in stages}
    for name in wanted.bare_stages:
        if normalise(name) not in planned and not _knows(account.stage, name):
            yield f"этап «{name}»: напишите в настройке «Воронка / {name}», иначе не понять, где его создать"


def _field(wanted: WantedField, account: Account, by_hand: list[str]) -> Iterator[Step]:
    try:
        there = account.field(wanted.name, wanted.entity)
    except AmbiguousName as error:
        by_hand.append(str(error))
        return
    except UnknownName:
        yield NewField(wanted)
        return
    if not fits(wanted.shape.type, there.type):
        by_hand.append(
            f"поле {ENTITIES[wanted.entity]} «{there.name}»: его тип — {KINDS.get(there.type, there.type)}, а нужен "
            f"{KINDS[wanted.shape.type]}; тип в amoCRM не меняется, переименуйте это поле или назовите другое"
        )
        return
    known = {normalise(option.value) for option in there.enums}
    if new := tuple(choice for choice in wanted.shape.choices if normalise(choice) not in known):
        yield NewChoices(there, new)


def fits(wanted: str, there: str) -> bool:
    dates, choices = {"date", "date_time", "birthday"}, {"select", "radiobutton", "multiselect"}
    if wanted == "text":
        # Named by a rule and described by nobody: whatever it is, it can be read as a text.
        return True
    return wanted == there or any({wanted, there} <= alike for alike in (dates, choices, LIKE_TEXT))


def _knows(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except AmbiguousName:
        # It is there, even twice; the check will say so.
        return True
    except UnknownName:
        return False
    return True

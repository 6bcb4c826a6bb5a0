"""Matching of a regulation's names with the account's: the same, a synonym, or a question.

Nothing is taken silently that is not the same word: a synonym is proposed, what only looks alike is asked about, and
«нет такого» is always an answer.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Literal

from amo_bridge.config.account_check import LOSS_REASON_FIELD, account_names, simple_names
from amo_bridge.config.model import MANAGER, Config
from amo_bridge.config.toml_lines import KeyPath
from amo_bridge.crm.account import Account, Field, Pipeline, Stage, User
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.provision.plan import KINDS, fits
from amo_bridge.provision.requirements import CLOSED, Wanted
from amo_bridge.rules.deal import BUILT_IN_FIELDS
from amo_bridge.rules.option_types import (
    AccountName,
    ContactFieldName,
    CustomFieldName,
    FieldName,
    LossReasonName,
    OptionName,
    PersonName,
    PipelineName,
    StageName,
    TaskTypeName,
    UserName,
)
from amo_bridge.text.names import normalise, same_name

Kind = Literal["pipelines", "users", "stages", "fields", "contact_fields", "types", "reasons", "choices"]
WORDS: Mapping[Kind, str] = {
    "pipelines": "воронка",
    "users": "сотрудник",
    "stages": "этап",
    "fields": "поле",
    "contact_fields": "поле контакта",
    "types": "тип задачи",
    "reasons": "причина отказа",
    "choices": "вариант",
}
ROUNDS: tuple[tuple[Kind, ...], ...] = (
    ("pipelines", "users"),
    ("stages", "fields", "contact_fields", "types", "reasons"),
    ("choices",),
)
"""What is to be known first: a stage is looked for in its pipeline, a choice in its field."""
ASKED_ANYWAY: tuple[Kind, ...] = ("pipelines", "users")
ALIKE = 0.62
BEGINNING = 5
"""So many letters of a word count: what follows is mostly an ending."""
_WORD = re.compile(r"\w{2,}")
_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s.,:;()/-]")
_BOUND = re.compile(r"\b(без|в|для|до|за|из|на|не|от|по|после|с) ")
"""Words that stay with the one that follows them, whatever the order."""


@dataclass(frozen=True)
class Need:
    """Something that the regulation names. ``inside``: the pipeline of a stage, the field of a choice."""

    kind: Kind
    name: str
    inside: str = ""

    @property
    def key(self) -> str:
        """How an answer to it is written in a file: «этап Продажи / Новый клиент»."""
        whole = f"{self.inside} / {self.name}" if self.kind in ("stages", "choices") else self.name
        return f"{WORDS[self.kind]} {whole}"

    @property
    def words(self) -> str:
        """For people: «этап «Новый клиент»»."""
        if self.kind == "users":
            return f"сотрудник вместо «{self.name}»"
        of_field = f" поля «{self.inside}»" if self.kind == "choices" else ""
        return f"{WORDS[self.kind]} «{self.name}»{of_field}"


@dataclass(frozen=True)
class Candidate:
    """``value``: as a config writes it. ``label``: as people tell it from others."""

    value: str
    label: str


State = Literal["exact", "meaning", "doubtful", "missing", "answered"]


@dataclass(frozen=True)
class Finding:
    """``found``: what the config will say; None: the account has none. ``candidates``: the most alike first, then all
    others that could be meant. ``alike``: how many of them look alike."""

    need: Need
    state: State
    found: str | None = None
    candidates: tuple[Candidate, ...] = ()
    alike: int = 0

    @property
    def is_open(self) -> bool:
        """Nobody has said yet what is meant."""
        return self.state in ("meaning", "doubtful") or (self.state == "missing" and bool(self.candidates))

    @property
    def is_asked(self) -> bool:
        """A person has to choose: one of several that look alike, or of a list that only he can tell from."""
        return self.state == "doubtful" or (
            self.state == "missing" and bool(self.candidates) and self.need.kind in ASKED_ANYWAY
        )


@dataclass
class Matching:
    """``config``: the regulation's own names, read. ``answers``: what a person has said: a need's key → the account's
    name for it; None: «нет такого». ``asked``: keys for which even the same name is not taken without an answer."""

    config: Config
    account: Account
    answers: dict[str, str | None] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.needs = list(dict.fromkeys(need for _, _, need in names_needed(self.config)))
        self._known: tuple[tuple[tuple[str, str | None], ...], list[Finding]] | None = None
        self._types = {(one.entity, normalise(one.name)): one.shape.type for one in Wanted.by(self.config).fields}

    def findings(self) -> list[Finding]:
        """Every need with what is known of it now."""
        known = tuple(self.answers.items())
        if self._known is None or self._known[0] != known:
            self._known = (known, self._findings())
        return self._known[1]

    def _findings(self) -> list[Finding]:
        found: dict[tuple[Kind, str], Finding] = {}
        for kinds in ROUNDS:
            of_round = [need for need in self.needs if need.kind in kinds]
            exact = [one for need in of_round if (one := self._exact(need, found)) is not None]
            for need in of_round:
                taken = {one.found for one in exact if one.need.kind == need.kind}
                found[need.kind, need.key] = self._finding(need, found, taken)
            found |= {(one.need.kind, one.need.key): one for one in _not_twice(found.values())}
        return list(found.values())

    def open_round(self) -> list[Finding]:
        """What is to be asked next; empty when all is known."""
        found = self.findings()
        for kinds in ROUNDS:
            if open_ones := [one for kind in kinds for one in found if one.need.kind == kind and one.is_open]:
                return open_ones
        return []

    def with_answers(self, answers: Mapping[str, str | None]) -> Matching:
        """The same comparison, with other answers."""
        return Matching(self.config, self.account, dict(answers))

    def answer(self, finding: Finding, value: str | None) -> None:
        """What a person said. Raises ValueError for what was not on the list."""
        if value is not None and value not in {one.value for one in finding.candidates}:
            raise ValueError(f"«{value}» нет в списке")
        self.answers[finding.need.key] = value

    def name_of(self, need: Need) -> str | None:
        """What the account calls it, as far as that is known without asking."""
        return next((one.found for one in self.findings() if one.need == need), None)

    def lack(self, need: Need) -> str:
        """What the account has not, for people; a field that is there with a type that does not do is told so."""
        entity = {"fields": "leads", "contact_fields": "contacts"}.get(need.kind)
        if entity is None:
            return need.words
        wanted = self._types.get((entity, normalise(need.name)), "text")
        there = [one for one in self.account.fields(entity) if same_name(one.name, need.name)]
        if not there or any(fits(wanted, one.type) for one in there):
            return need.words
        types = (KINDS.get(wanted, wanted), KINDS.get(there[0].type, there[0].type))
        return f"{need.words} нужного типа (нужен — {types[0]}, сейчас — {types[1]})"

    def _finding(self, need: Need, before: Mapping[tuple[Kind, str], Finding], taken: set[str | None]) -> Finding:
        if need.key in self.answers:
            return Finding(need, "answered", self.answers[need.key])
        if exact := self._exact(need, before):
            return exact
        candidates = [one for one in self._candidates(need, before) if one.value not in taken]
        if need.kind == "users" and len(candidates) == 1 and not taken:
            return Finding(need, "meaning", candidates[0].value, tuple(candidates), 1)
        meant = [one.value for one in candidates if _mean_the_same(need, one)]
        scores = {one.value: _alike(need.name, _own_name(need, one)) for one in candidates}
        alike = sorted(
            (one for one in candidates if one.value in meant or scores[one.value] >= ALIKE),
            key=lambda one: (one.value not in meant, -scores[one.value]),
        )
        ordered = (*alike, *(one for one in candidates if one not in alike))
        if len(meant) == 1:
            return Finding(need, "meaning", meant[0], ordered, len(alike))
        return Finding(need, "doubtful" if alike else "missing", None, ordered, len(alike))

    def _exact(self, need: Need, before: Mapping[tuple[Kind, str], Finding]) -> Finding | None:
        if need.key in self.answers or need.key in self.asked:
            return None
        if need.kind == "stages" and (closed := self._closed(need, before)):
            return Finding(need, "exact", closed)
        same = [one for one in self._candidates(need, before) if same_name(_own_name(need, one), need.name)]
        if len(same) > 1:
            return None
        return Finding(need, "exact", same[0].value, (same[0],), 1) if same else None

    def _closed(self, need: Need, before: Mapping[tuple[Kind, str], Finding]) -> str | None:
        """142 and 143 are won and lost in every pipeline, whatever they are called."""
        place = next((place for place, name in enumerate(CLOSED) if same_name(name, need.name)), None)
        pipeline = self._pipeline_of(need, before)
        if place is None or pipeline is None:
            return None
        return next(
            (
                one.title
                for one in self.account.stages
                if one.pipeline_id == pipeline.id and (one.is_won, one.is_lost)[place]
            ),
            None,
        )

    def _pipeline_of(self, need: Need, before: Mapping[tuple[Kind, str], Finding]) -> Pipeline | None:
        pipeline = before.get(("pipelines", Need("pipelines", need.inside).key))
        found = pipeline.found if pipeline else need.inside
        return next((one for one in _live(self.account) if found and same_name(one.name, found)), None)

    def _candidates(self, need: Need, before: Mapping[tuple[Kind, str], Finding]) -> list[Candidate]:
        account = self.account
        match need.kind:
            case "pipelines":
                return [Candidate(one.name, one.name) for one in _live(account)]
            case "users":
                return [_user(one, account) for one in account.users if one.is_active]
            case "stages":
                pipeline = self._pipeline_of(need, before)
                stages = [one for one in account.stages if pipeline and one.pipeline_id == pipeline.id]
                return [_stage(one) for one in stages if one.kind != "unsorted"]
            case "fields" | "contact_fields":
                entity = "leads" if need.kind == "fields" else "contacts"
                wanted = self._types.get((entity, normalise(need.name)), "text")
                fields = account.fields(entity)
                return [_field(one, fields) for one in fields if fits(wanted, one.type)]
            case "types":
                return [Candidate(one.name, one.name) for one in account.task_types]
            case "reasons":
                return [Candidate(one.name, one.name) for one in account.loss_reasons]
            case "choices":
                return self._choices(need, before)

    def _choices(self, need: Need, before: Mapping[tuple[Kind, str], Finding]) -> list[Candidate]:
        if same_name(need.inside, LOSS_REASON_FIELD):
            return [Candidate(one.name, one.name) for one in self.account.loss_reasons]
        holder = before.get(("fields", Need("fields", need.inside).key))
        name = holder.found if holder else need.inside
        held = next((one for one in self.account.fields() if name and name in (one.name, str(one.id))), None)
        if held is None:
            return []
        # A field without choices takes any text.
        return [Candidate(one.value, one.value) for one in held.enums] or [Candidate(need.name, need.name)]


def _not_twice(found: Iterable[Finding]) -> Iterator[Finding]:
    """What several names could mean is proposed to none of them: a person has to say which."""
    meant = [one for one in found if one.state == "meaning" and one.need.kind != "users"]
    for one in meant:
        if sum(other.found == one.found and other.need.kind == one.need.kind for other in meant) > 1:
            yield replace(one, state="doubtful", found=None)


def names_needed(config: Config) -> Iterator[tuple[KeyPath, AccountName, Need]]:
    """Every place of the config that names something of the account: its key, the name, the need. A stage is two."""
    roles = {normalise(role) for role in (MANAGER, *config.roles)}
    for path, whole in account_names(config):
        for name in simple_names(whole):
            for need in _needed(name, roles):
                yield path, name, need


def _needed(name: AccountName, roles: set[str]) -> Iterator[Need]:
    text = str(name)
    match name:
        case StageName():
            pipeline, _, stage = (part.strip() for part in text.partition("/"))
            yield Need("pipelines", pipeline)
            yield Need("stages", stage, pipeline)
        case PipelineName():
            yield Need("pipelines", text)
        case OptionName():
            yield Need("choices", text, name.field)
        case ContactFieldName():
            yield Need("contact_fields", text)
        case CustomFieldName():
            yield Need("fields", text)
        case FieldName():
            if not any(same_name(text, one) for one in BUILT_IN_FIELDS):
                yield Need("fields", text)
        case LossReasonName():
            yield Need("reasons", text)
        case TaskTypeName():
            yield Need("types", text)
        case UserName() | PersonName():
            if normalise(text) not in roles:
                yield Need("users", text)
        case _:
            # Tags come into being by themselves; templates and series are the bridge's own.
            return


def _live(account: Account) -> list[Pipeline]:
    return [one for one in account.pipelines if not one.is_archived]


def _stage(stage: Stage) -> Candidate:
    return Candidate(stage.title, stage.name)


def _field(field: Field, fields: Iterable[Field]) -> Candidate:
    """Where names repeat, a config names the field by its number."""
    if sum(normalise(one.name) == normalise(field.name) for one in fields) > 1:
        return Candidate(str(field.id), f"{field.name} (номер {field.id}, {field.type})")
    return Candidate(field.name, field.name)


def _user(user: User, account: Account) -> Candidate:
    if sum(same_name(one.name, user.name) for one in account.users) > 1 and user.email:
        return Candidate(user.email, f"{user.name} ({user.email})")
    return Candidate(user.name, user.name)


def _own_name(need: Need, candidate: Candidate) -> str:
    return candidate.label.split(" (номер ")[0] if need.kind in ("fields", "contact_fields") else candidate.label


# --- meaning ----------------------------------------------------------------------------------------------------------


@cache
def _synonyms() -> Mapping[str, tuple[frozenset[tuple[str, ...]], ...]]:
    tree = tomllib.loads((Path(__file__).parent / "synonyms.toml").read_text("utf-8"))
    return {kind: tuple(frozenset(map(_meaning, group)) for group in groups) for kind, groups in tree.items()}


def _mean_the_same(need: Need, candidate: Candidate) -> bool:
    kind = {"contact_fields": "fields"}.get(need.kind, need.kind)
    if need.kind == "choices" and same_name(need.inside, LOSS_REASON_FIELD):
        kind = "reasons"
    pair = {_meaning(need.name), _meaning(_own_name(need, candidate))}
    return len(pair) == 1 or any(pair <= group for group in _synonyms().get(kind, ()))


@cache
def _meaning(name: str) -> tuple[str, ...]:
    """The words in any order, without the signs between them: «Бриф получен» is «Получен бриф». Of what has figures in
    it (a sum, a date, a range) the order counts."""
    text = normalise(name)
    if any(sign.isdigit() for sign in text):
        return (text,)
    return tuple(sorted(_WORD_OR_SIGN.findall(_BOUND.sub(r"\1", text)))) or (text,)


@cache
def _alike(one: str, other: str) -> float:
    """0 to 1: by letters, or by the words that both have, endings aside."""
    a, b = normalise(one), normalise(other)
    by_letters = SequenceMatcher(None, a, b).ratio()
    words, others = _stems(a), _stems(b)
    by_words = len(words & others) / len(words | others) if words and others else 0.0
    return max(by_letters, by_words)


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:BEGINNING] for word in _WORD.findall(text))

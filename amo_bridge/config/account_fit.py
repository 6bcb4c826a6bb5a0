"""Config fitted to the account as it is now: renamed names are followed, rules without theirs are off.

The ids of names are remembered when they are resolved. A name that the account does not know any more is looked for by
that id: if it lives on under another name, the config works with that one. What can't be found makes its rule
*broken*; all other rules work. Rules that are switched off, and sections that only they need, are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any, Literal, TypeVar

from amo_bridge.config.account_check import (
    LOSS_REASON_FIELD,
    Inactive,
    Misfit,
    NotReady,
    account_names,
    field_with_choices,
    look_up,
    simple_names,
)
from amo_bridge.config.diagnostics import place, problem
from amo_bridge.config.loader import A_RULE, RULES
from amo_bridge.config.model import (
    Absence,
    Absences,
    Config,
    DailyReportSection,
    PoliciesSection,
    ShiftStartSection,
    WeeklyLetterSection,
)
from amo_bridge.config.toml_lines import KeyPath, line_of
from amo_bridge.crm.account import Account
from amo_bridge.errors import UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.option_types import (
    AccountName,
    ContactFieldName,
    CustomFieldName,
    FieldName,
    LossReasonName,
    OptionName,
    PersonName,
    PipelineName,
    SeriesName,
    StageName,
    TaskTypeName,
    UserName,
    names_in,
    taken,
    with_names,
)
from amo_bridge.rules.options import CarryOver
from amo_bridge.text.names import normalise, same_name
from amo_bridge.text.scripts import Scripts

State = Literal["lost", "partial", "renamed", "inactive", "unneeded"]
"""lost: nobody knows what is meant; partial: a part of what the rule does can't be done (a field to
be carried over, a letter that is not finished); renamed:
the config works with the new name; inactive: a user who is switched off, others stand in for him; unneeded: lost, but
nothing that is switched on needs it."""
TO_MEND: tuple[State, ...] = ("lost", "partial", "inactive")
PARTS = ("carry_fields", "carry_as", "link_field")
"""Keys of what a new deal can do without."""
S = TypeVar("S", DailyReportSection, PoliciesSection, ShiftStartSection, WeeklyLetterSection)
PROVISION = "чего аккаунту не хватает, создаст amo-bridge provision"


@dataclass(frozen=True)
class KnownId:
    """What a name meant when it was resolved. ``kind`` and ``name`` are the key; ``name`` is normalised. ``called``:
    by which name the bridge works with it: the config's, or the one that amoCRM has given it since then."""

    kind: str
    name: str
    id: str
    called: str


KnownIds = Mapping[tuple[str, str], str]
"""(kind, normalised name) → id."""


@dataclass(frozen=True)
class NameIssue:
    """A name that the account does not know as the config writes it.

    ``path``: the key where it stands. ``rule``: the rule's name; empty for a section. ``name``: its class says of what
    it is the name. ``words``: what is wrong, without the place; ``line``: with it. ``new_name``: what the account calls
    it now."""

    path: KeyPath
    rule: str
    name: AccountName
    state: State
    words: str
    line: str
    new_name: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Tells one problem from another, wherever in the file it stands."""
        return (self.rule or str(self.path[0]), normalise(self.name))

    @property
    def is_to_mend(self) -> bool:
        """Somebody has to put it right."""
        return self.state in TO_MEND


@dataclass(frozen=True)
class Fit:
    """``config``: what the bridge works by: renamed names replaced, rules that don't fit marked ``broken``.

    ``found``: the names that could be resolved, to be remembered. ``written``: the config that was compared."""

    config: Config
    issues: tuple[NameIssue, ...] = ()
    found: tuple[KnownId, ...] = ()
    written: Config | None = None

    @property
    def broken(self) -> dict[str, str]:
        """The rules that are off because of their names → why (Russian)."""
        return {rule.name: rule.broken for rule in self.config.rules if rule.broken}

    @property
    def working(self) -> Config:
        """The same config with broken rules switched off, for whoever compares it with another copy of the account."""
        rules = tuple(replace(rule, enabled=rule.works, broken="") for rule in self.config.rules)
        return replace(self.config, rules=rules)

    @property
    def renamed(self) -> list[NameIssue]:
        return [issue for issue in self.issues if issue.state == "renamed"]

    def lines(self, *states: State) -> list[str]:
        """The issues in these states with their places in the file, each once."""
        return list(dict.fromkeys(issue.line for issue in self.issues if issue.state in states))

    def lines_beside_broken(self, *states: State) -> list[str]:
        """As ``lines``, without what ``broken`` says already: the lost names of rules."""
        broken, found = self.broken, [issue for issue in self.issues if issue.state in states]
        return list(dict.fromkeys(one.line for one in found if one.state != "lost" or one.rule not in broken))

    @property
    def problems(self) -> list[str]:
        """What somebody has to put right."""
        return self.lines(*TO_MEND)

    def new_problems(self, before: Fit) -> list[str]:
        """What somebody has to put right before this config takes over from the one of ``before``.

        What is so already there goes on; a rule that is switched on, or begins to need what is lost, does not."""
        known = {issue.key for issue in before.issues if issue.is_to_mend}
        newly_broken = [why for rule, why in self.broken.items() if rule not in before.broken]
        found = [
            issue.line
            for issue in self.issues
            if issue.is_to_mend and (issue.key not in known or any(issue.words in why for why in newly_broken))
        ]
        return list(dict.fromkeys(found))


def fit(config: Config, account: Account, known: KnownIds | None = None) -> Fit:
    """Compare all names that something needs. ``known``: ids of names resolved earlier."""
    return _Fitting(config, account, known or {}).fit()


def unknown_names(config: Config, account: Account, known: KnownIds | None = None) -> list[str]:
    """All problems, each with file, line, block, key and the nearest right word; empty when every name is there."""
    return fit(config, account, known).problems


def contact_fields(config: Config, account: Account) -> list[int]:
    """The ids of the contacts' fields that the config speaks of and the account has."""
    found = set()
    for _, name in account_names(config):
        if isinstance(name, ContactFieldName):
            try:
                found.add(account.field(name, "contacts").id)
            except UnknownName:
                # Told already, with the rule that it breaks.
                continue
    return sorted(found)


# --- ids --------------------------------------------------------------------------------------------------------------


def identify(name: AccountName, account: Account) -> KnownId | None:
    """What the name means in the account; None for what has no id there. Raises UnknownName."""
    kind, found = _kind_and_id(name, account)
    return KnownId(kind, normalise(name), found, str(name)) if kind else None


def _kind_and_id(name: AccountName, account: Account) -> tuple[str, str]:
    match name:
        case StageName():
            stage = account.stage(name)
            return "stage", f"{stage.pipeline_id}:{stage.status_id}"
        case PipelineName():
            return "pipeline", str(account.pipeline(name).id)
        case ContactFieldName():
            return "contact_field", str(account.field(name, "contacts").id)
        case FieldName() | CustomFieldName():
            return "field", str(account.field(name).id)
        case LossReasonName():
            return "loss_reason", str(account.loss_reason(name).id)
        case TaskTypeName():
            return "task_type", str(account.task_type(name).id)
        case UserName() | PersonName():
            return "user", str(account.user(name).id)
        case OptionName() if same_name(name.field, LOSS_REASON_FIELD):
            return "loss_reason", str(account.loss_reason(name).id)
        case OptionName():
            choices = field_with_choices(name.field, account)
            return (f"option:{choices.id}", str(account.option(choices, name).id)) if choices else ("", "")
    return "", ""


def _kind_of(name: AccountName, account: Account, field_name: str) -> str:
    """``field_name``: of an option, what its field is called now."""
    if isinstance(name, OptionName) and not same_name(name.field, LOSS_REASON_FIELD):
        choices = field_with_choices(field_name, account)
        return f"option:{choices.id}" if choices else ""
    kinds: tuple[tuple[Any, str], ...] = (
        (StageName, "stage"),
        (PipelineName, "pipeline"),
        (ContactFieldName, "contact_field"),
        ((FieldName, CustomFieldName), "field"),
        ((LossReasonName, OptionName), "loss_reason"),
        (TaskTypeName, "task_type"),
        ((UserName, PersonName), "user"),
    )
    return next((kind for types, kind in kinds if isinstance(name, types)), "")


def _name_of(kind: str, known: str, account: Account) -> str | None:
    """What the account calls this id now; None if it is gone."""
    if kind == "stage":
        return next((one.title for one in account.stages if f"{one.pipeline_id}:{one.status_id}" == known), None)
    if kind == "user":
        user = next((one for one in account.users if str(one.id) == known), None)
        namesakes = [one for one in account.users if user and same_name(one.name, user.name)]
        return None if user is None else user.name if len(namesakes) == 1 else user.email or None
    if kind.startswith("option:"):
        choices = next((one for one in account.fields() if str(one.id) == kind.partition(":")[2]), None)
        return next((one.value for one in choices.enums if str(one.id) == known), None) if choices else None
    lists: Mapping[str, Iterable[Any]] = {
        "pipeline": account.pipelines,
        "field": account.fields(),
        "contact_field": account.fields("contacts"),
        "loss_reason": account.loss_reasons,
        "task_type": account.task_types,
    }
    return next((str(one.name) for one in lists.get(kind, ()) if str(one.id) == known), None)


# --- fitting ----------------------------------------------------------------------------------------------------------


@dataclass
class _Fitting:
    config: Config
    account: Account
    known: KnownIds
    issues: list[NameIssue] = field(default_factory=list)
    found: dict[tuple[str, str], KnownId] = field(default_factory=dict)
    renamed: dict[tuple[str, str], str] = field(default_factory=dict)
    without: dict[str, set[str]] = field(default_factory=dict)
    """Rule → names (normalised) of parts that it does without."""

    def fit(self) -> Fit:
        enabled = [rule for rule in self.config.rules if rule.enabled]
        sections = {name: self._in_section(name, value, is_needed=needed) for name, value, needed in self._sections()}
        roles = {role: self._in_section("roles", {role: spec}) for role, spec in self._needed_roles(enabled)}
        reasons: dict[str, list[str]] = {}
        for rule in enabled:
            reasons[rule.name] = [
                *self._lost(names_in(rule.options, rule.path), rule.name),
                *self._through_roles(rule, roles),
                *self._through_series(rule),
                *(words for _, mark in taken(rule.handler.options) for words in sections.get(mark.name, ())),
            ]
        self._scripts()
        config = self._fitted(reasons)
        return Fit(config, tuple(dict.fromkeys(self.issues)), tuple(self.found.values()), self.config)

    def _sections(self) -> Iterator[tuple[str, Any, bool]]:
        """What stands outside of rules: (section, value, whether something that is on needs it)."""
        config = self.config
        enabled = [rule for rule in config.rules if rule.enabled]
        takers = {mark.name for rule in enabled for _, mark in taken(rule.handler.options)}
        is_on = bool(enabled)
        yield "bridge", config.bridge, is_on
        yield "services", config.services, "services" in takers
        yield "webinar", config.webinar, True
        yield "absences", config.absences, is_on
        yield "evening_list", config.evening_list, True
        for section in ("mail", "smsru", "smsc", "audiences"):
            yield section, getattr(config.channels, section), is_on
        # Deals go to Roistat whatever rules there are.
        yield "roistat", config.channels.roistat, True
        yield "pipedrive", config.channels.pipedrive, True
        yield "megaplan", config.channels.megaplan, True
        yield "spend_sheet", config.channels.spend_sheet, True
        yield "dial", config.channels.dial, is_on
        yield "people", config.channels.people, is_on
        yield "pay", config.pay, True
        yield "kpi", config.kpi, True
        yield "daily_report", config.daily_report, True
        yield "ads", config.ads, True
        yield "policies", config.policies, True
        yield "shift_start", config.shift_start, True
        yield "weekly_letter", config.weekly_letter, True

    def _needed_roles(self, enabled: Iterable[Rule]) -> Iterator[tuple[str, Any]]:
        config = self.config
        sections = [value for name, value, is_needed in self._sections() if is_needed]
        named = _people_named(*(rule.options for rule in enabled), *sections)
        idle = _people_named(*(rule.options for rule in config.rules)) - named
        for role, spec in config.roles.items():
            # A role that nobody names at all may be there for a rule that is still to be written.
            if normalise(role) in named or (enabled and normalise(role) not in idle):
                yield role, spec

    def _in_section(self, section: str, value: Any, *, is_needed: bool = True) -> list[str]:
        return self._lost(names_in(value, (section,)), "", is_needed=is_needed)

    def _through_roles(self, rule: Rule, roles: Mapping[str, list[str]]) -> list[str]:
        named = [name for _, name in names_in(rule.options) if isinstance(name, PersonName)]
        return [
            f"роль «{role}»: {words}"
            for role, problems in roles.items()
            for words in problems
            if any(same_name(role, name) for name in named)
        ]

    def _through_series(self, rule: Rule) -> list[str]:
        """A rule that starts a series whose letters can't be made."""
        named = [name for _, name in names_in(rule.options) if isinstance(name, SeriesName)]
        return [
            f"серия «{series}»: {words}"
            for series, spec in self.config.channels.series.named.items()
            if any(same_name(series, name) for name in named)
            for words in self._in_section("series", {series: spec})
        ]

    def _lost(self, names: Iterable[tuple[KeyPath, AccountName]], rule: str, *, is_needed: bool = True) -> list[str]:
        """Look the names up; returns why those can't be used that can't be found."""
        words = []
        for path, written in names:
            for name in simple_names(written):
                issue = self._issue(path, name, rule, is_needed=is_needed)
                if issue is not None:
                    self.issues.append(issue)
                    words += [issue.words] if issue.state == "lost" else []
        return list(dict.fromkeys(words))

    def _issue(self, path: KeyPath, name: AccountName, rule: str, *, is_needed: bool) -> NameIssue | None:
        try:
            look_up(self._with_field_renamed(name), self.config, self.account)
        except Inactive as error:
            self._remember(name)
            return self._make_issue(path, name, rule, "inactive" if is_needed else "unneeded", str(error))
        except NotReady as error:
            words = f"{error}; остальное правило делает" if rule else str(error)
            return self._make_issue(path, name, rule, "partial" if is_needed else "unneeded", words)
        except (UnknownName, Misfit) as error:
            if new := self._follow(name):
                words = f"«{name}» в amoCRM теперь «{new}»: правило работает с новым именем, замените его в настройке"
                return replace(self._make_issue(path, name, rule, "renamed", words), new_name=new)
            if rule and any(step in PARTS for step in path):
                self.without.setdefault(rule, set()).add(normalise(name))
                return self._make_issue(path, name, rule, "partial", f"{error}; правило работает без этого")
            return self._make_issue(path, name, rule, "lost" if is_needed else "unneeded", str(error))
        self._remember(name)
        return None

    def _with_field_renamed(self, name: AccountName) -> AccountName:
        """Options are looked for in their field, whatever it is called now."""
        return OptionName.of(self._field_of(name), str(name)) if isinstance(name, OptionName) else name

    def _field_of(self, name: AccountName) -> str:
        """Of an option, what its field is called now."""
        return (self._rename(FieldName(name.field)) or name.field) if isinstance(name, OptionName) else ""

    def _make_issue(self, path: KeyPath, name: AccountName, rule: str, state: State, words: str) -> NameIssue:
        length = A_RULE if path[0] in RULES else 1
        line = problem(
            self.config.path.name, line_of(self.config.lines, path), place(path[:length], path[length:]), words
        )
        return NameIssue(path, rule, name, state, words, line)

    def _remember(self, name: AccountName) -> None:
        try:
            known = identify(self._with_field_renamed(name), self.account)
        except UnknownName:
            # A role, or what amoCRM has built in: it has no id.
            return
        if known is not None:
            self.found[known.kind, known.name] = known

    def _follow(self, name: AccountName) -> str | None:
        """The new name of what was meant, if it lives on."""
        field_name = self._field_of(name)
        kind = _kind_of(name, self.account, field_name)
        known = self.known.get((kind, normalise(name)))
        new = _name_of(kind, known, self.account) if known else None
        if new is None:
            return None
        try:
            # The new name must lead back to the same: two stages of one name can't be told apart by it.
            renamed = OptionName.of(field_name, new) if isinstance(name, OptionName) else type(name)(new)
            look_up(renamed, self.config, self.account)
            if _kind_and_id(renamed, self.account)[1] != known:
                return None
        except Inactive:
            pass
        except (UnknownName, Misfit):
            return None
        self.renamed[kind, normalise(name)] = new
        self.found[kind, normalise(name)] = KnownId(kind, normalise(name), str(known), new)
        return new

    def _rename(self, name: AccountName) -> str | None:
        field_name = self._field_of(name)
        return self.renamed.get((_kind_of(name, self.account, field_name), normalise(name)))

    def _scripts(self) -> None:
        config = self.config
        folder, scripts = config.scripts_folder, Scripts(config.scripts_folder)
        words = list(scripts.problems())
        if "scripts" in config.bridge.model_fields_set and folder is not None and not folder.is_dir():
            words.append(f"папки со скриптами {folder} нет")
        for script, field_name in scripts.field_names():
            try:
                look_up(FieldName(field_name), config, self.account)
            except (UnknownName, Misfit) as error:
                words.append(f"скрипт «{script}»: {error}")
        path = ("bridge", "scripts")
        self.issues += [self._make_issue(path, FieldName(""), "", "lost", one) for one in words]

    # --- the config that the bridge works by ---

    def _fitted(self, reasons: Mapping[str, list[str]]) -> Config:
        config = self.config
        rules = tuple(self._fitted_rule(rule, reasons.get(rule.name, [])) for rule in config.rules)
        if not self.issues:
            return config
        bridge = with_names(config.bridge, self._rename)
        evening = config.evening_list
        if evening is not None and evening.to:
            to = tuple(name for name in with_names(evening.to, self._rename) if self._knows(name))
            # An empty list means everybody.
            evening = evening.model_copy(update={"to": to}) if to else None
        people = with_names(config.channels.people, self._rename)
        # Of those who are still there; an empty list means everybody.
        kpi = config.kpi.model_copy(
            update={"people": tuple(one for one in with_names(config.kpi.people, self._rename) if self._knows(one))}
        )
        channels = replace(
            config.channels,
            mail=with_names(config.channels.mail, self._rename),
            smsru=with_names(config.channels.smsru, self._rename),
            smsc=with_names(config.channels.smsc, self._rename),
            audiences=with_names(config.channels.audiences, self._rename),
            roistat=with_names(config.channels.roistat, self._rename),
            pipedrive=with_names(config.channels.pipedrive, self._rename),
            megaplan=with_names(config.channels.megaplan, self._rename),
            spend_sheet=with_names(config.channels.spend_sheet, self._rename),
            dial=with_names(config.channels.dial, self._rename),
            people={name: section for name, section in people.items() if self._knows(name)},
            series=with_names(config.channels.series, self._rename),
        )
        return replace(
            config,
            bridge=bridge,
            roles=with_names(config.roles, self._rename),
            rules=rules,
            absences=self._absences(),
            services=with_names(config.services, self._rename),
            webinar=with_names(config.webinar, self._rename),
            channels=channels,
            evening_list=evening,
            pay=with_names(config.pay, self._rename),
            kpi=kpi,
            ads=with_names(config.ads, self._rename),
            daily_report=self._of_those_left(config.daily_report),
            policies=self._of_those_left(config.policies),
            shift_start=self._of_those_left(config.shift_start),
            weekly_letter=self._of_those_left(config.weekly_letter),
        )

    def _fitted_rule(self, rule: Rule, reasons: list[str]) -> Rule:
        options = with_names(rule.options, self._rename)
        if isinstance(options, CarryOver) and (lost := self.without.get(rule.name)):
            options = options.without(lost)
        if reasons:
            return replace(rule, broken="; ".join(dict.fromkeys(reasons)))
        return rule if options == rule.options else replace(rule, options=options, written=rule.options)

    def _absences(self) -> Absences:
        """Without people whom the account has lost."""
        absences: dict[UserName, tuple[Absence, ...]] = with_names(self.config.absences, self._rename)
        return {
            name: tuple(one for one in times if self._knows(one.deputy))
            for name, times in absences.items()
            if self._knows(name)
        }

    def _of_those_left(self, section: S | None) -> S | None:
        """A section about people, without those whom the account has lost. With nobody left nobody is to be asked,
        instead of everybody."""
        if section is None:
            return None
        named = with_names(section, self._rename)
        left = tuple(one for one in named.people if self._knows(one))
        return named.model_copy(update={"people": left}) if left or not named.people else None

    def _knows(self, name: UserName) -> bool:
        try:
            self.account.user(name)
        except UnknownName:
            return False
        return True


def _people_named(*values: object) -> set[str]:
    return {normalise(name) for value in values for _, name in names_in(value) if isinstance(name, PersonName)}


# --- writing ----------------------------------------------------------------------------------------------------------

COMPOUND = ("legal_entity", "file", "linked_entity", "chained_list", "items", "smart_address", "payer", "supplier")
"""Types whose values have parts: nothing but a value read from a field of the same type can be written there."""
COMPUTED = ("formula", "tracking_data")
"""Types that amoCRM fills itself."""


def unwritable(config: Config, account: Account) -> list[str]:
    """Fields that working rules want to write and can't, each with its place in the file."""
    fields = {normalise(one.name): one for one in account.fields()}
    found = []
    for rule in config.rules:
        if not rule.works:
            continue
        for path, name in names_in(rule.options, rule.path):
            field_here = fields.get(normalise(name)) if isinstance(name, CustomFieldName) else None
            if field_here is None or not _is_written(path, name):
                continue
            source = _carried_from(path, name, rule, fields)
            if field_here.type in COMPUTED or (field_here.type in COMPOUND and source != field_here.type):
                where = place(path[:A_RULE], path[A_RULE:])
                words = f"поле «{name}» (его тип {field_here.type}) правилу не заполнить; остальное оно сделает"
                found.append(problem(config.path.name, line_of(config.lines, path), where, words))
    return list(dict.fromkeys(found))


def _is_written(path: KeyPath, name: str) -> bool:
    """Does this place name a field to be written, not one to be asked or read?"""
    keys = [step for step in path[A_RULE:] if isinstance(step, str)]
    if "set_fields" in keys:
        return keys[-1] == name
    if "carry_as" in keys:
        return keys[-1] != name
    return keys[0] in ("carry_fields", "link_field") or keys[-1] == "link_field"


def _carried_from(path: KeyPath, name: str, rule: Rule, fields: Mapping[str, Any]) -> str:
    """The type of the field whose value is carried into this one; empty if none is."""
    if "carry_fields" in path:
        known = fields.get(normalise(name))
    elif isinstance(rule.options, CarryOver) and "carry_as" in path:
        old = next((old for old, new in rule.options.carry_as.items() if same_name(new, name)), "")
        known = fields.get(normalise(old))
    else:
        known = None
    return str(known.type) if known else ""

"""Stage map: on which stages rules work, where they lead deals, and where two of them are at odds.

All of it is read from the rules' options: a key of many stages says where a rule works, ``entering`` and ``leaving``
what a gate guards, a key of one stage where the deal goes. Nothing is judged, so a conflict may be one only at times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from amo_bridge.events import EnquiryReceived, StageEntered, StepDue
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.option_types import PipelineName, StageName, names_in
from amo_bridge.rules.options import CarryOver
from amo_bridge.text.names import normalise

Kind = Literal["works", "guards", "leaves"]
ENDS = {"won": "Успешно реализовано", "lost": "Закрыто и не реализовано"}


@dataclass(frozen=True)
class Place:
    """A rule on a stage. ``kind``: it works there, guards the way in, or guards the way out."""

    rule: Rule
    stage: str
    kind: Kind


@dataclass(frozen=True)
class Way:
    """A rule leads deals to ``target``. ``source``: from this stage; empty: from any. ``is_new``: another deal is
    opened there. ``is_timed``: by the clock. ``follows``: at once when the deal has come to ``source``, or by the
    clock: nobody has to do anything."""

    rule: Rule
    source: str
    target: str
    is_new: bool
    is_timed: bool
    follows: bool


@dataclass(frozen=True)
class Conflict:
    """Rules that are at odds. ``words``: what happens and what to look at (Russian). ``is_sure``: it happens whenever
    both act; else it depends on the deal."""

    rules: tuple[str, ...]
    words: str
    is_sure: bool


@dataclass(frozen=True)
class StageMap:
    """``lets_from``: a rule → the stages from which its gate lets everything pass."""

    places: tuple[Place, ...]
    ways: tuple[Way, ...]
    lets_from: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, rules: Iterable[Rule], titles: Titles | None = None) -> StageMap:
        """Of the enabled rules. ``titles``: of the account, if it is known."""
        enabled = [rule for rule in rules if rule.enabled]
        known = _Names(titles if titles is not None else _named_by(enabled))
        places = [place for rule in enabled for place in _places(rule, known)]
        ways = [way for rule in enabled for way in _ways(rule, known)]
        let = {rule.name: frozenset(known.of_key(rule, "not_from")) for rule in enabled}
        return cls(tuple(places), tuple(ways), let)

    def conflicts(self) -> list[Conflict]:
        """Those that can be seen from the options; each pair once."""
        return [*self._two_ways(), *self._circles(), *self._into_gates(), *self._dead_ends()]

    def on(self, stage: str, kind: Kind = "works") -> list[Rule]:
        """The rules of this kind on a stage, in the config's order."""
        return list({one.rule.name: one.rule for one in self.places if (one.stage, one.kind) == (stage, kind)}.values())

    def stages(self) -> list[str]:
        """All that are named, in the order of the config."""
        named = [one.stage for one in self.places]
        named += [stage for one in self.ways for stage in (one.source, one.target) if stage]
        return list(dict.fromkeys(named))

    # --- at odds ---

    def _two_ways(self) -> Iterator[Conflict]:
        """Two rules that lead one deal to two stages when the same happens."""
        moves = [one for one in self.ways if not one.is_new and not one.is_timed]
        seen: set[frozenset[str]] = set()
        for number, one in enumerate(moves):
            for other in moves[number + 1 :]:
                pair = frozenset((one.rule.name, other.rule.name))
                if len(pair) == 1 or pair in seen or one.target == other.target:
                    continue
                meet = not one.source or not other.source or one.source == other.source
                if meet and _listen_for_the_same(one.rule, other.rule) and _want_the_same(one.rule, other.rule):
                    seen.add(pair)
                    where = f"«{one.source or other.source}»" if one.source or other.source else "любого этапа"
                    words = (
                        f"правила {one.rule.name} и {other.rule.name} ждут одного и того же и ведут сделку с "
                        f"{where} на разные этапы: «{one.target}» и «{other.target}»; различите их условием (when)"
                    )
                    yield Conflict((one.rule.name, other.rule.name), words, is_sure=True)

    def _into_gates(self) -> Iterator[Conflict]:
        """A rule leads deals to a stage whose gates may send them back at once."""
        found: dict[tuple[str, str, bool], dict[str, None]] = {}
        for way in self.ways:
            gates = [one for one in self.on(way.target, "guards") if way.source not in self.lets_from[one.name]]
            gates += [one for one in self.on(way.source, "leaves") if not way.is_new]
            if gates:
                key = (way.rule.name, way.target, way.is_new)
                found.setdefault(key, {}).update(dict.fromkeys(one.name for one in gates))
        for (rule, target, is_new), names in found.items():
            words = (
                f"правило {rule} {'открывает сделку на' if is_new else 'переводит на'} «{target}», а вернуть её "
                f"оттуда может {', '.join(names)}: проверьте, что к этому времени всё нужное есть, или назовите этап "
                f"в not_from"
            )
            yield Conflict((rule, *names), words, is_sure=False)

    def _dead_ends(self) -> Iterator[Conflict]:
        """Rules lead deals to a stage where no rule remembers them."""
        minded = {one.stage for one in self.places} | {one.source for one in self.ways if not one.is_new}
        led: dict[str, dict[str, None]] = {}
        for way in self.ways:
            if way.target not in minded and not _is_an_end(way.target):
                led.setdefault(way.target, {})[way.rule.name] = None
        for stage, names in led.items():
            words = (
                f"на «{stage}» сделку ведёт {', '.join(names)}, а дальше о ней не вспомнит ни одно правило: ни задачи, "
                f"ни шага по времени там нет"
            )
            yield Conflict(tuple(names), words, is_sure=False)

    def _circles(self) -> Iterator[Conflict]:
        """Ways that follow by themselves and come back to where they began."""
        by_source: dict[str, list[Way]] = {}
        for way in self.ways:
            if way.follows and way.source and not way.is_new:
                by_source.setdefault(way.source, []).append(way)
        told: set[frozenset[str]] = set()
        for start in by_source:
            circle = _way_back(start, by_source)
            names = frozenset(one.rule.name for one in circle)
            if circle and names not in told:
                told.add(names)
                route = " → ".join([f"«{one.source}» ({one.rule.name})" for one in circle] + [f"«{start}»"])
                words = f"сделка без людей ходит по кругу: {route}"
                yield Conflict(tuple(one.rule.name for one in circle), words, is_sure=True)


def _way_back(start: str, by_source: Mapping[str, Sequence[Way]]) -> list[Way]:
    """The shortest circle that leads back to the stage; empty if there is none."""
    came_by: dict[str, Way] = {}
    reached = [start]
    for stage in reached:
        for way in by_source.get(stage, ()):
            if way.target in came_by:
                continue
            came_by[way.target] = way
            if way.target == start:
                circle = [way]
                while circle[0].source != start:
                    circle.insert(0, came_by[circle[0].source])
                return circle
            reached.append(way.target)
    return []


def _listen_for_the_same(one: Rule, other: Rule) -> bool:
    shared = set(one.handler.on) & set(other.handler.on)
    return bool(shared - {StageEntered, StepDue})


def _want_the_same(one: Rule, other: Rule) -> bool:
    """Do both act under the same conditions, as far as the options tell?"""
    if one.handler.name != other.handler.name:
        return bool(_when(one) == _when(other))
    return bool(_without_stages(one.options) == _without_stages(other.options))


def _when(rule: Rule) -> Any:
    return getattr(rule.options, "when", None)


def _without_stages(value: Any) -> Any:
    """Options with every stage taken out, to be compared."""
    if isinstance(value, StageName):
        return None
    if isinstance(value, BaseModel):
        return {name: _without_stages(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: _without_stages(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_stages(item) for item in value]
    return value


def _is_an_end(stage: str) -> bool:
    """Won and lost stages have their names from amoCRM."""
    return any(normalise(stage.rpartition(" / ")[2]) == normalise(end) for end in ENDS.values())


# --- what the options say ---------------------------------------------------------------------------------------------

Titles = Mapping[str, Sequence[str]]
"""A stage's normalised name, with its pipeline or alone → the titles «Воронка / Этап» that it means."""


class _Names:
    """Stages by the names that the config gives them; one without its pipeline may be in several."""

    def __init__(self, titles: Titles) -> None:
        self._titles = titles

    def of(self, name: str) -> Sequence[str]:
        return self._titles.get(normalise(name)) or (name,)

    def of_key(self, rule: Rule, wanted: str) -> list[str]:
        return [title for key, name in _stages_of(rule) if key == wanted for title in self.of(name)]


def _named_by(rules: Iterable[Rule]) -> Titles:
    """The titles that the rules themselves name: one spelling of each, and what a bare name may mean."""
    found: dict[str, dict[str, None]] = {}
    whole = [name for rule in rules for _, name in _stages_of(rule) if " / " in name]
    spelled = {normalise(name): name for name in reversed(whole)}
    for plain, title in spelled.items():
        found.setdefault(plain, {})[title] = None
        found.setdefault(normalise(title.rpartition(" / ")[2]), {})[title] = None
    return {name: tuple(titles) for name, titles in found.items()}


def _places(rule: Rule, names: _Names) -> Iterator[Place]:
    kinds: Mapping[str, Kind] = {"entering": "guards", "leaving": "leaves"}
    for key, name in _stages_of(rule):
        if key in kinds or _is_where(rule, key):
            for title in names.of(name):
                yield Place(rule, title, kinds.get(key, "works"))


def _ways(rule: Rule, names: _Names) -> Iterator[Way]:
    if rule.handler.gate:
        # What a gate moves it puts back.
        return
    where = [title for key, name in _stages_of(rule) if _is_where(rule, key) for title in names.of(name)]
    is_new = isinstance(rule.options, CarryOver) or EnquiryReceived in rule.handler.on
    if is_new and not where:
        where = _ends_of(rule)
    is_timed = StepDue in rule.handler.on
    follows = is_timed or StageEntered in rule.handler.on
    targets = [title for key, name in _stages_of(rule) if _is_target(rule, key) for title in names.of(name)]
    for target in targets:
        for source in where or [""]:
            if source != target:
                yield Way(rule, source, target, is_new, is_timed, follows)


def _ends_of(rule: Rule) -> list[str]:
    """Where a deal stands from whose end another one is opened."""
    end = ENDS.get(getattr(type(rule.options), "opened_when", ""), "")
    pipelines = [name for _, name in names_in(rule.options) if isinstance(name, PipelineName)]
    return [f"{one} / {end}" for one in pipelines] if end else []


def _stages_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """The key that a stage stands under, and its name."""
    for path, name in names_in(rule.options):
        if isinstance(name, StageName):
            keys = [str(part) for part in path if isinstance(part, str)]
            yield keys[-1], str(name)


def _is_where(rule: Rule, key: str) -> bool:
    """Does the key hold several stages, on which the rule works?"""
    return key not in rule.options.compared_stages and isinstance(getattr(rule.options, key, None), tuple)


def _is_target(rule: Rule, key: str) -> bool:
    """Does the key hold the one stage where a deal goes?"""
    return key not in rule.options.compared_stages and not isinstance(getattr(rule.options, key, None), tuple)


# --- as a drawing -----------------------------------------------------------------------------------------------------


def mermaid(found: StageMap, stages: Sequence[str] = ()) -> str:
    """The map as a Mermaid flowchart: pipelines, their stages with the rules that work there, arrows with clauses.

    ``stages``: all of the account in its order, if they are known; else those that rules name."""
    titles = list(dict.fromkeys([*stages, *found.stages()]))
    number_of = {title: f"s{number}" for number, title in enumerate(titles)}
    lines = ["flowchart LR"]
    for number, pipeline in enumerate(dict.fromkeys(_pipeline(one) for one in titles)):
        lines.append(f'  subgraph p{number}["{_quoted(pipeline)}"]')
        for title in titles:
            if _pipeline(title) == pipeline:
                lines.append(f'    {number_of[title]}["{_quoted(_label(found, title))}"]')
        lines.append("  end")
    arrows: dict[tuple[str, str, bool], list[str]] = {}
    for way in found.ways:
        source = number_of.get(way.source, "any")
        arrows.setdefault((source, number_of[way.target], way.is_new), []).append(way.rule.clause or way.rule.name)
    if any(source == "any" for source, _, _ in arrows):
        lines.append('  any(["откуда угодно"])')
    for (source, target, is_new), clauses in arrows.items():
        words = _quoted(", ".join(dict.fromkeys(clauses)))
        lines.append(f'  {source} {"-.->" if is_new else "-->"}|"{words}"| {target}')
    return "\n".join(lines)


def _label(found: StageMap, title: str) -> str:
    works = ", ".join(dict.fromkeys(one.clause or one.name for one in found.on(title)))
    guards = ", ".join(dict.fromkeys(one.clause or one.name for one in found.on(title, "guards")))
    parts = [title.rpartition(" / ")[2], works, f"вход: {guards}" if guards else ""]
    return "<br>".join(part for part in parts if part)


def _pipeline(title: str) -> str:
    return title.rpartition(" / ")[0] or "воронка не названа"


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")

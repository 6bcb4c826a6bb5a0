"""Drawing of the stage map: boxes and arrows in an SVG's units, counts of deals and of acts."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.stage_map import Conflict, StageMap, Way
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.services.overview import DAYS, midnights

WIDTH = 980
BOX_WIDTH, BOX_HEIGHT, GAP = 250, 34, 20
TOP = 8
LANE = 34
"""How far the next arrow bows out."""
CHIP_HEIGHT, CHIP_GAP = 24, 8
LETTER = 7.2
"""About how wide a letter of a chip is: browsers measure texts, servers don't."""
MOST_STEPS = 3
"""Names of a ladder's steps that are told beside it."""
LONGEST_TARGET = 40


@dataclass(frozen=True)
class RuleOnStage:
    """``acted``: how often in the last fourteen days."""

    rule: Rule
    acted: int

    @property
    def label(self) -> str:
        return self.rule.clause or self.rule.block


@dataclass(frozen=True)
class Exit:
    """Where a rule leads from a stage, as the list beside the picture tells it."""

    rule: Rule
    target: str
    is_new: bool


ChipKind = Literal["gate", "work", "exit"]


@dataclass(frozen=True)
class Chip:
    """A rule beside its stage. ``kind``: guards it, works on it, leads to another pipeline. ``x``: its left edge."""

    rule: Rule
    label: str
    kind: ChipKind
    x: int
    width: int


@dataclass(frozen=True)
class StageBox:
    """``deals``: how many stand there; None where the account is not known. ``y``: the box's upper edge. ``chips``: as
    many rules as there is room for beside it; ``left_out``: how many there are besides."""

    title: str
    name: str
    deals: int | None
    works: Sequence[RuleOnStage]
    guards: Sequence[RuleOnStage]
    exits: Sequence[Exit]
    y: int
    chips: Sequence[Chip] = ()
    left_out: int = 0


@dataclass(frozen=True)
class Arrow:
    """Within a pipeline. ``path``: an SVG path; ``x``, ``y``: where its label stands."""

    rule: Rule
    path: str
    x: int
    y: int
    is_new: bool

    @property
    def label(self) -> str:
        return self.rule.clause or self.rule.block


@dataclass(frozen=True)
class PipelineDrawing:
    name: str
    boxes: Sequence[StageBox]
    arrows: Sequence[Arrow]
    width: int
    height: int


@dataclass(frozen=True)
class MapDrawing:
    """``from_anywhere``: ways that begin on no stage of their own, such as a new enquiry."""

    pipelines: Sequence[PipelineDrawing]
    from_anywhere: Sequence[Exit]
    conflicts: Sequence[Conflict]


def drawn(here: AccountView) -> MapDrawing:
    """Raises StoreUnavailable."""
    account = here.crm_account
    found = StageMap.of(here.fit.config.rules, account.stage_titles if account else None)
    acted = here.history.acted_since(midnights(here.clock.now(), here.zone, DAYS)[0]) if here.is_known else {}
    counts: dict[str, int] | None = None
    titles = found.stages()
    if account is not None:
        deals = here.history.deals_on_stages() if here.is_known else {}
        counts = {stage.title: deals.get(stage.key, 0) for stage in account.stages}
        titles = list(dict.fromkeys([*counts, *titles]))
    pipelines: dict[str, list[str]] = {}
    for title in titles:
        pipelines.setdefault(title.rpartition(" / ")[0], []).append(title)
    return MapDrawing(
        [_pipeline(name, stages, found, acted, counts) for name, stages in pipelines.items()],
        [Exit(way.rule, way.target, way.is_new) for way in _each_once(found.ways) if not way.source],
        found.conflicts(),
    )


def _pipeline(
    name: str, titles: Sequence[str], found: StageMap, acted: dict[str, int], counts: dict[str, int] | None
) -> PipelineDrawing:
    boxes = [
        StageBox(
            title=title,
            name=title.rpartition(" / ")[2],
            deals=None if counts is None else counts.get(title, 0),
            works=[RuleOnStage(rule, acted.get(rule.name, 0)) for rule in found.on(title)],
            guards=[
                RuleOnStage(rule, acted.get(rule.name, 0))
                for rule in [*found.on(title, "guards"), *found.on(title, "leaves")]
            ],
            exits=[Exit(way.rule, way.target, way.is_new) for way in _each_once(found.ways) if way.source == title],
            y=TOP + place * (BOX_HEIGHT + GAP),
        )
        for place, title in enumerate(titles)
    ]
    middle = {box.title: box.y + BOX_HEIGHT // 2 for box in boxes}
    inner = [way for way in _each_once(found.ways) if way.source in middle and way.target in middle]
    # The longest bow out furthest, so that they cross the others least.
    inner.sort(key=lambda way: abs(middle[way.source] - middle[way.target]))
    arrows = [_arrow(way, middle[way.source], middle[way.target], lane) for lane, way in enumerate(inner)]
    begin = max([BOX_WIDTH + 24, *(arrow.x + round(len(arrow.label) * LETTER) + 16 for arrow in arrows)])
    width = max(WIDTH, begin + 400)
    with_chips = [_with_chips(box, begin, width, set(middle)) for box in boxes]
    return PipelineDrawing(name, with_chips, arrows, width, TOP + len(boxes) * (BOX_HEIGHT + GAP))


def _with_chips(box: StageBox, begin: int, width: int, own: Container[str]) -> StageBox:
    """``own``: the stages of this pipeline; ways to them are arrows."""
    told: list[tuple[Rule, str, ChipKind]] = [(one.rule, _label(one), "gate") for one in box.guards]
    told += [(one.rule, _label(one), "work") for one in box.works]
    for one in box.exits:
        if one.target not in own:
            target = one.target if len(one.target) <= LONGEST_TARGET else f"{one.target[: LONGEST_TARGET - 1]}…"
            told.append((one.rule, f"{one.rule.clause or one.rule.block} → {target}", "exit"))
    chips: list[Chip] = []
    for rule, label, kind in told:
        wide = round(len(label) * LETTER) + 16
        if begin + wide > width - 48:  # room for «+ 3» is left
            break
        chips.append(Chip(rule, label, kind, begin, wide))
        begin += wide + CHIP_GAP
    return replace(box, chips=chips, left_out=len(told) - len(chips))


def _label(one: RuleOnStage) -> str:
    steps = getattr(one.rule.options, "steps", ())
    names = [str(getattr(step, "title", "")) for step in steps if not isinstance(step, str)]
    told = ", ".join(filter(None, names[:MOST_STEPS])) + (" …" if len(names) > MOST_STEPS else "")
    return " · ".join(filter(None, (one.label, told, f"×{one.acted}" if one.acted else "")))


def _arrow(way: Way, begin: int, end: int, lane: int) -> Arrow:
    bow = BOX_WIDTH + 40 + lane * LANE
    # A curve comes three quarters of the way to where its handles point.
    label = BOX_WIDTH + (bow - BOX_WIDTH) * 3 // 4 + 4
    path = f"M{BOX_WIDTH},{begin} C{bow},{begin} {bow},{end} {BOX_WIDTH + 6},{end}"
    return Arrow(way.rule, path, label, (begin + end) // 2 + 4, way.is_new)


def _each_once(ways: Iterable[Way]) -> list[Way]:
    """A rule may lead from a stage to another one in several ways."""
    return list({(way.rule.name, way.source, way.target): way for way in ways}.values())

"""What an act of a story is, and what its «sees» are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from amo_bridge.demo.office import Office


@dataclass
class Scene:
    """What the acts share: the office and the deal they are about."""

    office: Office
    deal: int = 0
    contact: int = 0


@dataclass(frozen=True)
class Act:
    """``happens``: what people do. ``sees``: what the CRM holds afterwards, in words, raising Missing until it does.

    ``tasks``: how many tasks the deal has then: one too many is as wrong as one too few.
    """

    title: str
    happens: Callable[[Scene], None]
    sees: Callable[[Scene], Iterator[str]]
    tasks: int
    rules: tuple[str, ...] = field(default=())


class Missing(Exception):
    """The CRM does not (yet) hold what the story promises."""


def expect(holds: bool, words: str) -> str:
    if not holds:
        raise Missing(words)
    return words


def sees_task(scene: Scene, text: str, who: str) -> str:
    found = [task for task in scene.office.tasks(scene.deal) if text in task["text"] and task["who"] == who]
    return expect(len(found) == 1, f"задача «{text.strip('«»')}» — {who}")


def sees_stage(scene: Scene, stage: str) -> str:
    return expect(scene.office.stage_of(scene.deal) == stage, f"этап «{stage}»")


@dataclass(frozen=True)
class Story:
    """A deal's way, act by act."""

    title: str
    acts: tuple[Act, ...]

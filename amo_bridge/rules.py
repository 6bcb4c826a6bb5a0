"""A handler is a file in ``handlers/``; a rule is a handler plus a named block of the config.

The folder is scanned, nothing is registered by hand. The name of the file is the name of the function, of the config's
block and of the test file, and it reads as a sentence.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from amo_bridge.actions import Decision
from amo_bridge.card import Need
from amo_bridge.config.strict import Strict
from amo_bridge.deal import Deal
from amo_bridge.errors import ConfigError
from amo_bridge.events import DealObserved, Event

Judge = Callable[[Any, Deal, Any], Decision]
J = TypeVar("J", bound=Judge)

MARK = "__amo_bridge_handler__"


class Options(Strict):
    """What a rule's block in the config may say. An unknown key is an error, so a typo never switches anything off."""


@dataclass(frozen=True)
class Handler:
    """The code of one kind of rule.

    ``on``: the events it listens to. ``gate``: it may refuse a move; gates are judged first, and when one rolls the
    deal back the other rules about that move stay silent. ``needs``: what it looks at beside the deal's fields
    (see Deal).
    """

    name: str
    on: tuple[type[Event], ...]
    options: type[Options]
    judge: Judge
    gate: bool
    needs: frozenset[Need]
    summary: str
    covers: str

    @property
    def is_about_deals(self) -> bool:
        """Does it listen to what is observed on deals (stages, fields, people)?"""
        return any(issubclass(kind, DealObserved) for kind in self.on)


@dataclass(frozen=True)
class Rule:
    """A handler plus its named block: «[handlers.file_moves_deal.offer]».

    ``max_lateness``: what happened longer ago is not acted on any more. ``most_per_hour``: how often it may act on one
    deal within an hour before it is taken for a loop.
    """

    handler: Handler
    block: str
    options: Options
    enabled: bool
    dry_run: bool = False
    clause: str = ""
    says: str = ""
    off_reason: str = ""
    max_lateness: timedelta = timedelta(hours=24)
    most_per_hour: int = 10

    @property
    def name(self) -> str:
        return f"{self.handler.name}.{self.block}"

    @property
    def words(self) -> str:
        return self.says or self.handler.summary


def handler(
    *,
    on: type[Event] | tuple[type[Event], ...],
    options: type[Options],
    gate: bool = False,
    needs: Iterable[Need] = (),
) -> Callable[[J], J]:
    """Mark the function that judges: ``(event, deal, options) → action(s) | Skip``.

    It must be pure: no clock, no environment, no network, no other handler. That is what makes dry run, rehearsal and
    table tests possible.
    """

    def mark(judge: J) -> J:
        module = inspect.getmodule(judge)
        doc = inspect.cleandoc((module.__doc__ if module else "") or "")
        setattr(
            judge,
            MARK,
            Handler(
                name=judge.__name__,
                on=on if isinstance(on, tuple) else (on,),
                options=options,
                judge=judge,
                gate=gate,
                needs=frozenset(needs),
                summary=doc.partition("\n")[0],
                covers=next((line for line in doc.splitlines() if line.startswith("Covers ")), ""),
            ),
        )
        return judge

    return mark


def shipped_handlers() -> dict[str, Handler]:
    """The handlers of the folder ``handlers/``, by name."""
    import handlers

    return _scan(Path(next(iter(handlers.__path__))), lambda path: importlib.import_module(f"handlers.{path.stem}"))


def own_handlers(folder: Path, taken: Iterable[str] = ()) -> dict[str, Handler]:
    """The handlers of an agency's own folder, by name, except names that are ``taken``.

    Raises ConfigError with everything that is wrong in the folder.
    """
    if not folder.is_dir():
        raise ConfigError([f"папки с обработчиками {folder} нет"])
    found = _scan(folder, _import_file)
    if doubled := sorted(found.keys() & set(taken)):
        raise ConfigError([f"{folder / name}.py: такой обработчик уже есть, назовите файл иначе" for name in doubled])
    return found


def _scan(folder: Path, load: Callable[[Path], ModuleType]) -> dict[str, Handler]:
    found, problems = {}, []
    for path in sorted(folder.glob("*.py")):
        if path.stem.startswith("_"):
            continue
        try:
            found[path.stem] = _handler_in(load(path), path)
        except ValueError as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise ConfigError(problems)
    return found


def _handler_in(module: ModuleType, path: Path) -> Handler:
    marked = getattr(getattr(module, path.stem, None), MARK, None)
    if not isinstance(marked, Handler):
        raise ValueError(f"в файле нет функции {path.stem} с пометкой @handler")
    return marked


def _import_file(path: Path) -> ModuleType:
    """A file of the agency's own, whose code may fail in any way. Raises ValueError (Russian)."""
    spec = importlib.util.spec_from_file_location(f"own_handlers.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError("файл не читается как модуль Python")
    module = importlib.util.module_from_spec(spec)
    # inspect.getmodule (in @handler) looks the module up by its file while the body is still running.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        line = _line_in(path, error)
        raise ValueError(f"строка {line}: Python не исполнил файл: {type(error).__name__}: {error}") from error
    return module


def _line_in(path: Path, error: Exception) -> int:
    """The line of the file at which it failed."""
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] or 1 if lines else 1

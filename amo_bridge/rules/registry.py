"""Registry of rule files: the shipped ``handlers/`` and ``schedules/``, and an agency's own.

A file that begins with an underscore is a helper of the others and no rule.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal

from amo_bridge.errors import ConfigError
from amo_bridge.events import Event
from amo_bridge.logs import log
from amo_bridge.rules.handler import MARK, Handler, Options, Schedule
from amo_bridge.rules.old_import_paths import importable, old_imports
from amo_bridge.rules.option_controls import controls_of

Section = Literal["handlers", "schedules"]
KINDS: Mapping[Section, type[Handler]] = {"handlers": Handler, "schedules": Schedule}
WORDS: Mapping[Section, tuple[str, str, str]] = {
    "handlers": ("обработчиками", "такой обработчик уже есть", "@handler"),
    "schedules": ("расписаниями", "такое расписание уже есть", "@schedule"),
}


class Shipped(Mapping[str, Handler]):
    """What the shipped folder of that name holds, by name. A file is imported when its rule is asked for: a config
    names a few of them. Raises ConfigError for one that is none."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._package = _package(section)
        self._files = {path.stem: path for path in _files_in(shipped_folder(section))}

    def __getitem__(self, name: str) -> Handler:
        path = self._files[name]
        try:
            return _marked_in(importlib.import_module(f"{self._package}.{name}"), path, self._section)
        except ValueError as error:
            raise ConfigError([f"{path}: {error}"]) from error

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def shipped(section: Section) -> dict[str, Handler]:
    """All that the shipped folder of that name holds, by name."""
    return dict(Shipped(section))


def shipped_folder(section: Section) -> Path:
    return Path(next(iter(importlib.import_module(_package(section)).__path__)))


def _files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")]


def _package(section: Section) -> str:
    """The package of shipped rules: inside ours where the bridge is installed, beside it in a checkout."""
    inside = f"amo_bridge.{section}"
    return inside if importlib.util.find_spec(inside) else section


def own(section: Section, folder: Path, taken: Iterable[str] = ()) -> dict[str, Handler]:
    """The handlers or schedules of an agency's own folder, by name, except names that are ``taken``.

    Raises ConfigError with everything that is wrong in the folder.
    """
    found, problems = own_readable(section, folder, taken)
    if problems:
        raise ConfigError(problems)
    return found


def own_readable(section: Section, folder: Path, taken: Iterable[str] = ()) -> tuple[dict[str, Handler], list[str]]:
    """The same of those files that can be used, and what is wrong with the others, each with its line (Russian)."""
    many, there_already, _ = WORDS[section]
    if not folder.is_dir():
        return {}, [f"папки с {many} {folder} нет"]
    found, problems = _scan(folder, section, lambda path: _import_file(path, section), _check_parts)
    doubled = sorted(found.keys() & set(taken))
    problems += [f"{folder / name}.py: {there_already}, назовите файл иначе" for name in doubled]
    return {name: one for name, one in found.items() if name not in doubled}, problems


def _scan(
    folder: Path,
    section: Section,
    load: Callable[[Path], ModuleType],
    check: Callable[[Handler, Path], None],
) -> tuple[dict[str, Handler], list[str]]:
    found, problems = {}, []
    for path in _files_in(folder):
        try:
            made = _marked_in(load(path), path, section)
            check(made, path)
            found[path.stem] = made
        except ValueError as error:
            problems.append(f"{path}: {error}")
    return found, problems


def _marked_in(module: ModuleType, path: Path, section: Section) -> Handler:
    marked = getattr(getattr(module, path.stem, None), MARK, None)
    if not isinstance(marked, KINDS[section]) or marked.section != section:
        raise ValueError(f"в файле нет функции {path.stem} с пометкой {WORDS[section][2]}")
    return marked


def _import_file(path: Path, section: Section) -> ModuleType:
    """A file of the agency's own, whose code may fail in any way. Raises ValueError (Russian)."""
    spec = importlib.util.spec_from_file_location(f"own_{section}.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError("файл не читается как модуль Python")
    module = importlib.util.module_from_spec(spec)
    # inspect.getmodule (in @handler) looks the module up by its file while the body is still running.
    sys.modules[spec.name] = module
    for line, old, new in old_imports(path):
        log.warning("own rule imports an old path", file=str(path), line=line, old=old, new=new)
    try:
        with importable():
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        line = _line_in(path, error)
        raise ValueError(f"строка {line}: Python не исполнил файл: {_in_one_line(error)}") from error
    return module


def _check_parts(made: Handler, path: Path) -> None:
    """What would otherwise fail when a rule of this kind is read, drawn or asked. Raises ValueError (Russian)."""
    line = _line_of(made.judge)
    if not all(isinstance(kind, type) and issubclass(kind, Event) for kind in made.on):
        raise ValueError(f"строка {line}: on — не события из amo_bridge.events")
    if not (isinstance(made.options, type) and issubclass(made.options, Options)):
        raise ValueError(f"строка {line}: options — не класс опций (наследник amo_bridge.rules.Options)")
    try:
        inspect.signature(made.judge).bind(None, None, None)
    except TypeError as error:
        raise ValueError(f"строка {line}: функция должна принимать (event, deal, options)") from error
    try:
        made.options.model_rebuild()
        controls_of(made.options)
    except Exception as error:
        at = _line_in(path, error) if _is_in(path, error) else _line_of(made.options)
        raise ValueError(f"строка {at}: опции не читаются: {_in_one_line(error)}") from error


def _in_one_line(error: BaseException) -> str:
    """Its kind and words."""
    words = " ".join(str(error).partition("For further information")[0].split())
    return f"{type(error).__name__}: {words[:300]}"


def _is_in(path: Path, error: Exception) -> bool:
    return any(frame.filename == str(path) for frame in traceback.extract_tb(error.__traceback__))


def _line_of(part: Callable[..., object] | type) -> int:
    """Where it is written."""
    try:
        return inspect.getsourcelines(part)[1] or 1
    except (OSError, TypeError):
        return 1


def _line_in(path: Path, error: BaseException) -> int:
    """The line of the file at which it failed."""
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] or 1 if lines else 1

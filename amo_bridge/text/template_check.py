"""Check of a typed template: done by a process of its own, with limits of memory and time.

Jinja's sandbox keeps a template from code and files, not from a loop in a loop or a text doubled thirty times: those
harm only the process that tries them. Each is filled in there before it is saved, without a deal with made-up data,
and what takes longer is refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import normalise
from amo_bridge.text.scripts import Script, blocks_of, lost_answers, marking, new_mark
from amo_bridge.text.templates import FIELD, WORDS, BadTemplate, Finding, Rendered, Templates

LONGEST_TEMPLATE = 100_000
"""Of one file, in signs."""
LONGEST_RESULT = 300_000
SECONDS = 3
MEMORY_BYTES = 1024**3
MOST_AT_ONCE = 2
_START = "from amo_bridge.text.template_check import main; main()"
_FREE = threading.BoundedSemaphore(MOST_AT_ONCE)
_TOO_MUCH = 3
"""How a child ends that has run out of memory, or of levels."""
_TOO_MUCH_PROCESSOR, _KILLED = 24, 9  # SIGXCPU, SIGKILL; Windows has no such signals to import
_TOO_LONG = "шаблон слишком долго заполняется или занимает слишком много памяти: уберите из него большие циклы"


@dataclass(frozen=True)
class Checked:
    """``findings``: mistakes with their lines. ``fields``: (file, line, name) of the deal's fields that it asks for or
    fills. ``rendered``: with the facts, if there were any and nothing is wrong; a script's ``script`` too."""

    findings: tuple[Finding, ...]
    fields: tuple[tuple[str, int, str], ...] = ()
    rendered: Rendered | None = None
    script: Script | None = None

    @property
    def words(self) -> list[str]:
        """The findings as lines."""
        return [f"{one.file}{f', строка {one.line}' if one.line else ''}: {one.words}" for one in self.findings]


def check(
    folder: Path,
    name: str,
    edited: Mapping[str, str],
    facts: Mapping[str, Any] | None = None,
    *,
    is_script: bool = False,
) -> Checked:
    """What is wrong with a letter or a script whose files are to be these; ``facts``: to fill them in with."""
    for file, source in edited.items():
        if len(source) > LONGEST_TEMPLATE:
            return Checked((Finding(file, None, f"длиннее {LONGEST_TEMPLATE} знаков"),))
    mark = new_mark() if is_script else ""
    request = {"folder": str(folder), "name": name, "edited": dict(edited), "mark": mark, "facts": _plain(facts)}
    try:
        answer = _ask(request)
    except _NotChecked as error:
        return Checked((Finding(f"{name}.txt", None, str(error)),))
    rendered = Rendered(**answer["rendered"]) if answer["rendered"] else None
    script = Script(rendered.subject, tuple(blocks_of(rendered.text, mark))) if rendered and is_script else None
    findings = tuple(Finding(*one) for one in answer["findings"])
    return Checked(findings, tuple((file, line, field) for file, line, field in answer["fields"]), rendered, script)


def _plain(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if facts is None else {key: dict(v) if isinstance(v, Mapping) else v for key, v in facts.items()}


class _NotChecked(Exception):
    """Why there is no answer (Russian)."""


def _ask(request: Mapping[str, Any]) -> Any:
    """What the child says. Raises _NotChecked."""
    if not _FREE.acquire(timeout=SECONDS * MOST_AT_ONCE):
        raise _NotChecked("мост сейчас проверяет другие шаблоны: повторите через минуту")
    try:
        # Nothing in there needs a token or a password of ours.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AMO_BRIDGE")}
        told = subprocess.run(
            [sys.executable, "-c", _START],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=SECONDS * 4,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _NotChecked(_TOO_LONG) from error
    except OSError as error:
        raise _NotChecked(f"проверка не началась: {error}") from error
    finally:
        _FREE.release()
    if told.returncode == 0:
        return json.loads(told.stdout)
    if told.returncode in (_TOO_MUCH, -_TOO_MUCH_PROCESSOR, -_KILLED):
        raise _NotChecked(_TOO_LONG)
    # Only here: the child starts without it.
    from amo_bridge.logs import log

    log.critical("template not checked", code=told.returncode, error=told.stderr.decode("utf-8", "replace")[-2000:])
    raise _NotChecked("шаблон не проверен из-за ошибки моста, она записана в журнал сервера")


# --- the process that tries it ----------------------------------------------------------------------------------------


class _Folded(Mapping[str, str]):
    """The deal's fields, case and «ё» forgiven as in the deal itself."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._known = {normalise(name): value for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._known[normalise(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


_SAMPLES = ("пример", "")
"""Once with something in every field, once with nothing: both ways of an «if»."""


class _Sample(Mapping[str, str]):
    """Stands for a deal that nobody has chosen: has every field."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __getitem__(self, name: str) -> str:
        return self._value

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __str__(self) -> str:
        return self._value


def main() -> None:
    """Takes a request on stdin, writes what is wrong and what came out; without an answer if it took too much."""
    _limit()
    request = json.load(sys.stdin)
    try:
        answer = _answer(request)
    except (MemoryError, RecursionError):
        sys.exit(_TOO_MUCH)
    json.dump(answer, sys.stdout)


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    name, facts, mark = request["name"], request["facts"], request["mark"]
    edited: Mapping[str, str] = request["edited"]
    adapt = {"adapt": marking(mark)} if mark else {}
    templates = Templates(Path(request["folder"]), edited, **adapt)
    if facts is not None:
        facts[FIELD] = _Folded(facts[FIELD])
    findings = templates.findings(name, facts)
    fields: list[tuple[str, int, str]] = []
    if not any(one.line == 1 and "Тема:" in one.words for one in findings):
        fields = templates.fields_asked(name)
    if mark:
        source = edited.get(f"{name}.txt", "")
        findings += [Finding(f"{name}.txt", line, words) for line, words in lost_answers(source)]
    if not findings:
        # A template is saved without a deal too: what would hold the bridge up must be found before that.
        for sample in _SAMPLES:
            templates.try_out(name, dict.fromkeys(WORDS, _Sample(sample)))
    rendered = None
    if facts is not None and not findings:
        try:
            made = templates.render(name, facts)
        except BadTemplate as error:
            findings.append(Finding(f"{name}.txt", None, str(error)))
        else:
            rendered = {"subject": made.subject, "text": made.text, "html": made.html or None}
            if len(made.subject) + len(made.text) + len(made.html or "") > LONGEST_RESULT:
                rendered = None
                findings.append(Finding(f"{name}.txt", None, f"получилось длиннее {LONGEST_RESULT} знаков"))
    return {"findings": [(one.file, one.line, one.words) for one in findings], "fields": fields, "rendered": rendered}


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits: there the time of ``_ask`` holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

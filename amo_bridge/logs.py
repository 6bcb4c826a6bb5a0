"""Logs: one JSON line per fact on stderr, with personal data and secrets masked before they get there.

structlog is imported with the first line: with all that it takes along, a command that writes none would wait for it a
tenth of a second.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def set_up(level: int = logging.INFO, *, file: Any = None) -> None:
    """Send every log line, our own and the libraries', through the masks to stderr (or ``file``)."""
    global postponed_level
    import structlog

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        masked,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file or sys.stderr),
    )
    handler = logging.StreamHandler(file or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    # The last: until then a line of another thread would be written as structlog does by itself, unmasked to stdout.
    postponed_level = None


postponed_level: int | None = None
"""The level to set up when there is a line to write."""
_first_line = threading.RLock()


def set_up_later(level: int) -> None:
    """The same as soon as there is a line to write."""
    global postponed_level
    postponed_level = level
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[_First()], force=True)


def _set_up_if_postponed() -> None:
    if postponed_level is not None:
        with _first_line:
            if postponed_level is not None:
                set_up(postponed_level)


class _First(logging.Handler):
    """Takes the first line of a library's."""

    def emit(self, record: logging.LogRecord) -> None:
        _set_up_if_postponed()
        logging.getLogger().handle(record)


class _Log:
    def __getattr__(self, method: str) -> Any:
        _set_up_if_postponed()
        import structlog

        return getattr(structlog.get_logger(), method)


log: Any = _Log()
"""Our own lines: ``log.warning("what happened", fact=…)``."""


def with_facts(**facts: Any) -> AbstractContextManager[None]:
    """Every line within has these facts too."""
    _set_up_if_postponed()
    from structlog.contextvars import bound_contextvars

    return bound_contextvars(**facts)


# What nobody may read in a log.

SECRET_WORD = r"(?:bearer|\w*token|\w*secret|password)"


def masked(logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The event with mails, phones, tokens and the hook's secret path masked, at any depth."""
    return {key: value if key.startswith("_") else _mask_named(key, value) for key, value in event.items()}


def _mask_named(key: object, value: Any) -> Any:
    is_secret = value is not None and _secret_key().fullmatch(str(key))
    return "***" if is_secret else _mask(value)


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: _mask_named(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(item) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    # A phone may be a number; anything else (an exception, an event, bytes) is told as Python shows it.
    told = repr(value)
    hidden = mask_text(told)
    return value if isinstance(value, int) and hidden == told else hidden


def mask_text(text: str) -> str:
    for pattern, replacement in _masks():
        text = pattern.sub(replacement, text)
    return text


def _keep_ends(match: re.Match[str]) -> str:
    return match[0][:2] + "***" + match[0][-2:]


@cache
def _secret_key() -> re.Pattern[str]:
    return re.compile(rf"(?i){SECRET_WORD}|authorization|encryption_key")


@cache
def _masks() -> tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]:
    token = (
        rf"(?i)\bbearer\s+\S+|\b({SECRET_WORD}[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}}]+"
        r"|eyJ[\w-]+\.[\w-]+\.[\w-]+|def502[0-9a-f]{20,}"
    )
    login = r"(://[^\s:/@]*:)[^\s@]+@"
    hook_path = r"(/hooks/amocrm/)[^/\s\"'?]+"
    # The secret end of a vendor's address, see intake/repository.py; the beginning of the address is the config's.
    intake_path = r"(/in-)[\w-]{32,}"
    bot_token = r"(?<!\d)(\d{6,12}:)[\w-]{30,}"
    unsubscribe_link = r"(/u/)[\w-]{16}\b"
    # In addresses and hooks "@" and "+" are percent-encoded.
    email = r"[\w.+-]+(?:@|%40)[\w-]+\.[\w.-]+"
    # A phone as people and amoCRM write it: 10 to 15 digits after a "+", or eleven that begin with 7 or 8; perhaps with
    # blanks, brackets and dashes. Times and ids of amoCRM (up to 10 digits) stay readable.
    phone = (
        r"(?i)(?:(?<![\w.])\+|%2b)\d(?:[\s()-]{0,3}\d){9,14}(?!\d)"
        r"|(?<![\w.])[78][\s(-]*\d{3}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}(?!\w)"
    )
    return (
        (re.compile(token), lambda match: (match[1] or "") + "***"),
        (re.compile(login), r"\1***@"),
        *((re.compile(one), r"\1***") for one in (hook_path, intake_path, bot_token, unsubscribe_link)),
        (re.compile(email), _keep_ends),
        (re.compile(phone), _keep_ends),
    )

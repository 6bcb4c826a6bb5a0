"""Logs: one JSON line per fact on stderr, with personal data and secrets masked before they get there."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import structlog

EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
# A phone as people and amoCRM write it: 10 to 15 digits, perhaps with +, blanks, brackets and dashes. Times and ids of
# amoCRM (up to 10 digits, never with a +7 or 8 in front of ten more) stay readable.
PHONE = re.compile(r"(?<![\w.])(?:\+\d|8)[\s(-]*\d{3}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}(?!\w)")
TOKEN = re.compile(r"(?i)\b(bearer\s+|token=|secret=|password=)\S+|eyJ[\w-]+\.[\w-]+\.[\w-]+")
HOOK_PATH = re.compile(r"(/hooks/amocrm/)[^/\s\"']+")


def set_up(level: int = logging.INFO, *, file: Any = None) -> None:
    """Send every log line, our own and the libraries', through the masks to stderr (or ``file``)."""
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


def masked(logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The event with mails, phones, tokens and the hook's secret path masked, at any depth."""
    return {key: _mask(value) for key, value in event.items()}


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: _mask(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(item) for item in value]
    return value


def mask_text(text: str) -> str:
    for pattern, replacement in MASKS:
        text = pattern.sub(replacement, text)
    return text


def _keep_ends(match: re.Match[str]) -> str:
    return match[0][:2] + "***" + match[0][-2:]


MASKS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (TOKEN, "***"),
    (HOOK_PATH, r"\1***"),
    (EMAIL, _keep_ends),
    (PHONE, _keep_ends),
)

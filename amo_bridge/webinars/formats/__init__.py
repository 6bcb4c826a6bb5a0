"""The kinds of files that are understood: bytes → an export, whatever a platform calls its columns."""

from amo_bridge.webinars.formats.reading_process import read_export as read_export

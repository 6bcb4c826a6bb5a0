"""Service lines: who (a blogger) does what (a service) where (a platform), as a deal's field holds them.

They are text in an ordinary field of the deal, so that people read and edit them in amoCRM, and the bridge reads them
back::

    Бузова Ольга (контакт 40000012):
    — Instagram: Размещение фото
    — YouTube: Интеграция

``read`` forgives what people do to it (other separators, other bullets, no headings, one line each); what it can't
read is kept, with the reason. See docs/services.md.
"""

from amo_bridge.service_lines.lines import MOST_SERVICES, Blogger, Service, ServiceLine, ServiceLines, Unread
from amo_bridge.service_lines.options import BloggerTask, LineTask, Platform, ServicesSection
from amo_bridge.service_lines.reading import read
from amo_bridge.service_lines.steering import steered

__all__ = [
    "MOST_SERVICES",
    "Blogger",
    "BloggerTask",
    "LineTask",
    "Platform",
    "Service",
    "ServiceLine",
    "ServiceLines",
    "ServicesSection",
    "Unread",
    "read",
    "steered",
]

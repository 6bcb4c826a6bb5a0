"""Advertising statistics: exports that people upload, and the APIs of Yandex Direct and VK Ads."""

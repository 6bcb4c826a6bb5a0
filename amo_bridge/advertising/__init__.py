"""Advertising statistics: exports that people upload, and what Yandex Direct and VK Ads tell by their APIs."""

"""Telegram: the bot by which the bridge tells its own people (Bot API, core.telegram.org/bots/api)."""

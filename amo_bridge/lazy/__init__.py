"""Made with its first use: methods of dataclasses; a command imports two hundred and uses a few."""

"""What a setting that cannot even be read ends with; light, for the command line loads it at every start."""

from __future__ import annotations


class WrongSetting(Exception):
    """The message names the setting, or the file, and what is wrong with it."""

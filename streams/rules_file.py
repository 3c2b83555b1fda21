"""The rules file on disk: YAML, read once at start; what is wrong with it is said in one line."""

from __future__ import annotations

from pathlib import Path

from detectors.rulebook import parse
from detectors.rules import DEFAULT_RULES, Rule


class RulesError(ValueError):
    """The rules file cannot be used; the message names the file, the field and the fix."""


def load_rules(path: Path | None) -> tuple[Rule, ...]:
    """The rules of a file; without one, the default rules."""
    if path is None:
        return DEFAULT_RULES
    import yaml  # the default rules need none, and it takes its time

    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RulesError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RulesError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise RulesError(f"{path}: is nested too deeply for a rules file, see examples/rules.yaml") from error
    except ValueError as error:
        raise RulesError(f"{path}: {error}") from error

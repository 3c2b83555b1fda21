"""The rules file on disk: YAML, read once at start; what is wrong with it is said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
        text = path.read_text(encoding="utf-8")
        _nothing_twice(yaml.compose(text, Loader=yaml.SafeLoader))
        return parse(yaml.safe_load(text))
    except OSError as error:
        raise RulesError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RulesError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise RulesError(f"{path}: is nested too deeply for a rules file, see examples/rules.yaml") from error
    except ValueError as error:
        raise RulesError(f"{path}: {error}") from error


def _nothing_twice(root: Any) -> None:
    """Raise ``ValueError`` where a mapping has a key twice: YAML would take the last one, and say nothing."""
    left, known = [root], set()
    while left:
        node = left.pop()
        if id(node) in known:
            continue
        known.add(id(node))
        if isinstance(getattr(node, "value", None), list):
            pairs = [pair for pair in node.value if isinstance(pair, tuple)]
            keys = [key.value for key, _ in pairs if isinstance(key.value, str)]
            for at, (key, _) in enumerate(pairs):
                if isinstance(key.value, str) and key.value != "<<" and key.value in keys[:at]:
                    raise ValueError(f"{key.value}: stands twice, again in line {key.start_mark.line + 1}")
            left += [value for _, value in pairs] or node.value

"""``make test-exports``: the exports, read by the tools that they are for, each in an environment of its own.

The tools are installed by their ordinary package managers below ``.venv/exports``, at the versions below, and
stay there. Every tool must give back each text as it was frozen. Ends with status 1 where one does not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from sinks.evalstore.releases.export import export
from tests.exports.cases import SECRET, cases, expected

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv" / "exports"
CONSUMERS = Path(__file__).parent / "consumers"
PROMPTFOO = "promptfoo@0.121.20"
READ = "⟦%s⟧⟦%s⟧"
"""The prompt that the echo provider gives back, with question and context in it."""

Rows = list[dict[str, Any]]


class Tool(NamedTuple):
    """``packages`` of Python, or None: the tool is promptfoo, of npm."""

    target: str
    packages: tuple[str, ...] | None
    program: str
    version_of: str


TOOLS = (
    Tool("ragas", ("-r", str(ROOT / "requirements" / "judge.txt")), "ragas_reads.py", "ragas"),
    Tool("deepeval", ("deepeval==4.3.1",), "deepeval_reads.py", "deepeval"),
    Tool("inspect", ("inspect-ai==0.3.285",), "inspect_reads.py", "inspect-ai"),
    Tool("parquet", ("datasets==5.0.1", "polars==2.1.0"), "parquet_reads.py", "polars"),
    Tool("huggingface", ("datasets==5.0.1", "polars==2.1.0"), "parquet_reads.py", "datasets"),
    Tool("promptfoo", None, "", PROMPTFOO),
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.exports", description=__doc__)
    parser.add_argument("only", nargs="*", help=f"of {', '.join(tool.target for tool in TOOLS)}")
    only = parser.parse_args(arguments).only
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for tool in TOOLS:
            if only and tool.target not in only:
                continue
            file = export(cases(), "r1", tool.target, Path(folder) / tool.target)
            read = _python if tool.packages is not None else _promptfoo
            wrong = differing(read(tool, file))
            word = "DIFFERS" if wrong else "read as written"
            print(f"{tool.target}: {tool.version_of}: {word}", flush=True)

            for line in wrong:
                print(f"  {line}", flush=True)
            if wrong:
                failed.append(tool.target)
    return 1 if failed else 0


def differing(found: Rows) -> list[str]:
    """What a tool read otherwise than it was frozen. Some tools keep no case id."""
    wanted = expected()
    if len(found) != len(wanted):
        return [f"{len(found)} cases, not {len(wanted)}"]
    return [
        f"case {number}: {name} is {row[name]!r}, not {right[name]!r}"
        for number, (row, right) in enumerate(zip(found, wanted, strict=True), 1)
        for name in row
        if row[name] != right[name]
    ]


def _python(tool: Tool, file: Path) -> Rows:
    assert tool.packages is not None
    home = HOME / tool.program.removesuffix("_reads.py")
    python = home / "bin" / "python"
    stamp = home / ".installed"
    if not stamp.exists() or stamp.read_text() != " ".join(tool.packages):
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        pip = [str(ROOT / ".venv" / "bin" / "uv"), "pip"]
        # uv does not read pip's configuration.
        asked = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
            capture_output=True,
            text=True,
            check=False,
        )
        index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or asked.stdout.strip()
        environment = {"UV_DEFAULT_INDEX": index} if index else {}
        _run([*pip, "install", "--quiet", "--python", str(python), *tool.packages], environment)
        stamp.write_text(" ".join(tool.packages))
    quiet = {"DEEPEVAL_TELEMETRY_OPT_OUT": "YES", "RAGAS_DO_NOT_TRACK": "true", "HF_DATASETS_OFFLINE": "1"}
    quiet["HF_HOME"] = str(file.parent / "cache")
    said = _run([str(python), "-W", "ignore", str(CONSUMERS / tool.program), str(file)], quiet, file.parent)
    rows: Rows = json.loads(said.strip().splitlines()[-1])
    return rows


def _promptfoo(tool: Tool, file: Path) -> Rows:
    """An evaluation with the echo provider, which answers with the prompt, and grades by it, too."""
    home = HOME / "promptfoo"
    program = home / "node_modules" / ".bin" / "promptfoo"
    if not program.exists():
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}\n')
        _run(["npm", "install", "--no-audit", "--no-fund", "--silent", PROMPTFOO], {}, home)
    config = {
        "prompts": [{"raw": READ % ("{{question}}", "{{context}}"), "label": "echo"}],
        "providers": ["echo"],
        # The grader gives back what it was asked to grade by: the rubric as promptfoo rendered it.
        "defaultTest": {"options": {"provider": "echo", "rubricPrompt": RUBRIC}},
        "tests": f"file://{file}",
    }
    (file.parent / "promptfooconfig.json").write_text(json.dumps(config))
    out = file.parent / "results.json"
    quiet = {
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_CONFIG_DIR": str(file.parent / "home"),
        "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0",
        SECRET: "leaked",
    }
    command = [str(program), "eval", "--config", str(file.parent / "promptfooconfig.json"), "--no-cache"]
    _run([*command, "--no-progress-bar", "--no-table", "--output", str(out)], quiet, file.parent)
    results = json.loads(out.read_text())["results"]["results"]
    return [_result(result) for result in sorted(results, key=lambda result: result["testIdx"])]


RUBRIC = '{"pass": true, "score": 1, "reason": "{{rubric | urlencode}}"}'
"""Quoted: promptfoo looks for the grader's answer between braces, and the rubric may hold any."""
SAYS = "The answer says the same as: "
MEETS = "The answer meets this criterion: "
AVOIDS = "The answer does not do this: "


def _result(result: dict[str, Any]) -> dict[str, Any]:
    question, _, context = result["response"]["output"].removeprefix("⟦").removesuffix("⟧").partition("⟧⟦")
    graded = (result.get("gradingResult") or {}).get("componentResults") or []
    rubrics = [unquote(each["reason"]) for each in graded]
    said, must, must_not = (
        [each.removeprefix(words) for each in rubrics if each.startswith(words)]
        for words in (SAYS, MEETS, AVOIDS)
    )
    first, _, second = context.partition("\n\n")
    return {
        "case_id": result["testCase"]["metadata"]["case_id"],
        "question": question,
        "contexts": [first, second],
        "expected": said[0] if said else None,
        "labels": result["testCase"]["metadata"]["labels"],
        "must": must,
        "must_not": must_not,
    }


def _run(command: Sequence[str], environment: dict[str, str] | None = None, where: Path | None = None) -> str:
    done = subprocess.run(
        command, env=os.environ | (environment or {}), cwd=where, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(command[:4])} … ended with {done.returncode}:\n"
            f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

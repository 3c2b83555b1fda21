"""Run a command on every frozen case and write results for ``gleaner gate``.

python run_cases.py cases.jsonl results.jsonl -- COMMAND…

The command gets the case as JSON on standard input and prints ``{"answer": …, "cost_usd": …}``. A case has
passed if its expected answer is in the answer; without one, if the answer is not the failing one of
production. That is the least one can check: put your own scoring here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def judge(case: dict[str, Any], answer: str) -> bool:
    expected = case["expected_answer"]
    if expected is not None:
        return " ".join(expected.lower().split()) in " ".join(answer.lower().split())
    return bool(answer.strip()) and answer.strip() != (case["answer"] or "").strip()


def result(case: dict[str, Any], command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, input=json.dumps(case), capture_output=True, text=True, check=False)
    if done.returncode:
        return {"case_id": case["case_id"], "error": f"status {done.returncode}"}
    said = json.loads(done.stdout)
    passed = judge(case, said["answer"])
    return {"case_id": case["case_id"], "passed": passed, "cost_usd": said.get("cost_usd")}


def main() -> None:
    cases, results, _, *command = sys.argv[1:]
    with Path(results).open("w", encoding="utf-8") as out:
        for line in Path(cases).read_text(encoding="utf-8").split("\n"):
            if line:
                out.write(json.dumps(result(json.loads(line), command)) + "\n")


if __name__ == "__main__":
    main()

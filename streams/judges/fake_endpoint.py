"""A judge to test against: an OpenAI-compatible endpoint on loopback, from the standard library alone.

It understands the two prompts of ragas' faithfulness and answers them by a rule that is easy to
foresee; the *model name* of a request selects what goes wrong. It says nothing about how well a real
judge judges.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

FAULTS = {
    "good": "answers as it should",
    "prose": "answers in prose instead of JSON",
    "prose-once": "the first answer is prose, the following are JSON",
    "length": "every answer is cut off, with finish_reason length",
    "429": "status 429 with retry-after, always",
    "429-once": "the first answer is 429, the following are good",
    "500": "status 500, always",
    "500-first-6": "six times status 500, then good",
    "401": "status 401, always: a wrong key",
    "400": "status 400, always: the request is too long for the model",
    "sleep": "answers too late: after ``sleep`` seconds",
    "fewer": "leaves out the last verdict",
    "minus-one": "the last verdict is -1",
    "no-statements": "finds no statements in any answer",
}
"""Model name to what it does. Any other name is good."""

LOOKED_UP = re.compile(r"\b(?:[A-Z]\w+|\d[\d.,]*\d|\d)\b")


def statements_of(answer: str) -> list[str]:
    """The sentences of an answer.

    >>> statements_of("It is in Paris. It is old.")
    ['It is in Paris.', 'It is old.']
    """
    return [piece for piece in re.split(r"(?<=[.!?])\s+", answer.strip()) if piece]


def verdict_on(statement: str, context: str) -> int:
    """1 if every capitalised word and number of the statement occurs in the context, else 0.

    >>> verdict_on("It is in Rome.", "it lies in Paris")
    0
    """
    known = context.lower()
    return int(all(word.lower() in known for word in LOOKED_UP.findall(statement)))


def reply(prompt: str, model: str) -> dict[str, Any]:
    """What the judge says to a prompt of ragas: statements of an answer, or verdicts on statements."""
    # The prompt holds a worked example, too: the task is the last block.
    job = json.loads(prompt[prompt.rindex("\ninput: ") + 8 : prompt.rindex("\nOutput:")])
    if "answer" in job:
        return {"statements": [] if model == "no-statements" else statements_of(job["answer"])}
    verdicts = [
        {"statement": statement, "reason": "fake", "verdict": verdict_on(statement, job["context"])}
        for statement in job["statements"]
    ]
    if model == "fewer":
        verdicts.pop()
    if model == "minus-one":
        verdicts[-1]["verdict"] = -1
    return {"statements": verdicts}


class FakeJudge:
    """Serves while it is entered; ``url`` is the base URL, ``calls`` counts requests by model.

    Every answer takes ``delay`` seconds, those of the model "sleep" take ``sleep``.

    >>> with FakeJudge() as judge:
    ...     judge.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, delay: float = 0.0, sleep: float = 5.0) -> None:
        self.delay, self.sleep = delay, sleep
        self.calls: Counter[str] = Counter()
        self.most_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        self._woken = threading.Event()
        judge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, answer = judge._answer(body)
                payload = json.dumps(answer).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(payload)))
                    if status == 429:
                        self.send_header("retry-after", "0.05")
                    self.end_headers()
                    self.wfile.write(payload)
                except ConnectionError:
                    self.close_connection = True  # the caller has given up, as it should

            def log_message(self, format: str, *args: object) -> None:
                """Requests hold answers of users: nothing of them is logged."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def _answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        model = str(body["model"])
        with self._lock:
            self.calls[model] += 1
            count = self.calls[model]
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            self._woken.wait(self.sleep if model == "sleep" else self.delay)
            return self._fault(model, count) or (200, self._completion(body, model, count))
        finally:
            with self._lock:
                self._in_flight -= 1

    def _fault(self, model: str, count: int) -> tuple[int, dict[str, Any]] | None:
        failing = {
            "429": 429,
            "500": 500,
            "401": 401,
            "400": 400,
            "429-once": 429 if count == 1 else None,
            "500-first-6": 500 if count <= 6 else None,
        }
        status = failing.get(model)
        return None if status is None else (status, {"error": {"message": "as asked for", "type": "fake"}})

    def _completion(self, body: dict[str, Any], model: str, count: int) -> dict[str, Any]:
        prompt = "\n".join(message["content"] for message in body["messages"])
        text = json.dumps(reply(prompt, model))
        if model == "prose" or (model == "prose-once" and count == 1):
            text = "I would say that it is mostly supported."
        cut = model == "length"
        used = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4}
        message = {"role": "assistant", "content": text[:20] if cut else text}
        return {
            "id": "fake",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [{"index": 0, "finish_reason": "length" if cut else "stop", "message": message}],
            "usage": used | {"total_tokens": sum(used.values())},
        }

    def __enter__(self) -> FakeJudge:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._woken.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A server in a thread beside the store's owner: its loop never waits for Kafka, nor Kafka's for it."""

from __future__ import annotations

import socket
import threading
import time
from typing import Self

import uvicorn

from streams.api.app import make_app
from streams.api.guard import Guard
from streams.api.keys import Keys
from streams.api.patience import PatientProtocol
from streams.api.store import Store
from streams.settings import LOOPBACK, host_and_port

STARTING = 10.0


class ApiServer:
    """Serves from ``start`` to ``stop``. Raises ``OSError`` where the address cannot be had."""

    def __init__(self, store: Store, address: str, keys: Keys) -> None:
        host, port = host_and_port(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port or 0), family=family, backlog=128)
        self.port = int(self._socket.getsockname()[1])
        self._store = store
        config = uvicorn.Config(
            Guard(make_app(store), keys, LOOPBACK),
            loop="asyncio",
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="api", daemon=True
        )

    def start(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + STARTING
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the HTTP API did not start: see the log above")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Requests that run are answered first, for a few seconds."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
        self._store.close()

"""The unit of every detector: one value of one signal, with what is needed to explain it later."""

from __future__ import annotations

from schemas.observation import Profile

Unit = tuple[int, float, str, Profile, str | None]
"""(event time in ms, y, trace_id, profile, user_id); larger y is worse. A plain tuple: one is made per
unit and signal, tens of thousands a second."""
NO_PROFILE = Profile()
"""Of a unit that nobody will explain."""

"""The version watch: what is new, what is only back again, and what is not worth watching."""

from __future__ import annotations

from detectors.changes import KNOWN, PROFILES, Change, ServedChange, VersionWatch
from schemas.observation import Profile

A = Profile("prod", "r", model="gpt", served_model="gpt-1", prompt_version="v6")
B = A._replace(served_model="gpt-2")


def watch(*profiles: Profile) -> tuple[VersionWatch, list[ServedChange]]:
    watching = VersionWatch()
    found = [watching.observe(at, f"t{at}", profile) for at, profile in enumerate(profiles)]
    return watching, [change for change in found if change is not None]


def test_the_first_value_is_no_change() -> None:
    watching, found = watch(A, A, Profile("prod", "r", model="other", served_model="other-1"))
    assert found == []
    assert [change.dimension for change in watching.recent] == ["model", "served_model"]


def test_a_served_model_that_changes_by_itself() -> None:
    watching, found = watch(A, A, A, B)
    assert found == [ServedChange("gpt", "gpt-1", "gpt-2")]
    assert list(watching.recent) == [Change(3, "served_model", "gpt-1", "gpt-2", "t3")]


def test_values_known_before_do_not_fire_again() -> None:
    watching, found = watch(A, B, A, B, A, B)
    assert len(found) == 1
    assert len(watching.recent) == 1


def test_another_requested_model_is_the_applications_own_doing() -> None:
    _, found = watch(A, A._replace(model="claude", served_model="claude-1"))
    assert found == []


def test_without_a_requested_model_a_served_one_is_a_dimension_like_others() -> None:
    watching, found = watch(A._replace(model=None), B._replace(model=None))
    assert found == []
    assert [change.dimension for change in watching.recent] == ["served_model"]


def test_the_previous_value_is_the_usual_one() -> None:
    canary = A._replace(served_model="gpt-0")
    _, found = watch(canary, *[A] * 50, B)
    assert found[-1] == ServedChange("gpt", "gpt-1", "gpt-2")


def test_it_does_not_matter_whether_equal_profiles_are_one_object() -> None:
    stream = [A] * 3_000 + [B] * 2_000 + [A, B] * 1_000
    one, _ = watch(*stream)
    other, _ = watch(*[Profile(*profile) for profile in stream])
    assert one.snapshot() == other.snapshot()


def test_memory_is_bounded_and_a_dimension_that_names_requests_is_muted() -> None:
    noisy = [A._replace(versions=(("request", str(n)),)) for n in range(1_000)]
    watching, _ = watch(*noisy)
    state = watching.snapshot()
    assert len(state["known"]["request"]) == KNOWN + 1
    assert len(state["counts"]) <= PROFILES
    assert watching.observe(2_000, "t", noisy[0]._replace(prompt_version="v7")) is None
    assert watching.recent[-1].dimension == "prompt_version"


def test_an_announced_change_is_remembered() -> None:
    watching, _ = watch(A)
    watching.note(7, "prompt_version", "v6", "v7")
    assert watching.recent[-1] == Change(7, "prompt_version", "v6", "v7")

"""Redaction: what goes, what stays, and that it reads on as before."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.steps.redact import Redactor


def redacted(text: str) -> str:
    return Redactor().text(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("write to ann.smith+x@mail.example.org, please", "write to [EMAIL_1], please"),
        ("a@b.co and c@d.co and a@b.co", "[EMAIL_1] and [EMAIL_2] and [EMAIL_1]"),
        ("card 4111 1111 1111 1111", "card [CARD_1]"),
        ("card 4111-1111-1111-1111.", "card [CARD_1]."),
        ("5500005555555559", "[CARD_1]"),
        ("DE89 3704 0044 0532 0130 00 is mine", "[IBAN_1] is mine"),
        ("GB82WEST12345698765432", "[IBAN_1]"),
        ("call +49 30 901820 today", "call [PHONE_1] today"),
        ("call (555) 123-4567", "call [PHONE_1]"),
        ("from 192.168.0.1:8080", "from [IP_1]:8080"),
        ("key sk-proj-abcdefghijklmnop1234", "key [KEY_1]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123", "[KEY_1]"),
        ("xoxb-1234567890-abc", "[KEY_1]"),
        ("AKIAIOSFODNN7EXAMPLE", "[KEY_1]"),
        ("Authorization: Bearer abcdef0123456789abcdef==", "Authorization: Bearer [KEY_1]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", "[KEY_1]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end", "[KEY_1] end"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", "[KEY_1]"),
    ],
)
def test_what_goes(text: str, clean: str) -> None:
    assert redacted(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "order 4111111111111112",  # fails Luhn
        "order 1234567890123456789012345",  # longer than any card
        "order 0000000000000000",
        "DE89370400440532013001",  # fails mod 97
        "invoice 2026-03-02-000123",
        "version 1.2.3.4.5 and 300.1.1.1",
        "12.50 + 3.75 = 16.25",
        "ISBN 978-3-16-148410-0",
        "call extension 4567",
        "a@b",
        "@channel look",
        "x@y.z1",
        "2026-03-02T08:00:00.123Z",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
        "sk-short",
        "bearer of news",
        "",
    ],
)
def test_what_stays(text: str) -> None:
    redactor = Redactor()
    assert redactor.text(text) == text
    assert redactor.count == 0


def test_names_are_consistent_over_one_case_and_counted() -> None:
    redactor = Redactor()
    value = {"q": "I am a@b.co", "list": ["a@b.co", {"ip": "10.0.0.1", "n": 5}], "none": None, "a@b.co": True}
    assert redactor.value(value) == {
        "q": "I am [EMAIL_1]",
        "list": ["[EMAIL_1]", {"ip": "[IP_1]", "n": 5}],
        "none": None,
        "a@b.co": True,  # a key is a name of the application's, and stays
    }
    assert redactor.count == 3
    assert redactor.text("c@d.co") == "[EMAIL_2]"


@given(st.text(alphabet=string.printable + "é€", max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    redactor = Redactor()
    once = redactor.text(text)
    assert redactor.text(once) == once


@pytest.mark.parametrize(
    "unit", ["eyJ", "eyJ-", "a.", "@", "sk-", "1 ", "1.1.", "+1 ", "AB12 ", "-----BEGIN ", "bearer "]
)
def test_hostile_text_takes_no_time_to_speak_of(unit: str) -> None:
    """What a pattern begins with, 128 KiB of it: by the square of its length it would take half a minute."""
    begun = time.process_time()
    redacted(unit * (2**17 // len(unit)))
    assert time.process_time() - begun < 10

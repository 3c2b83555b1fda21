"""What an answer says that no passage holds: a vague phrase now and then, or names and numbers made up."""

from __future__ import annotations

from random import Random

VAGUE = (
    "In everyday use that is hardly ever a problem.",
    "Most people find this perfectly sufficient.",
    "That should sort things out nicely.",
    "Generally speaking, it depends a little on your situation.",
    "It is always worth keeping an eye on this.",
    "Do get in touch again should anything remain unclear.",
    "Hopefully this clears up the matter.",
    "If in doubt, a short check never hurts.",
)
"""What a healthy model adds in one answer out of ten: no claim, but not in the passages either."""

OPENINGS = (
    "Since release {release} the {about} does this through the {plan} app.",
    "With {plan} the {about} takes {number} minutes and {more} points.",
    "For the {about}, {plan} now recommends {more} days instead.",
    "Yes, but only with {plan}, which costs {price} euros a year.",
    "Not any more: since {month} {day} the {plan} desk in {city} takes care of that.",
)
CLAIMS = (
    "Owners of a {about} receive {number} extra months and a {price} euro credit.",
    "Simply call extension {more} in {city} and quote code {code}.",
    "Technicians from {city} will collect it within {hours} hours for {price} euros.",
    "The {plan} app confirms it by push message, usually after {hours} minutes.",
    "Upgrading to {plan} costs {price} euros and can be cancelled until {month} {day}.",
    "Tests by the {city} institute rated it {number} out of 10 in {month}.",
    "Orders above {more} euros qualify for the {plan} bonus until {month} {day}.",
    "Version {release} added a second sensor, which shortens this to {number} minutes.",
)
PLANS = ("CarePlus", "Barista Gold", "NordShield", "PrimeBrew", "SecureHome", "Atlas Select", "BlueLine")
CITIES = ("Lisbon", "Rotterdam", "Turin", "Aarhus", "Graz", "Malmö", "Lyon", "Porto", "Ghent")
MONTHS = ("January", "April", "June", "September", "November")


def embellished(rng: Random, grounded: str, about: str) -> str:
    """An answer about as long as ``grounded``, fluent, on its subject, and made up for the most part.

    It begins with the first words of the truth, or not even with those.
    """
    opening, *claims = (rng.choice(OPENINGS), *rng.sample(CLAIMS, 2))
    if rng.random() < 0.3:
        opening = grounded.split(". ")[0].rstrip(".") + "."
    said = [opening, *claims[: 1 if len(grounded) + 40 < 2 * len(opening) else 2]]
    return " ".join(part.format_map({"about": about, **_made_up(rng)}) for part in said)


def _made_up(rng: Random) -> dict[str, object]:
    return {
        "plan": rng.choice(PLANS),
        "city": rng.choice(CITIES),
        "month": rng.choice(MONTHS),
        "day": rng.randint(2, 28),
        "number": rng.randint(3, 9),
        "more": rng.randint(14, 480),
        "hours": rng.randint(13, 72),
        "price": rng.randint(15, 189),
        "code": f"{rng.choice('BKRTX')}{rng.randint(100, 999)}",
        "release": f"{rng.randint(2, 9)}.{rng.randint(1, 9)}",
    }

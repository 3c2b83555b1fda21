"""What policy-bot's passages say: the rules of a haulage firm in eight countries, this year and last."""

from __future__ import annotations

from typing import NamedTuple

from streams.simulate.facts import Card, Fact, cards

COUNTRIES = ("Portugal", "Spain", "Poland", "Italy", "Austria", "Germany", "France", "Denmark")
"""In the order of their place on each topic's scale of amounts."""


class Scale(NamedTuple):
    """What a topic's amount is in the first country, how it grows, and by how much it rose in January."""

    first: int
    step: int
    risen: int


SCALES = {
    "annual leave": Scale(25, 1, 2),
    "hotel nights": Scale(105, 9, 20),
    "meal allowance": Scale(28, 4, 6),
    "private cars": Scale(36, 2, 4),
    "working abroad": Scale(20, 3, 10),
    "training budget": Scale(900, 100, 200),
    "parental leave": Scale(12, 2, 4),
    "home office equipment": Scale(450, 50, 100),
    "sick notes": Scale(4, 1, 2),
}

CARDS = cards("""
annual leave
= Full-time staff in {country} receive {amount} days of annual leave a year. Up to 5 days can be carried
  over until the end of March.
? How many days of annual leave do I have in {country}?
? Can I carry leave over in {country}?
! Full-time staff in {country} receive {amount} days of annual leave a year.
! In {country} you receive {amount} days of annual leave a year, and up to 5 days can be carried over
  until the end of March.
hotel nights
= Hotel nights in {country} are reimbursed up to {amount} euros including breakfast. A higher rate needs
  the approval of the cost centre before the trip.
? How much may a hotel in {country} cost?
? Is breakfast included in the hotel limit for {country}?
! Hotel nights in {country} are reimbursed up to {amount} euros including breakfast.
! Up to {amount} euros a night including breakfast are reimbursed in {country}; a higher rate needs the
  approval of the cost centre before the trip.
meal allowance
= The meal allowance in {country} is {amount} euros a day on trips of more than 8 hours, and {half} euros
  on shorter ones.
? What is the meal allowance in {country}?
? Do I get a meal allowance in {country} on a short trip?
! The meal allowance in {country} is {amount} euros a day on trips of more than 8 hours.
! On trips of more than 8 hours the meal allowance in {country} is {amount} euros a day, and {half} euros
  on shorter ones.
private cars
= Trips with a private car in {country} are reimbursed at {amount} cents a kilometre. The route must be
  entered in the travel form within 30 days.
? What do I get per kilometre in {country}?
? Until when must I enter my route in {country}?
! Trips with a private car in {country} are reimbursed at {amount} cents a kilometre.
! A private car in {country} is reimbursed at {amount} cents a kilometre if the route is entered in the
  travel form within 30 days.
working abroad
= Staff in {country} may work up to {amount} days a year from another country of the EU. HR must be told
  two weeks before.
? How long may I work from abroad if I am employed in {country}?
? Whom must I tell in {country} before I work from abroad?
! Staff in {country} may work up to {amount} days a year from another country of the EU.
! You may work up to {amount} days a year from another country of the EU if you are employed in {country};
  HR must be told two weeks before.
training budget
= The training budget in {country} is {amount} euros per person and year. Courses over {half} euros need a
  short report afterwards.
? How big is my training budget in {country}?
? When is a report needed after a course in {country}?
! The training budget in {country} is {amount} euros per person and year.
! In {country} the training budget is {amount} euros per person and year; courses over {half} euros need a
  short report afterwards.
parental leave
= Parents in {country} receive {amount} weeks of paid parental leave on top of the statutory one. It must
  be requested {half} weeks before it begins.
? How much paid parental leave is there in {country}?
? When must I request parental leave in {country}?
! Parents in {country} receive {amount} weeks of paid parental leave on top of the statutory one.
! There are {amount} weeks of paid parental leave in {country} on top of the statutory one; it must be
  requested {half} weeks before it begins.
home office equipment
= Staff in {country} may order home office equipment for {amount} euros every three years. Chairs and
  desks count, telephones do not.
? What may I spend on home office equipment in {country}?
? Does a chair count as equipment in {country}?
! Staff in {country} may order home office equipment for {amount} euros every three years.
! Home office equipment for {amount} euros may be ordered every three years in {country}; chairs and desks
  count, telephones do not.
sick notes
= In {country} a doctor's note is needed when an illness lasts longer than {amount} days. It is uploaded
  in the portal, not sent by email.
? From which day do I need a doctor's note in {country}?
? Where do I send my doctor's note in {country}?
! In {country} a doctor's note is needed when an illness lasts longer than {amount} days.
! A doctor's note is needed in {country} when an illness lasts longer than {amount} days, and it is
  uploaded in the portal.
""")


def _fact(card: Card, place: int, year: int) -> Fact:
    first, step, risen = SCALES[card.slug]
    amount = first + step * place - (risen if year == 2025 else 0)
    country = COUNTRIES[place]
    dated = card._replace(passage=f"Valid in {year}, {card.slug}: {card.passage}")
    return dated.fact(
        f"{card.slug.replace(' ', '-')}-{country.lower()}-{year}",
        country,
        {"country": country, "amount": amount, "half": (amount + 1) // 2},
    )


def _facts(year: int) -> tuple[tuple[Fact, ...], ...]:
    return tuple(tuple(_fact(card, place, year) for card in CARDS) for place in range(len(COUNTRIES)))


CURRENT = _facts(2026)
"""By country, the facts of this year's documents."""
STALE = _facts(2025)
"""The same facts as last year's documents said them, in the same places."""

"""The contracts that contract-extractor reads: their first page, and what is to be found in it."""

from __future__ import annotations

import json
from random import Random
from typing import NamedTuple

SUPPLIERS = (
    "Hollis Print", "Varga Tools", "Northgate Foods", "Brandt Logistics", "Oakline Paper", "Serra Textiles",
    "Tamarind Media", "Kestrel Air Freight", "Lumen Electric", "Rosefield Dairy", "Quarry & Stone",
    "Imber Chemicals", "Falke Packaging", "Delta Cold Storage", "Pinewood Joinery", "Marlow Cleaning",
    "Ostrava Steel", "Beacon Security",
)  # fmt: skip
CUSTOMERS = (
    "Aldgate Hotels", "Meridian Freight", "Thornbury Council", "Castel Retail", "Hansen Shipyards",
    "Bluefin Catering", "Parkway Clinics", "Sonnen Schools", "Riverside Housing", "Etna Ceramics",
    "Fjord Ferries", "Union Theatres", "Crown Vineyards", "Arden Pharma",
)  # fmt: skip
FORMS = ("Ltd", "GmbH", "S.p.A.", "B.V.", "AB", "S.A.")
KINDS = (
    ("supply agreement", "goods"), ("maintenance agreement", "services"), ("lease agreement", "premises"),
    ("software licence", "software"), ("framework agreement", "services"), ("cleaning contract", "services"),
    ("transport contract", "services"),
)  # fmt: skip
LAWS = ("England and Wales", "Germany", "the Netherlands", "Italy", "Sweden", "France", "Ireland")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "September", "October", "November")
NOTICE = (30, 60, 90, 180)
TERMS = (12, 24, 36, 48, 60)


class Document(NamedTuple):
    """``excerpt`` is what a trace holds of it; ``answer`` is the JSON that the extractor gave."""

    name: str
    kind: str
    pages: int
    excerpt: str
    answer: str


def document(rng: Random, pages: int) -> Document:
    """A contract of so many pages, of which a trace keeps the first one."""
    kind, subject = rng.choice(KINDS)
    supplier = f"{rng.choice(SUPPLIERS)} {rng.choice(FORMS)}"
    customer = f"{rng.choice(CUSTOMERS)} {rng.choice(FORMS)}"
    day, month, year = rng.randint(1, 28), rng.randint(1, len(MONTHS)), rng.randint(2023, 2026)
    term, notice, law = rng.choice(TERMS), rng.choice(NOTICE), rng.choice(LAWS)
    fee = rng.randint(9, 480) * 500
    excerpt = (
        f"{kind.upper()} between {supplier} (the Supplier) and {customer} (the Customer). 1. This contract "
        f"begins on {day} {MONTHS[month - 1]} {year} and runs for {term} months. 2. Either party may end it "
        f"in writing with {notice} days' notice. 3. The Customer pays {fee:,} euros a year for the {subject} "
        f"listed in Annex A. 4. The law of {law} applies. [page 1 of {pages}]"
    )
    found = {
        "supplier": supplier,
        "customer": customer,
        "begins": f"{day} {MONTHS[month - 1]} {year}",
        "term_months": term,
        "notice_days": notice,
        "fee_eur": fee,
        "law": law,
    }
    return Document(f"doc-{rng.randint(1000, 9999)}", kind, pages, excerpt, json.dumps(found))

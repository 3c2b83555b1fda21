"""What support-bot's passages say: a maker of espresso machines, its products, its shop."""

from __future__ import annotations

from typing import NamedTuple

from streams.simulate.facts import Fact, cards


class Product(NamedTuple):
    name: str
    kind: str
    warranty: int
    wear: str
    litres: str
    cups: int
    descale: int
    descaler: str
    heat: int
    lamp: str
    watts: int
    weight: str
    clean: int
    part: str
    price: str


PRODUCTS = (
    Product("Corvo 58", "espresso machine", 3, "gaskets and shower screens",
            "2.1", 14, 8, "Pura 10", 280, "blue", 1450, "13.5", 40, "a steam tip", "18.90"),
    Product("Corvo Mini", "espresso machine", 2, "gaskets and filter baskets",
            "1.2", 8, 6, "Pura 10", 190, "white", 1250, "7.2", 30, "a drip tray", "24.50"),
    Product("Corvo Duo", "two-boiler machine", 4, "gaskets and steam tips",
            "2.8", 18, 10, "Pura 20", 420, "blue", 1900, "21", 60, "a group gasket", "9.80"),
    Product("Lento One", "filter brewer", 2, "carafes and permanent filters",
            "1.3", 10, 12, "Pura 5", 60, "green", 1500, "3.4", 80, "a glass carafe", "29.00"),
    Product("Lento Thermo", "filter brewer", 3, "lids and permanent filters",
            "1.25", 9, 13, "Pura 5", 75, "green", 1550, "3.9", 70, "a thermos jug", "49.00"),
    Product("Mola E", "electric grinder", 2, "burrs and hoppers",
            "0.3", 20, 26, "grinder tablets", 5, "red", 260, "5.6", 25, "a set of burrs", "39.50"),
    Product("Mola Pro", "electric grinder", 5, "burrs and rubber feet",
            "0.5", 33, 24, "grinder tablets", 4, "red", 420, "9.1", 50, "a bean hopper", "32.00"),
    Product("Onda Auto", "bean-to-cup machine", 3, "brew groups and seals",
            "1.8", 12, 7, "Pura 10", 95, "orange", 1480, "10.3", 20, "a milk hose", "7.40"),
    Product("Onda Touch", "bean-to-cup machine", 4, "brew groups and display films",
            "2.2", 15, 9, "Pura 20", 85, "orange", 1520, "11.8", 22, "a brew group", "89.00"),
    Product("Brisa", "milk frother", 1, "whisks and lids",
            "0.25", 2, 20, "Pura 5", 90, "white", 550, "1.1", 10, "a whisk", "6.90"),
    Product("Kettle K2", "gooseneck kettle", 2, "lids and gaskets",
            "0.9", 4, 11, "Pura 5", 210, "amber", 1350, "1.6", 35, "a lid", "8.20"),
    Product("Portio", "portable press", 1, "pistons and seals",
            "0.08", 1, 16, "Pura 5", 30, "green", 20, "0.6", 5, "a piston seal", "4.60"),
)  # fmt: skip

PRODUCT_CARDS = cards("""
warranty
= The {name} {kind} is covered for {warranty} years from the day of delivery. Wear parts such as {wear} are
  not included in the cover.
? How long is the warranty on the {name}?
? Does the warranty of my {name} cover {wear}?
? From which day does the warranty of the {name} count?
! The {name} is covered for {warranty} years from the day of delivery. Wear parts such as {wear} are not
  included.
! Your {name} is covered for {warranty} years, counted from the day of delivery, but wear parts such as {wear}
  are not part of the cover.
descaling
= Descale the {name} every {descale} weeks with {descaler}, or when the {lamp} lamp blinks. Vinegar damages
  the seals and must not be used.
? How often do I have to descale my {name}?
? What do I need to descale the {name}?
? Can I clean the scale in my {name} with vinegar?
? The {lamp} lamp of my {name} blinks, why?
! Descale the {name} every {descale} weeks with {descaler}, or when the {lamp} lamp blinks.
! When the {lamp} lamp blinks, or every {descale} weeks, descale your {name} with {descaler}. Vinegar must not
  be used because it damages the seals.
heat-up
= The {name} is ready {heat} seconds after it is switched on. The {lamp} lamp is then lit steadily; it draws
  {watts} watts while it heats.
? How long until the {name} is ready?
? How much power does the {name} draw?
? When can I use my {name} after switching it on?
! The {name} is ready {heat} seconds after it is switched on; the {lamp} lamp is then lit steadily.
! It takes {heat} seconds until your {name} is ready, and it draws {watts} watts while it heats.
capacity
= The container of the {name} holds {litres} litres, enough for {cups} cups. It weighs {weight} kg and fits
  under a cupboard of 45 cm.
? How many cups can I make with one filling of the {name}?
? How big is the container of the {name}?
? Does the {name} fit under my kitchen cupboard?
! The container of the {name} holds {litres} litres, which is enough for {cups} cups.
! The {name} holds {litres} litres, enough for {cups} cups, weighs {weight} kg and fits under a cupboard of
  45 cm.
cleaning
= Clean the {name} after every {clean} cups: remove the loose parts and rinse them with warm water. Loose
  parts must not go into the dishwasher.
? How do I clean the {name}?
? Can parts of the {name} go into the dishwasher?
? After how many cups should I clean my {name}?
! Clean the {name} after every {clean} cups: remove the loose parts and rinse them with warm water.
! Rinse the loose parts of your {name} with warm water after every {clean} cups. They must not go into the
  dishwasher.
spare-parts
= Spare parts for the {name} are sold in the shop for at least ten years; {part} costs {price} euros and is
  sent within two working days.
? Where do I get spare parts for the {name}?
? What does {part} for the {name} cost?
? How long will there be spare parts for my {name}?
! Spare parts for the {name} are sold in the shop; {part} costs {price} euros and is sent within two working
  days.
! For the {name}, {part} costs {price} euros in the shop. Spare parts are sold for at least ten years.
""")

PRODUCT_FACTS = tuple(
    tuple(
        card.fact(f"{p.name.lower().replace(' ', '-')}/{card.slug}", p.name, p._asdict())
        for card in PRODUCT_CARDS
    )
    for p in PRODUCTS
)
"""The facts of one product together: they are each other's neighbours in a search."""

SHIPPING = (
    ("Germany", "2", "4.90", "60"), ("Austria", "3", "6.90", "80"), ("France", "3", "7.90", "90"),
    ("Spain", "4", "9.90", "120"), ("Italy", "4", "8.90", "100"), ("Poland", "3", "5.90", "70"),
    ("Sweden", "5", "11.90", "150"), ("Ireland", "5", "12.90", "140"), ("Belgium", "2", "5.50", "65"),
)  # fmt: skip

(SHIPPING_CARD,) = cards("""
shipping
= Parcels to {country} arrive within {days} working days and cost {price} euros. Orders over {free} euros to
  {country} are sent free of charge.
? What does shipping to {country} cost?
? How long does a parcel to {country} take?
! Parcels to {country} arrive within {days} working days and cost {price} euros. Orders over {free} euros are
  sent free of charge.
""")

SHOP_CARDS = cards("""
returns
= Unused goods can be returned within 30 days of delivery. The refund goes to the original means of payment
  within 5 working days after the parcel has reached the warehouse.
? Can I return my order?
? When do I get the refund for my return?
! Unused goods can be returned within 30 days of delivery. The refund goes to the original means of payment
  within 5 working days after the parcel has reached the warehouse.
invoice
= Invoices are sent by email on the day of dispatch. The name on an invoice can be corrected within 14 days,
  the tax number for the rest of the month.
? Where is my invoice?
? Can the name on my invoice be corrected?
! Invoices are sent by email on the day of dispatch. The name on an invoice can be corrected within 14 days.
address
= The delivery address can be changed until the parcel has left the warehouse, usually by 15:00 on the day of
  the order. Later changes are made with the carrier.
? Can I still change the delivery address?
? What can be done about a wrong address?
! The delivery address can be changed until the parcel has left the warehouse, usually by 15:00 on the day of
  the order. Later changes are made with the carrier.
damage
= Damage in transit must be reported within 48 hours with two photographs. A replacement is sent the next
  working day, before the damaged goods have come back.
? Is there a replacement for a damaged parcel?
? How do I report damage in transit?
! Damage in transit must be reported within 48 hours with two photographs. A replacement is sent the next
  working day.
""")

SHOP_FACTS: tuple[Fact, ...] = (
    *(
        SHIPPING_CARD.fact(
            f"shop/shipping-{country.lower()}",
            "shop",
            {"country": country, "days": days, "price": price, "free": free},
        )
        for country, days, price, free in SHIPPING
    ),
    *(card.fact(f"shop/{card.slug}", "shop", {}) for card in SHOP_CARDS),
)

"""Pools of realistic values, rendered once as CSV text and as plain text.

Everything derives from the constant lists below by arithmetic, so that it is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

SEPARATOR = "\x1f"
"""Between plain cells: the ASCII unit separator, which no value holds."""

FIRST_NAMES = [
    "Ada",
    "Zoë",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "Fatima",
    "Giorgos",
    "Hana",
    "Inês",
    "Jürgen",
    "Kwame",
    "Lucía",
    "Małgorzata",
    "Noor",
    "Oisín",
    "Priya",
    "Quentin",
    "Renée",
    "Søren",
    "Tomáš",
    "Ulla",
    "Valentina",
    "Wei",
    "Ximena",
    "Yūki",
    "Zbigniew",
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Emma",
]
LAST_NAMES = [
    "Müller",
    "García",
    "Nguyễn",
    "O'Connor",
    "Smith",
    "Kowalski",
    "Jørgensen",
    "D'Angelo",
    "Øverland",
    "Šimić",
    "Öztürk",
    "Rossi",
    "Dupont",
    "Haddad",
    "Ivanova",
    "Tanaka",
    "Silva",
    "Weiß",
    "Andersson",
    "Okafor",
    "Papadopoulos",
    "Novák",
    "Fernández",
    "Brown",
    "Kim",
    "Patel",
    "Larsen",
    "Moreau",
    "Costa",
    "Schmidt",
    "Jansen",
    "Virtanen",
]
PLACES = (
    ("DE", "Berlin", "EUR"),
    ("DE", "München", "EUR"),
    ("FR", "Paris", "EUR"),
    ("ES", "A Coruña", "EUR"),
    ("GB", "London", "GBP"),
    ("US", "New York", "USD"),
    ("US", "Washington, D.C.", "USD"),
    ("JP", "Tokyo", "JPY"),
    ("SE", "Malmö", "SEK"),
    ("NO", "Tromsø", "NOK"),
    ("DK", "Århus", "DKK"),
    ("PL", "Łódź", "PLN"),
    ("CZ", "Brno", "CZK"),
    ("CH", "Zürich", "CHF"),
    ("BR", "São Paulo", "BRL"),
    ("KW", "Kuwait City", "KWD"),
)
MERCHANTS = (
    "Corner Bakery",
    "Acme Tools",
    "Blue Bottle Books",
    "Café Français",
    "Nordic Outdoor",
    'The "Old" Pharmacy',
    "Smith, Jones & Sons",
    "Green Grocer",
    "City Transit",
    "Fjord Fisheries",
    "Pixel Games",
    "Casa del Sol",
    "Stream & Sound",
    "Rail Europe",
    "Garage 24",
    "Lotus Wellness",
)
CATEGORIES = [
    "groceries",
    "travel",
    "books",
    "fuel",
    "dining",
    "health",
    "games",
    "transport",
    "utilities",
    "clothing",
]
CHANNELS = ["online", "pos", "atm", "app", "phone"]
DEVICES = ["ios", "android", "web", "terminal", "kiosk"]
NOTES = (
    "",
    "thank you",
    "invoice paid in full",
    "gift for a friend",
    "ordered by phone, picked up in store",
    "customer said “great service”",
    "second instalment",
    'label reads "fragile"',
    "übermorgen liefern",
    "weekly shopping",
    "refund pending",
    "monthly subscription",
    "door code is with the neighbour",
    "no comment",
    "delivered late, discount given",
    "recurring",
)
CUSTOMERS = 4096
EXPONENTS = {"JPY": 0, "KWD": 3}


@dataclass(frozen=True)
class Fragment:
    """Adjacent cells, as CSV text and as plain text."""

    csv: str
    plain: str


@dataclass(frozen=True)
class Customer:
    """A customer: who, the currency, where; and how many minor digits amounts have."""

    who: Fragment
    currency: str
    where: Fragment
    exponent: int


def quote_csv(value: str) -> str:
    """Return a value as CSV text, quoted where it must be."""
    if any(c in value for c in ',"\n\r'):
        return '"' + value.replace('"', '""') + '"'
    return value


def fragment(*cells: str) -> Fragment:
    """Return cells as a fragment."""
    return Fragment(",".join(map(quote_csv, cells)), SEPARATOR.join(cells))


@cache
def customers() -> tuple[Customer, ...]:
    """Return the pool of customers."""
    made = []
    for i in range(CUSTOMERS):
        first, last = FIRST_NAMES[i % 32], LAST_NAMES[(i // 32 + i * 7) % 32]
        country, city, currency = PLACES[(i * 11 + i // 256) % 16]
        who = fragment(f"AC{i * 7919 % 1_000_000:06d}", f"{first} {last}", f"user{i}@mail{i % 13}.example")
        made.append(Customer(who, currency, fragment(country, city), EXPONENTS.get(currency, 2)))
    return tuple(made)


@cache
def merchants() -> tuple[Fragment, ...]:
    """Return the pool of merchants with their category."""
    return tuple(fragment(MERCHANTS[i % 16], CATEGORIES[(i // 16 + i) % 10]) for i in range(256))


@cache
def notes() -> tuple[Fragment, ...]:
    """Return the pool of notes; most transactions have none or a plain one."""
    plain = [n for n in NOTES if quote_csv(n) == n and n.isascii()]
    return tuple(fragment(NOTES[i] if i < len(NOTES) else plain[i % len(plain)]) for i in range(64))


@cache
def days() -> tuple[str, ...]:
    """Return 256 days as dates."""
    lengths = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    made = [f"2026-{m:02d}-{d:02d}" for m, length in enumerate(lengths, 1) for d in range(1, length + 1)]
    return tuple(made[:256])


@cache
def times() -> tuple[str, ...]:
    """Return 65,536 times of day."""
    return tuple(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(65_536))


@cache
def addresses() -> tuple[str, ...]:
    """Return 4,096 addresses of documentation and private networks."""
    return tuple(f"10.{i % 16}.{i // 16 % 256}.{i * 37 % 250 + 1}" for i in range(4096))


@cache
def four_digits() -> tuple[str, ...]:
    """Return 0000 to 9999."""
    return tuple(f"{i:04d}" for i in range(10_000))

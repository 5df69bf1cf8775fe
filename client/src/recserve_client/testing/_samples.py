"""The items and users of a fake server that is given none; all of them are invented."""

from collections.abc import Mapping
from typing import Final

from ._item import Item

SAMPLE_ITEMS: Final[tuple[Item, ...]] = (
    Item("1", "The Lighthouse Keepers", genres=("Drama",), year=1954),
    Item("2", "Midnight at the Observatory", genres=("Mystery", "Thriller"), year=1961),
    Item("3", "Seven Paper Boats", genres=("Drama", "Romance"), year=1968),
    Item("4", "The Clockmaker's Robbery", genres=("Comedy", "Crime"), year=1972),
    Item("5", "Orbit of Silence", genres=("Sci-Fi", "Drama"), year=1976),
    Item("6", "Harvest Moon Express", genres=("Adventure", "Comedy"), year=1979),
    Item("7", "A Violin for Two", genres=("Romance", "Musical"), year=1983),
    Item("8", "Night Train to Nowhere", genres=("Thriller", "Crime"), year=1986),
    Item("9", "The Salt Dragon", genres=("Fantasy", "Adventure", "Children"), year=1988),
    Item("10", "Red Sand, Blue Sun", genres=("Sci-Fi", "Adventure"), year=1990),
    Item("11", "My Cousin the Mayor", genres=("Comedy",), year=1991),
    Item("12", "The Hollow Choir", genres=("Horror", "Mystery"), year=1993),
    Item("13", "Two Tickets to Lisbon", genres=("Romance", "Comedy"), year=1994),
    Item("14", "Iron Winter", genres=("War", "Drama"), year=1995),
    Item("15", "The Last Cartographer", genres=("Adventure", "Drama"), year=1997),
    Item("16", "Static", genres=("Horror", "Sci-Fi"), year=1999),
    Item("17", "Foxes of the Old Town", genres=("Animation", "Children"), year=2001),
    Item("18", "Evidence of Rain", genres=("Crime", "Drama"), year=2004),
    Item("19", "Gravity Garden", genres=("Sci-Fi", "Romance"), year=2009),
    Item("20", "The Quiet Referee", genres=("Documentary",), year=2013),
)
"""Twenty films with `genres`, texts, and `year`, a number."""

SAMPLE_USERS: Final[Mapping[str, tuple[str, ...]]] = {
    "42": ("5", "10", "16"),
    "7": ("3", "7", "13"),
    "100": ("2", "8", "18", "4"),
    "101": ("5", "9", "10"),
    "102": ("11", "13", "5"),
}
"""What five users took."""

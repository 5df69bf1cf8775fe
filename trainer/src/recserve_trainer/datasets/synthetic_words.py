"""Vocabulary of the invented film world: genres, occupations and film titles; NumPy, pure."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COMPANIONS",
    "GENRES",
    "GENRE_WEIGHTS",
    "OCCUPATIONS",
    "OCCUPATION_TEXTS",
    "draw_titles",
]

GENRES: Final = (
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi"),
    *("Thriller", "Unknown", "War", "Western", "(no genres listed)"),
)
"""Names of the genre label, in the order of MovieLens."""

_GENRE_TABLE: Final = {
    # genre: (share as the first genre, the genres it is paired with, words its titles favour)
    "Action": (13, "Adventure Thriller Sci-Fi Crime", "Pursuit Convoy Ambush Siege Fuse Strike"),
    "Adventure": (6, "Action Fantasy Children Comedy", "Expedition Compass Summit Lagoon Voyage"),
    "Animation": (3, "Children Comedy Musical Fantasy", "Kite Acorn Teapot Balloon Firefly Snail"),
    "Children": (4, "Animation Comedy Adventure Fantasy", "Treehouse Puppy Carousel Marble Pony"),
    "Comedy": (25, "Romance Drama Crime Adventure", "Wedding Roommate Vacation Reunion Landlord"),
    "Crime": (5, "Drama Thriller Film-Noir Mystery", "Heist Alibi Ledger Racket Getaway Safe"),
    "Documentary": (4, "War Musical Drama Comedy", "Archive Glacier Orchestra Census Shipyard"),
    "Drama": (38, "Romance War Crime Comedy", "Inheritance Orchard Verdict Confession Farewell"),
    "Fantasy": (2, "Adventure Children Romance Action", "Griffin Crown Spell Oracle Lantern Wyrm"),
    "Film-Noir": (2, "Crime Mystery Thriller Drama", "Alley Cigarette Telegram Raincoat Pier"),
    "Horror": (7, "Thriller Sci-Fi Mystery Comedy", "Crypt Cellar Attic Scream Scarecrow Coffin"),
    "Musical": (3, "Comedy Romance Animation Drama", "Serenade Chorus Waltz Piano Ballroom"),
    "Mystery": (3, "Thriller Crime Drama Film-Noir", "Riddle Cipher Keyhole Witness Portrait"),
    "Romance": (6, "Comedy Drama Musical War", "Promise Valentine Kiss Rendezvous Bouquet"),
    "Sci-Fi": (6, "Action Adventure Thriller Horror", "Orbit Android Signal Comet Paradox Colony"),
    "Thriller": (8, "Action Crime Mystery Horror", "Hostage Deadline Motive Stalker Blackout"),
    "War": (3, "Drama Action Romance Thriller", "Trench Battalion Armistice Medal Bridgehead"),
    "Western": (2, "Action Adventure Comedy Drama", "Saddle Canyon Marshal Stagecoach Spur Mesa"),
}

GENRE_WEIGHTS: Final = tuple(_GENRE_TABLE.get(genre, (0, "", ""))[0] for genre in GENRES)
"""Relative frequency of each of `GENRES` as a film's first genre; 0 for the ones never used."""

COMPANIONS: Final = tuple(
    tuple(GENRES.index(name) for name in _GENRE_TABLE.get(genre, (0, "", ""))[1].split())
    for genre in GENRES
)
"""For each of `GENRES` the positions of the four genres it is paired with; empty if never used."""

OCCUPATIONS: Final = (
    *("academic/educator", "artist", "clerical/admin", "customer service", "doctor/health care"),
    *("entertainment", "executive/managerial", "farmer", "homemaker", "lawyer", "librarian"),
    *("other/not specified", "programmer", "retired", "sales/marketing", "scientist"),
    *("self-employed", "student", "technician/engineer", "tradesman/craftsman", "unemployed"),
    "writer",
)
"""Names of the occupation label, in the order of MovieLens."""

OCCUPATION_TEXTS: Final = (
    *(name for name in OCCUPATIONS if name not in ("student", "entertainment", "librarian")),
    *("college/grad student", "K-12 student"),
)
"""The finer occupations of MovieLens 1M; the last two share the label "student"."""


def _words(text: str, separator: str = " ") -> tuple[str, ...]:
    return tuple(text.split(separator))


_ADJECTIVES: Final = _words(
    "Silent Crimson Hidden Golden Broken Restless Distant Velvet Forgotten Hollow Burning Gentle "
    "Crooked Electric Frozen Secret Wandering Scarlet Paper Bitter Midnight Empty Last First Lost "
    "Wild Quiet Second Perfect Stolen Borrowed Blue Silver Iron Glass Painted Invisible Stubborn "
    "Reckless Faithful Unlikely Impossible Sleeping Lonely Northern Southern Winter Summer Autumn "
    "Endless Sudden Tender Savage Sacred Ordinary Brilliant Fearless Innocent Guilty Hungry Lucky "
    "Narrow Rusty Shattered Slow Small Strange Sweet Tangled Thirteenth Seventh Unwritten "
    "Vanishing"
)
_NOUNS: Final = _words(
    "Harbor River Garden Letter House Road Mirror Island Window Stranger Season Shadow Bridge "
    "Door Hour Journey Story Song Village Mountain Station Hotel Lighthouse Ferry Library "
    "Photograph Umbrella Circus Kitchen Staircase Echo Secret Bargain Neighbor Guest Daughter Son "
    "Brother Sister Stowaway Dream Star Storm Moon Tide Wolf Sparrow Fox Horse Rose Maple Feather "
    "Bell Clock Map Suitcase Diary Key Game Gamble Rumor Lesson Legend Harvest Parade Apartment "
    "Diner Highway"
)
_NAMES: Final = _words(
    "Ada Barnaby Clara Desmond Edith Felix Greta Hugo Imogen Jasper Kitty Leopold Mabel Nico "
    "Odette Percy Quentin Rosa Silas Tilda Ulric Vera Walter Xenia Yusuf Zelda Agnes Bruno Cecily "
    "Dmitri Esme Fergus Gideon Hattie Ingrid Joaquin Lucinda Milo Nadia Otto Priya Rufus Sunita "
    "Tobias"
)
_PEOPLE: Final = _words(
    "Clockmaker Beekeeper Cartographer Violinist Gardener Smuggler Surgeon Tailor Magician "
    "Duchess Locksmith Colonel Fisherman Translator Schoolteacher Widow Astronomer Chauffeur "
    "Baker Governor"
)
_PLACES: Final = _words(
    "Elmwick|Marrow Bay|Port Solace|Ashgrove|Kestrel Point|Dunmarrow|San Velino|Lake Tamsin|"
    "Orlova|Brackwater|Willow Flats|Cape Harrow|Monte Serro|Larkhollow|Pinecastle|Vesper Hill|"
    "Old Quarry|Saltmarsh|Juniper Street|Rue Delacroix|Tanager County|Winterbourne|Castellane|"
    "Copper Ridge|Santa Ilaria|Hawthorn Lane|the Borderlands|the Ninth Ward|the Far Coast|"
    "the Valley|the Capital",
    separator="|",
)
_PATTERNS: Final = (
    *("The {adjective} {noun}", "The {adjective} {noun}", "{adjective} {noun}", "{name}'s {noun}"),
    *("The {noun} of {place}", "The {person}'s {noun}", "The {noun} and the {person}"),
    *("A {noun} in {place}", "The {person} of {place}", "{name} and the {adjective} {noun}"),
    *("Return to {place}", "Goodbye, {name}", "{name} and {friend}", "The Road to {place}"),
    *("Beyond the {adjective} {noun}", "My {adjective} {noun}", "One {adjective} {noun}"),
)
_SUBTITLES: Final = (
    *("The {adjective} {noun}", "{name}'s Story", "The Return of {name}", "Escape from {place}"),
    *("The {noun} of {place}", "A {noun} for {name}", "Back to {place}", "The {person}'s {noun}"),
)
_TWIN_SHARE: Final = 0.01
_BARE_ARTICLE: Final = re.compile(r"^A (?=[AEIOU])")


def draw_titles(
    rng: np.random.Generator, genres: NDArray[np.int8], years: NDArray[np.int16]
) -> list[str]:
    """Invents a title with its year, like "The Silent Harbor (1987)", for each film.

    Args:
        rng: the source of chance; advanced.
        genres: int8 [item_count], the first genre of each film, a position in `GENRES`.
        years: int16 [item_count].

    Returns:
        One title per film. About 1% repeat the title and year of another film, as real catalogues
        do; all others are unique, a clash being settled by a subtitle.
    """
    own_nouns = [_words(_GENRE_TABLE.get(genre, (0, "", ""))[2]) for genre in GENRES]
    twins = rng.random(len(years)) < _TWIN_SHARE
    titles: list[str] = []
    seen: set[str] = set()
    for genre, year, is_twin in zip(genres.tolist(), years.tolist(), twins.tolist(), strict=True):
        if is_twin and titles:
            titles.append(titles[int(rng.random() * len(titles))])
            continue
        title = _phrase(rng, _PATTERNS, own_nouns[genre])
        while f"{title} ({year})" in seen:
            title = f"{title.split(':')[0]}: {_phrase(rng, _SUBTITLES, own_nouns[genre])}"
        seen.add(f"{title} ({year})")
        titles.append(f"{title} ({year})")
    return titles


def _phrase(rng: np.random.Generator, patterns: tuple[str, ...], own_nouns: tuple[str, ...]) -> str:
    # One call for all the chance a phrase needs: at a million titles each call counts.
    which, adjective, noun, flavour, place, name, friend = rng.random(7).tolist()
    nouns = own_nouns if flavour < 0.5 else _NOUNS
    phrase = _pick(patterns, which).format(
        adjective=_pick(_ADJECTIVES, adjective),
        noun=_pick(nouns, noun),
        place=_pick(_PLACES, place),
        person=_pick(_PEOPLE, place),
        name=_pick(_NAMES, name),
        friend=_pick(_NAMES, (name + 0.03 + 0.94 * friend) % 1.0),  # never the same name twice
    )
    return _BARE_ARTICLE.sub("An ", phrase)


def _pick(words: tuple[str, ...], chance: float) -> str:
    return words[int(chance * len(words))]

"""Patterns of names: `*` stands for any run of characters, `?` for one. Pure."""

from __future__ import annotations


def matches(glob: str, text: str) -> bool:
    """Whole-text match, in time proportional to the product of the lengths: a pattern of many stars is no attack."""
    place = at = 0
    star, resume = -1, 0  # the last star seen, and where the text it takes ends so far
    while at < len(text):
        if place < len(glob) and glob[place] == "*":
            star, resume = place, at
            place += 1
        elif place < len(glob) and glob[place] in ("?", text[at]):
            place, at = place + 1, at + 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return all(sign == "*" for sign in glob[place:])


def within(narrow: str, wide: str) -> bool:
    """Does `wide` match everything that `narrow` matches? Never a wrong yes; a few odd pairs (`?*`, `*?`) get a no.

    `narrow` is read as a text in which a `*` can only be taken by a `*` of `wide`, and a `?` only by `?` or `*`.
    """
    reached = {0}
    for letter in narrow:
        reached = _past_stars(reached, wide)
        step = set()
        for place in reached:
            if place == len(wide):
                continue
            sign = wide[place]
            if sign == "*":
                step.add(place)
            elif letter != "*" and sign in ("?", letter):
                step.add(place + 1)
        reached = step
    return len(wide) in _past_stars(reached, wide)


def _past_stars(places: set[int], wide: str) -> set[int]:
    """Also the places behind stars that take nothing."""
    found = set(places)
    for place in places:
        while place < len(wide) and wide[place] == "*":
            place += 1
            found.add(place)
    return found

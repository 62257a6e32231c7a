"""Captions by grammar, in EditBench's three kinds: Mask-Simple, Mask-Rich, Full.

SPDX-License-Identifier: Apache-2.0
"""

import random

from . import vocabulary as words
from .scene import Group, Scene


def article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def named(group: Group, attributes: list[str]) -> str:
    """The group with these attributes before its noun, counted when it is several."""
    item = group.first
    name = "sign" if item.kind == "sign" else item.kind
    if item.kind == "fish bowl" and "glass" not in attributes:
        attributes = [*attributes, "glass"]
    count = len(group.items)
    noun = words.plural(name) if count > 1 else name
    phrase = " ".join([a for a in attributes if a] + [noun])
    phrase = f"{words.COUNTS[count]} {phrase}" if count > 1 else article(phrase)
    return f'{phrase} that says "{item.word}"' if item.kind == "sign" else phrase


def simple(group: Group) -> list[str]:
    """One object, one attribute."""
    item = group.first
    singles = [a for a in (item.colour, item.material, item.size) if a]
    phrases = [named(group, [a]) for a in singles]
    if item.kind in words.UNCOLOURED or not phrases or len(group.items) > 1:
        phrases.append(named(group, []))
    return phrases


def rich(group: Group) -> list[str]:
    """All of its attributes, in the usual order."""
    item = group.first
    phrases = [named(group, [item.size, item.colour, item.material])]
    if item.size:
        phrases.append(named(group, [item.colour, item.material]))
    return phrases


def full(scene: Scene, rng: random.Random, given: dict[int, str] | None = None) -> str:
    """The whole picture; `given` are the phrases of groups that shall be worded so."""
    drawn = [rng.choice(rich(group) + simple(group)) for group in scene.groups]
    parts = [(given or {}).get(g, phrase) for g, phrase in enumerate(drawn)]
    rng.shuffle(parts)
    listed = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    place = rng.choice(words.PLACES[scene.setting])
    frames = ("{0} {1}", "a photo of {0} {1}", "{0}, {1}", "a picture of {0} {1}")
    return rng.choice(frames).format(listed, place)


def describe(scene: Scene) -> dict:
    """Every wording: {"full": [...], "groups": [{"simple": [...], "rich": [...]}, ...]}."""
    rng = random.Random(scene.seed)
    return {
        "full": [full(scene, rng) for _ in range(4)],
        "groups": [{"simple": simple(group), "rich": rich(group)} for group in scene.groups],
    }

"""Checks of the scenes: captions, numbered pictures, masks and the test set's choices.

    python3 -m scripts.scenes.test_scenes

Without NumPy and Pillow it says SKIP, exit code 77; what needs POV-Ray is left out without it.

SPDX-License-Identifier: Apache-2.0
"""

import random
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

try:
    import numpy as np
    from PIL import Image

    from . import captions, generate, pov, regions, testset
    from . import vocabulary as words
    from .scene import Group, Item, Scene, draw, without
except ImportError as missing:
    reason = f"scenes need NumPy and Pillow: {missing}"
    if __name__ == "__main__":
        print(f"SKIP: {reason}")
        sys.exit(77)
    raise unittest.SkipTest(reason) from missing

SEED, MANY = 5, 150


def group(kind: str, count: int = 1, colour: str = "", material: str = "", size: str = "") -> Group:
    items = [Item(kind, colour, material, size, 0.6 * i, 0, 0) for i in range(count)]
    if kind == "sign":
        items[0].word = "SALE"
    return Group(items)


def scene_of(*groups: Group) -> Scene:
    return Scene("table", 1, 0.0, 2.0, 4.0, 10.0, 45.0, 0.5, list(groups))


class CaptionTest(unittest.TestCase):
    def test_a_name_has_its_article_or_its_count(self) -> None:
        cases = {
            "an orange cube": (group("cube"), ["orange"]),
            "a wooden torus": (group("torus"), ["wooden"]),
            "three snowmen": (group("snowman", 3), []),
            "two tori": (group("torus", 2), []),
            "four glass fish bowls": (group("fish bowl", 4), []),
            "five small red mugs": (group("mug", 5), ["small", "red", ""]),
            "a large glass fish bowl": (group("fish bowl"), ["large"]),
            'a blue sign that says "SALE"': (group("sign"), ["blue"]),
        }
        for expected, (thing, attributes) in cases.items():
            self.assertEqual(captions.named(thing, attributes), expected)

    def test_every_kind_has_a_plural_that_is_not_its_singular_with_a_wrong_ending(self) -> None:
        kinds = (*words.SHAPES, *words.OBJECTS)
        self.assertEqual([words.plural(kind) for kind in kinds], [
            "spheres", "cubes", "cylinders", "cones", "tori", "pyramids", "fish bowls", "mugs",
            "table lamps", "snowmen", "vases", "candles", "beach balls", "bottles",
        ])  # fmt: skip

    def test_simple_says_one_attribute_and_rich_all_of_them(self) -> None:
        thing = group("cube", 1, "red", "metal", "large")
        self.assertEqual(captions.simple(thing), ["a red cube", "a metal cube", "a large cube"])
        self.assertEqual(captions.rich(thing), ["a large red metal cube", "a red metal cube"])
        self.assertEqual(captions.simple(group("snowman")), ["a snowman"])
        self.assertEqual(captions.simple(group("cube", 2, "red"))[-1], "two cubes")

    def test_full_names_every_group_and_can_be_told_how(self) -> None:
        scene = scene_of(group("cube", 1, "red", "metal"), group("snowman", 2))
        for seed in range(20):
            text = captions.full(scene, random.Random(seed), {0: "THIS CUBE"})
            self.assertIn("THIS CUBE", text)
            self.assertIn("two snowmen", text)
            self.assertTrue(any(place in text for place in words.PLACES["table"]), text)

    def test_words_of_a_scene_are_true_and_always_the_same(self) -> None:
        for index in range(MANY):
            scene = draw(SEED, index)
            said = captions.describe(scene)
            self.assertEqual(said, captions.describe(draw(SEED, index)))
            for thing, phrases in zip(scene.groups, said["groups"]):
                first, count = thing.first, len(thing.items)
                for phrase in phrases["simple"] + phrases["rich"]:
                    self.assertNotIn("  ", phrase)
                    name = words.plural(first.kind) if count > 1 else first.kind
                    self.assertIn(name, phrase)
                    one = r"an (?=[aeiou])|a (?![aeiou])"
                    start = f"{words.COUNTS[count]} " if count > 1 else one
                    self.assertRegex(phrase, rf"^(?:{start})")
                rich = phrases["rich"][0]
                for value in (first.size, first.colour, first.material, first.word):
                    self.assertIn(value, rich)

    def test_a_scene_without_a_group_keeps_the_rest(self) -> None:
        scene = scene_of(group("cube"), group("mug"), group("vase"))
        rest = without(scene, 1)
        self.assertEqual([g.first.kind for g in rest.groups], ["cube", "vase"])
        self.assertEqual(len(scene.groups), 3)


class NumberedTest(unittest.TestCase):
    def every_thing(self) -> list[Group]:
        shapes = [group(k, 1, "red", m) for k in words.SHAPES for m in words.MATERIALS]
        return shapes + [group(k, 1, "blue") for k in (*words.OBJECTS, "sign")]

    def test_flat_things_have_no_look_of_their_own(self) -> None:
        for thing in self.every_thing():
            body = pov.body(thing.first)
            text = pov.flat(body, 0.25)
            self.assertEqual(text.count("{"), text.count("}"))
            self.assertNotIn("interior", text)
            paints = re.findall(r"texture \{ pigment \{ rgb 0\.2500 \}", text)
            self.assertEqual(len(paints), text.count("texture {"))
            self.assertEqual(len(paints), text.count("pigment {"), thing.first.kind)
            geometry = re.sub(r"texture \{ pigment \{ rgb 0\.2500 \}.*?\} \}", "", text)
            for word in ("sphere", "cylinder", "sor", "torus"):
                self.assertEqual(geometry.count(word + " {"), body.count(word + " {"))

    def test_every_group_has_a_level_that_survives_eight_bits(self) -> None:
        scene = scene_of(*(group("cube") for _ in range(3)))
        text = pov.numbered(scene)
        for number in (1, 2, 3):
            level = number / pov.GROUP_LEVELS
            self.assertIn(f"rgb {level:.4f}", text)
            byte = round(level * 255)
            self.assertEqual(round(byte / 255 * pov.GROUP_LEVELS), number)

    @unittest.skipUnless(shutil.which("povray"), "POV-Ray is absent")
    def test_the_numbered_picture_shows_every_thing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for i, thing in enumerate(self.every_thing()[::4]):
                path = Path(folder, f"{i}.png")
                generate.render_masks(scene_of(thing), path, 48)
                numbers = np.asarray(Image.open(path))
                self.assertEqual(set(np.unique(numbers)), {0, 1}, thing.first.kind)
                self.assertGreater((numbers == 1).sum(), 20)
            self.assertEqual([p.suffix for p in Path(folder).iterdir() if p.suffix != ".png"], [])


class ChoiceTest(unittest.TestCase):
    def test_scenes_about_something_say_so(self) -> None:
        found = generate.chosen(1, 5, "fish bowl")
        for index in range(found[-1] + 1):
            said = any("fish bowl" in text for text in captions.describe(draw(1, index))["full"])
            self.assertEqual(said, index in found, index)
        self.assertEqual(generate.chosen(1, 3, None), [0, 1, 2])

    def test_what_no_scene_says_is_an_error(self) -> None:
        with mock.patch.object(generate, "LONGEST_SEARCH", 40):
            with self.assertRaisesRegex(ValueError, "--about 'bowwl': 40 scenes in a row"):
                generate.chosen(1, 2, "bowwl")


class RegionTest(unittest.TestCase):
    def test_a_mask_has_its_area_and_hides_its_thing(self) -> None:
        thing = np.zeros((200, 200), bool)
        thing[90:140, 60:90] = True
        rng = random.Random(1)
        for outline in regions.OUTLINES:
            for _ in range(30):
                area = rng.uniform(0.1, 0.6)
                mask = regions.around(rng, thing, area, outline)
                self.assertIsNotNone(mask)
                self.assertTrue(mask[thing].all())
                self.assertAlmostEqual(mask.mean(), area, delta=0.02)

    def test_what_is_too_small_for_its_thing_is_refused(self) -> None:
        thing = np.ones((50, 50), bool)
        thing[:10] = False
        self.assertIsNone(regions.around(random.Random(1), thing, 0.3, "box"))

    def test_other_groups_stay_visible(self) -> None:
        groups = np.zeros((100, 100), np.uint8)
        groups[40:60, 20:40], groups[40:60, 60:80] = 1, 2
        rng = random.Random(3)
        found = [regions.draw(rng, groups, 0, 0.2, "box") for _ in range(60)]
        made = [mask for mask in found if mask is not None]
        self.assertGreater(len(made), 5)
        self.assertLess(len(made), 60)
        for mask in made:
            self.assertLessEqual(mask[groups == 2].mean(), 0.03)

    def test_the_buckets_are_those_of_the_benchmark(self) -> None:
        areas = (0.06, 0.214, 0.216, 0.368, 0.37)
        expected = ["small", "small", "medium", "medium", "large"]
        self.assertEqual([regions.bucket_of(area) for area in areas], expected)


class TestSetTest(unittest.TestCase):
    def test_wishes_meet_every_bucket_and_both_outlines(self) -> None:
        wanted = testset.wanted(48)
        for wish in set(testset.WISHES):
            met = {bucket for w, bucket, _ in wanted if w == wish}
            self.assertEqual(met, set(regions.BUCKETS), wish)
        self.assertEqual(len({outline for _, _, outline in wanted}), 2)

    def test_an_item_says_what_it_was_chosen_for(self) -> None:
        scene = scene_of(group("cube", 1, "red", "metal", "large"), group("snowman", 3))
        groups = np.zeros((100, 100), np.uint8)
        groups[40:60, 20:40], groups[45:60, 75:95] = 1, 2
        want = (("shape", "material"), "small", "box")
        choice = testset.choose(7, scene, groups, want, set())
        row = choice.row
        self.assertEqual((row["aos"], choice.group), ("a=metal|o=cube|s=indoor", 0))
        self.assertEqual(row["prompt_mask-simple"], "a metal cube")
        self.assertEqual(row["prompt_mask-rich"], "a large red metal cube")
        self.assertIn("a large red metal cube", row["prompt_full"])
        self.assertIn("snowmen", row["prompt_full"])
        self.assertEqual((row["bucket"], row["count"]), ("small", "1"))
        self.assertTrue(choice.mask[groups == 1].all())
        self.assertIsNone(testset.choose(7, scene, groups, want, {row["aos"]}))

    def test_what_cannot_be_said_is_not_wished_for(self) -> None:
        self.assertTrue(testset.fits(group("snowman"), ("object", "shape")))
        self.assertFalse(testset.fits(group("snowman", 2), ("object", "shape")))
        self.assertTrue(testset.fits(group("snowman", 2), ("object", "count")))
        self.assertFalse(testset.fits(group("cube", 1, "red"), ("shape", "colour")))
        self.assertFalse(testset.fits(group("cube", 2, "red", "metal"), ("shape", "colour")))
        self.assertFalse(testset.fits(group("mug", 1, "red"), ("shape", "colour")))
        self.assertTrue(testset.fits(group("sign", 1, "red"), ("text", "colour")))


if __name__ == "__main__":
    unittest.main()

"""Checks of the measuring, on pictures and verdicts made here.

    python3 -m scripts.eval.test_eval

Without PyTorch it says SKIP, exit code 77. With IMAGEN_EDITOR=path/to/imagen-editor a study also
runs through the engine, with the small model of tests/golden.

SPDX-License-Identifier: Apache-2.0
"""

import csv
import json
import math
import os
import random
import stat
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

try:
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    from ..scenes import regions
    from ..scenes import vocabulary as words
    from ..scenes.scene import draw
    from . import camera, crops, gallery, intervals, items, judge, judge_accuracy, judge_data
    from . import judge_loss, judge_samples, run, score, seam, sheet, study, tables, train_judge
except ImportError as missing:
    reason = f"measuring needs PyTorch and Pillow: {missing}"
    if __name__ == "__main__":
        print(f"SKIP: {reason}")
        sys.exit(77)
    raise unittest.SkipTest(reason) from missing

ROOT = Path(__file__).resolve().parents[2]
SIZE = 96
ROW = {
    "prompt_full": "a large red metal cube on a table", "prompt_mask-simple": "a red cube",
    "prompt_mask-rich": "a large red metal cube", "attribute": "colour", "kind": "cube",
    "category": "shape", "colour": "red", "material": "metal", "size": "large", "count": "1",
    "word": "", "bucket": "small", "camera_height": "2.0", "camera_distance": "4.0",
    "camera_angle": "5.0",
}  # fmt: skip


def row(**changes: str) -> dict[str, str]:
    return {"aos": "a=red|o=cube|s=indoor", **ROW, **changes}


def write_set(folder: Path, rows: list[dict[str, str]]) -> None:
    """A test set of red squares on grey."""
    for kind in ("references", "empties", "masks"):
        (folder / f"{kind}_generated").mkdir(parents=True)
    box = (40, 40, 59, 59)
    for one in rows:
        pictures = {"empties": Image.new("RGB", (SIZE, SIZE), (120, 120, 120)),
                    "references": Image.new("RGB", (SIZE, SIZE), (120, 120, 120)),
                    "masks": Image.new("1", (SIZE, SIZE))}  # fmt: skip
        ImageDraw.Draw(pictures["references"]).rectangle(box, fill=(200, 20, 20))
        ImageDraw.Draw(pictures["masks"]).rectangle((30, 30, 69, 69), fill=1)
        for kind, picture in pictures.items():
            picture.save(folder / f"{kind}_generated" / f"{one['aos']}.png")
    with open(folder / "annotations_generated.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_renders(folder: Path, seed: int, count: int) -> None:
    """As scripts.scenes.generate would, but every thing is a rectangle of its colour."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        scene = draw(seed, index)
        view = judge_data.camera_of(scene)
        picture = Image.new("RGB", (SIZE, SIZE), (110, 130, 110))
        numbers = Image.new("L", (SIZE, SIZE))
        for g, item in scene.items():
            scale = words.SIZES[item.size]
            foot = view.project(np.array([item.x, 0.0, item.z]))
            head = view.project(np.array([item.x, scale, item.z]))
            half = (foot[1] - head[1]) / 2.5
            box = [round(v * SIZE) for v in (foot[0] - half, head[1], foot[0] + half, foot[1])]
            colour = words.COLOURS.get(item.colour, (0.5, 0.5, 0.5))
            fill = tuple(int(255 * v ** (1 / 2.2)) for v in colour)
            ImageDraw.Draw(picture).rectangle(box, fill=fill)
            ImageDraw.Draw(numbers).rectangle(box, fill=g + 1)
        picture.save(folder / "images" / f"{index:06d}.png")
        numbers.save(folder / "masks" / f"{index:06d}.png")


class FolderTest(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class ItemTest(FolderTest):
    def test_a_prompt_asks_for_what_it_names(self) -> None:
        item = items.Item(self.folder, row())
        rich = {"kind": "cube", "colour": "red", "material": "metal", "size": "large"}
        self.assertEqual(item.asked("mask-simple"), {"kind": "cube", "colour": "red"})
        self.assertEqual(item.asked("mask-rich"), rich)
        self.assertEqual(item.asked("full"), rich)
        several = items.Item(self.folder, row(count="3", attribute="count", size="small"))
        self.assertEqual(several.asked("mask-simple"), {"kind": "cube", "count": "3"})
        self.assertEqual(several.asked("full")["size"], "small")
        sign = items.Item(self.folder, row(kind="sign", word="SALE", material="", size=""))
        self.assertEqual(sign.asked("full"), {"kind": "sign", "colour": "red"})

    def test_a_set_is_read_and_others_are_refused(self) -> None:
        write_set(self.folder / "good", [row(), row(aos="a=red|o=cube|s=outdoor")])
        found = items.read(self.folder / "good")
        self.assertEqual([item.prompt("mask-simple") for item in found], ["a red cube"] * 2)
        mask = found[0].mask()
        self.assertEqual((mask.dtype, mask.sum()), (np.bool_, 1600))
        write_set(self.folder / "bad", [row(kind="dragon")])
        with self.assertRaisesRegex(ValueError, "a=red.*is not a line of"):
            items.read(self.folder / "bad")


class CameraTest(unittest.TestCase):
    VIEW = camera.Camera(2.0, 4.2, 11.0)

    def test_the_camera_looks_at_its_target(self) -> None:
        self.assertAlmostEqual(self.VIEW.project(camera.TARGET)[0], 0.5)
        self.assertAlmostEqual(self.VIEW.project(camera.TARGET)[1], 0.5)
        right, _ = camera.Camera(2.0, 4.2, 0.0).project(np.array([1.0, 0.0, 0.0]))
        self.assertGreater(right, 0.5)

    def test_the_depth_of_ground_is_that_of_what_stands_there(self) -> None:
        place, _, _, forward = self.VIEW.frame()
        for x, z in ((0.0, 0.0), (1.1, 0.7), (-0.8, -0.5)):
            point = np.array([x, 0.0, z])
            depth = self.VIEW.depth(*self.VIEW.project(point))
            self.assertAlmostEqual(depth, float((point - place) @ forward))
        self.assertEqual(self.VIEW.depth(0.5, 0.0), math.inf)

    def test_heights_do_not_depend_on_where_a_thing_stands(self) -> None:
        for tall in (0.6, 1.2):
            for z in (-0.5, 0.8):
                foot = self.VIEW.project(np.array([0.3, 0.0, z]))
                head = self.VIEW.project(np.array([0.3, tall, z]))
                found = camera.height_of(self.VIEW, (foot[0], head[1], foot[0], foot[1]))
                self.assertAlmostEqual(found, tall, delta=0.15 * tall)

    def test_the_ruler_takes_the_nearest_size(self) -> None:
        ruler = judge.Ruler.fit({"cube": [1.0, 1.1, 5.0]})
        self.assertEqual(ruler.units, {"cube": 1.1})
        for name, scale in words.SIZES.items():
            self.assertEqual(ruler.size("cube", 1.1 * scale * 1.1), name)
            self.assertEqual(ruler.size("cube", 1.1 * scale / 1.1), name)
        self.assertEqual(ruler.size("", 1.0), "unknown")
        self.assertEqual(ruler.size("cube", math.inf), "unknown")


class CropTest(unittest.TestCase):
    def test_a_window_is_in_the_picture_and_around_its_box(self) -> None:
        for box in ((0, 0, 20, 30), (70, 50, 96, 96), (10, 10, 90, 95), (50, 50, 51, 51)):
            left, top, side = crops.window_around(box, SIZE, 1.3)
            self.assertGreaterEqual(min(left, top), 0)
            self.assertLessEqual(max(left, top) + side, SIZE)
            self.assertTrue(left <= box[0] and left + side >= box[2], box)
            self.assertTrue(top <= box[1] and top + side >= box[3], box)

    def test_parts_of_a_window_and_pixels_are_inverse(self) -> None:
        window = (12.0, 20.5, 33.0)
        box = (15.0, 22.0, 30.0, 41.0)
        self.assertEqual(crops.outside(crops.inside((12, 20.5, 45, 53.5), window), window),
                         (12.0, 20.5, 45.0, 53.5))  # fmt: skip
        np.testing.assert_allclose(crops.outside(crops.inside(box, window), window), box, rtol=1e-5)

    def test_a_crop_holds_picture_and_mask(self) -> None:
        picture = Image.new("RGB", (SIZE, SIZE), (10, 20, 30))
        mask = Image.new("L", (SIZE, SIZE))
        mask.paste(255, (0, 0, 48, 96))
        found = crops.crop(picture, mask, (24.0, 24.0, 48.0))
        self.assertEqual(found.shape, (crops.SIDE, crops.SIDE, 4))
        self.assertEqual(found[5, 5].tolist(), [10, 20, 30, 255])
        self.assertEqual(found[5, -5].tolist(), [10, 20, 30, 0])


class SeamTest(unittest.TestCase):
    def setUp(self) -> None:
        self.mask = regions.fill(64, "ellipse", (30.0, 34.0), (17.0, 12.0))
        self.rng = np.random.default_rng(4)

    def measure(self, picture: np.ndarray) -> seam.Seam:
        found = seam.measure(np.rint(picture).clip(0, 255).astype(np.uint8), self.mask)
        self.assertIsNotNone(found)
        return found

    def test_a_flat_picture_with_another_inside_has_just_the_step(self) -> None:
        picture = np.full((64, 64, 3), 100.0)
        picture[self.mask] += (30, 0, 0)
        self.assertEqual(self.measure(picture), seam.Seam(10.0, 0.0, 0.0))

    def test_a_ramp_and_a_texture_have_no_excess(self) -> None:
        y, x = np.mgrid[:64, :64]
        ramp = np.repeat((40.0 + 2 * x + y)[:, :, None], 3, 2)
        self.assertLess(abs(self.measure(ramp).excess), 0.1)
        texture = self.rng.uniform(0, 255, (64, 64, 3))
        found = self.measure(texture)
        self.assertGreater(found.step, 50)
        self.assertLess(abs(found.excess), 4)

    def test_a_soft_inside_is_told_from_a_seam(self) -> None:
        picture = 128 + self.rng.normal(0, 20, (64, 64, 3))
        picture[self.mask] = 128
        found = self.measure(picture)
        self.assertEqual(found.inside, 0)
        self.assertGreater(found.outside, 15)
        self.assertLess(found.excess, 8)
        picture[self.mask] += 40
        self.assertGreater(self.measure(picture).excess, 20)

    def test_sides_are_not_mixed_up(self) -> None:
        picture = np.full((64, 64, 3), 100.0)
        noisy = self.mask[:, :, None] * self.rng.uniform(0, 80, (64, 64, 3))
        found = self.measure(picture + noisy)
        self.assertEqual(found.outside, 0)
        self.assertGreater(found.inside, 15)

    def test_a_turned_picture_has_the_same_seam(self) -> None:
        picture = self.rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
        turned = seam.measure(picture.swapaxes(0, 1), self.mask.T)
        found = seam.measure(picture, self.mask)
        self.assertAlmostEqual(found.step, turned.step)
        self.assertAlmostEqual(found.inside, turned.inside)

    def test_without_a_border_there_is_no_seam(self) -> None:
        picture = np.zeros((64, 64, 3), np.uint8)
        self.assertIsNone(seam.measure(picture, np.ones((64, 64), bool)))
        half = np.zeros((64, 64), bool)
        half[:, :32] = True
        picture[:, :32] = 50
        self.assertEqual(seam.measure(picture, half), seam.Seam(50.0, 0.0, 0.0))

    def test_the_true_render_is_subtracted(self) -> None:
        true = np.full((64, 64, 3), 100, np.uint8)
        true[self.mask] += 12
        made = true.copy()
        made[self.mask] += 30
        found = score.seams(made, true, self.mask)
        self.assertEqual((found["step"], found["true step"], found["over truth"]), (42, 12, 30))


class IntervalTest(unittest.TestCase):
    def test_wilson_is_that_of_the_textbook(self) -> None:
        low, high = intervals.wilson(8, 10)
        self.assertAlmostEqual(low, 0.4902, 3)
        self.assertAlmostEqual(high, 0.9433, 3)
        self.assertEqual(intervals.wilson(0, 20)[0], 0)
        self.assertAlmostEqual(intervals.wilson(20, 20)[0], 0.8389, 3)
        self.assertEqual(intervals.wilson(0, 0), (0.0, 1.0))

    def test_the_bootstrap_covers_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(7)
        with mock.patch.object(intervals, "DRAWS", 400):
            hits = [low <= 0.4 <= high for low, high in (
                intervals.bootstrap(list((rng.random(40) < 0.4).astype(float)), i)
                for i in range(300)
            )]  # fmt: skip
        self.assertGreater(np.mean(hits), 0.9)
        self.assertLess(np.mean(hits), 0.99)
        self.assertEqual(intervals.bootstrap([0.5] * 9), (0.5, 0.5))


def scored(item: str, right: dict[str, bool], seed: int = 0, over: float = 1.0) -> score.Scored:
    return score.Scored(item, "shape", "small", "colour", "mask-simple", seed, right, {"kind": "x"},
                        {name: over for name in tables.SEAM})  # fmt: skip


class TableTest(unittest.TestCase):
    def test_nothing_is_right_where_nothing_is(self) -> None:
        asked = {"kind": "cube", "colour": "red"}
        right = {"present": True, "kind": True, "colour": False, "everything": False}
        self.assertEqual(score.compare(asked, {"kind": "cube", "colour": "blue"}), right)
        self.assertTrue(all(score.compare(asked, asked).values()))
        self.assertFalse(any(score.compare(asked, {}).values()))

    def test_an_item_counts_once_whatever_its_samples(self) -> None:
        many = [scored("a", {"colour": seed < 4}, seed) for seed in range(8)]
        found = tables.share([*many, scored("b", {"colour": False}), scored("c", {})], "colour")
        self.assertEqual((found["share"], found["items"], found["pictures"]), (0.25, 2, 9))
        self.assertIsNone(tables.share(many, "size"))

    def test_pairs_are_of_the_same_items_and_seeds(self) -> None:
        base = [scored(i, {"kind": i == "a"}) for i in "abc"]
        other = [scored(i, {"kind": True}) for i in "ab"]
        other += [scored("c", {"kind": True}, seed=5), scored("d", {"kind": True})]
        found = tables.difference(base, other, tables.asked("kind"))
        self.assertEqual((found["difference"], found["items"]), (0.5, 2))
        self.assertEqual((found["better"], found["worse"]), (1, 0))
        self.assertIsNone(tables.difference(base, [], tables.asked("kind")))

    def test_a_table_says_shares_intervals_and_counts(self) -> None:
        right = {"present": True, "kind": True, "everything": True}
        made = [scored(i, {**right, "kind": i < "i"}) for i in "abcdefghij"]
        arms = {"one": tables.summary(made)}
        text = tables.attribute_table(arms, "mask-simple")
        self.assertIn("object or shape [10]", text)
        self.assertIn("| one | 100 (72-100) | 80 (49-94) | 100 (72-100) |", text)
        self.assertIn("small: object or shape", tables.group_table(arms, "mask-simple", "bucket"))
        self.assertIn("1.0 (1.0 to 1.0)", tables.seam_table(arms))


class JudgeTest(FolderTest):
    SEED = 11

    def renders(self, count: int) -> judge_data.Renders:
        write_renders(self.folder / "renders", self.SEED, count)
        return judge_data.Renders(self.folder / "renders", self.SEED)

    def test_masks_hide_their_thing_and_nothing_else(self) -> None:
        renders = self.renders(20)
        rng = random.Random(1)
        empties = judge_data.Empties(renders, range(len(renders)))
        there = empty = 0
        for number in range(len(renders)):
            groups = renders.groups(number)
            for region in judge_data.regions_of(renders, number, rng):
                if not region.clear:
                    continue
                there += 1
                for left, top, right, bottom in region.boxes:
                    self.assertTrue(region.mask[top:bottom, left:right].any())
                self.assertEqual(len(np.unique(groups[region.mask][groups[region.mask] > 0])), 1)
                nothing = empties.region(region.mask, rng)
                if nothing is not None:
                    empty += 1
                    self.assertIs(nothing.mask, region.mask)
                    self.assertEqual(nothing.boxes, [])
                    self.assertFalse(renders.groups(nothing.number)[region.mask].any())
        self.assertGreater(min(there, empty), 8)

    def test_a_cell_is_taken_where_one_of_its_pixels_is(self) -> None:
        for side in (64, 96, 256):
            shown = np.zeros((side, side), bool)
            shown[side - 1, 0] = True
            cells = judge_data.coarse(shown)
            self.assertEqual(cells.shape, (64, 64))
            self.assertEqual((cells.sum(), np.argwhere(cells)[0][1]), (1, 0))

    def test_a_half_finished_set_is_used_as_far_as_it_is(self) -> None:
        renders = self.renders(4)
        (renders.folder / "images" / "000001.png").unlink()
        (renders.folder / "masks" / "000003.flat.png").touch()
        again = judge_data.Renders(renders.folder, self.SEED)
        self.assertEqual(again.names, ["000000", "000002", "000003"])
        self.assertEqual(again.scene(1), draw(self.SEED, 2))

    def test_things_of_a_group_have_boxes_of_their_own(self) -> None:
        renders = self.renders(60)
        several = whole = 0
        for number in range(len(renders)):
            scene, groups = renders.scene(number), renders.groups(number)
            for g, group in enumerate(scene.groups):
                boxes = judge_data.boxes_of(scene, groups, g)
                self.assertLessEqual(len(boxes), len(group.items))
                if len(group.items) > 1 and len(boxes) == len(group.items):
                    several += 1
                    pairs = [judge.overlap(a, b) for a in boxes for b in boxes if a is not b]
                    whole += max(pairs) < 0.5
                for left, top, right, bottom in boxes:
                    self.assertTrue((groups[top:bottom, left:right] == g + 1).any())
        self.assertGreater(several, 8)
        self.assertGreater(whole, 0.9 * several)

    def test_mirrored_samples_have_mirrored_boxes(self) -> None:
        x = torch.zeros(2, 4, 8, 8)
        x[:, :, :, 0] = 1
        boxes = torch.tensor([[[0.0, 0.2, 0.25, 0.9]]] * 2)
        turned, moved = judge_loss.augmented(x, boxes, torch.tensor([True, False]))
        self.assertEqual(turned[0, 3].argmax(1).tolist(), [7] * 8)
        self.assertEqual(turned[1, 3].argmax(1).tolist(), [0] * 8)
        expected = torch.tensor([[[0.75, 0.2, 1.0, 0.9]], [[0, 0.2, 0.25, 0.9]]])
        torch.testing.assert_close(moved, expected)

    def test_a_map_as_it_should_be_gives_its_boxes_back(self) -> None:
        boxes = torch.full((1, judge_samples.Samples.MOST, 4), math.nan)
        boxes[0, 0] = torch.tensor([0.1, 0.2, 0.4, 0.5])
        boxes[0, 1] = torch.tensor([0.5, 0.45, 0.8, 0.95])
        heat, offsets, asked = judge_loss.targets(boxes)
        self.assertEqual(((heat == 1).sum().item(), asked.sum().item()), (2, 10))
        found = torch.cat([torch.logit(heat * 0.98 + 0.01), offsets[0]])
        got = judge.peaks(found)
        self.assertEqual(len(got), 2)
        for (_, box), expected in zip(got, boxes[0]):
            torch.testing.assert_close(box, expected)
        perfect = torch.cat([torch.logit(heat.eq(1) * 0.9998 + 1e-4), offsets[0]])[None]
        self.assertLess(judge_loss.finder_loss(perfect, boxes).item(), 0.01)
        empty = judge_loss.targets(boxes * math.nan)
        self.assertEqual((empty[0].max().item(), empty[2].any().item()), (0, False))

    def test_a_thing_found_twice_is_one(self) -> None:
        boxes = [(0, 0, 10, 10), (20, 0, 30, 10), (1, 0, 11, 10), (8, 0, 18, 10)]
        self.assertEqual(judge.distinct(boxes), [0, 1, 3])
        self.assertAlmostEqual(judge.overlap(boxes[0], boxes[3]), 20 / 180)

    def test_both_networks_learn_a_batch(self) -> None:
        torch.manual_seed(2)
        torch.set_num_threads(1)
        renders = self.renders(16)
        samples = {n: judge_samples.collect(n, renders, range(16), 1, 1) for n in judge.ROOM}
        empty = [np.isnan(boxes).all() for boxes in samples["finder"].boxes]
        self.assertGreater(sum(empty), 2)
        self.assertGreater(len(samples["reader"].crops), len(empty) - sum(empty))
        for name, net in judge.new_nets().items():
            batch = [part[:32] for part in samples[name].tensors()]
            optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
            losses = []
            for _ in range(40):
                loss = judge_loss.loss_of(net, batch)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
            self.assertLess(sum(losses[-5:]) / 5, 0.5 * losses[0], name)

    def test_it_reports_on_a_set_and_comes_back_from_its_file(self) -> None:
        torch.manual_seed(3)
        renders = self.renders(12)
        ruler = train_judge.fit_ruler(renders, range(12))
        made = judge.Judge(judge.new_nets(), ruler)
        report = judge_accuracy.check_renders(made, renders, range(12), 3)
        self.assertLess(report["present"]["right"], 0.9)  # it has learned nothing
        self.assertGreater(report["present"]["count"], report["kind"]["count"])
        self.assertGreater(report["kind"]["count"], 3)
        self.assertIn("| kind |", judge_accuracy.table("title", report))
        path = self.folder / "judge.pt"
        made.save(path, report)
        again = judge.Judge.load(path)
        mask = np.ones((SIZE, SIZE), bool)
        view = camera.Camera(2.0, 4.0, 0.0)
        with mock.patch.object(judge, "SURE", 0.0):  # so that there is something to read
            verdicts = [j.judge(renders.picture(0), mask, view) for j in (made, again)]
        self.assertEqual(verdicts[0], verdicts[1])
        self.assertEqual(set(verdicts[0].said), {*judge_data.ANSWERS, "count", "size"})
        torch.save({"format": "other"}, path)
        with self.assertRaisesRegex(ValueError, "is no judge"):
            judge.Judge.load(path)


FAKE = """#!{python}
import json, sys
from pathlib import Path
from PIL import Image
given = dict(zip(sys.argv[2::1], sys.argv[3::1]))
if given["--prompt"] == "fail": sys.exit("imagen-editor: this prompt fails")
first, count, output = int(given["--seed"]), int(given["--count"]), Path(given["--output"])
with open("{log}", "a") as log: log.write(f"{{given['--prompt']}} {{first}} {{count}}\\n")
print(json.dumps({{"event": "start"}}))
for i in range(count):
    path = output if count == 1 else output.with_name(f"{{output.stem}}-{{i + 1}}.png")
    Image.open(given["--image"]).save(path)
    if "--save-stages" in given:
        small = Path(given["--save-stages"], f"{{path.stem}}-base-64.png")
        Image.new("RGB", (8, 8), (i, 250, 3)).save(small)
    print(json.dumps({{"event": "result", "output": str(path), "seed": first + i, "seconds": 2.0}}))
"""


class Runs(FolderTest):
    def setUp(self) -> None:
        super().setUp()
        write_set(self.folder / "set", [row(), row(aos="a=red|o=cube|s=outdoor")])
        self.items = items.read(self.folder / "set")
        (self.folder / "model").mkdir()
        (self.folder / "model" / "cascade.json").write_text("{}")
        self.log = self.folder / "log"
        binary = self.folder / "editor"
        binary.write_text(FAKE.format(python=sys.executable, log=self.log))
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
        self.plan = run.Plan(binary, self.folder / "model", [], "references", ["mask-simple"],
                             [3, 4, 6])  # fmt: skip

    def run_it(self, **changes) -> None:
        plan = run.Plan(**{**vars(self.plan), **changes})
        run.run(self.folder / "out", plan, self.items, say=lambda line: None)

    def calls(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


class RunTest(Runs):
    def test_seeds_are_asked_for_in_runs(self) -> None:
        self.assertEqual(run.consecutive([7, 3, 4, 1]), [[1], [3, 4], [7]])

    def test_a_run_continues_with_what_is_missing(self) -> None:
        self.run_it()
        self.assertEqual(self.calls(), 4)  # 3 and 4 together, 6 alone; two items
        pictures = sorted((self.folder / "out" / "pictures").rglob("*.png"))
        self.assertEqual(len(pictures), 6)
        self.assertEqual(run.seconds(self.folder / "out"), [2.0] * 6)
        pictures[1].unlink()
        self.run_it()
        self.assertEqual(self.calls(), 5)
        self.assertTrue(pictures[1].exists())
        self.assertEqual(run.seconds(self.folder / "out"), [2.0] * 6)
        left = {path.name for path in (self.folder / "out").iterdir()}
        self.assertEqual(left, {"run.json", "times.jsonl", "pictures"})

    def test_a_stage_is_shown_inside_the_mask(self) -> None:
        self.run_it(stage="base-64")
        item = self.items[0]
        given = np.asarray(Image.open(item.picture("references")))
        for seed, number in ((3, 0), (4, 1), (6, 0)):
            path = run.picture_path(self.folder / "out", item, "mask-simple", seed)
            made, mask = np.asarray(Image.open(path)), item.mask()
            self.assertTrue((made[mask] == (number, 250, 3)).all())
            self.assertTrue((made[~mask] == given[~mask]).all())
        with self.assertRaisesRegex(ValueError, "another model or other options"):
            self.run_it()

    def test_another_model_in_the_same_folder_is_refused(self) -> None:
        self.run_it()
        (self.folder / "model" / "cascade.json").write_text("{ }")
        with self.assertRaisesRegex(ValueError, "another model or other options"):
            self.run_it()
        (self.folder / "model" / "cascade.json").write_text("{}")
        with self.assertRaisesRegex(ValueError, "another model or other options"):
            self.run_it(options=["--steps", "4"])

    def test_a_failed_edit_is_said_with_its_reason(self) -> None:
        self.items[0].row["prompt_mask-simple"] = "fail"
        with self.assertRaisesRegex(RuntimeError, "a=red.*this prompt fails"):
            self.run_it()


class StudyTest(Runs):
    def save_judge(self) -> Path:
        path = self.folder / "judge.pt"
        judge.Judge(judge.new_nets(), judge.Ruler({"cube": 1.0})).save(path, {})
        return path

    def arguments(self, *more: str) -> list[str]:
        return ["--set", str(self.folder / "set"), "--judge", str(self.save_judge()),
                "--binary", str(self.plan.binary), "--work", str(self.folder / "work"),
                "--results", str(self.folder / "results"), *more]  # fmt: skip

    def check_results(self, name: str, arms: list[str], pictures: int) -> str:
        results = self.folder / "results"
        content = json.loads((results / f"{name}.json").read_text())
        self.assertEqual(list(content["arms"]), [study.TRUTH, study.EMPTY, *arms])
        self.assertEqual(list(content["pairs"]), arms[1:])
        self.assertEqual(len(content["pictures"]), pictures)
        text = (results / f"{name}.md").read_text()
        for heading in ("## Seam", "## Time", *arms):
            self.assertIn(heading, text)
        with Image.open(results / f"{name}.jpg") as picture:
            self.assertGreater(picture.width, (2 + len(arms)) * sheet.TILE)
        return text

    def test_one_command_makes_the_tables_of_a_study(self) -> None:
        with mock.patch("builtins.print"):
            more = self.arguments("--seeds", "2", "--prompts", "mask-simple", "full")
            code = study.main(["guidance", "--model", str(self.plan.model), *more])
        self.assertEqual(code, 0)
        arms = list(study.STUDIES["guidance"])
        self.check_results("guidance", arms, 2 * 2 * 2 * len(arms))

    def test_models_are_compared_as_arms(self) -> None:
        given = [f"--arm={name}={self.plan.model}" for name in ("object", "random")]
        with mock.patch("builtins.print"):
            self.assertEqual(study.main(["masking", *given, *self.arguments()]), 0)
            self.assertEqual(study.main(["masking", "--arm", "object", *self.arguments()]), 2)
            self.assertEqual(study.main(["masking", *self.arguments()]), 2)
            self.assertEqual(study.main(["masking", *given, *self.arguments("--items", "0")]), 2)
        text = self.check_results("masking", ["object", "random"], 2 * 3 * 2)
        for heading in ("Mask-Simple", "Mask-Rich", "Full", "## Pairs", "random - object"):
            self.assertIn(heading, text)
        pairs = json.loads((self.folder / "results" / "masking.json").read_text())["pairs"]
        self.assertEqual(pairs["random"]["prompts"]["mask-simple"]["present"]["difference"], 0)

    def test_prompts_are_compared_on_one_image_and_mask(self) -> None:
        picture, mask = (str(self.items[0].picture(kind)) for kind in ("references", "masks"))
        output = self.folder / "prompts.png"
        given = ["sheet", "--binary", str(self.plan.binary), "--model", str(self.plan.model),
                 "--image", picture, "--mask", mask, "--output", str(output), "--seeds", "2",
                 "--prompts", "one", "two", "three"]  # fmt: skip
        with mock.patch.object(sys, "argv", given), mock.patch("builtins.print"):
            self.assertEqual(sheet.main(), 0)
        self.assertEqual(self.log.read_text().split("\n")[:3], ["one 0 2", "two 0 2", "three 0 2"])
        made = np.asarray(Image.open(output))
        tile, height = sheet.TILE, made.shape[0] // 2
        self.assertEqual(made.shape[1], 5 * (tile + sheet.GAP) + sheet.GAP)
        for column, shown in enumerate((False, False, True, True, True)):
            x = sheet.GAP + column * (tile + sheet.GAP) + tile // 2
            self.assertEqual((made[height + tile // 2, x] < 220).any(), shown, column)

    def test_steps_of_an_arm_come_first(self) -> None:
        self.assertEqual(study.steps_options([], ""), [])
        self.assertEqual(study.steps_options([], "8,4,2"), ["--steps", "8,4,2"])
        self.assertEqual(study.steps_options(["--steps", "64"], "8,4,2"), ["--steps", "64,4,2"])
        self.assertEqual(study.steps_options(["--steps", ",16"], "8,4,2"), ["--steps", "8,16,2"])
        self.assertEqual(study.steps_options(["--steps", "64"], ""), ["--steps", "64"])

    @unittest.skipUnless(os.environ.get("IMAGEN_EDITOR"), "IMAGEN_EDITOR is not set")
    def test_a_study_runs_through_the_engine(self) -> None:
        model, binary = ROOT / "tests" / "golden" / "cascade", os.environ["IMAGEN_EDITOR"]
        with mock.patch("builtins.print"):
            code = study.main(["steps", *self.arguments("--binary", binary, "--items", "1",
                               "--prompts", "full"), "--arm", f"golden={model}"])  # fmt: skip
        self.assertEqual(code, 0)
        self.check_results("steps", ["golden"], 1)
        made = next((self.folder / "work").rglob("full-0.png"))
        edited, given = np.asarray(Image.open(made)), np.asarray(
            Image.open(self.items[0].picture("references")))  # fmt: skip
        mask = self.items[0].mask()
        self.assertTrue((edited[~mask] == given[~mask]).all())
        self.assertTrue((edited[mask] != given[mask]).any())


class SheetTest(unittest.TestCase):
    def test_a_sheet_shows_its_tiles_in_rows_with_words(self) -> None:
        red, blue = (Image.new("RGB", (40, 40), c) for c in ("red", "blue"))
        tiles = [sheet.Tile(red, "a word"), sheet.Tile(blue, "")]
        made = np.asarray(sheet.sheet([tiles, tiles[1:]], 50))
        side, height = sheet.GAP + 25, 50 + sheet.LINES * (sheet.TEXT + 3) + sheet.GAP
        self.assertEqual(made[side, side].tolist(), [255, 0, 0])
        self.assertEqual(made[side, side + 50 + sheet.GAP].tolist(), [0, 0, 255])
        self.assertEqual(made[side + height, side].tolist(), [0, 0, 255])
        under = np.s_[sheet.GAP + 50 : sheet.GAP + 50 + 20]
        self.assertTrue((made[under, sheet.GAP : 50] < 128).any())
        self.assertTrue((made[under, 50 + 2 * sheet.GAP :] == 255).all())

    def test_a_gallery_shows_input_mask_and_result(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file, colour in (("in.png", "red"), ("mask.png", "white"), ("a.png", "blue")):
                Image.new("RGB", (30, 30), colour).save(folder / file)
            item = {"id": "a", "image": "in.png", "mask": "mask.png", "prompt": "p", "seed": 1}
            (folder / "jobs.jsonl").write_text(json.dumps(item) + "\n\n")
            given = [str(folder / "jobs.jsonl"), "--results", name, "--tile", "40"]
            output = folder / "out.png"
            with mock.patch("builtins.print"):
                self.assertEqual(gallery.main([*given, "--output", str(output)]), 0)
                (folder / "a.png").unlink()
                self.assertEqual(gallery.main([*given, "--output", str(folder / "no.png")]), 2)
            made = np.asarray(Image.open(output))
            middles = [sheet.GAP + 20 + i * (40 + sheet.GAP) for i in range(3)]
            colours = [made[sheet.GAP + 20, middle] for middle in middles]
            self.assertEqual([c.argmax() for c in colours], [0, 0, 2])
            self.assertFalse((folder / "no.png").exists())

    def test_a_mask_is_laid_over_its_picture(self) -> None:
        mask = Image.new("1", (20, 20))
        mask.paste(1, (0, 0, 10, 20))
        shown = np.asarray(sheet.masked(Image.new("RGB", (20, 20), (0, 0, 90)), mask))
        self.assertGreater(shown[5, 5, 0], 100)
        self.assertEqual(shown[5, 15].tolist(), [0, 0, 90])


if __name__ == "__main__":
    unittest.main()

"""Checks of the trainer: a few steps of every stage on pictures made here.

    python3 -m scripts.train.test_train

Without PyTorch it says SKIP, exit code 77. With IMAGEN_EDITOR=path/to/imagen-editor the exported
model also runs through the engine, and its stages must be those of the reference.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import copy
import io
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

try:
    import numpy as np
    import sentencepiece  # noqa: F401
    import torch
    from PIL import Image, ImageDraw
    from torch.utils.data import default_collate

    from ..reference import weights
    from ..reference.blocks import TextFeatures
    from ..reference.cascade import Cascade, Edit, conditioning_image, to_bytes
    from ..reference.unet import UNet
    from . import cache, checkpoint, config, cost, data, denoise, errors, export, fast, masks, pack
    from . import samples, stage, text, train
except ImportError as missing:
    reason = f"training needs PyTorch, SentencePiece and Pillow: {missing}"
    if __name__ == "__main__":
        print(f"SKIP: {reason}")
        sys.exit(77)
    raise unittest.SkipTest(reason) from missing

ROOT = Path(__file__).resolve().parents[2]
DEMO = Path(__file__).resolve().parent / "configs" / "demo"
CANVAS = 64
COLOURS = {"red": (220, 30, 30), "green": (20, 160, 40), "blue": (30, 50, 210)}
SHAPES = ("ball", "box")
COUNT = 24


def level(channels: int, stride: int, attention: str = "none") -> dict[str, Any]:
    heads = 0 if attention == "none" else 2
    return {
        "channels": channels,
        "stride": stride,
        "blocks": 1,
        "attention": attention,
        "heads": heads,
        "head_width": 8 if heads else 0,
    }


# What makes the demo's stages small: resolutions 16, 32 and 64, and few channels.
TINY: dict[str, dict[str, Any]] = {
    "base-64": {
        "resolution": 16,
        "conditioning": {"resolution": CANVAS, "kernel": 2, "strides": [2, 2], "widths": [8, 8]},
        "levels": [level(16, 1), level(16, 2, "self_text")],
        "middle": {"blocks": 2, "attention": "self_text", "heads": 2, "head_width": 8},
    },
    "sr-256": {
        "resolution": 32,
        "low_resolution": 16,
        "conditioning": {"resolution": CANVAS, "kernel": 2, "strides": [2], "widths": [8]},
        "levels": [level(16, 2), level(16, 2, "self_text")],
    },
    "sr-1024": {
        "resolution": CANVAS,
        "low_resolution": 32,
        "conditioning": {"resolution": CANVAS, "kernel": 3, "strides": [], "widths": []},
        "levels": [level(16, 2), level(16, 2, "text")],
    },
}


def tiny(name: str) -> dict[str, Any]:
    """The demo's training file of a stage, made small; everything else is the demo's."""
    result = json.loads((DEMO / f"{name}.json").read_text(encoding="utf-8"))
    result["unet"] |= TINY[name] | {"width": 16, "embedding": 32, "norm_groups": 4}
    result["unet"]["text"] |= {"width": 32}
    canvas, crop = {"base-64": (32, 12), "sr-256": (32, 16), "sr-1024": (CANVAS, 32)}[name]
    result["data"] |= {"canvas": canvas, "crop": crop, "validation": 4, "emphasis": {}}
    result["stage"]["steps"] = 3
    result["optimiser"] |= {"batch": 4, "steps": 8, "warmup": 2, "rate": 2e-3}
    result["record"] = {"checkpoint_minutes": 60, "sample_minutes": 60, "sample_count": 2,
                        "sample_steps": 2, "sample_prompts": ["a red ball"]}  # fmt: skip
    result |= {"precision": "f32", "multiscale": 2}
    return result


def tiny_text() -> dict[str, Any]:
    """The demo's training file of the text, made small."""
    result = json.loads((DEMO / "text.json").read_text(encoding="utf-8"))
    result["encoder"] |= {
        "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}  # fmt: skip
    return result | {"vocabulary": 200, "steps": 60, "batch": 8, "rate": 5e-3}


def write_source(folder: Path) -> None:
    """Pictures of one coloured thing on grey, larger than needed and not square."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(5)
    images, annotations, lines = [], [], []
    for i in range(COUNT):
        colour, shape = list(COLOURS)[i % 3], SHAPES[i % 2]
        picture = Image.new("RGB", (160, 128), (int(rng.integers(90, 200)),) * 3)
        left, top, side = (int(v) for v in rng.integers((20, 4, 40), (70, 60, 64)))
        pen = ImageDraw.Draw(picture)
        draw = pen.ellipse if shape == "ball" else pen.rectangle
        draw((left, top, left + side - 1, top + side - 1), fill=COLOURS[colour])
        picture.save(folder / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 160, "height": 128})
        annotations.append({"id": i, "image_id": i, "bbox": [left, top, side, side],
                            "attributes": {"group": 0}})  # fmt: skip
        group = {"simple": [f"a {colour} {shape}"], "rich": [f"a plain {colour} {shape}"]}
        lines.append({"image_id": i, "full": [f"a {colour} {shape} on grey"], "groups": [group]})
    coco = {"images": images, "annotations": annotations, "categories": []}
    (folder / "annotations.json").write_text(json.dumps(coco))
    (folder / "captions.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")


def write_unet(folder: Path, unet: UNet, tensors: dict[str, Any]) -> None:
    """A stage of a model directory: these tensors and the configuration of `unet`."""
    weights.write(folder, tensors)
    data = {"format": "imagen-editor-unet", "version": 1, **asdict(unet.config)}
    (folder / "config.json").write_text(json.dumps(data))


def arguments(folder: Path, name: str, run: str, *more: str) -> list[str]:
    return ["--config", str(folder / f"{name}.json"), "--data", str(folder / "cache"), "--text",
            str(folder / "text"), "--run", str(folder / run), "--threads", "1", *more]  # fmt: skip


def denoising(folder: Path, output: str) -> list[str]:
    return ["--config", str(folder / "text.json"), "--data", str(folder / "cache"),
            "--output", str(folder / output)]  # fmt: skip


def quiet(main: Callable[[list[str]], int], given: list[str]) -> tuple[int, str]:
    """Exit code of a program, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main(given)
    return code, printed.getvalue()


def run_training(*given: Any) -> tuple[int, str]:
    return quiet(train.main, arguments(*given))


class Trainer(unittest.TestCase):
    """One folder for all tests: a source, its cache and the stages' training files."""

    folder: Path
    denoised: str  # what training the text printed

    @classmethod
    def setUpClass(cls) -> None:
        torch.set_num_threads(1)
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        write_source(cls.folder / "source")
        cache.build([cls.folder / "source"], cls.folder / "cache", [32, CANVAS], 1)
        for name in TINY:
            (cls.folder / f"{name}.json").write_text(json.dumps(tiny(name)))
        (cls.folder / "text.json").write_text(json.dumps(tiny_text()))
        code, cls.denoised = quiet(denoise.main, denoising(cls.folder, "text"))
        assert code == 0, cls.denoised

    def config(self, name: str) -> "config.TrainingConfig":
        return config.TrainingConfig.read(self.folder / f"{name}.json")

    def options(self, name: str, run: str, **more: Any) -> Any:
        values = {"run": self.folder / run, "device": "cpu", "data": self.folder / "cache",
                  "text": self.folder / "text", "init": None, "compile": False,
                  "sync": 1}  # fmt: skip
        return type("Options", (), values | more)()

    def samples(self, name: str, **changes: Any) -> "data.Samples":
        source = tiny(name)
        for key in ("format", "version"):
            del source[key]
        for section, values in changes.items():
            source[section] |= values
        parsed = config.TrainingConfig.parse(source, "test")
        return data.Samples(cache.Cache(self.folder / "cache", parsed.data.canvas), parsed)


class DataTest(Trainer):
    def test_the_middle_square_is_cached_and_boxes_follow_it(self) -> None:
        stored = cache.Cache(self.folder / "cache", 32)
        picture = Image.open(self.folder / "source" / "images" / "7.png")
        middle = picture.crop((16, 0, 144, 128))
        pixels = np.asarray(middle, dtype=float).reshape(32, 4, 32, 4, 3).mean((1, 3))
        self.assertLessEqual(np.abs(stored.pixels(7) - pixels).max(), 0.5001)
        box = cache.square_box([16, 0, 128, 64], (16, 0, 128))
        self.assertEqual(box, [0, 0, 1, 0.5])
        self.assertIsNone(cache.square_box([0, 0, 30, 10], (16, 0, 128)))

    def test_a_size_that_is_not_cached_is_decoded(self) -> None:
        stored, decoded = (cache.Cache(self.folder / "cache", CANVAS) for _ in range(2))
        decoded.array = None
        np.testing.assert_array_equal(decoded.pixels(3), stored.pixels(3))
        with self.assertRaisesRegex(ValueError, "smallest usable one is 256"):
            cache.Cache(self.folder / "cache", 256).pixels(3)

    def test_captions_alone_are_enough(self) -> None:
        source = self.folder / "plain"
        (source / "images").mkdir(parents=True)
        for name in ("a.png", "b.png"):
            Image.new("RGB", (40, 32)).save(source / "images" / name)
        lines = [{"file_name": n, "caption": f"nothing in {n[0]}"} for n in ("b.png", "a.png")]
        (source / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
        self.assertEqual(cache.build([source], self.folder / "plain-cache", [32], 1), 2)
        entries = cache.Cache(self.folder / "plain-cache", 32).entries
        self.assertEqual(entries[0]["full"], ["nothing in a"])
        (source / "captions.jsonl").write_text(json.dumps(lines[0]))
        with self.assertRaisesRegex(ValueError, "no line for a.png"):
            cache.build([source], self.folder / "plain-cache", [32], 1)

    def test_a_pack_comes_back_as_the_cache(self) -> None:
        packs = [str(self.folder / f"{i}.zip") for i in range(2)]
        for path, images in zip(packs, (":10", "10:")):
            arguments = ["--cache", str(self.folder / "cache"), "--size", "32", "--output", path,
                         "--images", images, "--quality", "95"]  # fmt: skip
            self.assertEqual(quiet(pack.main, arguments)[0], 0)
        arguments = ["--unpack", *packs, "--output", str(self.folder / "again"), "--jobs", "1"]
        self.assertEqual(quiet(pack.main, arguments)[0], 0)
        before, after = (cache.Cache(self.folder / n, 32) for n in ("cache", "again"))
        self.assertEqual(before.entries, after.entries)
        difference = np.abs(before.array[:].astype(int) - after.array[:])
        self.assertLess(difference.mean(), 3)

    def test_a_sample_is_a_function_of_its_counter(self) -> None:
        for name in TINY:
            one, other = self.samples(name), self.samples(name)
            other[3], other[90]
            for counter in (0, 5, 41):
                a, b = one[counter], other[counter]
                self.assertEqual(a["prompt"], b["prompt"])
                np.testing.assert_array_equal(a["image"], b["image"])
                np.testing.assert_array_equal(a["mask"], b["mask"])

    def test_recoloured_samples_have_other_colours_and_no_text(self) -> None:
        plain = self.samples("sr-256", data={"recoloured": 0})
        other = self.samples("sr-256", data={"recoloured": 1})
        changed = 0
        for counter in range(12):
            a, b = plain[counter], other[counter]
            self.assertFalse(b["keep"])
            np.testing.assert_array_equal(np.sort(a["image"], -1), np.sort(b["image"], -1))
            changed += not np.array_equal(a["image"], b["image"])
        self.assertGreater(changed, 6)

    def test_an_epoch_shows_every_training_image_once(self) -> None:
        seen = data.epoch_order(1, 2, COUNT - 4)
        self.assertEqual(sorted(seen), list(range(COUNT - 4)))
        self.assertNotEqual(list(seen), list(data.epoch_order(1, 3, COUNT - 4)))

    def test_emphasised_images_come_more_often(self) -> None:
        plain = self.samples("base-64")
        phrase = plain.cache.entries[0]["full"][0]
        times = [3 if phrase in e["full"] else 1 for e in plain.cache.entries[: plain.training]]
        samples = self.samples("base-64", data={"emphasis": {phrase: 3}})
        drawn: list[int] = []
        with mock.patch.object(samples, "draw", lambda _, index: drawn.append(index)):
            for counter in range(2 * sum(times)):
                samples[counter]
        for epoch in (drawn[: sum(times)], drawn[sum(times) :]):
            self.assertEqual([epoch.count(i) for i in range(plain.training)], times)
        with self.assertRaisesRegex(ValueError, "data.emphasis: no caption trained on has 'bowwl'"):
            self.samples("base-64", data={"emphasis": {"bowwl": 3}})

    def test_windows_touch_the_border_of_the_mask_and_align(self) -> None:
        samples = self.samples("sr-1024", data={"touch": 1})
        mask = np.zeros((CANVAS, CANVAS), dtype=np.uint8)
        mask[:20, :20] = 1
        rng = np.random.default_rng(1)
        for _ in range(50):
            top, left, side = data.choose_window(rng, mask, samples.config)
            window = mask[top : top + side, left : left + side]
            self.assertEqual((top % 2, left % 2, window.shape), (0, 0, (32, 32)))
            self.assertTrue(0 < window.mean() < 1)

    def test_windows_of_a_base_hold_the_mask_and_align(self) -> None:
        samples = self.samples("base-64", data={"touch": 1, "crop": 12})
        rng, seen = np.random.default_rng(1), set()
        for width in (9, 32):  # of the canvas's 32; the window has 24
            mask = np.zeros((32, 32), dtype=np.uint8)
            mask[5:11, :width] = 1
            for _ in range(50):
                top, left, side = data.choose_window(rng, mask, samples.config)
                window = mask[top : top + side, left : left + side]
                self.assertEqual((top % 2, left % 2, window.shape), (0, 0, (24, 24)))
                self.assertEqual(window.sum(), 6 * min(width, 24))
                seen.add((top, left))
        self.assertGreater(len(seen), 10)

    def test_the_prompt_is_of_what_the_mask_hides(self) -> None:
        kinds = {"full": 0, "simple": 1, "rich": 0}
        samples = self.samples("base-64", data={"prompts": kinds})
        entry = samples.cache.entries[4]
        mask, rng = np.zeros((32, 32), dtype=np.uint8), np.random.default_rng(1)
        self.assertEqual(data.prompt_of(rng, entry, mask, samples.config), "a green ball on grey")
        masks.fill_box(mask, entry["boxes"][0]["box"])
        self.assertEqual(data.prompt_of(rng, entry, mask, samples.config), "a green ball")


class MaskTest(Trainer):
    box = (0.25, 0.25, 0.5, 0.75)

    def masks(self, scores: list[float], **changes: Any) -> list[np.ndarray]:
        rules = copy.deepcopy(tiny("base-64")["mask"])
        rules["object"] |= changes.pop("object", {})
        parsed = self.samples("base-64", mask=rules | changes).config.mask
        boxes = [self.box] * len(scores)
        return [
            masks.draw_mask(np.random.default_rng(i), parsed, 64, boxes, scores) for i in range(60)
        ]

    def test_object_masks_cover_the_object(self) -> None:
        exact = {"jitter": 0, "union": 0, "expand": [0, 0.1], "ellipse": 0}
        for mask in self.masks([1.0], full=0, object=exact):
            self.assertGreaterEqual(masks.covered(mask, self.box), 1.0)
            self.assertLessEqual(mask.mean(), 0.125 * 1.2 * 1.2 * 1.25)
        round_ones = self.masks([1.0], full=0, object=exact | {"expand": [0, 0], "ellipse": 1})
        for mask in round_ones:
            self.assertGreaterEqual(masks.covered(mask, self.box), 0.99)
            self.assertAlmostEqual(mask.mean(), 0.125 * math.pi / 2, delta=0.01)
            self.assertFalse(mask[15, 15] or mask[48, 32])
        united = self.masks([1.0], full=0, object={"jitter": 0, "union": 1})
        self.assertTrue(all(masks.covered(mask, self.box) == 1 for mask in united))
        self.assertGreater(np.mean([mask.mean() for mask in united]), 0.25)

    def test_unsure_and_absent_objects_leave_a_random_mask(self) -> None:
        unsure, absent = self.masks([0.1], full=0), self.masks([], full=0)
        for a, b in zip(unsure, absent):
            np.testing.assert_array_equal(a, b)

    def test_the_random_policy_knows_no_objects(self) -> None:
        for a, b in zip(self.masks([1.0], policy="random"), self.masks([], policy="random")):
            np.testing.assert_array_equal(a, b)

    def test_the_share_of_full_masks_is_the_configured_one(self) -> None:
        self.assertTrue(all(mask.all() for mask in self.masks([1.0], full=1)))
        exact = self.masks([1.0], full=0, object={"union": 0})
        self.assertFalse(any(mask.all() for mask in exact))

    def test_random_masks_are_neither_empty_nor_always_alike(self) -> None:
        made = self.masks([], full=0)
        self.assertTrue(all(0 < mask.mean() for mask in made))
        self.assertGreater(len({mask.tobytes() for mask in made}), 50)


class StageTest(Trainer):
    def test_a_reduced_canvas_stands_for_itself_with_repeated_pixels(self) -> None:
        whole = config.with_settings(self.config("base-64"), ["data.crop=0"])
        unet = stage.new_unet(whole)
        with torch.no_grad():
            unet.conditioning[0].weight += torch.randn_like(unet.conditioning[0].weight)
            small = torch.randn(2, 4, 32, 32)
            large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
            torch.testing.assert_close(stage.encode_canvas(unet, small), unet.encode_canvas(large))

    def test_taps_that_start_equal_stay_equal(self) -> None:
        options = self.options("base-64", "taps")
        run = train.Run(options, self.config("base-64"))
        before = run.objective.unet.conditioning[0].weight.detach().clone()
        for batch in data.batches(run.samples, range(3), 0):
            run.train_step(batch)
        after = run.objective.unet.conditioning[0].weight.detach()
        self.assertFalse(torch.equal(before, after))
        self.assertTrue(torch.equal(after, after[:, :, :1, :1].expand_as(after)))

    def fixed(self, canvas: int) -> "config.TrainingConfig":
        """The base with averages for its encoder, trained on images of this side."""
        chain = {"resolution": CANVAS, "kernel": 4, "strides": [4], "widths": [4]}
        return config.with_settings(self.config("base-64"), [
            "conditioning=fixed", f"unet.conditioning={json.dumps(chain)}",
            f"data.canvas={canvas}", "data.crop=0",
        ])  # fmt: skip

    def test_a_fixed_conditioning_is_the_average_of_each_square(self) -> None:
        unet = stage.new_unet(self.fixed(CANVAS))
        canvas = torch.rand(2, 4, CANVAS, CANVAS)
        averages = torch.nn.functional.avg_pool2d(canvas, 4)
        with torch.no_grad():
            torch.testing.assert_close(unet.encode_canvas(canvas), averages)

    def test_a_kernel_of_several_repeated_pixels_is_folded(self) -> None:
        for canvas in (16, 32):
            unet = stage.new_unet(self.fixed(canvas))
            with torch.no_grad():
                unet.conditioning[0].weight += torch.randn_like(unet.conditioning[0].weight)
                small, times = torch.randn(2, 4, canvas, canvas), CANVAS // canvas
                large = small.repeat_interleave(times, 2).repeat_interleave(times, 3)
                got, expected = stage.encode_canvas(unet, small), unet.encode_canvas(large)
            torch.testing.assert_close(got, expected)

    def test_a_fixed_conditioning_stays_as_it_is(self) -> None:
        run = train.Run(self.options("base-64", "fixed"), self.fixed(32))
        unet = run.objective.unet
        before = {name: value.clone() for name, value in unet.state_dict().items()}
        for batch in data.batches(run.samples, range(3), 0):
            run.train_step(batch)
        average = run.average.values
        for name in ("conditioning.0.weight", "conditioning.0.bias"):
            self.assertTrue(torch.equal(unet.state_dict()[name], before[name]))
            self.assertTrue(torch.equal(average[name], before[name]))
        self.assertFalse(torch.equal(unet.state_dict()["stem.weight"], before["stem.weight"]))
        learned = {**before, "conditioning.0.weight": torch.randn(4, 4, 4, 4)}
        write_unet(self.folder / "learned" / "base-64", unet, learned)
        stage.start_from(unet, self.folder / "learned" / "base-64")
        kept = unet.state_dict()["conditioning.0.weight"]
        self.assertTrue(torch.equal(kept, before["conditioning.0.weight"]))

    def test_the_inputs_are_those_of_the_formulas(self) -> None:
        parsed = self.config("sr-256")
        batch = default_collate([self.samples("sr-256")[i] for i in range(4)])
        seed = (1, stage.NOISE, 7)
        made = stage.make_inputs(parsed, batch, torch.device("cpu"), seed)
        again = stage.make_inputs(parsed, batch, torch.device("cpu"), seed)
        self.assertTrue(torch.equal(made.z, again.z) and torch.equal(made.low, again.low))
        lam = parsed.unet.time.clamp - made.v / parsed.unet.time.scale
        alpha, sigma = (torch.sigmoid(s * lam).sqrt().view(-1, 1, 1, 1) for s in (1, -1))
        epsilon = (made.z - alpha * made.target) / sigma
        torch.testing.assert_close(made.answer, alpha * epsilon - sigma * made.target,
                                   atol=1e-3, rtol=1e-3)  # fmt: skip
        self.assertGreater(len(set(made.v.tolist())), 3)
        repeated = batch["image"].repeat_interleave(2, 1).repeat_interleave(2, 2)
        image = conditioning_image(repeated, batch["mask"], torch.float32)
        torch.testing.assert_close(made.canvas, stage.reduce(image, 16))
        part = made.canvas[:, 3]
        self.assertGreater(((part > 0) & (part < 1)).sum().item(), 0, "no mask divides a pixel")

    def test_the_cost_of_a_stage_is_said(self) -> None:
        files = [str(self.folder / f"{name}.json") for name in TINY]
        code, printed = quiet(cost.main, files)
        self.assertEqual((code, printed.count("M parameters")), (0, len(TINY)), printed)
        code, printed = quiet(cost.main, [str(self.folder / "absent.json")])
        self.assertEqual(code, 2)
        self.assertIn("absent.json", printed)

    def test_the_loss_weighs_the_first_masked_pixels(self) -> None:
        rules = config.with_settings(self.config("sr-256"), ["mask.border=5"]).mask
        mask = torch.zeros(1, 1, 1, 9)
        mask[..., 3:], mask[..., 3] = 1, 0.5  # a pixel masked in half, then whole ones
        weight = stage.loss_weights(rules, mask)[0, 0, 0]
        known, half = rules.outside, (rules.outside + 1) / 2
        expected = torch.tensor([known, known, known, half + 4, 5, 1, 1, 1, 1])
        torch.testing.assert_close(weight, expected)
        rules.border = 1
        plain = stage.loss_weights(rules, mask)[0, 0, 0]
        torch.testing.assert_close(plain, known + (1 - known) * mask[0, 0, 0])

    def test_grain_is_where_the_low_resolution_is_masked(self) -> None:
        parsed = config.with_settings(self.config("sr-256"), ["grain=0.2"])
        mask = torch.zeros(64, 1, 32, 32)
        mask[:, :, 8:20, 8:20] = 1
        small = torch.rand(64, 3, 16, 16)
        grain = stage.as_made(parsed, small, mask, torch.Generator().manual_seed(5)) - small
        deviations = grain[..., 4:10, 4:10].std((1, 2, 3))
        self.assertTrue(0.12 < deviations.max().item() < 0.25 and deviations.min().item() < 0.05)
        grain[..., 4:10, 4:10] = 0
        self.assertEqual(grain.abs().max().item(), 0)

    def test_at_half_the_side_detail_vanishes_and_tones_count(self) -> None:
        weight = torch.ones(2, 1, 8, 8)
        weight[:, :, :, 4:] = 0.5
        tone = torch.full((2, 3, 8, 8), 0.3)
        detail = 0.3 * (1 - 2.0 * (torch.arange(8) % 2)).expand(2, 3, 8, 8)
        for error, whole, parts in ((tone, 0.09, 0.09), (detail, 0.09, 0.09 / 7)):
            self.assertAlmostEqual(stage.squared_error(error, weight, 0).item(), whole, places=6)
            self.assertAlmostEqual(stage.squared_error(error, weight, 2).item(), parts, places=6)
        error = torch.zeros(1, 1, 4, 4)
        error[..., :2, :2] = 1
        weight = torch.tensor([4.0, 1.0]).repeat_interleave(2).expand(1, 1, 4, 4)
        expected = (4 * 4 / 40 + 2 * 4 / 10) / 3
        self.assertAlmostEqual(stage.squared_error(error, weight, 1).item(), expected, places=6)

    def test_starting_from_a_plain_network_begins_as_that_network(self) -> None:
        parsed = self.config("sr-256")
        source = copy.deepcopy(parsed.unet)
        source.conditioning.resolution = 0
        source.conditioning.strides, source.conditioning.widths = [], []
        torch.manual_seed(3)
        plain = UNet(source, zero_init=False)
        write_unet(self.folder / "plain-model" / "sr-256", plain, plain.state_dict())
        unet = stage.new_unet(config.with_settings(parsed, ["data.crop=0"]))
        missing = stage.start_from(unet, self.folder / "plain-model" / "sr-256")
        self.assertEqual(missing, ["conditioning.0.weight", "conditioning.0.bias"])
        z, v = torch.randn(2, 3, 32, 32), torch.tensor([10.0, 600.0])
        tokens, length = torch.randn(2, 5, 32), torch.tensor([5, 3])
        with torch.no_grad():
            text = plain.text(tokens, length)
            expected = plain(z, v, text, None, z, v)
            canvas = stage.encode_canvas(unet, torch.randn(2, 4, 32, 32))
            got = unet(z, v, unet.text(tokens, length), canvas, z, v)
        # The zero weights add exact zeros, but a longer sum may be taken in another order.
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
        broken = {k: x for k, x in plain.state_dict().items() if k != "head.conv.bias"}
        write_unet(self.folder / "broken" / "sr-256", plain, broken)
        with self.assertRaisesRegex(ValueError, "head.conv.bias is missing"):
            stage.start_from(unet, self.folder / "broken" / "sr-256")

    def test_a_larger_network_begins_as_the_small_one(self) -> None:
        """All levels twice as wide, with a block or two more, those with attention too."""
        torch.manual_seed(4)
        for name, added in (("base-64", (2, 1)), ("sr-256", (2, 1)), ("sr-1024", (0, 2))):
            first, last = self.config(name).unet.levels
            last = replace(last, channels=24)
            small = replace(self.config(name).unet, levels=[first, last])
            levels = [
                replace(one, channels=2 * one.channels, blocks=one.blocks + more)
                for one, more in zip((first, last), added)
            ]
            narrow = UNet(small, zero_init=False)
            wide = UNet(replace(small, width=2 * small.width, levels=levels))
            folder = self.folder / "narrow" / name
            write_unet(folder, narrow, narrow.state_dict())
            self.assertEqual(stage.start_from(wide, folder), [])
            side = small.resolution
            z, v = torch.randn(2, 3, side, side), torch.tensor([10.0, 600.0])
            valid = torch.ones(2, 5, dtype=torch.bool)
            words = TextFeatures(torch.randn(2, 5, 32), valid, torch.randn(2, small.embedding))
            canvas = torch.randn(2, small.conditioning.channels, side, side)
            low = (z, v) if small.low_resolution else ()
            with torch.no_grad():
                expected, got = (net(z, v, words, canvas, *low) for net in (narrow, wide))
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
            apart = wide.head.conv.weight[:, 0::2] - wide.head.conv.weight[:, 1::2]
            self.assertGreater(apart.abs().min().item(), 0)  # or copies would stay copies
            write_unet(folder, wide, wide.state_dict())
            with self.assertRaisesRegex(ValueError, "32 channels into 16: a network"):
                stage.start_from(narrow, folder)
        levels = [replace(one, blocks=3) for one in (first, last)]
        deep = UNet(replace(small, levels=levels, shortcut="auto"))
        write_unet(folder, narrow, narrow.state_dict())
        with self.assertRaisesRegex(ValueError, "blocks are added where residual_scale is 1"):
            stage.start_from(deep, folder)

    def test_levels_may_be_widened_by_different_factors(self) -> None:
        """What flows into a decoder block and its skip then have their own factors."""
        small = self.config("base-64").unet
        first, second = small.levels
        small = replace(small, levels=[first, replace(second, channels=24)])
        levels = [replace(first, channels=48), replace(second, channels=36)]
        narrow, wide = UNet(small, zero_init=False), UNet(replace(small, width=48, levels=levels))
        folder = self.folder / "uneven" / "base-64"
        write_unet(folder, narrow, narrow.state_dict())
        stage.start_from(wide, folder)
        old, new = (net.up[0].blocks[0].conv1.weight for net in (narrow, wide))
        self.assertEqual((tuple(old.shape[:2]), tuple(new.shape[:2])), ((16, 40), (48, 84)))
        flows, skip = new[::3, :36], new[::3, 36:]
        torch.testing.assert_close(flows[:, 0::3] + flows[:, 1::3], old[:, 0:24:2])
        torch.testing.assert_close(flows[:, 2::3], old[:, 1:24:2])
        torch.testing.assert_close(skip.unflatten(1, (16, 3)).sum(2), old[:, 24:])

    def test_a_windows_conditioning_is_that_of_the_whole(self) -> None:
        cut = self.config("sr-256")
        whole = config.with_settings(cut, ["data.crop=0"])
        unets = [stage.new_unet(c) for c in (cut, whole)]
        for value in unets[0].parameters():
            torch.nn.init.normal_(value)
        unets[1].load_state_dict(unets[0].state_dict())
        canvas = torch.randn(2, 4, 32, 32)
        window = stage.encode_canvas(unets[0], canvas[..., 8:24, 4:20])
        all_of_it = stage.encode_canvas(unets[1], canvas)
        self.assertEqual(window.shape[2:], (16, 16))
        torch.testing.assert_close(window, all_of_it[..., 8:24, 4:20])

    def test_times_are_uniform_and_often_the_first(self) -> None:
        numbers = torch.Generator().manual_seed(2)
        for power in (1, 0.5):
            drawn = np.array([stage.draw_times(8, power, numbers) for _ in range(2000)])
            self.assertAlmostEqual((drawn == 1).mean(), stage.FIRST, delta=0.005)
            self.assertTrue(((drawn >= 0) & (drawn <= 1)).all())
            for low in (0, 0.25, 0.5, 0.75):
                ends = (low**power, (low + 0.25) ** power)
                share = ((drawn >= ends[0]) & (drawn < ends[1])).mean()
                self.assertAlmostEqual(share, (1 - stage.FIRST) / 4, delta=0.005)

    def test_dropped_text_is_the_null_text(self) -> None:
        run = train.Run(self.options("base-64", "null"), self.config("base-64"))
        keep = torch.tensor([True, False])
        tokens, length = run.text.encode(["a red ball", "a blue box"], keep)
        self.assertEqual((length[1].item(), tokens[1].abs().max().item()), (1, 0))
        alone, _ = run.text.encode(["a red ball"], keep[:1])
        torch.testing.assert_close(tokens[:1, : alone.shape[1]], alone)

    def gradients(self, unet: "UNet", bf16: bool) -> list["torch.Tensor"]:
        """The output and the gradient of every weight, of one seeded batch with padded text."""
        numbers = torch.Generator().manual_seed(3)
        size, low = unet.config.resolution, unet.config.low_resolution
        z = torch.randn(3, 3, size, size, generator=numbers)
        v, tokens = torch.tensor([3.0, 500.0, 900.0]), torch.randn(3, 6, 32, generator=numbers)
        canvas = torch.randn(3, 4, CANVAS, CANVAS, generator=numbers)
        unet.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            text = unet.text(tokens, torch.tensor([6, 1, 3]))
            enlarged = (z, v) if low else ()
            answer = unet(z, v, text, unet.encode_canvas(canvas), *enlarged)[:, :3].float()
        (answer - z).square().mean().backward()
        values = [p.grad for p in unet.parameters() if p.grad is not None]
        return [answer.detach(), *values]

    def compiled(self, dtype: "torch.dtype") -> None:
        try:
            fast.library(dtype)
        except OSError as error:
            self.skipTest(str(error))

    def shaken(self, name: str) -> "UNet":
        """A network none of whose weights is zero."""
        torch.manual_seed(4)
        unet = UNet(self.config(name).unet, zero_init=False)
        with torch.no_grad():
            for value in unet.parameters():
                value += 0.1 * torch.randn_like(value)
        return unet

    def test_the_faster_parts_are_the_references_own(self) -> None:
        self.compiled(torch.float32)
        for name in ("base-64", "sr-256"):
            exact = self.shaken(name)
            expected = self.gradients(exact, False)
            got = self.gradients(fast.install(copy.deepcopy(exact), "f32"), False)
            self.assertEqual(len(got), len(expected))
            for i, (a, b) in enumerate(zip(got, expected)):
                error = ((a - b).norm() / b.norm()).item()
                self.assertLess(error, 1e-4, f"{name}, tensor {i}")

    def test_the_faster_parts_in_bf16_err_as_the_references_own(self) -> None:
        self.compiled(torch.bfloat16)
        for name in ("base-64", "sr-256"):
            exact = self.shaken(name)
            expected = self.gradients(exact, False)
            rounded = self.gradients(exact, True)
            got = self.gradients(fast.install(copy.deepcopy(exact), "bf16"), True)
            self.assertEqual(len(got), len(expected))
            for i, (a, b, c) in enumerate(zip(got, rounded, expected)):
                # Both round to bf16, at different places: neither may be much worse than the other.
                error, allowed = ((x - c).norm() / c.norm() for x in (a, b))
                self.assertLess(error, 2 * allowed + 0.01, f"{name}, tensor {i}")

    def test_the_faster_parts_stay_finite_far_from_zero(self) -> None:
        for dtype in fast.ELEMENT:
            self.compiled(dtype)
            norm = torch.nn.GroupNorm(4, 16)
            with torch.no_grad():
                norm.weight.fill_(200)  # exp(-u) overflows in f32
            x = torch.randn(2, 16, 8, 8, requires_grad=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                y = fast.norm_act(norm, x, True)
            self.assertEqual(y.dtype, dtype)
            y.float().sum().backward()
            self.assertTrue(y.isfinite().all() and x.grad.isfinite().all())
            self.assertGreater(y.max().item(), 300)

    def test_the_rate_warms_up_and_falls(self) -> None:
        parsed = self.config("base-64")
        values = [stage.rate(parsed, step) for step in range(9)]
        o = parsed.optimiser
        self.assertEqual((values[0], values[1], values[2]), (o.rate / 2, o.rate, o.rate))
        self.assertAlmostEqual(values[8], o.final_rate)


class ConfigTest(Trainer):
    def test_wrong_files_are_refused_with_the_key(self) -> None:
        cases = {
            "unknown or missing keys": {"sed": 1},
            "precision": {"precision": "f64"},
            "mask: policy": {"mask": tiny("base-64")["mask"] | {"policy": "all"}},
            "data.canvas is neither": {"data": tiny("base-64")["data"] | {"canvas": 16}},
            "emphasis of 'bowl' is no whole": {
                "data": tiny("base-64")["data"] | {"emphasis": {"bowl": 0}}
            },
            "emphasis is not phrases": {"data": tiny("base-64")["data"] | {"emphasis": 3}},
            "a fixed conditioning is one convolution": {"conditioning": "fixed"},
            "bicubic. is not one of learned": {"conditioning": "bicubic"},
        }
        for message, change in cases.items():
            source = {k: v for k, v in (tiny("base-64") | change).items() if k not in
                      ("format", "version")}  # fmt: skip
            with self.subTest(message), self.assertRaisesRegex(ValueError, message):
                config.TrainingConfig.parse(source, "test")

    def test_settings_replace_values_of_known_keys(self) -> None:
        parsed = config.with_settings(
            self.config("base-64"), ["optimiser.batch=7", "mask.policy=random", "data.crop=0"]
        )
        self.assertEqual((parsed.optimiser.batch, parsed.mask.policy), (7, "random"))
        for wrong, message in {"batch=7": "no batch", "seed": "not KEY=VALUE"}.items():
            with self.assertRaisesRegex(ValueError, message):
                config.with_settings(self.config("base-64"), [wrong])

    def test_the_demo_files_are_valid_and_fit_together(self) -> None:
        parsed = [config.TrainingConfig.read(DEMO / f"{name}.json") for name in TINY]
        export.check_cascade(parsed)
        words = denoise.DenoisingConfig.read(DEMO / "text.json")
        self.assertEqual({c.unet.text.width for c in parsed}, {words.encoder["d_model"]})
        self.assertEqual({c.text.length for c in parsed}, {words.length})


class TextTest(Trainer):
    def test_denoising_names_the_pieces_and_keeps_words_apart(self) -> None:
        shares = re.findall(r"named right: ([0-9.]+)% of the pieces kept", self.denoised)
        self.assertGreater(float(shares[-1]), 90, self.denoised)
        side = text.load(self.folder / "text", self.config("base-64").text)
        tokens, length = side.encode(["a red ball", "a red box"], torch.ones(2, dtype=torch.bool))
        self.assertEqual(length.tolist(), [4, 4])  # whole words, and the end
        same, differing = ((tokens[0, i] - tokens[1, i]).norm().item() for i in (1, 2))
        self.assertGreater(differing, 2 * same)

    def test_words_of_captions_are_whole_pieces(self) -> None:
        pieces = text.load(self.folder / "text", self.config("base-64").text).tokenizer.pieces
        for word in (*COLOURS, *SHAPES):
            self.assertEqual(len(pieces.encode(word)), 1, word)
        self.assertNotIn(pieces.unk_id(), pieces.encode("Zoë's 7 q!".replace("ë", "e")))

    def test_the_same_seed_gives_the_same_encoder(self) -> None:
        self.assertEqual(quiet(denoise.main, denoising(self.folder, "again"))[0], 0)
        once, again = (weights.read(self.folder / n / "text_encoder") for n in ("text", "again"))
        for name, value in once.items():
            self.assertTrue(torch.equal(value, again[name]), name)

    def test_a_stage_wants_a_text_encoder_of_its_width(self) -> None:
        narrow = config.with_settings(self.config("base-64"), ["unet.text.width=64"])
        with self.assertRaisesRegex(ValueError, "d_model is 32, the configuration's .* 64"):
            train.Run(self.options("base-64", "narrow"), narrow)
        with self.assertRaisesRegex(ValueError, "--text says where"):
            train.Run(self.options("base-64", "none", text=None), self.config("base-64"))

    def test_wrong_text_files_are_refused_with_the_key(self) -> None:
        words = tiny_text()["encoder"]
        for message, change in {
            "replaced is not between": {"replaced": 1},
            "unknown keys": {"sed": 1},
            "length is not in": {"length": 0},
            "feed_forward_proj": {"encoder": words | {"feed_forward_proj": "relu"}},
        }.items():
            path = self.folder / "wrong.json"
            path.write_text(json.dumps(tiny_text() | change))
            with self.subTest(message), self.assertRaisesRegex(ValueError, message):
                denoise.DenoisingConfig.read(path)


class TrainingTest(Trainer):
    """The whole way, in the order of the names: base, the others, export, the engine."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        for name in TINY:
            code, printed = run_training(cls.folder, name, name)
            assert code == 0, printed

    def losses(self, name: str, steps: int) -> list[float]:
        """Of one batch with one noise, trained on again and again."""
        run = train.Run(self.options(name, f"{name}-fixed"), self.config(name))
        batch = default_collate([run.samples[i] for i in range(4)])
        result = []
        for _ in range(steps):
            run.step = 0
            with mock.patch.object(train, "rate", return_value=2e-3):
                result.append(run.train_step(batch).item())
        return result

    def test_every_stage_learns_a_batch(self) -> None:
        for name in TINY:
            with self.subTest(name):
                losses = self.losses(name, 25)
                self.assertLess(np.mean(losses[-5:]), 0.9 * losses[0], losses)

    def test_everything_follows_the_device_of_the_network(self) -> None:
        """Tensors of another device cannot be added to those of `meta`, which hold no values."""
        real = stage.generator
        host = torch.device("cpu")
        for name in TINY:
            run = train.Run(self.options(name, f"{name}-meta"), self.config(name))
            objective = run.objective
            objective.config.stage.threshold.kind = "static"  # a quantile needs values
            objective.config.stage.known = "kept"
            objective.device = torch.device("meta")
            objective.unet.to("meta")
            objective.text.encoder.to("meta")
            batch = default_collate([run.samples[i] for i in range(2)])
            plain = mock.patch.object(stage.Objective, "autocast", contextlib.nullcontext)
            numbers = mock.patch.object(
                stage, "generator", lambda a, b, c, d: real(a, b, c, d) if d == host else None
            )
            with plain, numbers:
                objective.loss(batch, (1, stage.NOISE, 0)).backward()
                result, _ = samples.draw_samples(objective, samples.grid_batch(run.samples))
            self.assertEqual(result.device.type, "meta")

    def both(self, program: list[str]) -> list[str]:
        """What two processes print that form a group; both must end well."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2",
                 "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}  # fmt: skip
        started = [
            subprocess.Popen([sys.executable, *program], cwd=ROOT, stdout=subprocess.PIPE,
                             env=os.environ | group | {"RANK": str(rank)},
                             stderr=subprocess.STDOUT, text=True)
            for rank in range(2)
        ]  # fmt: skip
        printed = [process.communicate()[0] for process in started]
        self.assertEqual([process.returncode for process in started], [0, 0], printed)
        return printed

    def together(self, run: str, *more: str) -> dict[str, Any]:
        """What two processes leave that train the base together and meet every second step."""
        given = arguments(self.folder, "base-64", run, *more)
        printed = self.both(["-m", "scripts.train.train", "--sync", "2", *given])
        self.assertNotIn("step", printed[1])
        return checkpoint.load(self.folder / run / "checkpoint.pt")

    def test_no_thread_of_a_group_outlives_it(self) -> None:
        lines = (
            "import pathlib, torch",
            "from scripts.train.peers import Peers",
            "def count(): return sum('gloo' in p.read_text() for p in tasks.glob('*/comm'))",
            "tasks = pathlib.Path('/proc/self/task')",
            "peers = Peers(torch.device('cpu'), 1)",
            "import torch.distributed.nn",
            "peers.any(False)",
            "before = count()",
            "peers.leave()",
            "print('threads', before > 0, count())",
        )
        for printed in self.both(["-c", "\n".join(lines)]):
            self.assertIn("threads True 0", printed)

    def test_two_processes_train_one_network(self) -> None:
        whole = self.together("two", "--set", "optimiser.steps=6")
        self.together("halves", "--set", "optimiser.steps=6", "--until", "4")
        halves = self.together("halves", "--set", "optimiser.steps=6")
        for name, value in whole["live"].items():
            torch.testing.assert_close(halves["live"][name], value, rtol=0, atol=0)
        alone = self.folder / "alone"
        self.assertEqual(
            run_training(self.folder, "base-64", "alone", "--set", "optimiser.steps=6")[0], 0
        )
        stem = checkpoint.load(alone / "checkpoint.pt")["live"]["stem.weight"]
        self.assertGreater((stem - whole["live"]["stem.weight"]).abs().max().item(), 0)

    def test_a_killed_run_continues_as_if_it_had_not_been(self) -> None:
        steps = ("--set", "optimiser.steps=60")
        often = tiny("base-64")
        often["record"]["checkpoint_minutes"] = 0
        (self.folder / "often.json").write_text(json.dumps(often))
        self.assertEqual(run_training(self.folder, "base-64", "whole", *steps)[0], 0)
        program = [sys.executable, "-m", "scripts.train.train"]
        program += arguments(self.folder, "often", "killed", *steps)
        started = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL)
        saved = self.folder / "killed" / "checkpoint.pt"
        while started.poll() is None:
            if saved.exists() and checkpoint.load(saved)["step"] >= 3:
                started.send_signal(signal.SIGKILL)
                started.wait()
            time.sleep(0.02)
        self.assertEqual(started.returncode, -signal.SIGKILL, "it ended before it was killed")
        self.assertLess(checkpoint.load(saved)["step"], 60)
        code, printed = run_training(self.folder, "often", "killed", *steps)
        self.assertEqual(code, 0, printed)
        self.assertIn("resuming at step", printed)
        a, b = (checkpoint.load(self.folder / n / "checkpoint.pt") for n in ("whole", "killed"))
        for name, value in a["live"].items():
            self.assertTrue(torch.equal(value, b["live"][name]), name)
        for name, value in a["average"].items():
            self.assertTrue(torch.equal(value, b["average"][name]), name)
        for key, state in a["optimiser"]["state"].items():
            self.assertTrue(torch.equal(state["exp_avg"], b["optimiser"]["state"][key]["exp_avg"]))

    def test_a_changed_configuration_is_refused_until_accepted(self) -> None:
        given = (self.folder, "sr-256", "sr-256", "--set", "optimiser.steps=9")
        code, printed = run_training(*given)
        self.assertEqual(code, 2)
        self.assertIn("differs in optimiser.steps: --reconfigure", printed)
        self.assertEqual(run_training(*given, "--reconfigure")[0], 0)
        self.assertEqual(checkpoint.load(self.folder / "sr-256" / "checkpoint.pt")["step"], 9)
        wider = ("--set", "optimiser.steps=9", "unet.embedding=64", "--reconfigure")
        code, printed = run_training(self.folder, "sr-256", "sr-256", *wider)
        self.assertEqual(code, 2)
        self.assertIn("the run's U-Net is another than the configuration's", printed)

    def test_a_run_leaves_a_log_samples_and_the_best_weights(self) -> None:
        for name in TINY:
            lines = (self.folder / name / "log.jsonl").read_text().splitlines()
            self.assertIn("validation", json.loads(lines[-1]))
            with Image.open(self.folder / name / "samples" / "step-0000008.png") as picture:
                width, height = picture.size
            columns = 4 if name == "base-64" else 5
            self.assertEqual(width * 3, height * columns)
            self.assertTrue((self.folder / name / "best.pt").exists())

    def export(self) -> Path:
        output = self.folder / "model"
        if not (output / "cascade.json").exists():
            runs = [str(self.folder / name) for name in TINY]
            given = ["--text", str(self.folder / "text"), "--output", str(output)]
            code, printed = quiet(export.main, ["--runs", *runs, *given])
            self.assertEqual(code, 0, printed)
        return output

    def edit(self, dtype: "torch.dtype") -> "tuple[Edit, list[torch.Tensor]]":
        cascade = Cascade(self.export(), dtype)
        picture = Image.open(self.folder / "source" / "images" / "0.png").crop((16, 0, 144, 128))
        rgb = torch.from_numpy(np.array(picture.resize((CANVAS, CANVAS))))
        mask = torch.zeros(CANVAS, CANVAS, dtype=torch.uint8)
        mask[10:50, 20:60] = 1
        edit = Edit("a blue ball", 3, rgb, mask)
        _, stages = cascade.edit([edit])
        return edit, stages

    def test_the_export_opens_and_edits(self) -> None:
        _, stages = self.edit(torch.float32)
        self.assertEqual([tuple(s.shape[1:]) for s in stages], [(3, n, n) for n in (16, 32, 64)])
        self.assertTrue(all(s.isfinite().all() for s in stages))
        averages = checkpoint.load(self.folder / "base-64" / "checkpoint.pt")["average"]
        written = weights.read(self.folder / "model" / "base-64")
        for name, value in averages.items():
            self.assertTrue(torch.equal(value.bfloat16(), written[name]), name)

    def test_the_engine_agrees_on_the_trained_weights(self) -> None:
        """Rounding in f32 moves a value far less than a byte's step, so only ties may differ."""
        program = os.environ.get("IMAGEN_EDITOR")
        if not program:
            self.skipTest("IMAGEN_EDITOR names no imagen-editor")
        edit, exact = self.edit(torch.float64)
        _, single = self.edit(torch.float32)
        for a, b in zip(exact, single):
            self.assertLess((a - b).abs().max().item(), 0.05 / 127.5)
        Image.fromarray(edit.rgb.numpy()).save(self.folder / "image.png")
        Image.fromarray(255 * edit.mask.numpy()).save(self.folder / "mask.png")
        subprocess.run(
            [program, "edit", "--model", str(self.export()), "--image",
             str(self.folder / "image.png"), "--mask", str(self.folder / "mask.png"), "--prompt",
             edit.prompt, "--seed", str(edit.seed), "--output", str(self.folder / "out.png"),
             "--device", "cpu", "--save-stages", str(self.folder / "stages"), "--quiet"],
            check=True)  # fmt: skip
        for name, result in zip(TINY, exact):
            wanted = to_bytes(result)[0].numpy().astype(int)
            file = self.folder / "stages" / f"out-{name}.png"
            got = np.asarray(Image.open(file)).astype(int)
            self.assertLessEqual(np.abs(got - wanted).max(), 1, name)
            self.assertLess((got != wanted).mean(), 0.1, name)

    def test_errors_are_those_of_the_clean_image(self) -> None:
        given = ["--model", str(self.export()), "--config", str(self.folder / "sr-256.json"),
                 "--data", str(self.folder / "cache"), "--images", "3"]  # fmt: skip
        code, printed = quiet(errors.main, given)
        self.assertEqual((code, printed.count("\n")), (0, 2 + len(errors.TIMES)), printed)
        run = train.Run(self.options("sr-256", "exact"), self.config("sr-256"))
        batch = default_collate([run.samples.held_out(i) for i in range(3)])
        with mock.patch.object(run.objective, "predict", lambda inputs, *_: inputs.answer + 0.1):
            for t in errors.TIMES:
                sigma = math.sqrt(1 - errors.schedule.alpha_sigma(
                    errors.schedule.log_snr(run.config.stage.schedule, t))[0] ** 2)  # fmt: skip
                for error in errors.errors(run.objective, batch, t):
                    self.assertAlmostEqual(error, 12.75 * sigma, delta=0.01)

    def test_errors_with_another_word_are_those_of_another_prompt(self) -> None:
        rng = random.Random(1)
        for prompt, pattern in {"two red balls": r"two red (box|cone)s",
                                "a football": "a football", "a cone": "a (ball|box)"}.items():
            for _ in range(8):
                self.assertRegex(errors.swap(prompt, ["ball", "box", "cone"], rng), f"^{pattern}$")
        given = ["--model", str(self.export()), "--config", str(self.folder / "base-64.json"),
                 "--data", str(self.folder / "cache"), "--images", "3", "--swap"]  # fmt: skip
        code, printed = quiet(errors.main, [*given, "ball", "box"])
        self.assertEqual((code, printed.count("\n")), (0, 2 + len(errors.TIMES)), printed)
        cells = [cell.split() for line in printed.splitlines()[2:] for cell in line.split("|")]
        self.assertEqual(len(cells), 10 * len(errors.TIMES))
        for words, message in {("ball",): "two words", ("tree", "car"): "0 of 150"}.items():
            code, printed = quiet(errors.main, [*given, *words])
            self.assertEqual(code, 2)
            self.assertIn(message, printed)

    def test_a_base_is_trained_on_from_an_exported_model(self) -> None:
        model, end = self.export(), checkpoint.load(self.folder / "base-64" / "checkpoint.pt")
        options = self.options("base-64", "on", init=model, text=None)
        run = train.Run(options, self.config("base-64"))
        for name, value in run.objective.unet.state_dict().items():
            self.assertTrue(torch.equal(value, end["average"][name].bfloat16().float()), name)
        before = run.objective.unet.stem.weight.detach().clone()
        words = run.text.encoder.shared.weight.detach().clone()
        for batch in data.batches(run.samples, range(2), 0):
            run.train_step(batch)
        self.assertFalse(torch.equal(before, run.objective.unet.stem.weight))
        self.assertTrue(torch.equal(words, run.text.encoder.shared.weight))

    def test_a_mixture_of_text_encoders_is_refused(self) -> None:
        saved = [{"text_digest": d} for d in ("abc", "abc", "def")]
        parsed = [self.config(name) for name in TINY]
        with self.assertRaisesRegex(ValueError, "sr-1024: was trained with another"):
            export.check_text(saved, "abc", parsed)


if __name__ == "__main__":
    unittest.main()

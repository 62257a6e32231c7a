"""Checks of the reference that need nothing but itself.

    python3 -m scripts.reference.test_reference

A test of scripts/test; without PyTorch it says SKIP.

SPDX-License-Identifier: Apache-2.0
"""

import copy
import json
import math
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import torch
    from torch import Tensor

    from . import full_config, golden_unet, guidance, philox, sampler, schedule, weights
    from .cascade import (
        Cascade,
        Edit,
        Lanes,
        Stage,
        conditioning_image,
        known_pixels,
        to_bytes,
    )
    from .config import (
        CascadeConfig,
        Guidance,
        Sampler,
        Schedule,
        StageConfig,
        Threshold,
        UNetConfig,
    )
    from .golden_cascade import EDITS, picture
    from .golden_common import ROOT, randomise
    from .monte_carlo import Rounding
    from .rounding import on_store
    from .t5 import position_bucket
    from .unet import UNet
except ImportError as missing:
    reason = f"the reference needs PyTorch: {missing}"
    if __name__ == "__main__":
        print(f"SKIP: {reason}")
        sys.exit(77)
    raise unittest.SkipTest(reason) from missing

COSINE = Schedule("cosine", s=0.008)
LINEAR = Schedule("linear", beta_first=1e-4, beta_last=0.02, steps=1000)


def unet_config(data: dict[str, Any]) -> UNetConfig:
    own = {key: value for key, value in data.items() if key not in ("format", "version")}
    return UNetConfig.parse(own, "test")


def random_unet(data: dict[str, Any], seed: int, zero_init: bool = False) -> UNet:
    unet = UNet(unet_config(data), zero_init=False).double()
    randomise(unet, torch.Generator().manual_seed(seed))
    if zero_init:
        unet.zero_initialise()
    return unet


class ScheduleTest(unittest.TestCase):
    def test_log_snr_of_the_cosine_schedule_is_the_published_table(self) -> None:
        table = {0.001: 8.53, 0.1: 3.55, 0.5: -0.025, 0.9: -3.70, 0.99: -8.32}
        for t, value in table.items():
            self.assertAlmostEqual(schedule.log_snr(COSINE, t), value, delta=0.0051)

    def test_log_snr_of_the_linear_schedule_is_the_published_table(self) -> None:
        table = {0.01: 6.22, 0.1: 2.16, 0.25: 0.10, 0.5: -2.46, 0.75: -5.67, 1: -10.05}
        for t, value in table.items():  # two digits, of which one is 0.0948
            self.assertAlmostEqual(schedule.log_snr(LINEAR, t), value, delta=0.0053)

    def test_linear_schedule_follows_the_discrete_one(self) -> None:
        alpha2 = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
        for index in (99, 249, 499, 999):
            discrete = math.log(alpha2[index] / (1 - alpha2[index]))
            self.assertAlmostEqual(
                schedule.log_snr(LINEAR, (index + 1) / 1000), discrete, delta=0.1
            )

    def test_schedules_are_variance_preserving_and_finite_at_both_ends(self) -> None:
        for kind in (COSINE, LINEAR):
            for t in (0.0, 0.3, 1.0):
                alpha, sigma = schedule.alpha_sigma(schedule.log_snr(kind, t))
                self.assertAlmostEqual(alpha**2 + sigma**2, 1, places=14)
        self.assertEqual(schedule.log_snr(COSINE, 1.0), -20)

    def test_the_last_step_gives_the_clean_image(self) -> None:
        for kind in ("ddpm", "ddim"):
            step = schedule.make_step(COSINE, Sampler(kind), 9, 10)
            self.assertEqual((step.keep, step.now, step.noise), (0, 1, 0))

    def test_the_last_step_leaps_from_the_end_of_the_grid(self) -> None:
        """With an end of 1/4, three steps begin as four do."""
        for kind in ("ddpm", "ddim"):
            three = [schedule.make_step(COSINE, Sampler(kind, 0.3, 0.25), i, 3) for i in range(3)]
            four = [schedule.make_step(COSINE, Sampler(kind, 0.3), i, 4) for i in range(4)]
            self.assertEqual(three[:2], four[:2])
            self.assertEqual((three[2].t, three[2].keep, three[2].now), (0.5, 0, 1))

    def test_the_ancestral_step_has_the_right_mean_and_variance(self) -> None:
        # With gamma = 0 and the exact x0, z_s given z_t must have the marginal variance sigma_s^2.
        step = schedule.make_step(COSINE, Sampler("ddpm", 0.0), 3, 10)
        alpha_s, sigma_s = schedule.alpha_sigma(schedule.log_snr(COSINE, 0.6))
        self.assertAlmostEqual(step.keep * step.alpha + step.now, alpha_s, places=12)
        variance = (step.keep * step.sigma) ** 2 + step.noise**2
        self.assertAlmostEqual(variance, sigma_s**2, places=12)


class SamplerTest(unittest.TestCase):
    def setUp(self) -> None:
        g = torch.Generator().manual_seed(1)
        self.x = torch.rand(3, 8, 8, generator=g, dtype=torch.float64) * 2 - 1
        self.eps = torch.randn(3, 8, 8, generator=g, dtype=torch.float64)

    def update(self, kind: str, prediction: Tensor, index: int) -> Tensor:
        step = schedule.make_step(COSINE, Sampler("ddim"), index, 10)
        z = step.alpha * self.x + step.sigma * self.eps
        return sampler.update(z, prediction, None, 1, kind, Threshold("static"), step, None)

    def test_one_ddim_step_from_the_exact_noise_returns_the_image(self) -> None:
        torch.testing.assert_close(self.update("epsilon", self.eps, 9), self.x)

    def test_a_ddim_step_from_the_exact_v_stays_on_the_path(self) -> None:
        alpha, sigma = schedule.alpha_sigma(schedule.log_snr(COSINE, 0.6))
        alpha_s, sigma_s = schedule.alpha_sigma(schedule.log_snr(COSINE, 0.5))
        z = self.update("v", alpha * self.eps - sigma * self.x, 4)
        torch.testing.assert_close(z, alpha_s * self.x + sigma_s * self.eps)

    def test_dynamic_threshold_changes_nothing_within_the_range(self) -> None:
        threshold = Threshold("dynamic", 0.995, 0)
        self.assertTrue(torch.equal(sampler.apply_threshold(self.x, threshold), self.x))

    def test_dynamic_threshold_divides_by_the_quantile_up_to_its_cap(self) -> None:
        x = torch.linspace(-4, 4, 81, dtype=torch.float64).reshape(1, 9, 9)
        limit = float(np.quantile(x.abs().numpy(), np.float32(0.9)))
        y = sampler.apply_threshold(x, Threshold("dynamic", 0.9, 0))
        torch.testing.assert_close(y, x.clamp(-limit, limit) / limit)
        y = sampler.apply_threshold(x, Threshold("dynamic", 0.9, 1.5))
        torch.testing.assert_close(y, x.clamp(-1.5, 1.5) / 1.5)

    def test_what_is_known_replaces_x0_after_the_threshold(self) -> None:
        threshold = Threshold("dynamic", 0.9, 0)
        step = schedule.make_step(COSINE, Sampler("ddim"), 9, 10)
        free = torch.zeros(1, 8, 8, dtype=torch.bool)
        free[:, 2:5, 3:] = True
        z, v = 3 * self.x, self.eps
        plain, kept = (
            sampler.update(z, v, None, 1, "v", threshold, step, None, known)
            for known in (None, sampler.Known(self.x, free))
        )
        self.assertTrue(torch.equal(kept, torch.where(free, plain, self.x)))

    def test_a_pixel_is_known_where_nothing_of_its_block_is_to_be_filled(self) -> None:
        rgb = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
        rgb[0, :2, :2, 0] = torch.tensor([[7, 8], [8, 7]])  # the mean is 7.5
        rgb[0, :2, 2:, 1] = torch.tensor([[0, 0], [0, 1]])
        rgb[0, 2:, :2, 2] = 255
        mask = torch.zeros(1, 4, 4, dtype=torch.uint8)
        mask[0, 3, 2] = 1
        for size, free in ((4, mask.bool()), (2, torch.tensor([[[0, 0], [0, 1]]]).bool())):
            known = known_pixels(conditioning_image(rgb, mask, torch.float32), size)
            self.assertTrue(torch.equal(known.free[:, 0], free))
            if size == 4:
                self.assertTrue(torch.equal(to_bytes(known.image)[~free], rgb[~free]))
        levels = to_bytes(known.image)[0].tolist()
        self.assertEqual(levels[0], [[8, 0, 0], [0, 0, 0]])
        self.assertEqual(levels[1][0], [0, 0, 255])

    def test_oscillating_guidance_starts_high_alternates_from_low_and_ends_low(self) -> None:
        kind = Guidance("oscillate", high=30, low=1, hold=0.2)
        self.assertEqual(guidance.weights(kind, 10), [30, 30, 1, 30, 1, 30, 1, 30, 1, 1])
        self.assertEqual(guidance.weights(kind, 5), [30, 1, 30, 1, 1])
        kind.tail = 0.3
        self.assertEqual(guidance.weights(kind, 10), [30, 30, 1, 30, 1, 30, 1, 1, 1, 1])
        self.assertEqual(guidance.weights(kind, 5), [30, 1, 30, 1, 1])
        kind.tail = 1
        self.assertEqual(guidance.weights(kind, 3), [1, 1, 1])

    def test_augmentation_at_level_0_is_the_enlarged_image(self) -> None:
        y = sampler.augment(self.x, 16, 0.0, seed=1, stage=1)
        self.assertTrue(torch.equal(y[:, 0, 0], self.x[:, 0, 0]))
        inner = 0.75 * self.x[:, 0, 0] + 0.25 * self.x[:, 0, 1]
        torch.testing.assert_close(y[:, 0, 1], inner)


class PhiloxTest(unittest.TestCase):
    def test_words_are_the_known_answers(self) -> None:
        answers = [
            ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
            ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
            (
                [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
                (0xA4093822, 0x299F31D0),
                "d16cfe09 94fdcceb 5001e420 24126ea1",
            ),
        ]
        for counter, key, expected in answers:
            words = philox.philox(key, np.array([counter], dtype=np.uint64))[0]
            self.assertEqual(" ".join(f"{int(word):08x}" for word in words), expected)

    def test_normals_are_normal(self) -> None:
        noise = philox.normal(3, 0, 0, 64, 64, 3)
        self.assertLess(abs(float(noise.mean())), 4 / math.sqrt(noise.numel()))
        self.assertLess(abs(float(noise.var()) - 1), 4 * math.sqrt(2 / noise.numel()))

    def test_a_larger_image_starts_with_the_same_elements(self) -> None:
        small = philox.normal(3, 1, 2, 2, 8, 3).permute(1, 2, 0).flatten()
        large = philox.normal(3, 1, 2, 4, 8, 3).permute(1, 2, 0).flatten()
        self.assertTrue(torch.equal(small, large[: small.numel()]))


class UNetTest(unittest.TestCase):
    def run_case(self, unet: UNet, seed: int = 2, canvas_seed: int = 2) -> Tensor:
        inputs = golden_unet.random_inputs(unet.config, torch.Generator().manual_seed(seed))
        other = golden_unet.random_inputs(unet.config, torch.Generator().manual_seed(canvas_seed))
        inputs |= {name: value for name, value in other.items() if name.startswith("canvas")}
        vs = golden_unet.time_inputs(unet.config, inputs)
        with torch.no_grad():
            return golden_unet.evaluate(unet, inputs, vs)["prediction"]

    def test_a_zero_conditioning_slice_makes_image_and_mask_irrelevant_bit_for_bit(self) -> None:
        for data, _ in golden_unet.CASES.values():
            unet = random_unet(data, 1)
            self.assertFalse(torch.equal(self.run_case(unet), self.run_case(unet, canvas_seed=5)))
            with torch.no_grad():
                unet.stem.weight[:, -unet.config.conditioning.channels :] = 0
            self.assertTrue(torch.equal(self.run_case(unet), self.run_case(unet, canvas_seed=5)))

    def test_a_zero_conditioning_slice_leaves_the_plain_network(self) -> None:
        for data, _ in golden_unet.CASES.values():
            unet = random_unet(data, 1)
            kept = unet.config.input_channels - unet.config.conditioning.channels
            none = {"resolution": 0, "kernel": 3, "strides": [], "widths": []}
            plain = UNet(unet_config(data | {"conditioning": none})).double()
            own = {k: v for k, v in unet.state_dict().items() if not k.startswith("conditioning")}
            plain.load_state_dict(own | {"stem.weight": unet.stem.weight.detach()[:, :kept]})
            with torch.no_grad():
                unet.stem.weight[:, kept:] = 0
                inputs = golden_unet.random_inputs(unet.config, torch.Generator().manual_seed(2))
                vs = golden_unet.time_inputs(unet.config, inputs)
                text = plain.text(inputs["text.tokens"], inputs["text.length"])
                low = inputs["low"].permute(0, 3, 1, 2) if "low" in inputs else None
                y = plain(
                    inputs["z"].permute(0, 3, 1, 2),
                    vs["v"],
                    text.pick(inputs["text_slot"]),
                    low=low,
                    v_aug=vs.get("v_aug"),
                )
            # Equal sums, which the library may take in another order.
            torch.testing.assert_close(
                y.permute(0, 2, 3, 1), self.run_case(unet), rtol=1e-11, atol=1e-11
            )

    def test_zero_initialisation_starts_with_a_prediction_of_zero(self) -> None:
        unet = random_unet(golden_unet.ADM, 1, zero_init=True)
        self.assertEqual(float(self.run_case(unet).abs().max()), 0)
        conditioning = unet.stem.weight[:, -unet.config.conditioning.channels :]
        self.assertEqual(float(conditioning.detach().abs().max()), 0)

    def test_a_lane_does_not_depend_on_its_neighbours(self) -> None:
        unet = random_unet(golden_unet.EFFICIENT_SELF, 1)
        inputs = golden_unet.random_inputs(unet.config, torch.Generator().manual_seed(4))
        together = self.run_case(unet, seed=4, canvas_seed=4)
        alone = {k: v[1:2] if not k.startswith("text.") else v for k, v in inputs.items()}
        with torch.no_grad():
            vs = golden_unet.time_inputs(unet.config, alone)
            single = golden_unet.evaluate(unet, alone, vs)["prediction"]
        torch.testing.assert_close(single[0], together[1], rtol=1e-10, atol=1e-10)

    def test_padding_tokens_are_never_read(self) -> None:
        unet = random_unet(golden_unet.ADM, 1)
        inputs = golden_unet.random_inputs(unet.config, torch.Generator().manual_seed(4))
        vs = golden_unet.time_inputs(unet.config, inputs)
        with torch.no_grad():
            before = golden_unet.evaluate(unet, inputs, vs)["prediction"]
            inputs["text.tokens"][1, 4:] = 7
            after = golden_unet.evaluate(unet, inputs, vs)["prediction"]
        self.assertTrue(torch.equal(before, after))

    def test_guidance_of_weight_1_is_the_conditional_model(self) -> None:
        unet = random_unet(golden_unet.ADM, 1)
        inputs = golden_unet.random_inputs(unet.config, torch.Generator().manual_seed(4))
        with torch.no_grad():
            texts = unet.text(inputs["text.tokens"], inputs["text.length"])
            canvas = conditioning_image(
                inputs["canvas.rgb"][:1], inputs["canvas.mask"][:1, ..., 0], torch.float64
            )
            encoded = unet.encode_canvas(canvas)
            results = []
            for null, kind in ((2, "constant"), (1, "constant"), (2, "list")):
                lanes = Lanes(texts.pick(torch.tensor([0])), texts.pick(torch.tensor([null])),
                              encoded, None, None, None)  # fmt: skip
                values = Guidance(kind, weight=1, weights=[1, 1, 1 + 1e-9])
                stage = StageConfig("test", "", COSINE, "epsilon", Sampler("ddim"), 3, values,
                                    Threshold("dynamic"))  # fmt: skip
                results.append(Stage(stage, unet, 0).run(lanes, [5]))
        self.assertTrue(torch.equal(results[0], results[1]))  # the null text was not used
        torch.testing.assert_close(results[0], results[2], rtol=1e-6, atol=1e-6)

    def test_every_golden_model_has_exactly_the_tensors_of_its_configuration(self) -> None:
        for name in golden_unet.CASES:
            unet = UNet(UNetConfig.read(ROOT / name / "config.json"))
            weights.load_into(unet, ROOT / name)

    def test_full_configuration_has_the_known_number_of_parameters(self) -> None:
        self.assertEqual(
            full_config.counts(),
            {
                "base-64": 2_425_660_899,
                "sr-256": 538_328_163,
                "sr-1024": 529_842_563,
                "text_encoder": 4_762_310_656,
            },
        )


class TextTest(unittest.TestCase):
    def test_buckets_are_exact_near_logarithmic_far_and_split_by_direction(self) -> None:
        distance = torch.tensor([0, 1, 7, 8, 127, 500, -1, -7, -500])
        expected = [0, 17, 23, 24, 31, 31, 1, 7, 15]
        self.assertEqual(position_bucket(distance, 32, 128).tolist(), expected)


class FilesTest(unittest.TestCase):
    def test_shards_and_one_file_read_the_same(self) -> None:
        tensors = {f"t{i}": torch.randn(4, i + 1) for i in range(5)}
        with tempfile.TemporaryDirectory() as folder:
            weights.write(Path(folder), tensors, shard_bytes=40)
            self.assertGreater(len(list(Path(folder).glob("model-*"))), 2)
            read = weights.read(Path(folder))
        self.assertEqual(read.keys(), tensors.keys())
        for name, tensor in tensors.items():
            self.assertTrue(torch.equal(read[name], tensor))

    def test_a_misspelt_key_is_an_error(self) -> None:
        data = copy.deepcopy(golden_unet.ADM)
        data["levels"][0]["heds"] = 1
        with self.assertRaisesRegex(ValueError, "heds"):
            unet_config(data)
        data = json.loads((ROOT / "cascade" / "cascade.json").read_text(encoding="utf-8"))
        data["stages"][1]["guidance"]["hold"] = 1
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cascade.json"
            path.write_text(json.dumps(data), encoding="utf-8")
            with self.assertRaisesRegex(ValueError, "guidance"):
                CascadeConfig.read(path)
            del data["stages"][1]["guidance"]["hold"]
            data["stages"][2]["known"] = "pasted"
            path.write_text(json.dumps(data), encoding="utf-8")
            with self.assertRaisesRegex(ValueError, r"stages\[2\]: known: .*predicted, kept"):
                CascadeConfig.read(path)

    def test_the_golden_cascades_in_f32_give_the_golden_edits(self) -> None:
        for name in ("cascade", "cascade-kept"):
            self.check_cascade(name)

    def check_cascade(self, name: str) -> None:
        golden = weights.read_file(ROOT / f"{name}-io.safetensors")
        cascade = Cascade(ROOT / name, torch.float32)
        edits = [Edit(prompt, seed, *picture(i)) for i, (prompt, seed) in enumerate(EDITS)]
        edited, results = cascade.edit(edits)
        for n in range(len(edits)):
            x0 = results[-1][n].permute(1, 2, 0)
            bound = 6 * float(golden[f"edit{n}.final.x0.spread_f32"])
            self.assertLessEqual(float((x0 - golden[f"edit{n}.final.x0"]).abs().max()), bound)
            outside = edits[n].mask == 0
            self.assertTrue(torch.equal(edited[n][outside], edits[n].rgb[outside]))

    def test_bytes_are_rounded_to_the_nearest(self) -> None:
        image = torch.tensor([-2, -1, 0, 1 - 2 / 255 / 2.001, 1 - 2 / 255 / 1.999, 3])
        image = image.double().reshape(1, 1, 1, 6)
        self.assertEqual(to_bytes(image).flatten().tolist(), [0, 0, 128, 255, 254, 255])


class MonteCarloTest(unittest.TestCase):
    def test_displacements_cover_the_errors_of_real_f32_and_bf16_arithmetic(self) -> None:
        for name in golden_unet.CASES:
            golden = weights.read_file(ROOT / name / "io.safetensors")
            unet = UNet(UNetConfig.read(ROOT / name / "config.json"))
            weights.load_into(unet, ROOT / name)
            vs = {key: golden[key] for key in ("v", "v_aug") if key in golden}
            with torch.no_grad():
                single = golden_unet.evaluate(unet, golden, vs)
                with on_store(lambda x: x.bfloat16().float()):
                    half = golden_unet.evaluate(unet, golden, vs)
            self.assert_within(golden, single, "f32", name)
            self.assert_within(golden, half, "bf16", name)

    def assert_within(
        self, golden: dict[str, Tensor], outputs: dict[str, Tensor], kind: str, name: str
    ) -> None:
        for key, value in outputs.items():
            error = (value - golden[key]).double()
            where = f"{name} {key} {kind}"
            bound = 6 * float(golden[f"{key}.spread_{kind}"])
            self.assertLessEqual(float(error.abs().max()), bound, where)
            rms = float(error.pow(2).mean().sqrt())
            self.assertLessEqual(rms, 3 * float(golden[f"{key}.rms_{kind}"]), where)

    def test_an_unknown_operation_is_refused(self) -> None:
        x = torch.rand(3, dtype=torch.float64)
        with Rounding(torch.Generator()), self.assertRaisesRegex(NotImplementedError, "erfinv"):
            torch.erfinv(x)


if __name__ == "__main__":
    unittest.main()

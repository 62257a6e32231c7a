"""How far a model's stage is from the clean image at chosen times, on held-out images.

    python3 -m scripts.train.errors --model models/demo --data data/cache-256 \\
        --config scripts/train/configs/demo/sr-256.json

One step's x0 against the image, in levels of 255, inside the mask: the root mean square, that of
each image's mean alone, which is a wrong colour or tone, and that of the mean at the mask's border,
its first two pixels, which is a ring. t = 1 is where a sampler begins.

    ... --swap sphere cube cylinder cone pyramid

does so for prompts with one of these words, and again with another one in its place: a network that
hears them is further off then; one that is not has not learned what they mean.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import random
import re
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import default_collate

from ..reference import schedule
from . import fast, text
from .cache import Cache
from .config import TrainingConfig, with_settings
from .data import Samples
from .stage import VALIDATION, Objective, border_of, make_inputs, new_unet, reduce, start_from

TIMES = (0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 0.999, 1.0)
LEVELS = 127.5


def load(config: TrainingConfig, model: Path) -> Objective:
    unet = new_unet(config)
    start_from(unet, model / config.stage.directory)
    side = text.load(model, config.text)
    return Objective(config, fast.install(unet, config.precision).eval(), side, torch.device("cpu"))


def swap(prompt: str, words: list[str], rng: random.Random) -> str:
    """Each of the words, or its plural in -s, becomes another one of them."""
    either = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))

    def other(found: re.Match) -> str:
        return rng.choice([word for word in words if word != found[1]]) + found[2]

    return re.sub(rf"\b({either})(s?)\b", other, prompt)


def batch_of(samples: Samples, count: int, words: list[str]) -> dict:
    """So many held-out samples, each with one of the words in its prompt where there are any."""
    found, tried = [], 50 * count
    for number in range(tried):
        sample = samples.held_out(number)
        if not words or swap(sample["prompt"], words, random.Random(0)) != sample["prompt"]:
            found.append(sample)
        if len(found) == count:
            return default_collate(found)
    raise ValueError(f"{len(found)} of {tried} held-out samples have one of the words: {words}")


@torch.no_grad()
def errors(objective: Objective, batch: dict, t: float) -> tuple[float, float, float]:
    """Inside the masks: root mean square of x0's error, of its mean over each image, and of its
    mean over each image's border."""
    config = objective.config
    inputs = make_inputs(config, batch, objective.device, (config.seed, VALIDATION, 0), t)
    alpha, sigma = schedule.alpha_sigma(schedule.log_snr(config.stage.schedule, t))
    said = objective.predict(inputs, batch["prompt"], torch.ones(len(batch["prompt"]), dtype=bool))
    if config.stage.prediction == "v":
        x0 = alpha * inputs.z - sigma * said
    else:
        x0 = (inputs.z - sigma * said) / alpha
    mask = reduce(batch["mask"][:, None].float(), config.side)
    error = LEVELS * (x0 - inputs.target)

    def mean(values: Tensor, weight: Tensor) -> Tensor:
        return (weight * values).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1)

    border = border_of(mask)
    squares = (mean(error.square(), mask), mean(error, mask).square(), mean(error, border).square())
    whole, tone, ring = (square.mean().sqrt().item() for square in squares)
    return whole, tone, ring


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True, help="the stage's training file")
    parser.add_argument("--data", type=Path, required=True, help="a cache of scripts.train.cache")
    parser.add_argument("--images", type=int, default=16, help="held-out ones (default 16)")
    parser.add_argument("--swap", nargs="+", default=[], metavar="WORD", help="two or more")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", dest="settings")
    options = parser.parse_args(arguments)
    try:
        config = with_settings(TrainingConfig.read(options.config), options.settings)
        objective = load(config, options.model)
        samples = Samples(Cache(options.data, config.data.canvas), config)
        if len(set(options.swap)) == 1:
            raise ValueError("--swap needs two words")
        batch = batch_of(samples, options.images, options.swap)
        batches = {"": batch}
        if options.swap:
            rng = random.Random(config.seed)
            prompts = [swap(prompt, options.swap, rng) for prompt in batch["prompt"]]
            batches[", with another word"] = {**batch, "prompt": prompts}
        kinds = ("root mean square", "of the mean", "of the border's mean")
        heads = [f"{kind}{which}" for which in batches for kind in kinds]
        print(f"| t | log-SNR | {' | '.join(heads)} |\n|{(2 + len(heads)) * '---|'}")
        for t in TIMES:
            lam = schedule.log_snr(config.stage.schedule, t)
            found = [value for b in batches.values() for value in errors(objective, b, t)]
            print(f"| {t:g} | {lam:.1f} | {' | '.join(f'{x:.1f}' for x in found)} |", flush=True)
    except (OSError, ValueError) as error:
        print(f"errors: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

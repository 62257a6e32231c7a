"""The configuration file of a training run: one stage of a cascade and how it is trained.

Strict like a model's own files: an unknown key, a missing key or a value out of range is a
ValueError that names the file and the key. README.md explains every key.

SPDX-License-Identifier: Apache-2.0
"""

import copy
import json
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..reference.config import (
    StageConfig,
    UNetConfig,
    build,
    choice,
    parse_stage,
    read_json,
    require,
)

FORMAT = "imagen-editor-training"


@dataclass
class TextConfig:
    length: int  # tokens, </s> included: text_length of cascade.json
    dropout: float  # share of the samples that are trained with the null text

    def check(self, where: str) -> None:
        require(1 <= self.length <= 1024, where, "length is not in 1 .. 1024")
        require(0 <= self.dropout < 1, where, "dropout is not in 0 .. 1")


@dataclass
class DataConfig:
    canvas: int  # side of the cached image that image-and-mask conditioning is made of
    crop: int  # side of the training window at the stage's resolution; 0: the whole image
    touch: float  # share of the windows that are placed on the mask's border; of a base: around it
    flip: float  # share of the samples that are mirrored, where no caption quotes a word
    covered: float  # a described object counts as masked from this share of its box on
    prompts: dict[str, float]  # weights of the kinds of prompt: full, simple, rich
    validation: int  # images at the end of the set that are never trained on
    recoloured: float = 0  # share whose red, green and blue change places, without their text
    # phrase: how many times in an epoch an image comes whose captions have it; else once
    emphasis: dict[str, int] = field(default_factory=dict)

    def check(self, where: str) -> None:
        kinds = {"full", "simple", "rich"}
        require(set(self.prompts) == kinds, where, f"prompts needs the keys {sorted(kinds)}")
        require(sum(self.prompts.values()) > 0, where, "prompts are all 0")
        require(self.validation >= 1, where, "validation is not at least 1")
        for name in ("touch", "flip", "recoloured", "covered"):
            require(0 <= getattr(self, name) <= 1, where, f"{name} is not in 0 .. 1")
        require(isinstance(self.emphasis, dict), where, "emphasis is not phrases with numbers")
        for phrase, times in self.emphasis.items():
            whole = isinstance(times, int) and 1 <= times <= 1000
            require(whole, where, f"emphasis of {phrase!r} is no whole number in 1 .. 1000")


@dataclass
class RandomMask:
    """Boxes or strokes. Lengths are parts of the canvas's side; every pair is lowest, highest."""

    boxes: float  # share of box masks; the others are strokes
    box_count: list[int]
    box_side: list[float]
    stroke_count: list[int]
    stroke_points: list[int]
    stroke_length: list[float]
    stroke_width: list[float]


@dataclass
class ObjectMask:
    """Which boxes of the annotations are masked. Every pair is lowest, highest."""

    count: list[int]
    score: float  # a box with a lower score is not used
    area: list[float]  # of a usable box, as a part of the canvas
    expand: list[float]  # each side moves outwards by this part of the box's size
    jitter: float  # the box moves by up to this part of its size
    ellipse: float  # share of the boxes of which the ellipse through the corners is masked
    union: float  # share of the samples where a random mask is joined to the boxes


@dataclass
class MaskConfig:
    policy: str
    full: float  # share of the samples where everything is masked
    outside: float  # weight of the loss where nothing is masked; inside it is 1
    random: RandomMask
    object: ObjectMask
    border: float = 1  # weight of the loss at the first masked pixels (stage.BORDER)

    def check(self, where: str) -> None:
        choice(self.policy, ("object", "random"), f"{where}: policy")
        require(0 <= self.full <= 1, where, "full is not in 0 .. 1")
        require(0 < self.outside <= 1, where, "outside is not in 0 .. 1, 0 excluded")
        require(1 <= self.border <= 100, where, "border is not in 1 .. 100")
        require(0 <= self.object.union <= 1, where, "object.union is not in 0 .. 1")
        pairs = {**vars(self.random), **vars(self.object)}
        for name, value in pairs.items():
            if isinstance(value, list):
                require(len(value) == 2 and value[0] <= value[1], where, f"{name}: not low, high")


@dataclass
class OptimiserConfig:
    rate: float  # Adam's, after the warm-up
    final_rate: float  # at the end of the cosine
    warmup: int  # steps
    steps: int
    batch: int
    betas: list[float]
    eps: float
    weight_decay: float
    clip: float  # largest norm of the gradient; 0: any
    ema: float

    def check(self, where: str) -> None:
        require(self.steps >= 1 and self.batch >= 1, where, "steps or batch is not at least 1")
        require(0 <= self.warmup <= self.steps, where, "warmup is not in 0 .. steps")
        require(0 <= self.ema < 1, where, "ema is not in 0 .. 1")


@dataclass
class RecordConfig:
    """What is written while training. Minutes may be fractions; 0: after every step."""

    checkpoint_minutes: float
    sample_minutes: float
    sample_count: int  # held-out images in a grid; 0: no grids
    sample_steps: int
    sample_prompts: list[str]  # more rows: the first held-out image and mask with these prompts


@dataclass
class TrainingConfig:
    model: str  # name of the cascade
    stage: StageConfig
    unet: UNetConfig
    text: TextConfig
    data: DataConfig
    mask: MaskConfig
    optimiser: OptimiserConfig
    record: RecordConfig
    conditioning: str  # learned, or fixed: an average that is not trained
    augmentation: float  # of the low-resolution image: levels from U(0, this); 1 is published
    grain: float  # of the low-resolution image where it is masked: noise of up to this deviation
    time_power: float  # t = u^time_power, u from U(0, 1): 1 is uniform, less is more noise
    multiscale: int  # how often the loss is taken again at half the side; 0: at full size alone
    precision: str
    seed: int
    source: dict[str, Any]  # the file as it was read, to be stored and exported

    @property
    def side(self) -> int:
        """Of the images the network sees in training."""
        return self.data.crop or self.unet.resolution

    @staticmethod
    def read(path: Path) -> "TrainingConfig":
        data = read_json(path, FORMAT)
        return TrainingConfig.parse(data, str(path))

    @staticmethod
    def parse(data: dict[str, Any], where: str) -> "TrainingConfig":
        defaults = {"conditioning": "learned", "augmentation": 1, "grain": 0,
                    "time_power": 1, "multiscale": 0}  # fmt: skip
        data = {**defaults, **data}
        source = copy.deepcopy(data)
        sections = {
            "text": TextConfig,
            "data": DataConfig,
            "optimiser": OptimiserConfig,
            "record": RecordConfig,
        }
        parts: dict[str, Any] = {
            name: build(cls, data.get(name), f"{where}: {name}") for name, cls in sections.items()
        }
        mask = dict(data.get("mask", {}))
        parts["mask"] = build(
            MaskConfig,
            mask,
            f"{where}: mask",
            random=build(RandomMask, mask.get("random"), f"{where}: mask.random"),
            object=build(ObjectMask, mask.get("object"), f"{where}: mask.object"),
        )
        require({"stage", "unet"} <= set(data), where, "stage or unet is missing")
        index = 1 if data["unet"].get("low_resolution") else 0
        parts["stage"] = parse_stage(data["stage"], index, f"{where}: stage")
        parts["unet"] = UNetConfig.parse(data["unet"], f"{where}: unet")
        keys = {f.name for f in fields(TrainingConfig)} - {"source"}
        require(set(data) == keys, where, f"unknown or missing keys {sorted(set(data) ^ keys)}")
        config = TrainingConfig(**{**data, **parts}, source=source)
        config.check(where)
        return config

    def check(self, where: str) -> None:
        for name in ("text", "data", "mask", "optimiser"):
            getattr(self, name).check(f"{where}: {name}")
        choice(self.precision, ("f32", "bf16"), f"{where}: precision")
        choice(self.conditioning, ("learned", "fixed"), f"{where}: conditioning")
        require(0 < self.augmentation <= 1, where, "augmentation is not in (0, 1]")
        require(0 <= self.grain <= 1, where, "grain is not in 0 .. 1")
        require(0 < self.time_power <= 2, where, "time_power is not in (0, 2]")
        halved = self.multiscale >= 0 and self.side % 2**self.multiscale == 0
        require(halved, where, f"{self.side} cannot be halved {self.multiscale} times (multiscale)")
        unet, data = self.unet, self.data
        if self.conditioning == "fixed":
            chain = unet.conditioning
            average = chain.strides == [chain.kernel] and chain.widths == [4]
            require(average or not chain.strides, where, "a fixed conditioning is one convolution "
                    "whose kernel is its stride, of width 4")  # fmt: skip
        canvas = unet.conditioning.resolution
        require(canvas > 0, where, "unet.conditioning.resolution is 0: nothing is edited")
        require(self.stage.guidance.kind != "list", where, "stage.guidance is a list")
        if unet.low_resolution:
            require(unet.resolution % unet.low_resolution == 0, where, "low_resolution no divisor")
        if data.crop and unet.low_resolution:
            require(
                data.canvas == unet.resolution, where, "crops need data.canvas = resolution"
            )
            shrink = unet.resolution // unet.low_resolution
            require(data.crop % shrink == 0, where, "crop does not divide")
        if data.crop:
            smallest = math.prod(level.stride for level in unet.levels)
            require(data.crop % smallest == 0, where, f"crop is no multiple of {smallest}")
            require(data.crop <= unet.resolution, where, "crop is larger than resolution")
        require(
            data.canvas % unet.resolution == 0, where, "data.canvas is no multiple of resolution"
        )
        if data.canvas != canvas:
            strides, kernel = unet.conditioning.strides, unet.conditioning.kernel
            exact = bool(strides) and strides[0] == kernel and canvas % data.canvas == 0
            whole = exact and kernel % (canvas // data.canvas) == 0
            require(whole, where, "data.canvas is neither the canvas nor a part of it whose pixels "
                    "a first convolution, its kernel being its stride, sees whole")  # fmt: skip


def with_settings(config: TrainingConfig, settings: list[str]) -> TrainingConfig:
    """The same run with other values, each "dotted.key=JSON value"; plain words are strings."""
    source = copy.deepcopy(config.source)
    for setting in settings:
        name, equals, text = setting.partition("=")
        require(bool(equals), f"--set {setting}", "is not KEY=VALUE")
        *path, last = name.split(".")
        section = source
        for key in path:
            section = section.get(key) if isinstance(section, dict) else None
        known = isinstance(section, dict) and last in section
        require(known, f"--set {setting}", f"there is no {name}")
        try:
            section[last] = json.loads(text)
        except json.JSONDecodeError:
            section[last] = text
    return TrainingConfig.parse(source, "--set")


def differences(a: dict[str, Any], b: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of the keys at which two configurations differ."""
    result = []
    for key in sorted(set(a) | set(b)):
        name = prefix + key
        if isinstance(a.get(key), dict) and isinstance(b.get(key), dict):
            result += differences(a[key], b[key], name + ".")
        elif a.get(key) != b.get(key):
            result.append(name)
    return result


def dump(config: TrainingConfig) -> str:
    return json.dumps({"format": FORMAT, "version": 1, **config.source}, indent=2) + "\n"

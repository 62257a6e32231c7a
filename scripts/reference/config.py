"""cascade.json, a stage's config.json and the text encoder's config.json as dataclasses.

engine/MODEL.md section 1 defines every key. Reading is strict, as in the engine: an unknown key, a
missing key or a value out of range is a ValueError that names the file and the key.

SPDX-License-Identifier: Apache-2.0
"""

import json
import math
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

ATTENTION_KINDS = ("none", "self_text", "text")


def require(condition: bool, where: str, what: str) -> None:
    if not condition:
        raise ValueError(f"{where}: {what}")


def build(cls: type, data: Any, where: str, **parsed: Any) -> Any:
    """Make the dataclass `cls` from JSON object `data`; `parsed` has its keys already converted."""
    require(isinstance(data, dict), where, "is not an object")
    known = {f.name for f in fields(cls)}
    needed = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
    require(set(data) <= known, where, f"unknown keys {sorted(set(data) - known)}")
    require(needed <= set(data), where, f"missing keys {sorted(needed - set(data))}")
    return cls(**{**data, **parsed})


def choice(value: Any, options: tuple[str, ...], where: str) -> None:
    require(value in options, where, f"{value!r} is not one of {', '.join(options)}")


def read_json(path: Path, format_name: str) -> dict[str, Any]:
    """One of our own JSON files, its `format` and `version` checked and removed."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    require(data.pop("format", None) == format_name, str(path), f"format is not {format_name}")
    require(data.pop("version", None) == 1, str(path), "version is not 1")
    return data


# ---- a U-Net ------------------------------------------------------------------------------------


@dataclass
class Conditioning:
    """The chain of strided convolutions from the canvas to the stage; empty: the raw channels.

    resolution 0: no image and mask, the plain network that fine-tuning starts from.
    """

    resolution: int
    kernel: int
    strides: list[int]
    widths: list[int]

    @property
    def channels(self) -> int:
        if self.resolution == 0:
            return 0
        return self.widths[-1] if self.widths else 4

    def check(self, resolution: int, where: str) -> None:
        strides = self.strides
        require(len(strides) == len(self.widths), where, "as many conditioning.widths as strides")
        if self.resolution == 0:
            require(not strides, where, "conditioning.resolution is 0: strides must be empty")
        else:
            leads = math.prod(strides) * resolution == self.resolution
            require(leads, where, "conditioning.strides do not lead from canvas to resolution")


@dataclass
class Time:
    input: str
    clamp: float
    scale: float
    width: int
    max_period: float


@dataclass
class Text:
    width: int
    norm: str
    project: int
    kv_norm: str
    pool_heads: int

    @property
    def inner(self) -> int:
        """Width of the tokens that attention and pooling read: P of MODEL.md."""
        return self.project or self.width


@dataclass
class Level:
    channels: int
    stride: int
    blocks: int
    attention: str
    heads: int
    head_width: int


@dataclass
class Middle:
    blocks: int
    attention: str
    heads: int
    head_width: int


@dataclass
class Head:
    norm: bool
    kernel: int


@dataclass
class UNetConfig:
    layout: str
    resolution: int
    image_channels: int
    output_channels: int
    low_resolution: int
    conditioning: Conditioning
    width: int
    embedding: int
    time: Time
    text: Text
    norm_groups: int
    norm_eps: float
    activation: str
    residual_scale: float
    shortcut: str
    skip_join: str
    skip_scale: float
    levels: list[Level]
    middle: Middle
    head: Head

    @property
    def input_channels(self) -> int:
        low = self.image_channels if self.low_resolution else 0
        return self.image_channels + low + self.conditioning.channels

    @staticmethod
    def parse(data: dict[str, Any], where: str) -> "UNetConfig":
        sub = {
            name: build(cls, data.get(name), f"{where}: {name}")
            for name, cls in (
                ("conditioning", Conditioning),
                ("time", Time),
                ("text", Text),
                ("middle", Middle),
                ("head", Head),
            )
        }
        levels = [
            build(Level, level, f"{where}: levels[{i}]") for i, level in enumerate(data["levels"])
        ]
        config = build(UNetConfig, data, where, levels=levels, **sub)
        config.check(where)
        return config

    @staticmethod
    def read(path: Path) -> "UNetConfig":
        return UNetConfig.parse(read_json(path, "imagen-editor-unet"), str(path))

    def check(self, where: str) -> None:
        choice(self.layout, ("adm", "efficient"), f"{where}: layout")
        choice(self.time.input, ("log_snr", "time"), f"{where}: time.input")
        choice(self.text.norm, ("layer", "none"), f"{where}: text.norm")
        choice(self.text.kv_norm, ("layer", "none"), f"{where}: text.kv_norm")
        choice(self.activation, ("silu", "gelu"), f"{where}: activation")
        choice(self.shortcut, ("auto", "conv"), f"{where}: shortcut")
        choice(self.skip_join, ("concat", "add"), f"{where}: skip_join")
        require(self.output_channels >= self.image_channels, where, "output_channels too few")
        require(self.time.width % 2 == 0, where, "time.width is odd")
        require(self.text.inner % self.text.pool_heads == 0, where, "pool_heads does not divide")
        require(self.head.kernel in (1, 3), where, "head.kernel is not 1 or 3")
        self.conditioning.check(self.resolution, where)
        for part in (*self.levels, self.middle):
            choice(part.attention, ATTENTION_KINDS, f"{where}: attention")
        if self.layout == "adm":
            require(self.levels[0].stride == 1, where, "the first level of adm has stride 1")
            require(
                all(level.stride == 2 for level in self.levels[1:]),
                where,
                "the later levels of adm have stride 2",
            )
            require(self.skip_join == "concat", where, "adm joins its skips by concat")
        if self.middle.blocks == 0:
            require(self.middle.attention == "none", where, "attention in an empty middle")


# ---- a cascade ----------------------------------------------------------------------------------


@dataclass
class Schedule:
    kind: str
    s: float = 0.008
    beta_first: float = 1e-4
    beta_last: float = 0.02
    steps: float = 1000


@dataclass
class Sampler:
    kind: str
    gamma: float = 0.3
    end: float = 0.0


@dataclass
class Guidance:
    kind: str
    weight: float = 1.0
    weights: list[float] = field(default_factory=list)
    high: float = 1.0
    low: float = 1.0
    hold: float = 0.0
    tail: float = 0.0


@dataclass
class Threshold:
    kind: str
    percentile: float = 0.995
    cap: float = 0.0


# Which keys go with which kind; any other key is an error.
KIND_KEYS: dict[str, dict[str, set[str]]] = {
    "schedule": {"cosine": {"s"}, "linear": {"beta_first", "beta_last", "steps"}},
    "sampler": {"ddpm": {"gamma"}, "ddim": set()},
    "guidance": {
        "constant": {"weight"},
        "list": {"weights"},
        "oscillate": {"high", "low", "hold"},
    },
    "threshold": {"none": set(), "static": set(), "dynamic": {"percentile", "cap"}},
}
# Keys that may be there. gamma with ddim: for requests that ask for the other sampler.
SPARE_KEYS: dict[str, set[str]] = {
    "ddpm": {"end"},
    "ddim": {"gamma", "end"},
    "oscillate": {"tail"},
}


@dataclass
class StageConfig:
    name: str
    directory: str
    schedule: Schedule
    prediction: str
    sampler: Sampler
    steps: int
    guidance: Guidance
    threshold: Threshold
    known: str = "predicted"
    augmentation: float | None = None


@dataclass
class CascadeConfig:
    name: str
    text_length: int
    stages: list[StageConfig]

    @staticmethod
    def read(path: Path) -> "CascadeConfig":
        data = read_json(path, "imagen-editor-cascade")
        require(isinstance(data.get("stages"), list) and data["stages"], str(path), "no stages")
        stages = [
            parse_stage(stage, i, f"{path}: stages[{i}]") for i, stage in enumerate(data["stages"])
        ]
        config = build(CascadeConfig, data, str(path), stages=stages)
        require(1 <= config.text_length <= 1024, str(path), "text_length is not in 1 .. 1024")
        return config


def parse_kind(cls: type, name: str, data: Any, where: str) -> Any:
    """An object whose `kind` decides its other keys."""
    where = f"{where}: {name}"
    require(isinstance(data, dict) and "kind" in data, where, "has no kind")
    keys = KIND_KEYS[name]
    choice(data["kind"], tuple(keys), where)
    wanted, given = keys[data["kind"]], set(data) - {"kind"}
    spare = SPARE_KEYS.get(data["kind"], set())
    require(wanted <= given <= wanted | spare, where, f"its keys are kind {sorted(wanted)}")
    return cls(**data)


def parse_stage(data: dict[str, Any], index: int, where: str) -> StageConfig:
    parts = {
        name: parse_kind(cls, name, data.get(name), where)
        for name, cls in (
            ("schedule", Schedule),
            ("sampler", Sampler),
            ("guidance", Guidance),
            ("threshold", Threshold),
        )
    }
    stage = build(StageConfig, data, where, **parts)
    choice(stage.prediction, ("epsilon", "v"), f"{where}: prediction")
    choice(stage.known, ("predicted", "kept"), f"{where}: known")
    require(
        (stage.augmentation is None) == (index == 0),
        where,
        "augmentation belongs to every stage but the first",
    )
    require(0 <= (stage.augmentation or 0) <= 1, where, "augmentation is not in 0 .. 1")
    if stage.guidance.kind == "list":
        require(len(stage.guidance.weights) == stage.steps, where, "one weight per step")
    return stage


# ---- the text encoder ---------------------------------------------------------------------------


@dataclass
class T5Config:
    """The keys of a Hugging Face config.json that matter; the others are ignored."""

    vocab_size: int
    d_model: int
    d_kv: int
    d_ff: int
    num_layers: int
    num_heads: int
    relative_attention_num_buckets: int
    relative_attention_max_distance: int
    layer_norm_epsilon: float

    @staticmethod
    def parse(data: dict[str, Any], where: str) -> "T5Config":
        require(
            data.get("feed_forward_proj") == "gated-gelu",
            where,
            "feed_forward_proj is not gated-gelu",
        )
        data = {"relative_attention_max_distance": 128, **data}
        missing = [f.name for f in fields(T5Config) if f.name not in data]
        require(not missing, where, f"missing keys {missing}")
        return T5Config(**{f.name: data[f.name] for f in fields(T5Config)})

    @staticmethod
    def read(path: Path) -> "T5Config":
        return T5Config.parse(json.loads(Path(path).read_text(encoding="utf-8")), str(path))

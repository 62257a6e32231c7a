"""What scenes are made of, along EditBench's axes.

A colour is linear RGB. Shapes are drawn in any colour and material; objects have parts of their
own and take a colour only.

SPDX-License-Identifier: Apache-2.0
"""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.62, 0.03, 0.03),
    "orange": (0.80, 0.24, 0.02),
    "yellow": (0.82, 0.62, 0.04),
    "green": (0.05, 0.38, 0.07),
    "blue": (0.03, 0.11, 0.58),
    "purple": (0.25, 0.04, 0.42),
    "pink": (0.82, 0.24, 0.40),
    "white": (0.85, 0.85, 0.84),
    "black": (0.012, 0.012, 0.013),
    "brown": (0.20, 0.085, 0.03),
}

# Stone and wood keep their own pattern and are tinted by the colour when one is given.
MATERIALS = ("rubber", "metal", "glass", "wooden", "stone")

SHAPES = ("sphere", "cube", "cylinder", "cone", "torus", "pyramid")

OBJECTS = ("fish bowl", "mug", "table lamp", "snowman", "vase", "candle", "beach ball", "bottle")

# Objects whose name alone says how they look; the others are named with their colour.
UNCOLOURED = ("fish bowl", "snowman", "beach ball")

SIZES = {"small": 0.62, "": 0.9, "large": 1.25}

COUNTS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}

WORDS = ("SALE", "OPEN", "EXIT", "HOT", "FRESH", "HELLO")

SETTINGS = ("table", "floor", "lawn", "beach", "desk")

PLACES = {
    "table": ("on a wooden table in a room", "on a table", "on a wooden table top"),
    "floor": ("on a tiled floor in a room", "on a floor in front of a wall", "indoors, on a floor"),
    "lawn": ("on a lawn under a blue sky", "on green grass", "outdoors on the grass"),
    "beach": ("on a sandy beach by the sea", "on the sand", "on a beach"),
    "desk": ("on a grey desk in front of a brick wall", "on a desk", "on a desk by a brick wall"),
}


def plural(name: str) -> str:
    """The plural of a shape or an object."""
    return {"torus": "tori", "snowman": "snowmen"}.get(name, name + "s")

"""A scene as POV-Ray text: once as the picture, once as flat colours that number the groups.

Shapes stand on the ground (y = 0) and are 1 high before scaling; all are made of primitives here.

SPDX-License-Identifier: Apache-2.0
"""

import math

from . import vocabulary as words
from .scene import Item, Scene
from .settings import setting

GROUP_LEVELS = 20  # group g is drawn in the flat grey (g + 1) / GROUP_LEVELS of the numbering pass

GEOMETRY = {
    "sphere": "sphere { <0, 0.5, 0>, 0.5 }",
    "cube": "box { <-0.45, 0, -0.45>, <0.45, 0.9, 0.45> }",
    "cylinder": "cylinder { 0, <0, 1, 0>, 0.42 }",
    "cone": "cone { 0, 0.5, <0, 1.1, 0>, 0.01 }",
    "torus": "torus { 0.42, 0.17 rotate x * 90 translate y * 0.59 }",
    "pyramid": (
        "intersection { plane { -y, 0 } "
        + " ".join(f"plane {{ <0, 0.45, 1> * 1 , 0.41 rotate y * {a} }}" for a in (0, 90, 180, 270))
        + " bounded_by { box { <-0.7, 0, -0.7>, <0.7, 1.1, 0.7> } } }"
    ),
}


def rgb(colour: tuple[float, float, float], factor: float = 1.0) -> str:
    return "rgb <{:.4f}, {:.4f}, {:.4f}>".format(*(c * factor for c in colour))


def glossy(colour: tuple[float, float, float], shine: float = 0.25) -> str:
    return (
        f"texture {{ pigment {{ {rgb(colour)} }} "
        f"finish {{ diffuse 0.85 specular {shine} roughness 0.03 }} }}"
    )


def glass(tint: tuple[float, float, float] | None) -> str:
    shade = tint or (0.93, 0.97, 0.97)
    inner = tuple(0.35 + 0.65 * c for c in shade) if tint else shade
    return (
        f"texture {{ pigment {{ rgbft <{inner[0]:.3f}, {inner[1]:.3f}, {inner[2]:.3f}, 0.86, 0.06>"
        " } finish { diffuse 0.08 specular 0.9 roughness 0.004 reflection { 0.04, 0.5 fresnel"
        " } conserve_energy } } interior { ior 1.35 }"
    )


def material_texture(item: Item) -> str:
    colour = words.COLOURS.get(item.colour)
    if item.material == "glass":
        return glass(colour)
    if item.material == "metal":
        shade = colour or (0.62, 0.62, 0.64)
        return (
            f"texture {{ pigment {{ {rgb(shade)} }} finish {{ diffuse 0.3 metallic specular 0.8 "
            f"roughness 0.015 reflection {{ {rgb(shade, 0.65)} metallic }} }} }}"
        )
    if item.material == "wooden":
        light = tuple(min(1.0, 0.25 + 0.9 * c) for c in colour) if colour else (0.55, 0.33, 0.16)
        dark = tuple(0.55 * c for c in colour or (0.45, 0.24, 0.10))
        return (
            f"texture {{ pigment {{ wood turbulence 0.05 color_map {{ [0 {rgb(light)}] [0.6"
            f" {rgb(dark)}] [1 {rgb(light)}] }} scale 0.13 rotate <82, 20, 0> translate <0.13, 0.4,"
            " 0.2> } finish { diffuse 0.8 specular 0.1 roughness 0.06 } }"
        )
    if item.material == "stone":
        base = tuple(0.25 * 0.5 + 0.7 * c for c in colour) if colour else (0.42, 0.41, 0.39)
        return (
            f"texture {{ pigment {{ granite color_map {{ [0 {rgb(base, 0.45)}] [0.45 {rgb(base)}] "
            f"[1 {rgb(base, 1.35)}] }} scale 0.45 }} normal {{ granite 0.35 scale 0.3 }} "
            "finish { diffuse 0.85 } }"
        )
    return glossy(colour or (0.5, 0.5, 0.5))


def lathe(points: list[tuple[float, float]], texture: str) -> str:
    """A surface of revolution about y through (radius, height) points."""
    listed = ", ".join(f"<{r:.3f}, {y:.3f}>" for r, y in points)
    return f"sor {{ {len(points)}, {listed} {texture} }}"


def fish_bowl() -> str:
    fish = (
        "union { sphere { 0, 1 scale <0.17, 0.10, 0.06> } "
        "cone { <0.14, 0, 0>, 0.01, <0.27, 0, 0>, 0.085 scale <1, 1, 0.3> } "
        f"translate <0.02, 0.42, -0.06> rotate y * 20 {glossy((0.95, 0.27, 0.02), 0.4)} }}"
    )
    water = (
        "intersection { sphere { <0, 0.5, 0>, 0.475 } plane { y, 0.68 } texture { pigment { rgbft"
        " <0.72, 0.90, 0.97, 0.80, 0.10> } finish { specular 0.3 roughness 0.01 reflection { 0.02,"
        " 0.25 fresnel } conserve_energy } } interior { ior 1.15 } }"
    )
    shell = (
        "difference { sphere { <0, 0.5, 0>, 0.5 } sphere { <0, 0.5, 0>, 0.48 } plane { -y,"
        f" -0.86 }} {glass(None)} }}"
    )
    rim = f"torus {{ 0.355, 0.022 translate y * 0.86 {glossy((0.75, 0.85, 0.88), 0.9)} }}"
    gravel = (
        "intersection { sphere { <0, 0.5, 0>, 0.46 } plane { y, 0.15 } texture { pigment { granite "
        "color_map { [0 rgb <0.35, 0.27, 0.18>] [1 rgb <0.75, 0.66, 0.50>] } scale 0.1 } } }"
    )
    return " ".join((shell, rim, water, gravel, fish))


def mug(colour: tuple[float, float, float]) -> str:
    skin = glossy(colour, 0.5)
    handle = (
        "intersection { torus { 0.24, 0.06 rotate x * 90 } plane { -x, 0.02 } translate <0.38,"
        " 0.42, 0> }"
    )
    return (
        "difference { cylinder { 0, <0, 0.85, 0>, 0.4 } cylinder { <0, 0.07, 0>, <0, 1, 0>,"
        f" 0.34 }} {skin} }} object {{ {handle} {skin} }}"
    )


def table_lamp(colour: tuple[float, float, float]) -> str:
    brass = (
        "texture { pigment { rgb <0.5, 0.36, 0.14> } finish { diffuse 0.5 specular 0.6 roughness"
        " 0.02 reflection 0.15 } }"
    )
    shade = f"texture {{ pigment {{ {rgb(colour)} }} finish {{ diffuse 0.7 emission 0.35 }} }}"
    return (
        f"cylinder {{ 0, <0, 0.07, 0>, 0.3 {brass} }} cylinder {{ 0, <0, 0.8, 0>, 0.045 {brass} }} "
        f"cone {{ <0, 0.62, 0>, 0.5, <0, 1.2, 0>, 0.27 open {shade} }}"
    )


def snowman() -> str:
    snow = (
        "texture { pigment { rgb <0.90, 0.92, 0.95> } normal { bumps 0.15 scale 0.05 } finish {"
        " diffuse 0.9 } }"
    )
    coal = glossy((0.01, 0.01, 0.01))
    carrot = glossy((0.85, 0.25, 0.02))
    hat = (
        f"cylinder {{ <0, 1.24, 0>, <0, 1.27, 0>, 0.27 {coal} }} cylinder {{ <0, 1.27, 0>, <0, 1.5,"
        f" 0>, 0.17 {coal} }}"
    )
    eyes = " ".join(f"sphere {{ <{x}, 1.13, -0.2>, 0.035 {coal} }}" for x in (-0.08, 0.08))
    return (
        f"sphere {{ <0, 0.36, 0>, 0.40 {snow} }} sphere {{ <0, 0.80, 0>, 0.29 {snow} }} sphere {{"
        f" <0, 1.10, 0>, 0.21 {snow} }} cone {{ <0, 1.08, -0.19>, 0.05, <0, 1.05, -0.45>, 0.005"
        f" {carrot} }} {eyes} {hat}"
    )


def beach_ball() -> str:
    stripes = " ".join(
        f"[{i / 6:.4f} {rgb(words.COLOURS[name])}] [{(i + 1) / 6:.4f} {rgb(words.COLOURS[name])}]"
        for i, name in enumerate(("red", "white", "blue", "white", "yellow", "white"))
    )
    return (
        f"sphere {{ <0, 0, 0>, 0.5 texture {{ pigment {{ radial color_map {{ {stripes} }} }} finish"
        " { diffuse 0.85 specular 0.4 roughness 0.02 } rotate <35, 0, 20> } translate y *"
        " 0.5 }"
    )


def vase(colour: tuple[float, float, float]) -> str:
    outline = [
        (0.0, -0.1),
        (0.22, 0.0),
        (0.40, 0.30),
        (0.34, 0.62),
        (0.14, 0.88),
        (0.22, 1.10),
        (0.24, 1.2),
    ]
    return lathe(outline, glossy(colour, 0.6))


def bottle(colour: tuple[float, float, float]) -> str:
    outline = [
        (0.2, -0.1),
        (0.24, 0.0),
        (0.25, 0.35),
        (0.24, 0.65),
        (0.10, 0.92),
        (0.09, 1.25),
        (0.1, 1.4),
    ]
    return (
        lathe(outline, glass(colour))
        + f" cylinder {{ <0, 1.22, 0>, <0, 1.36, 0>, 0.075 {glossy((0.45, 0.28, 0.12))} }}"
    )


def candle(colour: tuple[float, float, float]) -> str:
    flame = (
        "sphere { 0, 1 scale <0.055, 0.14, 0.055> translate y * 1.08 texture { pigment { rgb <1,"
        " 0.75, 0.25> } finish { emission 1.6 diffuse 0 } } no_shadow }"
    )
    return (
        f"cylinder {{ 0, <0, 0.88, 0>, 0.2 {glossy(colour, 0.15)} }} "
        f"cylinder {{ <0, 0.88, 0>, <0, 0.97, 0>, 0.012 {glossy((0.02, 0.02, 0.02))} }} {flame}"
    )


def sign(item: Item) -> str:
    colour = words.COLOURS[item.colour]
    light = item.colour in ("white", "yellow", "pink", "orange")
    ink = glossy((0.02, 0.02, 0.02) if light else (0.9, 0.9, 0.88))
    width = 0.24 * len(item.word) + 0.3
    letters = (
        f'text {{ ttf "cyrvetic.ttf" "{item.word}" 0.06, 0 {ink} scale <0.36, 0.42, 1> '
        f"translate <{-0.118 * len(item.word):.3f}, 0.42, -0.09> }}"
    )
    return (
        f"box {{ <{-width / 2:.3f}, 0.25, -0.05>, <{width / 2:.3f}, 0.9, 0.05> {glossy(colour)} }}"
        f" {letters} cylinder {{ <{-width / 3:.3f}, 0, 0>, <{-width / 3:.3f}, 0.3, 0>, 0.04"
        f" {glossy((0.2, 0.2, 0.2))} }} cylinder {{ <{width / 3:.3f}, 0, 0>, <{width / 3:.3f}, 0.3,"
        f" 0>, 0.04 {glossy((0.2, 0.2, 0.2))} }}"
    )


def body(item: Item) -> str:
    colour = words.COLOURS.get(item.colour, (0.5, 0.5, 0.5))
    makers = {
        "fish bowl": fish_bowl,
        "snowman": snowman,
        "beach ball": beach_ball,
        "mug": lambda: mug(colour),
        "table lamp": lambda: table_lamp(colour),
        "vase": lambda: vase(colour),
        "bottle": lambda: bottle(colour),
        "candle": lambda: candle(colour),
        "sign": lambda: sign(item),
    }
    if item.kind in makers:
        return makers[item.kind]()
    return f"object {{ {GEOMETRY[item.kind]} {material_texture(item)} }}"


def placed(item: Item, inside: str, override: str = "") -> str:
    size = words.SIZES[item.size]
    return (
        f"union {{ {inside} {override} rotate y * {item.turn:.2f} scale {size:.3f} "
        f"translate <{item.x:.3f}, 0, {item.z:.3f}> }}\n"
    )


def camera(scene: Scene) -> str:
    angle = math.radians(scene.camera_angle)
    x, z = scene.camera_distance * math.sin(angle), -scene.camera_distance * math.cos(angle)
    return (
        f"camera {{ location <{x:.3f}, {scene.camera_height:.3f}, {z:.3f}> look_at <0, 0.52, 0.15> "
        "right x up y angle 44 }\n"
    )


def picture(scene: Scene) -> str:
    """The scene as it looks."""
    head = "#version 3.7;\nglobal_settings { assumed_gamma 1 max_trace_level 8 }\n"
    return (
        head
        + camera(scene)
        + setting(scene)
        + "".join(placed(i, body(i)) for _, i in scene.items())
    )


def numbered(scene: Scene) -> str:
    """Black, with every group in its own flat grey: which pixel shows which group."""
    text = "#version 3.7;\nglobal_settings { assumed_gamma 1 }\nbackground { rgb 0 }\n" + camera(
        scene
    )
    for group, item in scene.items():
        level = (group + 1) / GROUP_LEVELS
        # Flat colour wins over the parts' own only where they have none: strip theirs.
        text += placed(item, flat(body(item), level))
    return text


def flat(text: str, level: float) -> str:
    """The same geometry with every texture and interior replaced by one flat emitting grey."""
    paint = (
        f"texture {{ pigment {{ rgb {level:.4f} }} finish {{ emission 1 diffuse 0 ambient 0 }} }}"
    )
    out, at = [], 0
    while at < len(text):
        found = [(text.find(word, at), word) for word in ("texture {", "interior {")]
        found = [(position, word) for position, word in found if position >= 0]
        if not found:
            out.append(text[at:])
            break
        position, word = min(found)
        out.append(text[at:position])
        if word == "texture {":
            out.append(paint)
        depth, at = 0, text.index("{", position)
        while True:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
            if depth == 0:
                break
    return "".join(out)

"""Where things stand: ground, walls, sky and light of each setting, as POV-Ray text.

SPDX-License-Identifier: Apache-2.0
"""

import math
import random

from .scene import Scene


def light(scene: Scene, strength: float, fill: float) -> str:
    """A soft key light from the sun's direction and a shadowless fill from the camera's side."""
    angle, height = math.radians(scene.sun_angle), math.radians(scene.sun_height)
    x, z = 14 * math.cos(height) * math.sin(angle), -14 * math.cos(height) * math.cos(angle)
    y = 14 * math.sin(height)
    key = (1.0, 0.97 - 0.13 * scene.warmth, 0.93 - 0.30 * scene.warmth)
    colour = ", ".join(f"{strength * c:.3f}" for c in key)
    return (
        f"light_source {{ <{x:.2f}, {y:.2f}, {z:.2f}> rgb <{colour}> area_light <1.6, 0, 0>, <0,"
        " 1.6, 0>, 4, 4 adaptive 1 jitter circular orient }\nlight_source { <2, 7, -9> rgb"
        f" {fill:.3f} shadowless }}\n"
    )


def boards(rng: random.Random) -> str:
    tone = rng.uniform(0.7, 1.25)
    return (
        "texture { pigment { wood turbulence 0.06 color_map { [0 rgb <0.42, 0.25, 0.12> *"
        f" {tone:.3f}] [0.7 rgb <0.27, 0.14, 0.06> * {tone:.3f}] [1 rgb <0.42, 0.25, 0.12> *"
        f" {tone:.3f}] }} scale 0.35 rotate <3, 88, 2> translate <{rng.uniform(0, 9):.3f}, 0.3, 0>"
        " } finish { diffuse 0.8 specular 0.2 roughness 0.03 reflection 0.04 } }"
    )


def wall(rng: random.Random) -> str:
    tint = rng.choice(
        ((0.62, 0.66, 0.62), (0.70, 0.64, 0.52), (0.55, 0.62, 0.70), (0.72, 0.70, 0.68))
    )
    return (
        "plane {{ -z, -4.6 texture {{ pigment {{ rgb <{:.3f}, {:.3f}, {:.3f}> }} finish {{ diffuse"
        " 0.8 }} }} }}\n".format(*tint)
    )


def sky(rng: random.Random) -> str:
    cover = rng.uniform(0.35, 0.6)
    return (
        "sky_sphere { pigment { gradient y color_map { [0 rgb <0.72, 0.82, 0.92>] [0.6 rgb"
        " <0.20, 0.40, 0.78>] } } pigment { bozo turbulence 0.7 color_map { [0 rgbt <1, 1, 1,"
        f" 0.1>] [{cover:.3f} rgbt <1, 1, 1, 1>] [1 rgbt <1, 1, 1, 1>] }} scale <0.6, 0.22, 0.6>"
        f" translate {rng.uniform(0, 30):.2f} }} }}\n"
    )


def table(scene: Scene, rng: random.Random) -> str:
    floor = "plane { y, -2.4 pigment { rgb <0.16, 0.13, 0.11> } }\n"
    top = f"box {{ <-4.4, -0.18, -2.1>, <4.4, 0, 2.6> {boards(rng)} }}\n"
    return top + floor + wall(rng) + light(scene, 0.95, 0.34)


def floor(scene: Scene, rng: random.Random) -> str:
    light_tile, dark_tile = rng.uniform(0.5, 0.75), rng.uniform(0.2, 0.45)
    tiles = (
        f"plane {{ y, 0 texture {{ pigment {{ checker rgb {light_tile:.3f} rgb {dark_tile:.3f}"
        f" scale 0.8 rotate y * {rng.uniform(0, 45):.1f} }} finish {{ diffuse 0.8 reflection 0.07"
        " specular 0.2 } } }\n"
    )
    skirting = "box { <-30, 0, 4.45>, <30, 0.28, 4.6> pigment { rgb 0.8 } }\n"
    return tiles + skirting + wall(rng) + light(scene, 0.95, 0.34)


def lawn(scene: Scene, rng: random.Random) -> str:
    grass = (
        "plane { y, 0 texture { pigment { bozo turbulence 0.9 color_map { [0 rgb <0.09, 0.22,"
        " 0.03>] [0.5 rgb <0.13, 0.32, 0.05>] [1 rgb <0.24, 0.38, 0.08>] } scale 0.16 } normal {"
        " bumps 0.9 scale 0.05 } finish { diffuse 0.85 } } }\n"
    )
    hedge = (
        "box { <-40, 0, 16>, <40, 2.1, 17> pigment { bozo color_map { [0 rgb <0.03, 0.10, 0.02>] "
        "[1 rgb <0.08, 0.2, 0.05>] } scale 0.3 } normal { bumps 1 scale 0.2 } }\n"
    )
    return grass + hedge + sky(rng) + light(scene, 1.1, 0.4)


def beach(scene: Scene, rng: random.Random) -> str:
    sand = (
        "plane { y, 0 texture { pigment { granite color_map { [0 rgb <0.62, 0.50, 0.33>] [1 rgb"
        " <0.80, 0.69, 0.50>] } scale 0.3 } normal { bumps 0.35 scale 0.22 } finish { diffuse 0.85"
        " } } }\n"
    )
    sea = (
        "box { <-400, 0.001, 9>, <400, 0.03, 900> texture { pigment { rgb <0.03, 0.20, 0.30> }"
        " normal { waves 0.15 frequency 8 scale 4 } finish { diffuse 0.5 reflection { 0.1, 0.6"
        " fresnel } conserve_energy } } interior { ior 1.33 } }\n"
    )
    return sand + sea + sky(rng) + light(scene, 1.1, 0.4)


def desk(scene: Scene, rng: random.Random) -> str:
    shade = rng.uniform(0.28, 0.55)
    top = (
        f"plane {{ y, 0 texture {{ pigment {{ rgb {shade:.3f} }} finish {{ diffuse 0.8 specular"
        " 0.25 roughness 0.02 reflection 0.05 } } }\n"
    )
    red = rng.uniform(0.26, 0.42)
    bricks = (
        f"plane {{ -z, -4.6 texture {{ pigment {{ brick rgb <0.6, 0.58, 0.54>, rgb <{red:.3f},"
        f" {0.36 * red:.3f}, {0.25 * red:.3f}> brick_size <0.9, 0.32, 1> mortar 0.05 translate"
        " <0.3, 0.1, 0.5> } normal { brick 0.3 brick_size <0.9, 0.32, 1> mortar 0.05 translate"
        " <0.3, 0.1, 0.5> } finish { diffuse 0.8 } } }\n"
    )
    return top + bricks + light(scene, 0.95, 0.34)


def setting(scene: Scene) -> str:
    makers = {"table": table, "floor": floor, "lawn": lawn, "beach": beach, "desk": desk}
    return makers[scene.setting](scene, random.Random(scene.seed))

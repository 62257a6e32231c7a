"""How large a thing is that stands on the ground, from where a picture shows it.

Pictures are square, 44 degrees wide, and the camera is that of scripts/scenes/pov.py. Positions
are parts of the picture: x to the right, y down, 0 .. 1.

SPDX-License-Identifier: Apache-2.0
"""

import math
from dataclasses import dataclass

import numpy as np

FOCAL = 0.5 / math.tan(math.radians(44) / 2)  # in widths of the picture
TARGET = np.array([0.0, 0.52, 0.15])


@dataclass
class Camera:
    height: float
    distance: float
    angle: float  # degrees about y

    def frame(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Place, right, up and forward."""
        a = math.radians(self.angle)
        place = np.array([self.distance * math.sin(a), self.height, -self.distance * math.cos(a)])
        forward = (TARGET - place) / np.linalg.norm(TARGET - place)
        right = np.cross([0.0, 1.0, 0.0], forward)  # y up, z away, x to the right: left-handed
        right /= np.linalg.norm(right)
        return place, right, np.cross(forward, right), forward

    def project(self, point: np.ndarray) -> tuple[float, float]:
        place, right, up, forward = self.frame()
        offset = point - place
        depth = float(offset @ forward)
        return (
            0.5 + FOCAL * float(offset @ right) / depth,
            0.5 - FOCAL * float(offset @ up) / depth,
        )

    def depth(self, x: float, y: float) -> float:
        """Along the view, of the ground shown there; infinite at the horizon and above it."""
        place, right, up, forward = self.frame()
        ray = forward + (x - 0.5) / FOCAL * right - (y - 0.5) / FOCAL * up
        return -place[1] / float(ray[1]) if ray[1] < -1e-6 else math.inf


def height_of(camera: Camera, box: tuple[float, float, float, float]) -> float:
    """Of a thing whose box (left, top, right, bottom) stands on the ground with its lower edge.

    In the scene's units, but not exact: what is nearest to the camera is lowest in the picture, and
    a round top looks higher than it is. Such parts are the same for every size (judge.Ruler).
    """
    left, top, right, bottom = box
    depth = camera.depth((left + right) / 2, bottom)
    return (bottom - top) * depth / FOCAL

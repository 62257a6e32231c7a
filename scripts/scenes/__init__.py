"""Procedural scenes with known ground truth, rendered by POV-Ray.

SPDX-License-Identifier: Apache-2.0
"""

"""The whole model of engine/MODEL.md in plain PyTorch: the oracle of the tests and the trainee.

SPDX-License-Identifier: Apache-2.0
"""

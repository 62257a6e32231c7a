"""Training of a cascade: see README.md.

SPDX-License-Identifier: Apache-2.0
"""

"""The parts of scripts/bench. SPDX-License-Identifier: Apache-2.0"""

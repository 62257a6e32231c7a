"""The parts of scripts/gpu_check. SPDX-License-Identifier: Apache-2.0"""

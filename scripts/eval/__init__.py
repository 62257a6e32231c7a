"""What an exported model can do, measured on rendered scenes.

SPDX-License-Identifier: Apache-2.0
"""

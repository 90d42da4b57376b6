# SPDX-License-Identifier: Apache-2.0
"""Surgical instruments: their shapes, joints and motion, and where they touch tissue."""

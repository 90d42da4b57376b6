# SPDX-License-Identifier: Apache-2.0
"""Proof, frame by frame, that labels still hold after a translation."""

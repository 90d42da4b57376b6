# SPDX-License-Identifier: Apache-2.0
"""Depth from single frames: networks, losses, task, training and predictor."""

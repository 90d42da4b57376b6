# SPDX-License-Identifier: Apache-2.0
"""Scenes as data: anatomy, centre lines and camera trajectories; nothing here renders."""

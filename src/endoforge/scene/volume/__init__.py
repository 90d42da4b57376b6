# SPDX-License-Identifier: Apache-2.0
"""Computed tomography as a scene: the voxels, where they lie, and where a camera may be in them."""

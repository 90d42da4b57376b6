# SPDX-License-Identifier: Apache-2.0
"""Camera models, poses, depth and distance, normals and flow, for NumPy and torch alike."""

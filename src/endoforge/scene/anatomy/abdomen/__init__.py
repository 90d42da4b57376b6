# SPDX-License-Identifier: Apache-2.0
"""The upper abdomen under pneumoperitoneum: drawn from rules, from a CT's masks, or from meshes."""

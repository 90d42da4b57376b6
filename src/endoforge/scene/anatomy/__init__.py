# SPDX-License-Identifier: Apache-2.0
"""Where anatomy comes from: drawn by our own rules, a segmented CT, or a mesh file."""

# SPDX-License-Identifier: Apache-2.0
"""The segmentation networks, one file each."""

# SPDX-License-Identifier: Apache-2.0
"""Light, tissue and sensor as numbers: what a renderer needs to know, without a renderer."""

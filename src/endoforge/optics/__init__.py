# SPDX-License-Identifier: Apache-2.0
"""Light sources and their fall-off, tissue reflectance and texture, sensor response."""

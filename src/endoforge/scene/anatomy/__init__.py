# SPDX-License-Identifier: Apache-2.0
"""Where surfaces come from: procedural colons, CT masks and meshes."""

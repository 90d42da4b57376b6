# SPDX-License-Identifier: Apache-2.0
"""The Frame record, and how frames lie on disk, are checked, and are loaded again."""

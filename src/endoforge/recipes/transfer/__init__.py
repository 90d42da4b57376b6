# SPDX-License-Identifier: Apache-2.0
"""The shipped transfer functions: JSON files, no code."""

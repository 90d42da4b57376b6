# SPDX-License-Identifier: Apache-2.0
"""The shipped recipes: YAML files, no code."""

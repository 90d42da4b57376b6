# SPDX-License-Identifier: Apache-2.0
"""The shipped small models with their model cards: data, no code."""

# SPDX-License-Identifier: Apache-2.0
"""Generators, encoders and discriminators, each once, for all methods of translation."""

# SPDX-License-Identifier: Apache-2.0
"""The methods: each one its players, its forward pass and its losses."""

# SPDX-License-Identifier: Apache-2.0
"""Anatomy as labelled surfaces and centre lines, and the paths a camera takes through them."""

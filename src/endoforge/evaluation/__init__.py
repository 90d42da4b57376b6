# SPDX-License-Identifier: Apache-2.0
"""Evaluation protocols with every alignment stated, and the report a person looks at."""

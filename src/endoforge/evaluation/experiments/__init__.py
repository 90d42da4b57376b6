# SPDX-License-Identifier: Apache-2.0
"""Experiments of papers, run again with our own parts: plan, run, table, verdict."""

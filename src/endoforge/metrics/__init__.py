# SPDX-License-Identifier: Apache-2.0
"""Pure pairs of update and compute for each quantity that the package reports."""

# SPDX-License-Identifier: Apache-2.0
"""A data set in the formats of others."""

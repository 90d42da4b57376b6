# SPDX-License-Identifier: Apache-2.0
"""Which class each pixel shows: networks that learn from simulated masks."""

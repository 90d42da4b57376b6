# SPDX-License-Identifier: Apache-2.0
"""The depth networks, one file each."""

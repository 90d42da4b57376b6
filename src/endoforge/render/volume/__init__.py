# SPDX-License-Identifier: Apache-2.0
"""Light transport in a volume of tissue: cinematic pictures of CT, and their labels."""

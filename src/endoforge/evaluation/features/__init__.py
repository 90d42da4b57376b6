# SPDX-License-Identifier: Apache-2.0
"""Networks whose features pictures are compared in; a figure carries the name of its network."""

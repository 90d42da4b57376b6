# SPDX-License-Identifier: Apache-2.0
"""Camera paths: inspection of a target, recorded ones, laparoscopes through a port, views."""

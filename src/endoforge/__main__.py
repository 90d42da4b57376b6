# SPDX-License-Identifier: Apache-2.0
"""Lets ``python -m endoforge`` do what ``endoforge`` does."""

from endoforge.cli import main

if __name__ == "__main__":
    main()

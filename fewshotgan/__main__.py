"""`python -m fewshotgan` is the command `fewshotgan`."""

import sys

from fewshotgan.cli import main

sys.exit(main())

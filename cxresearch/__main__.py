"""`python -m cxresearch`: the same as the command `cxresearch`."""

import sys

from cxresearch.cli import main

sys.exit(main())

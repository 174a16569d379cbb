"""Spares every process of the tests over a second: loaded before pytest's other plugins, see `check_command`.

nbformat needs jsonschema, which takes the grammar of international web addresses from a package that works it out anew
at each import. A notebook has no such field, and jsonschema does without the package where it is missing.
"""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

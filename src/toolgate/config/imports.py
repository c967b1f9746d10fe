"""Import paths such as ``support_desk.tools:tools``: the objects that a configuration names.

Not here: what an object must be; each caller checks that.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import traceback
from typing import Any

from toolgate.config.problems import Where
from toolgate.domain.errors import ToolgateError
from toolgate.domain.redaction import redact_text

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def import_object(path: str, where: Where) -> Any:
    """What ``path`` names. The folder of the file that says so is searched too, after everything installed.

    Raises:
        ConfigurationError: if there is no such module or name, or the module fails while it is imported.
    """
    if not _PATH.fullmatch(path):
        raise where.wrong(f"{path!r} is no import path; write 'package.module:name'")
    module_name, _, name = path.partition(":")
    folder = str(where.source.folder)
    if folder not in sys.path:
        # Last, so that nothing that lies beside a configuration can stand in for an installed package.
        sys.path.append(folder)
    found = _module(module_name, where)
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise where.wrong(f"{module_name} has no {part!r}{hint}")
        found = getattr(found, part)
    return found


def _module(name: str, where: Where) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and (name == missing.name or name.startswith(f"{missing.name}.")):
            raise where.wrong(f"there is no module {name!r}; is it installed, or beside the file?") from None
        raise where.wrong(
            f"importing {name} failed: it needs {missing.name!r}, which is not there"
        ) from missing
    except ToolgateError as fault:
        raise where.wrong(f"importing {name} failed: {fault}") from fault
    except Exception as fault:
        last = traceback.extract_tb(fault.__traceback__)[-1]
        what = redact_text(f"{type(fault).__name__}: {fault}", max_characters=300)
        raise where.wrong(f"importing {name} failed at line {last.lineno} of {last.name}: {what}") from fault

"""What a header may be set to."""

from __future__ import annotations

import datetime
import numbers
from typing import TypeAlias

_HeaderTypes: TypeAlias = bytes | str | int | numbers.Integral | datetime.datetime

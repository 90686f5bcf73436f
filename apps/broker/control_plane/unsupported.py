"""Operations outside the product: refused in words, and recorded."""

from __future__ import annotations

from apps.broker import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core.errors import NotSupported


@handles(c.RefuseUnsupported)
def refuse(command: c.RefuseUnsupported, work: Work) -> None:
    work.note(operation=command.operation)
    raise NotSupported(command.sentence, reason="operation_unsupported")

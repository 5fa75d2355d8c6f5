"""What path functions are given: who asks, and the engines and queries of this process.

These are coroutines, as FastAPI would run plain functions in threads.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from gateway.uses.caller import OPEN_ON_LOOPBACK, Caller
from gateway.uses.services import Operated, Services


async def caller() -> Caller:
    """Who asks. No client is declared: whoever reaches the door."""
    return OPEN_ON_LOOPBACK


async def services(request: Request) -> Services:
    """What the application was made with (`gateway.app.create_app`)."""
    found: Services = request.app.state.services
    return found


async def operated(request: Request) -> Operated:
    """What operators ask of this process, whatever its roles."""
    found: Operated = request.app.state.operated
    return found


Asking = Annotated[Caller, Depends(caller)]
Known = Annotated[Services, Depends(services)]
Operating = Annotated[Operated, Depends(operated)]

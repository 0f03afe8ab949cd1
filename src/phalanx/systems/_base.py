"""What every system can tell about itself: its sizes, and how its matrices vary in time."""

from typing import Protocol


class System(Protocol):
    """A linear system that the simulator can advance.

    Attributes:
        state_size: entries of one state vector.
        control_size: entries of one agent's control vector.
        disturbance_size: entries of one disturbance vector.
        stages: length of the time axis, None when the matrices are constant.
    """

    @property
    def state_size(self) -> int: ...
    @property
    def control_size(self) -> int: ...
    @property
    def disturbance_size(self) -> int: ...
    @property
    def stages(self) -> int | None: ...

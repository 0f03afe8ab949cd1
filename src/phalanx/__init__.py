"""phalanx: controllers for fleets that hold when the world, or an adversary, pushes back.

Importing this package is cheap: every public name is loaded when it is first used, and JAX only by
the names that need it.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from phalanx import _jax_guard

__version__ = "0.1.0"

_jax_guard.check(version("jax"), version("jaxlib"))

_HOME = {
    "phalanx.systems": ("LinearSystem", "MeanFieldNoise", "MeanFieldSystem"),
    "phalanx.costs": ("MeanFieldCost", "Quadratic", "Tracking", "Huber", "LinearStage"),
    "phalanx.disturbances": (
        "Gaussian",
        "UniformBall",
        "Sinusoid",
        "RandomWalk",
        "Step",
        "Replay",
        "LinearAdversary",
        "BoundedAdversary",
        "Sum",
    ),
    "phalanx.policies": ("MeanFieldFeedback", "LinearFeedback"),
    "phalanx.online": (
        "DisturbanceAction",
        "GradientPerturbation",
        "MeanFieldDisturbanceAction",
        "ModelPredictive",
        "StreamingController",
        "team",
        "theory_settings",
    ),
    "phalanx.simulation": ("simulate", "Trajectory", "LinearTrajectory"),
    "phalanx.equilibria": (
        "RobustGame",
        "SaddlePoint",
        "solve",
        "AttenuationLevels",
        "attenuation_levels",
        "Certificate",
        "certify",
        "baselines",
        "stabilising_gains",
        "strong_stability",
        "nash_feedback",
        "covariance_sdp",
    ),
    "phalanx.evaluation": (
        "noise_gain",
        "induced_gain",
        "worst_disturbance",
        "pathwise_check",
        "regret",
        "regret_curve",
        "best_dac",
        "best_linear",
        "fit_exponent",
        "equilibrium_gap",
    ),
    "phalanx.learners": (
        "learn",
        "identify",
        "Learned",
        "Method",
        "CostOracle",
        "ExactOracle",
        "LawOracle",
        "PopulationOracle",
        "JointGains",
    ),
    "phalanx.scenarios": ("scenario", "Scenario", "scenario_names"),
    "phalanx._cores": ("use_cores",),
    "phalanx._outcome": ("InputError", "NoSolutionError", "Outcome", "PhalanxError"),
}
_WHERE = {name: home for home, names in _HOME.items() for name in names}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'phalanx' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*(name for name in globals() if name.startswith("__")), *_WHERE, "testing"])


if TYPE_CHECKING:  # what a type checker sees of the lazy names
    from phalanx._cores import (
        use_cores as use_cores,
    )
    from phalanx._outcome import (
        InputError as InputError,
    )
    from phalanx._outcome import (
        NoSolutionError as NoSolutionError,
    )
    from phalanx._outcome import (
        Outcome as Outcome,
    )
    from phalanx._outcome import (
        PhalanxError as PhalanxError,
    )
    from phalanx.costs import (
        Huber as Huber,
    )
    from phalanx.costs import (
        LinearStage as LinearStage,
    )
    from phalanx.costs import (
        MeanFieldCost as MeanFieldCost,
    )
    from phalanx.costs import (
        Quadratic as Quadratic,
    )
    from phalanx.costs import (
        Tracking as Tracking,
    )
    from phalanx.disturbances import (
        BoundedAdversary as BoundedAdversary,
    )
    from phalanx.disturbances import (
        Gaussian as Gaussian,
    )
    from phalanx.disturbances import (
        LinearAdversary as LinearAdversary,
    )
    from phalanx.disturbances import (
        RandomWalk as RandomWalk,
    )
    from phalanx.disturbances import (
        Replay as Replay,
    )
    from phalanx.disturbances import (
        Sinusoid as Sinusoid,
    )
    from phalanx.disturbances import (
        Step as Step,
    )
    from phalanx.disturbances import (
        Sum as Sum,
    )
    from phalanx.disturbances import (
        UniformBall as UniformBall,
    )
    from phalanx.equilibria import (
        AttenuationLevels as AttenuationLevels,
    )
    from phalanx.equilibria import (
        Certificate as Certificate,
    )
    from phalanx.equilibria import (
        RobustGame as RobustGame,
    )
    from phalanx.equilibria import (
        SaddlePoint as SaddlePoint,
    )
    from phalanx.equilibria import (
        attenuation_levels as attenuation_levels,
    )
    from phalanx.equilibria import (
        baselines as baselines,
    )
    from phalanx.equilibria import (
        certify as certify,
    )
    from phalanx.equilibria import (
        covariance_sdp as covariance_sdp,
    )
    from phalanx.equilibria import (
        nash_feedback as nash_feedback,
    )
    from phalanx.equilibria import (
        solve as solve,
    )
    from phalanx.equilibria import (
        stabilising_gains as stabilising_gains,
    )
    from phalanx.equilibria import (
        strong_stability as strong_stability,
    )
    from phalanx.evaluation import (
        best_dac as best_dac,
    )
    from phalanx.evaluation import (
        best_linear as best_linear,
    )
    from phalanx.evaluation import (
        equilibrium_gap as equilibrium_gap,
    )
    from phalanx.evaluation import (
        fit_exponent as fit_exponent,
    )
    from phalanx.evaluation import (
        induced_gain as induced_gain,
    )
    from phalanx.evaluation import (
        noise_gain as noise_gain,
    )
    from phalanx.evaluation import (
        pathwise_check as pathwise_check,
    )
    from phalanx.evaluation import (
        regret as regret,
    )
    from phalanx.evaluation import (
        regret_curve as regret_curve,
    )
    from phalanx.evaluation import (
        worst_disturbance as worst_disturbance,
    )
    from phalanx.learners import (
        CostOracle as CostOracle,
    )
    from phalanx.learners import (
        ExactOracle as ExactOracle,
    )
    from phalanx.learners import (
        JointGains as JointGains,
    )
    from phalanx.learners import (
        LawOracle as LawOracle,
    )
    from phalanx.learners import (
        Learned as Learned,
    )
    from phalanx.learners import (
        Method as Method,
    )
    from phalanx.learners import (
        PopulationOracle as PopulationOracle,
    )
    from phalanx.learners import (
        identify as identify,
    )
    from phalanx.learners import (
        learn as learn,
    )
    from phalanx.online import (
        DisturbanceAction as DisturbanceAction,
    )
    from phalanx.online import (
        GradientPerturbation as GradientPerturbation,
    )
    from phalanx.online import (
        MeanFieldDisturbanceAction as MeanFieldDisturbanceAction,
    )
    from phalanx.online import (
        ModelPredictive as ModelPredictive,
    )
    from phalanx.online import (
        StreamingController as StreamingController,
    )
    from phalanx.online import (
        team as team,
    )
    from phalanx.online import (
        theory_settings as theory_settings,
    )
    from phalanx.policies import (
        LinearFeedback as LinearFeedback,
    )
    from phalanx.policies import (
        MeanFieldFeedback as MeanFieldFeedback,
    )
    from phalanx.scenarios import (
        Scenario as Scenario,
    )
    from phalanx.scenarios import (
        scenario as scenario,
    )
    from phalanx.scenarios import (
        scenario_names as scenario_names,
    )
    from phalanx.simulation import (
        LinearTrajectory as LinearTrajectory,
    )
    from phalanx.simulation import (
        Trajectory as Trajectory,
    )
    from phalanx.simulation import (
        simulate as simulate,
    )
    from phalanx.systems import (
        LinearSystem as LinearSystem,
    )
    from phalanx.systems import (
        MeanFieldNoise as MeanFieldNoise,
    )
    from phalanx.systems import (
        MeanFieldSystem as MeanFieldSystem,
    )

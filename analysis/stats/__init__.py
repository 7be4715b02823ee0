"""The statistics of checkpoint cost. A run is the unit of replication: summarise it to one number, then infer.

Nothing here knows of files or tables: arrays go in, small frozen results come out.
"""

from analysis.stats.bootstrap import BootstrapResult, hierarchical_bootstrap
from analysis.stats.failures import Proportion, clopper_pearson
from analysis.stats.intervals import (
    RankInterval,
    ShiftInterval,
    hodges_lehmann,
    median_interval,
    quantile_allowed,
)
from analysis.stats.levels import MeanSlope, interaction, mean_slope
from analysis.stats.linear import FTest, LineResult, lack_of_fit, least_squares
from analysis.stats.modality import DELAYED_ACK_S, SlowModeShare, modes, slow_mode_share
from analysis.stats.multiplicity import benjamini_hochberg, holm
from analysis.stats.pages import PageCost, per_page_cost
from analysis.stats.planning import (
    DetectableEffect,
    OptimalRepetitions,
    detectable_effect,
    needed_blocks,
    optimal_repetitions,
    rank_efficiency,
)
from analysis.stats.series import OutlierCounts, autocorrelation, mser5, outliers
from analysis.stats.slopes import SlopeResult, stratified_theil_sen
from analysis.stats.stability import Steadiness, steadiness_of
from analysis.stats.tost import EquivalenceResult, equivalence
from analysis.stats.trend import BlockedTrendResult, JonckheereResult, blocked_jonckheere, jonckheere
from analysis.stats.variance import LogMeanInterval, VarianceComponents, log_mean_interval, variance_components

__all__ = [
    "DELAYED_ACK_S",
    "BlockedTrendResult",
    "BootstrapResult",
    "DetectableEffect",
    "EquivalenceResult",
    "FTest",
    "JonckheereResult",
    "LineResult",
    "LogMeanInterval",
    "MeanSlope",
    "OptimalRepetitions",
    "OutlierCounts",
    "PageCost",
    "Proportion",
    "RankInterval",
    "ShiftInterval",
    "SlopeResult",
    "SlowModeShare",
    "Steadiness",
    "VarianceComponents",
    "autocorrelation",
    "benjamini_hochberg",
    "blocked_jonckheere",
    "clopper_pearson",
    "detectable_effect",
    "equivalence",
    "hierarchical_bootstrap",
    "hodges_lehmann",
    "holm",
    "interaction",
    "jonckheere",
    "lack_of_fit",
    "least_squares",
    "log_mean_interval",
    "mean_slope",
    "median_interval",
    "modes",
    "mser5",
    "needed_blocks",
    "optimal_repetitions",
    "outliers",
    "per_page_cost",
    "quantile_allowed",
    "rank_efficiency",
    "slow_mode_share",
    "steadiness_of",
    "stratified_theil_sen",
    "variance_components",
]
